//! Texts of strangers as they can be shown. Depends on nothing.

/// Characters that [`printable`] keeps.
const LONGEST: usize = 128;

/// The text with everything replaced that could disguise it on a screen: control characters and
/// those that change the direction of text. Cut to 128 characters.
#[must_use]
pub fn printable(text: &str) -> String {
    printable_within(text, LONGEST)
}

/// [`printable`], cut to so many characters.
#[must_use]
pub fn printable_within(text: &str, longest: usize) -> String {
    let invisible = |c: char| {
        let directed =
            ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c);
        let hidden = matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}' | '\u{61c}');
        c.is_control() || directed || hidden || ('\u{2028}'..='\u{2029}').contains(&c)
    };
    text.chars().take(longest).map(|c| if invisible(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disguises_are_replaced() {
        assert_eq!(printable("Zoë 李"), "Zoë 李");
        assert_eq!(printable("a\n\x1b[2J\u{202e}b"), "a\u{fffd}\u{fffd}[2J\u{fffd}b");
        assert_eq!(printable(&"x".repeat(1000)).len(), 128);
        assert_eq!(printable_within(&"é".repeat(1000), 3), "ééé");
    }
}
