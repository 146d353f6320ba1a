//! Proofs that a name leads here, as the server of an ACME order reads them over HTTP.
//!
//! Pure: paths in, texts out.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the path of a proof begins with (RFC 8555, 8.3).
const PATH: &str = "/.well-known/acme-challenge/";
/// How long a token may be; those that are common have 43 characters.
const LONGEST_TOKEN: usize = 128;
/// How many proofs there may be at a time: one for each name.
pub(super) const MOST: usize = 100;

/// What is to be answered, by token.
#[derive(Debug, Default)]
pub(super) struct Challenges(Mutex<HashMap<String, String>>);

impl Challenges {
    /// Each use of the map is one call, so a poisoned lock is as good as any.
    fn proofs(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a proof answered from now on; not one with an odd token, nor too many.
    pub(super) fn offer(&self, token: &str, proof: &str) -> bool {
        let mut proofs = self.proofs();
        let allowed = is_token(token) && proofs.len() < MOST;
        if allowed {
            proofs.insert(token.to_owned(), proof.to_owned());
        }
        allowed
    }

    /// Has none answered any more.
    pub(super) fn clear(&self) {
        self.proofs().clear();
    }

    /// Whether the path is one of a proof, and the proof if it is there.
    pub(super) fn at(&self, path: &str) -> Option<Option<String>> {
        let token = path.strip_prefix(PATH)?;
        Some(self.proofs().get(token).cloned())
    }
}

/// Digits of base64url, as tokens have them.
fn is_token(token: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=LONGEST_TOKEN).contains(&token.len()) && token.bytes().all(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_path_of_a_token_has_its_proof() {
        let challenges = Challenges::default();
        assert!(challenges.offer("to-ken_1", "to-ken_1.thumb"));
        let at = |path: &str| challenges.at(path);
        let proof = Some(Some("to-ken_1.thumb".to_owned()));
        assert_eq!(at("/.well-known/acme-challenge/to-ken_1"), proof);
        for other in
            ["", "to-ken_", "to-ken_12", "to-ken_1/", "to-ken_1?x=y", "./to-ken_1", "TO-KEN_1"]
        {
            assert_eq!(at(&format!("{PATH}{other}")), Some(None), "{other}");
        }
        for elsewhere in
            ["/", "/.well-known/acme-challenge", "/x/.well-known/acme-challenge/to-ken_1"]
        {
            assert_eq!(at(elsewhere), None, "{elsewhere}");
        }
        challenges.clear();
        assert_eq!(at("/.well-known/acme-challenge/to-ken_1"), Some(None));
    }

    #[test]
    fn odd_tokens_and_too_many_are_refused() {
        let challenges = Challenges::default();
        for odd in ["", "a/b", "a.b", "a b", "a\r\nb", "é", &"a".repeat(LONGEST_TOKEN + 1)] {
            assert!(!challenges.offer(odd, "proof"), "{odd}");
        }
        assert!(challenges.offer(&"a".repeat(LONGEST_TOKEN), "proof"));
        for number in 1..MOST {
            assert!(challenges.offer(&number.to_string(), "proof"), "{number}");
        }
        assert!(!challenges.offer("one-more", "proof"));
    }
}
