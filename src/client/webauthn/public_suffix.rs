//! The public suffix of a domain: the part under which anybody can have a name.
//!
//! The list is the one that the `psl` crate is made from, as sorted text: its own form, a tree in code,
//! takes three times the room. `tests/public_suffix.rs` makes the file and holds every rule against that crate.
//!
//! Specification: <https://publicsuffix.org/list/>, "Algorithm".

use std::cmp::Ordering;

/// One rule a line, sorted by bytes, names in punycode.
const RULES: &str = include_str!("public_suffix/rules.txt");

/// The public suffix of a domain in punycode; of a name that no rule knows, its last label.
#[must_use]
pub fn public_suffix(domain: &str) -> &str {
    let mut name = domain;
    // The longest rule is the one that counts, and an exception is longer than what it excepts from.
    while let Some((label, above)) = name.split_once('.') {
        if has_rule(&["!", name]) {
            return above;
        }
        if has_rule(&[name]) || has_rule(&["*.", above]) && !label.is_empty() {
            return name;
        }
        name = above;
    }
    name
}

/// Whether the list has this line, whose parts are given.
fn has_rule(parts: &[&str]) -> bool {
    let mut rest = RULES;
    while !rest.is_empty() {
        // The line around the middle; the list is ASCII, so no cut is inside of a character.
        let middle = rest.len() / 2;
        let (before, behind) = rest.split_at_checked(middle).unwrap_or((rest, ""));
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        let end = behind.find('\n').map_or(rest.len(), |at| middle + at);
        let line = rest.get(begin..end).unwrap_or_default();
        match line.bytes().cmp(parts.iter().flat_map(|part| part.bytes())) {
            Ordering::Equal => return true,
            Ordering::Less => rest = rest.get(end + 1..).unwrap_or_default(),
            Ordering::Greater => rest = rest.get(..begin).unwrap_or_default(),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_wildcards_and_exceptions() {
        for (domain, suffix) in [
            ("example.com", "com"),
            ("com", "com"),
            ("a.example.co.uk", "co.uk"),
            ("co.uk", "co.uk"),
            ("me.github.io", "github.io"),
            ("a.b.ck", "b.ck"),
            ("b.ck", "b.ck"),
            ("www.ck", "ck"),
            ("a.www.ck", "ck"),
            ("a.city.kobe.jp", "kobe.jp"),
            ("a.b.kobe.jp", "b.kobe.jp"),
            ("host.intranet", "intranet"),
            ("intranet", "intranet"),
            ("a.xn--55qx5d.cn", "xn--55qx5d.cn"),
            ("", ""),
        ] {
            assert_eq!(public_suffix(domain), suffix, "{domain}");
        }
    }

    #[test]
    fn the_first_and_the_last_rule_are_found() {
        let lines: Vec<&str> = RULES.lines().collect();
        assert!(lines.len() > 9000 && RULES.is_ascii());
        assert!(lines.is_sorted());
        assert!(lines.iter().all(|line| has_rule(&[line])));
        assert!(!has_rule(&[""]) && !has_rule(&["~"]) && !has_rule(&["!"]));
    }
}
