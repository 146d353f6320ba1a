//! HMAC-SHA-256 with 32-byte keys, for the store's index and for `prf`.
//!
//! Depends on [`crate::secret`] only.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use sha2::digest::KeyInit;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The tag over the parts, one behind the other.
pub(super) fn hmac_sha256(key: &Secret<32>, parts: &[&[u8]]) -> [u8; 32] {
    // HMAC pads a short key with zeros to its block; done here, the constructor cannot fail.
    let mut block = Zeroizing::new([0; 64]);
    block.iter_mut().zip(key.expose()).for_each(|(to, from)| *to = *from);
    let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_fallible_constructor() {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&[7; 32]).unwrap();
        mac.update(b"ab");
        let expected: [u8; 32] = mac.finalize().into_bytes().into();
        assert_eq!(hmac_sha256(&Secret::new([7; 32]), &[b"a", b"b"]), expected);
    }
}
