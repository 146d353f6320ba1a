//! Reads Rust source well enough to know its paths: tokens without comments, strings and test
//! code, `use` trees flattened, `self` and `super` resolved. Knows nothing of this project's rules.

/// A word or a sign, with the line (from 1) that it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A path as written in a file, with its leading keyword resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathUse {
    pub(crate) line: usize,
    /// From the crate's root if `local`, otherwise beginning with a crate's name.
    pub(crate) segments: Vec<String>,
    pub(crate) local: bool,
}

/// A function with a body, and how many lines it takes from `fn` to its last brace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// One source file, without its test code.
#[derive(Debug)]
pub(crate) struct Source {
    /// Below `src/`, with `/`.
    pub(crate) name: String,
    /// From the crate's root.
    pub(crate) module: Vec<String>,
    pub(crate) tokens: Vec<Token>,
    /// Lines that are not test code.
    pub(crate) lines: usize,
    pub(crate) has_header: bool,
}

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let all = tokens(text);
        let (tokens, test_lines) = without_tests(&all);
        Self {
            name: name.to_owned(),
            module: module_of(name),
            tokens,
            lines: text.lines().count() - test_lines,
            has_header: text.lines().next().is_some_and(|line| line.starts_with("//! ")),
        }
    }

    /// All paths of two segments and more, and all imports, whose crate can be told: this crate's,
    /// the standard library's, and those of `dependencies`.
    pub(crate) fn paths(&self, dependencies: &[String]) -> Vec<PathUse> {
        let written = written_paths(&self.tokens);
        let mut own_names = declared_modules(&self.tokens);
        let resolve = |own_names: &[String], path: &Written| {
            resolve(&self.module, own_names, dependencies, path)
        };
        let imports: Vec<_> = written.iter().filter(|path| path.import).collect();
        for path in &imports {
            if resolve(&own_names, path).is_some_and(|found| found.local) {
                own_names.extend(path.binding.clone());
            }
        }
        written.iter().filter_map(|path| resolve(&own_names, path)).collect()
    }

    pub(crate) fn functions(&self) -> Vec<Function> {
        let tokens = &self.tokens;
        let heads = tokens.iter().enumerate().filter(|(_, token)| token.text == "fn");
        heads.filter_map(|(at, head)| function(tokens, at, head.line)).collect()
    }

    /// Lines on which a word is followed by `!`.
    pub(crate) fn macro_calls<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a Token> {
        let pairs = self.tokens.windows(2);
        pairs
            .filter(|pair| names.contains(&pair[0].text.as_str()) && pair[1].text == "!")
            .map(|pair| &pair[0])
    }
}

fn module_of(name: &str) -> Vec<String> {
    let stem = name.strip_suffix(".rs").unwrap_or(name);
    let mut module: Vec<String> = stem.split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

// ---- tokens ----

fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let (next, word) = lex(&chars, at);
        if let Some(text) = word {
            out.push(Token { text, line });
        }
        line += chars[at..next].iter().filter(|c| **c == '\n').count();
        at = next;
    }
    out
}

/// The end of what begins at `at`, and the token that it is, unless it is blank or a literal.
fn lex(chars: &[char], at: usize) -> (usize, Option<String>) {
    let rest = &chars[at..];
    let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
    match rest {
        ['/', '/', ..] => (at + rest.iter().take_while(|c| **c != '\n').count(), None),
        ['/', '*', ..] => (at + block_comment(rest), None),
        ['"', ..] => (at + string(rest), None),
        ['\'', ..] => (at + quote(rest), None),
        [':', ':', ..] => (at + 2, Some("::".to_owned())),
        [c, ..] if c.is_whitespace() => (at + 1, None),
        [c, ..] if is_word(c) => {
            let word: String = rest.iter().copied().take_while(is_word).collect();
            let end = at + word.chars().count();
            match raw_string(&word, &chars[end..]) {
                Some(length) => (end + length, None),
                None if word == "r" && chars.get(end) == Some(&'#') => (end + 1, None),
                None if c.is_ascii_digit() => (end, None),
                None => (end, Some(word)),
            }
        }
        [c, ..] => (at + 1, Some(c.to_string())),
        [] => (at + 1, None),
    }
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// A character literal, or the quote of a lifetime (whose name then counts as a word: harmless).
fn quote(rest: &[char]) -> usize {
    match rest {
        ['\'', '\\', ..] => 3 + rest.iter().skip(3).take_while(|c| **c != '\'').count() + 1,
        ['\'', _, '\'', ..] => 3,
        _ => 1,
    }
}

/// The length after the prefix `word`, if a string with a prefix begins here.
fn raw_string(word: &str, rest: &[char]) -> Option<usize> {
    if matches!(word, "b" | "c") && rest.first() == Some(&'"') {
        return Some(string(rest));
    }
    let hashes = rest.iter().take_while(|c| **c == '#').count();
    if !matches!(word, "r" | "br" | "cr") || rest.get(hashes) != Some(&'"') {
        return None;
    }
    let closes = |at: usize| {
        rest[at] == '"'
            && rest[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    let close = (hashes + 1..rest.len()).find(|at| closes(*at));
    Some(close.map_or(rest.len(), |at| at + 1 + hashes))
}

// ---- test code ----

/// Takes out every item under `#[cfg(test)]` or `#[cfg(all(test, ..))]`; the second value is how
/// many lines that was.
fn without_tests(all: &[Token]) -> (Vec<Token>, usize) {
    let (mut kept, mut lines, mut at) = (Vec::new(), 0, 0);
    while at < all.len() {
        if is_test_attribute(&all[at..]) {
            let end = end_of_item(all, at);
            lines += all[end - 1].line + 1 - all[at].line;
            at = end;
        } else {
            kept.push(all[at].clone());
            at += 1;
        }
    }
    (kept, lines)
}

fn is_test_attribute(rest: &[Token]) -> bool {
    let starts = |words: &[&str]| {
        rest.len() >= words.len() && words.iter().zip(rest).all(|(w, t)| t.text == *w)
    };
    starts(&["#", "[", "cfg", "(", "test", ")"])
        || starts(&["#", "[", "cfg", "(", "all", "(", "test"])
}

/// Behind the `;` or the closing brace that ends the item whose attributes begin at `at`.
fn end_of_item(all: &[Token], at: usize) -> usize {
    let mut depth = 0_i32;
    for (index, token) in all.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(token.text.as_str(), ";" | "}") {
            return index + 1;
        }
    }
    all.len()
}

fn function(tokens: &[Token], at: usize, line: usize) -> Option<Function> {
    let name = tokens.get(at + 1).filter(|token| is_name(&token.text))?.text.clone();
    let end = end_of_item(tokens, at);
    let last = tokens.get(end - 1).filter(|token| token.text == "}")?;
    Some(Function { name, line, lines: last.line + 1 - line })
}

// ---- paths ----

/// A path as it stands in the file, before its first word is understood.
#[derive(Debug)]
struct Written {
    line: usize,
    segments: Vec<String>,
    import: bool,
    /// The name that an import makes.
    binding: Option<String>,
    /// Enclosing `mod name { .. }` blocks of this file.
    inline: Vec<String>,
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn declared_modules(tokens: &[Token]) -> Vec<String> {
    let pairs = tokens.windows(2).filter(|pair| pair[0].text == "mod");
    pairs.map(|pair| pair[1].text.clone()).collect()
}

fn written_paths(tokens: &[Token]) -> Vec<Written> {
    let mut out = Vec::new();
    let mut depth = 0_usize;
    let mut inline: Vec<(String, usize)> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let enclosing = || inline.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let next = |ahead: usize| tokens.get(at + ahead).map_or("", |token| token.text.as_str());
        match tokens[at].text.as_str() {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                inline.retain(|(_, opened)| *opened <= depth);
            }
            "mod" if next(2) == "{" => {
                inline.push((next(1).to_owned(), depth + 1));
                at += 1;
            }
            "use" if next(1) != "<" => {
                let first = out.len();
                at = use_tree(tokens, at + 1, &[], &mut out);
                let inline = enclosing();
                out[first..].iter_mut().for_each(|path| path.inline.clone_from(&inline));
                continue;
            }
            word if is_name(word) => {
                let (end, segments) = path_at(tokens, at);
                if segments.len() > 1 {
                    let (line, inline) = (tokens[at].line, enclosing());
                    out.push(Written { line, segments, import: false, binding: None, inline });
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    out
}

fn path_at(tokens: &[Token], at: usize) -> (usize, Vec<String>) {
    let mut segments = vec![tokens[at].text.clone()];
    let mut end = at + 1;
    while let [sep, name, ..] = &tokens[end..]
        && sep.text == "::"
        && is_name(&name.text)
    {
        segments.push(name.text.clone());
        end += 2;
    }
    (end, segments)
}

/// Flattens the `use` tree that begins at `at`; gives where it ends.
fn use_tree(tokens: &[Token], mut at: usize, prefix: &[String], out: &mut Vec<Written>) -> usize {
    let mut segments = prefix.to_vec();
    let line = tokens.get(at).map_or(0, |token| token.line);
    let mut binding = None;
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "::" => {}
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    at = use_tree(tokens, at, &segments, out);
                    at += usize::from(tokens.get(at).is_some_and(|token| token.text == ","));
                }
                return at + 1;
            }
            "as" => {
                at += 1;
                binding = tokens.get(at).map(|token| token.text.clone());
            }
            "*" => segments.push("*".to_owned()),
            "self" if !segments.is_empty() => {}
            word if is_name(word) => segments.push(word.to_owned()),
            _ => break,
        }
        at += 1;
    }
    let binding = binding.or_else(|| segments.last().cloned());
    out.push(Written { line, segments, import: true, binding, inline: Vec::new() });
    at
}

fn resolve(
    module: &[String],
    own_names: &[String],
    dependencies: &[String],
    path: &Written,
) -> Option<PathUse> {
    let (first, rest) = path.segments.split_first()?;
    let mut here: Vec<String> = module.iter().chain(&path.inline).cloned().collect();
    let (segments, local) = match first.as_str() {
        "crate" | "cabled" => (rest.to_vec(), true),
        "self" => ([here, rest.to_vec()].concat(), true),
        "super" => {
            let ups = path.segments.iter().take_while(|word| *word == "super").count();
            here.truncate(here.len().saturating_sub(ups));
            ([here, path.segments[ups..].to_vec()].concat(), true)
        }
        name if own_names.iter().any(|own| own == name) => return None,
        "std" | "core" | "alloc" => (path.segments.clone(), false),
        name if dependencies.iter().any(|d| d == name) => (path.segments.clone(), false),
        _ => return None,
    };
    Some(PathUse { line: path.line, segments, local })
}
