//! The PIN, the key from it, and the count of wrong ones.
//!
//! Depends on [`crate::cbor`], [`crate::secret`] and siblings only.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::{Zeroize, Zeroizing};

use super::error::Error;
use super::{SCHEMA, seal};
use crate::authenticator::{Random, Timestamp};
use crate::cbor::{self, Value};
use crate::secret::Secret;

/// The user's PIN, of any characters. Wiped when dropped, never printed.
///
/// Against somebody who copied the file there is no count of tries: then only the PIN's length and
/// the cost of Argon2id protect, so longer is better.
#[derive(Clone)]
pub struct Pin(Zeroizing<String>);

/// Why a text cannot be a PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// Fewer characters than [`Pin::MIN_CHARS`].
    #[error("the PIN is shorter than {} characters", Pin::MIN_CHARS)]
    TooShort,
    /// More bytes than [`Pin::MAX_BYTES`].
    #[error("the PIN is longer than {} bytes", Pin::MAX_BYTES)]
    TooLong,
}

impl Pin {
    /// Fewest characters.
    pub const MIN_CHARS: usize = 4;
    /// Most bytes.
    pub const MAX_BYTES: usize = 255;

    /// Takes the text as it is: strip the line end of a file before.
    ///
    /// # Errors
    ///
    /// Too short or too long; the text is wiped then too.
    pub fn new(text: String) -> Result<Self, PinError> {
        let text = Zeroizing::new(text);
        match (text.chars().count(), text.len()) {
            (chars, _) if chars < Self::MIN_CHARS => Err(PinError::TooShort),
            (_, bytes) if bytes > Self::MAX_BYTES => Err(PinError::TooLong),
            _ => Ok(Self(text)),
        }
    }

    /// The text, for a message to whoever holds the store.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(redacted)")
    }
}

/// What Argon2id costs; kept beside the salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl KdfCost {
    /// 64 MiB in three passes, over three times what OWASP asks for at least.
    pub const STANDARD: Self = Self { memory_kib: 64 << 10, passes: 3, lanes: 1 };

    /// Bounds for a cost read from a file: a damaged one must not take all memory.
    fn is_sane(self) -> bool {
        self.memory_kib <= 1 << 20 && self.passes <= 64 && self.lanes <= 16
    }
}

/// The data key under the PIN, as the file has it.
pub(super) struct Wrap {
    salt: [u8; 16],
    cost: KdfCost,
    sealed: Vec<u8>,
}

impl Wrap {
    pub(super) fn seal(
        data_key: &Secret<32>,
        pin: &Pin,
        cost: KdfCost,
        rng: Random<'_>,
    ) -> Result<Self, Error> {
        let mut wrap = Self { salt: [0; 16], cost, sealed: Vec::new() };
        rng.fill_bytes(&mut wrap.salt);
        let key = wrap.pin_key(pin)?;
        wrap.sealed = seal::seal(&key, &wrap.context(), data_key.expose(), rng)?;
        Ok(wrap)
    }

    /// The data key, or `None` if the PIN is wrong.
    pub(super) fn open(&self, pin: &Pin) -> Result<Option<Secret<32>>, Error> {
        let key = self.pin_key(pin)?;
        // A damaged wrap cannot be told from a wrong PIN: both are a seal that does not fit.
        let Ok(opened) = seal::open(&key, &self.context(), &self.sealed) else { return Ok(None) };
        Secret::try_from(&opened[..]).map(Some).map_err(|_| Error::Corrupt)
    }

    pub(super) fn cost(&self) -> KdfCost {
        self.cost
    }

    fn pin_key(&self, pin: &Pin) -> Result<Secret<32>, Error> {
        let KdfCost { memory_kib, passes, lanes } = self.cost;
        let params =
            Params::new(memory_kib, passes, lanes, Some(32)).map_err(|_| Error::Corrupt)?;
        let mut memory = vec![Block::default(); params.block_count()];
        let mut key = Zeroizing::new([0; 32]);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let (pin, salt) = (pin.0.as_bytes(), &self.salt);
        let hashed = argon2.hash_password_into_with_memory(pin, salt, &mut *key, &mut memory);
        memory.iter_mut().for_each(Zeroize::zeroize);
        hashed.map_err(|_| Error::Corrupt)?;
        Ok(Secret::new(*key))
    }

    fn context(&self) -> Vec<u8> {
        let cost = [self.cost.memory_kib, self.cost.passes, self.cost.lanes];
        let cost = cost.map(u32::to_be_bytes).concat();
        [b"cabled data key", &SCHEMA.to_be_bytes()[..], &self.salt, &cost].concat()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        cbor::encode(&Value::int_map([
            (1, Value::from(self.salt)),
            (2, Value::Uint(self.cost.memory_kib.into())),
            (3, Value::Uint(self.cost.passes.into())),
            (4, Value::Uint(self.cost.lanes.into())),
            (5, Value::from(self.sealed.as_slice())),
        ]))
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::parse(bytes).filter(|wrap| wrap.cost.is_sane()).ok_or(Error::Corrupt)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let map = cbor::decode(bytes).ok()?;
        let number = |key| map.get(key)?.as_uint()?.try_into().ok();
        let cost = KdfCost { memory_kib: number(2)?, passes: number(3)?, lanes: number(4)? };
        let salt = map.get(1)?.as_bytes()?.try_into().ok()?;
        Some(Self { salt, cost, sealed: map.get(5)?.as_bytes()?.to_vec() })
    }
}

/// Wrong PINs since the last right one.
///
/// Kept in the file, where somebody who can write the file can reset it; it stops guessing through
/// this program, the cost of Argon2id has to stop guessing on a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempts {
    failed: u32,
    last: Timestamp,
}

impl Attempts {
    /// Wrong PINs that cost no waiting time.
    const FREE: u32 = 8;
    const FIRST_WAIT: u64 = 30;
    const LONGEST_WAIT: u64 = 24 * 60 * 60;

    /// Until when no PIN is taken, if so. A clock set back does not make it longer than the wait
    /// that the count earns, and does not end it either.
    pub(super) fn locked_until(self, now: Timestamp) -> Option<Timestamp> {
        let doublings = self.failed.checked_sub(Self::FREE)?;
        let wait =
            Self::FIRST_WAIT.saturating_mul(1_u64.checked_shl(doublings).unwrap_or(u64::MAX));
        let until = self.last.min(now).0.saturating_add(wait.min(Self::LONGEST_WAIT));
        (now.0 < until).then_some(Timestamp(until))
    }

    /// With one more try, taken as failed until it is known not to be.
    pub(super) fn counted(self, now: Timestamp) -> Self {
        Self { failed: self.failed.saturating_add(1), last: now }
    }

    pub(super) fn tries_left(self) -> u32 {
        Self::FREE.saturating_sub(self.failed)
    }

    pub(super) fn encode(self) -> Vec<u8> {
        let entries = [(1, self.failed.into()), (2, self.last.0)];
        cbor::encode(&Value::int_map(entries.map(|(key, n)| (key, Value::Uint(n)))))
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let map = cbor::decode(bytes).map_err(|_| Error::Corrupt)?;
        let number = |key| map.get(key).and_then(Value::as_uint).ok_or(Error::Corrupt);
        let failed = u32::try_from(number(1)?).map_err(|_| Error::Corrupt)?;
        Ok(Self { failed, last: Timestamp(number(2)?) })
    }
}

/// A wrapped data key or a count of tries, read and written again, for the fuzz target alone.
///
/// # Errors
///
/// [`Error::Corrupt`] if it is neither.
#[cfg(fuzzing)]
pub fn fuzz_pin_state(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    match (Wrap::decode(bytes), Attempts::decode(bytes)) {
        (Ok(wrap), _) => Ok(wrap.encode()),
        (Err(_), attempts) => attempts.map(Attempts::encode),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(failures: u32) -> Attempts {
        (0..failures).fold(Attempts::default(), |a, _| a.counted(Timestamp(1000)))
    }

    #[test]
    fn waits_grow_from_the_eighth_failure() {
        assert_eq!(after(7).locked_until(Timestamp(1000)), None);
        assert_eq!(after(8).locked_until(Timestamp(1000)), Some(Timestamp(1030)));
        assert_eq!(after(8).locked_until(Timestamp(1030)), None);
        assert_eq!(after(9).locked_until(Timestamp(1000)), Some(Timestamp(1060)));
        for many in [30, 72, 100, 4000] {
            assert_eq!(after(many).locked_until(Timestamp(1000)), Some(Timestamp(87_400)));
        }
    }

    #[test]
    fn a_clock_set_back_neither_ends_nor_stretches_the_wait() {
        assert_eq!(after(8).locked_until(Timestamp(10)), Some(Timestamp(40)));
    }

    #[test]
    fn pin_bounds_and_redaction() {
        assert_eq!(Pin::new("123".into()).unwrap_err(), PinError::TooShort);
        assert_eq!(Pin::new("é".repeat(128)).unwrap_err(), PinError::TooLong);
        assert_eq!(format!("{:?}", Pin::new("1234".into()).unwrap()), "Pin(redacted)");
    }

    #[test]
    fn an_absurd_cost_is_refused_before_memory_is_taken() {
        let cost = KdfCost { memory_kib: u32::MAX, passes: 1, lanes: 1 };
        let wrap = Wrap { salt: [0; 16], cost, sealed: vec![] };
        assert!(matches!(Wrap::decode(&wrap.encode()), Err(Error::Corrupt)));
    }
}
