//! Texts of strangers on a screen that is not ours. Depends on nothing.

/// Characters of a line.
const LONGEST: usize = 200;

/// One line without anything that could disguise it: control characters and those that hide or
/// change the direction of text become U+FFFD, and it ends after 200 characters.
pub(super) fn line(text: &str) -> String {
    let odd = |c: char| {
        let directs = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
        let hides = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
        c.is_control() || directs || hides
    };
    let mut line: String =
        text.chars().take(LONGEST).map(|c| if odd(c) { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}

/// The text for a place that takes markup, where it is to be seen as it is.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disguises_are_replaced_and_lengths_bounded() {
        assert_eq!(line("Zoë 李"), "Zoë 李");
        assert_eq!(line("a\nb\u{202e}c\x1b"), "a\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!(line(&"x".repeat(1000)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn markup_is_seen_and_not_obeyed() {
        assert_eq!(
            escaped("<a href='x'>AT&T\"</a>"),
            "&lt;a href=&#39;x&#39;&gt;AT&amp;T&quot;&lt;/a&gt;"
        );
    }
}
