//! Randomness that can be repeated: the same seed gives the same keys and nonces in the same order.
//!
//! For tests only, and named by whoever wants it: keys from a seed are no secret.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand_core::{CryptoRng, CryptoRngCore, Error, RngCore};
use sha2::{Digest as _, Sha256};

/// SHA-256 over seed, stream and a counter.
struct Seeded {
    seed: u64,
    stream: u64,
    counter: u64,
    left: Vec<u8>,
}

/// Sources of a [`Bench`](super::Bench) that repeat themselves; the first one asked for is the first of
/// every run.
pub fn seeded(seed: u64) -> Arc<dyn Fn() -> Box<dyn CryptoRngCore + Send> + Send + Sync> {
    let streams = AtomicU64::new(0);
    Arc::new(move || {
        let stream = streams.fetch_add(1, Ordering::SeqCst);
        Box::new(Seeded { seed, stream, counter: 0, left: Vec::new() })
    })
}

impl RngCore for Seeded {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, wanted: &mut [u8]) {
        for byte in wanted {
            if self.left.is_empty() {
                let block = [self.seed, self.stream, self.counter].map(u64::to_be_bytes).concat();
                self.left = Sha256::digest(block).to_vec();
                self.counter += 1;
            }
            *byte = self.left.pop().unwrap_or_default();
        }
    }

    fn try_fill_bytes(&mut self, wanted: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(wanted);
        Ok(())
    }
}

/// As good as the seed is unknown, which it is not; the trait is what keys are drawn from.
impl CryptoRng for Seeded {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_again_and_another_one_something_else() {
        let drawn = |seed| {
            let source = seeded(seed);
            let mut streams = [source(), source()];
            streams.each_mut().map(|stream| [stream.next_u64(), stream.next_u64()])
        };
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        let all = drawn(7).concat();
        assert!((1..all.len()).all(|i| !all[..i].contains(&all[i])), "{all:?}");
    }
}
