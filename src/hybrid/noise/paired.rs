//! The handshake of two machines of one person that share a key: `NNpsk0`, no part of FIDO's protocol.
//!
//! Whoever finishes it has the key, on both sides; what is said afterwards stays secret also from one
//! who gets the key later, because the ephemeral keys are gone by then. The first message proves that
//! its sender had the key once, not that it is fresh: only what opens after the handshake is. The
//! messages are as long as those of the other handshakes.

use snow::Builder;

use super::resolver::Resolver;
use super::{
    AwaitResponse, Established, HandshakeFailed, MESSAGE_LEN, builder, established, read, write,
};
use crate::hybrid::PrivateKey;
use crate::secret::Secret;

const NN: &str = "Noise_NNpsk0_P256_AESGCM_SHA256";

/// Starts a handshake: gives the first message and the state that waits for the answer. `purpose` is what
/// both sides have to agree on, such as a protocol and its version.
///
/// # Errors
///
/// [`HandshakeFailed`] when the cryptographic backend refuses its input, which a key never makes it do.
pub fn initiate(
    purpose: &[u8],
    key: &Secret<32>,
    ephemeral: &PrivateKey,
) -> Result<([u8; MESSAGE_LEN], AwaitResponse), HandshakeFailed> {
    let builder = paired(purpose, key, ephemeral).and_then(Builder::build_initiator);
    let mut state = builder.map_err(|_| HandshakeFailed)?;
    Ok((write(&mut state)?, AwaitResponse(state)))
}

/// Answers the first message: gives the second one and the channel.
///
/// # Errors
///
/// [`HandshakeFailed`], terminal, when the message was made with another key or for another purpose.
pub fn respond(
    purpose: &[u8],
    key: &Secret<32>,
    ephemeral: &PrivateKey,
    message: &[u8],
) -> Result<([u8; MESSAGE_LEN], Established), HandshakeFailed> {
    let builder = paired(purpose, key, ephemeral).and_then(Builder::build_responder);
    let mut state = builder.map_err(|_| HandshakeFailed)?;
    read(&mut state, message)?;
    let answer = write(&mut state)?;
    Ok((answer, established(state)?))
}

fn paired<'a>(
    purpose: &'a [u8],
    key: &'a Secret<32>,
    ephemeral: &PrivateKey,
) -> Result<Builder<'a>, snow::Error> {
    let resolver = Resolver { identity: None, ephemeral: ephemeral.clone() };
    builder(NN, purpose, resolver, key.expose())
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    fn ephemeral(seed: u64) -> PrivateKey {
        PrivateKey::generate(&mut ChaCha20Rng::seed_from_u64(seed))
    }

    #[test]
    fn both_ends_open_what_the_other_seals() {
        let key = Secret::new([7; 32]);
        let (first, waiting) = initiate(b"test 1", &key, &ephemeral(1)).unwrap();
        let (second, mut there) = respond(b"test 1", &key, &ephemeral(2), &first).unwrap();
        let mut here = waiting.finish(&second).unwrap();
        assert_eq!(here.handshake_hash, there.handshake_hash);
        let sealed = here.sealer.seal_untyped(b"hello").unwrap();
        assert_eq!(there.opener.open(&sealed).unwrap(), b"hello");
        let sealed = there.sealer.seal_untyped(b"yes").unwrap();
        assert_eq!(here.opener.open(&sealed).unwrap(), b"yes");
    }

    #[test]
    fn another_key_another_purpose_and_a_changed_byte_are_refused() {
        let key = Secret::new([7; 32]);
        let (first, _) = initiate(b"test 1", &key, &ephemeral(1)).unwrap();
        let other = Secret::new([8; 32]);
        assert!(respond(b"test 1", &other, &ephemeral(2), &first).is_err());
        assert!(respond(b"test 2", &key, &ephemeral(2), &first).is_err());
        assert!(respond(b"test 1", &key, &ephemeral(2), &first[1..]).is_err());
        for at in 0..MESSAGE_LEN {
            let (first, waiting) = initiate(b"test 1", &key, &ephemeral(1)).unwrap();
            let mut bad = first;
            bad[at] ^= 1;
            assert!(respond(b"test 1", &key, &ephemeral(2), &bad).is_err(), "first, byte {at}");
            let (mut second, _) = respond(b"test 1", &key, &ephemeral(2), &first).unwrap();
            second[at] ^= 1;
            assert!(waiting.finish(&second).is_err(), "second, byte {at}");
        }
    }

    /// Knowing the key later does not open what was said before: the channel's keys need an ephemeral one.
    #[test]
    fn the_same_key_gives_another_channel_each_time() {
        let key = Secret::new([7; 32]);
        let seal = |seed| {
            let (first, waiting) = initiate(b"test 1", &key, &ephemeral(1)).unwrap();
            let (second, _) = respond(b"test 1", &key, &ephemeral(seed), &first).unwrap();
            waiting.finish(&second).unwrap().sealer.seal_untyped(b"hello").unwrap()
        };
        assert_ne!(seal(2), seal(3));
    }
}
