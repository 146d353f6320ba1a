//! The tag of an advert: HMAC-SHA-256 over its 16 sealed bytes.
//!
//! Each foreign advert costs one, and phones of strangers come by the thousand. A message of 16 bytes
//! is one block of SHA-256 inside and one outside, so with the states behind the key kept it is two
//! compressions and nothing else; the general code spends as much again on its buffers where it is
//! built for size. The compression is the library's, and the tests hold this against its HMAC.
//!
//! Specification: RFC 2104; FIPS 180-4, section 5.3.3 for the initial state.

use sha2::compress256;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Where SHA-256 begins.
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

const BLOCK: usize = 64;

/// A key of at most one block as the two states that hashing its padded forms leaves. They are as secret as it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct TagKey {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl TagKey {
    pub(super) fn new(key: &[u8]) -> Self {
        Self { inner: padded(key, 0x36), outer: padded(key, 0x5c) }
    }

    /// The first bytes of the HMAC of these bytes, as many as a tag has.
    pub(super) fn tag(&self, sealed: &[u8; 16]) -> [u8; 4] {
        let (mut inner, mut outer) = (self.inner, self.outer);
        compress(&mut inner, &last_block(sealed));
        let mut digest = [0; 32];
        let (words, _) = digest.as_chunks_mut::<4>();
        words.iter_mut().zip(inner).for_each(|(bytes, word)| *bytes = word.to_be_bytes());
        compress(&mut outer, &last_block(&digest));
        let [first, ..] = outer;
        first.to_be_bytes()
    }
}

fn padded(key: &[u8], with: u8) -> [u32; 8] {
    let mut block = [with; BLOCK];
    block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
    let mut state = INITIAL;
    compress(&mut state, &block);
    block.zeroize();
    state
}

/// The end of a message behind one block of key: the rest, a bit, zeros, and the length of both in bits.
///
/// Whole arrays are assigned: built for size, a loop over bytes costs more than the compression.
fn last_block<const N: usize>(rest: &[u8; N]) -> [u8; BLOCK] {
    const { assert!(N < BLOCK - 8) };
    let mut block = [0; BLOCK];
    if let Some((to, behind)) = block.split_first_chunk_mut() {
        *to = *rest;
        if let Some(marker) = behind.first_mut() {
            *marker = 0x80;
        }
    }
    if let Some(length) = block.last_chunk_mut() {
        *length = (8 * (BLOCK + N) as u64).to_be_bytes();
    }
    block
}

fn compress(state: &mut [u32; 8], block: &[u8; BLOCK]) {
    compress256(state, &[(*block).into()]);
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, Mac};
    use proptest::prelude::*;
    use sha2::Sha256;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_librarys_hmac(key: [u8; 32], sealed: [u8; 16]) {
            let theirs = <Hmac<Sha256> as Mac>::new_from_slice(&key).unwrap();
            let theirs = theirs.chain_update(sealed).finalize().into_bytes();
            prop_assert_eq!(&TagKey::new(&key).tag(&sealed)[..], &theirs[..4]);
        }
    }
}
