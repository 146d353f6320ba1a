//! Seeded randomness of the simulated radios: repeatable, not secret, never for keys.
//! Depends on `splitmix`, and on the system's random source for the first seed.

use rand_core::RngCore as _;

use super::{Address, AddressType, Error};
use crate::splitmix::SplitMix64;

/// What the weather is drawn from.
#[derive(Debug, Clone)]
pub(super) struct Rng(SplitMix64);

impl Rng {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(SplitMix64(seed))
    }

    /// Starts from `seed`, or from the system's randomness without one.
    pub(super) fn new(seed: Option<u64>) -> Result<Self, Error> {
        seed.map_or_else(entropy, Ok).map(Self::seeded)
    }

    pub(super) fn word(&mut self) -> u64 {
        self.0.word()
    }

    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.word().to_le_bytes();
            chunk.iter_mut().zip(word).for_each(|(to, from)| *to = from);
        }
    }

    /// Says yes with `probability` (0 to 1).
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        // 53 bits are what an f64 holds exactly, so 1.0 is always and 0.0 is never.
        #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
        let unit = (self.word() >> 11) as f64 / (1_u64 << 53) as f64;
        unit < probability
    }

    /// Draws a non-resolvable private address: random, two top bits clear.
    pub(super) fn address(&mut self) -> Address {
        let mut bytes = [0; 6];
        self.fill(&mut bytes);
        let [top, ..] = &mut bytes;
        *top &= 0x3f;
        Address { bytes, kind: AddressType::Random }
    }
}

#[allow(clippy::disallowed_types, reason = "the one place where the radio draws its first seed")]
fn entropy() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    rand_core::OsRng.try_fill_bytes(&mut bytes).map_err(Error::NoEntropy)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_no_other() {
        let words = |seed| {
            let mut rng = Rng::seeded(seed);
            [rng.word(), rng.word(), rng.word()]
        };
        assert_eq!(words(1), words(1));
        assert_ne!(words(1), words(2));
        assert_ne!(Rng::new(None).unwrap().word(), Rng::new(None).unwrap().word());
    }

    #[test]
    fn chances_are_what_they_say() {
        let mut rng = Rng::seeded(7);
        let hits = (0..10_000).filter(|_| rng.chance(0.3)).count();
        assert!((2_800..3_200).contains(&hits), "{hits} of 10000 at 0.3");
        assert!((0..1_000).all(|_| rng.chance(1.0)));
        assert!(!(0..1_000).any(|_| rng.chance(0.0)));
    }

    #[test]
    fn addresses_are_private_and_fill_takes_odd_sizes() {
        let mut rng = Rng::seeded(3);
        assert!((0..100).all(|_| rng.address().bytes[0] < 0x40));
        let mut bytes = [0; 19];
        rng.fill(&mut bytes);
        assert!(bytes[16..].iter().any(|byte| *byte != 0));
    }
}
