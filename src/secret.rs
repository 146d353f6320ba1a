//! Fixed-size secrets: wiped when dropped, redacted when printed, compared in constant time.
//!
//! Depends on nothing of this crate.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// `N` secret bytes.
///
/// `Debug` prints the length only. Equality takes the same time wherever the first
/// difference stands. The bytes are overwritten when the value is dropped; moving it leaves no
/// guarantee about the old place, so keep it where it was made.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes ownership of the bytes.
    #[must_use]
    pub fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// Draws `N` bytes from `rng`.
    pub fn random(rng: &mut (impl rand_core::RngCore + rand_core::CryptoRng)) -> Self {
        let mut bytes = [0; N];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Gives the bytes. Named so that every use can be found and judged.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> TryFrom<&[u8]> for Secret<N> {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{N}>(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_byte() {
        let text = format!("{:?}", Secret::new([0xab; 16]));
        assert_eq!(text, "Secret<16>(redacted)");
    }

    #[test]
    fn equality_is_by_value() {
        assert_eq!(Secret::new([1; 4]), Secret::new([1; 4]));
        assert_ne!(Secret::new([1; 4]), Secret::new([2; 4]));
        assert!(Secret::<4>::try_from(&[0_u8; 5][..]).is_err());
    }
}
