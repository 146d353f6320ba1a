//! What two machines of one person share: a key, its name, and the line of text that carries it.
//! Depends on `secret` only.

use std::fmt;

use rand_core::{CryptoRng, RngCore};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Base 32 without digits that look like letters.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Characters between two dashes.
const GROUP: usize = 5;
/// Bytes behind the key that tell a mistyped code.
const CHECK: usize = 2;
/// Characters of a code without its dashes: 34 bytes, five bits each.
const CODE: usize = 55;

/// The key of a pairing. Whoever has it can share a radio with the machine that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairingKey(Secret<32>);

/// The name of a pairing, by which two machines find the key that they have in common. It tells nothing
/// of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairingId([u8; 8]);

/// A text that is no code of a pairing, or was not typed as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the code of a pairing")]
pub struct NoCode;

impl PairingKey {
    /// Draws a new one.
    pub fn random(rng: &mut (impl RngCore + CryptoRng)) -> Self {
        Self(Secret::random(rng))
    }

    /// The one with these bytes.
    #[must_use]
    pub fn new(bytes: Secret<32>) -> Self {
        Self(bytes)
    }

    /// The bytes, for a file of its owner's.
    #[must_use]
    pub fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> PairingId {
        let hash = self.hash(b"cabled radio pairing: name");
        PairingId(hash.first_chunk().copied().unwrap_or_default())
    }

    /// The text that is typed or pasted at the other machine.
    #[must_use]
    pub fn code(&self) -> Zeroizing<String> {
        let check = self.check();
        let bytes = self.0.expose().iter().chain(&check);
        let mut code = Zeroizing::new(String::with_capacity(CODE + CODE / GROUP));
        let (mut bits, mut held) = (0_u32, 0);
        let mut digit = |bits: u32, count: usize| {
            if count > 0 && count.is_multiple_of(GROUP) {
                code.push('-');
            }
            let at = usize::try_from(bits & 31).unwrap_or_default();
            code.extend(ALPHABET.get(at).copied().map(char::from));
        };
        let mut count = 0;
        for byte in bytes {
            (bits, held) = (bits << 8 | u32::from(*byte), held + 8);
            while held >= 5 {
                held -= 5;
                digit(bits >> held, count);
                count += 1;
            }
            bits &= 31;
        }
        digit(bits << (5 - held), count);
        code
    }

    /// Reads a code as people type it: dashes, spaces and capitals do not matter, and digits that codes
    /// do not have count as the letters that they look like.
    ///
    /// # Errors
    ///
    /// [`NoCode`].
    pub fn from_code(text: &str) -> Result<Self, NoCode> {
        let mut bytes = Zeroizing::new([0_u8; 32 + CHECK]);
        let mut places = bytes.iter_mut();
        let (mut bits, mut held, mut count) = (0_u32, 0, 0);
        for c in text.chars().filter(|c| *c != '-' && !c.is_whitespace()) {
            (bits, held, count) = (bits << 5 | value(c).ok_or(NoCode)?, held + 5, count + 1);
            if held >= 8 {
                held -= 8;
                let byte = u8::try_from(bits >> held & 0xff).map_err(|_| NoCode)?;
                *places.next().ok_or(NoCode)? = byte;
                bits &= 0xff;
            }
        }
        // The last character has bits that no byte takes.
        let rest = bits & ((1 << held) - 1);
        let (key, check) = bytes.split_at(32);
        let key = Self(Secret::try_from(key).map_err(|_| NoCode)?);
        let right = count == CODE && rest == 0 && key.check() == *check;
        right.then_some(key).ok_or(NoCode)
    }

    fn check(&self) -> [u8; CHECK] {
        let hash = self.hash(b"cabled radio pairing: check");
        hash.first_chunk().copied().unwrap_or_default()
    }

    fn hash(&self, what: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(what).chain_update(self.0.expose()).finalize().into()
    }
}

fn value(c: char) -> Option<u32> {
    let c = match c.to_ascii_lowercase() {
        '0' => 'o',
        '1' => 'l',
        '8' => 'b',
        other => other,
    };
    let at = ALPHABET.iter().position(|letter| char::from(*letter) == c)?;
    u32::try_from(at).ok()
}

impl PairingId {
    /// Its bytes on the wire.
    pub(super) const LEN: usize = 8;

    pub(super) fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for PairingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "{a:02x}{b:02x}-{c:02x}{d:02x}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> PairingKey {
        PairingKey::new(Secret::new([byte; 32]))
    }

    #[test]
    fn a_code_is_one_line_of_groups() {
        let code = key(0xa5).code();
        assert_eq!(code.len(), CODE + CODE / GROUP - 1);
        assert!(code.split('-').all(|group| group.len() == GROUP), "{}", *code);
        assert_eq!(PairingKey::from_code(&code), Ok(key(0xa5)));
    }

    #[test]
    fn people_may_type_it_their_way() {
        let code = key(0x5a).code();
        let typed = code.to_uppercase().replace('-', " ").replace('O', "0").replace('B', "8");
        assert_eq!(PairingKey::from_code(&format!("  {typed}\n")), Ok(key(0x5a)));
    }

    #[test]
    fn a_mistyped_code_is_none() {
        let code = key(0x5a).code();
        for at in 0..code.len() {
            let mut letters: Vec<char> = code.chars().collect();
            if letters[at] == '-' {
                continue;
            }
            letters[at] = if letters[at] == 'x' { 'y' } else { 'x' };
            let wrong: String = letters.iter().collect();
            assert_eq!(PairingKey::from_code(&wrong), Err(NoCode), "{wrong}");
        }
        for wrong in ["", "abc", &code[..code.len() - 1], &format!("{}a", *code), "ä"] {
            assert_eq!(PairingKey::from_code(wrong), Err(NoCode), "{wrong}");
        }
    }

    #[test]
    fn names_differ_and_debug_tells_no_key() {
        assert_ne!(key(1).id(), key(2).id());
        assert_eq!(format!("{:?}", key(1)), "PairingKey(Secret<32>(redacted))");
        assert_eq!(key(1).id().to_string().len(), 9);
    }

    proptest! {
        #[test]
        fn every_key_comes_back_from_its_code(bytes: [u8; 32]) {
            let key = PairingKey::new(Secret::new(bytes));
            prop_assert_eq!(PairingKey::from_code(&key.code()), Ok(key));
        }

        #[test]
        fn any_text_is_read_without_harm(text in ".{0,80}") {
            let _either = PairingKey::from_code(&text);
        }
    }
}
