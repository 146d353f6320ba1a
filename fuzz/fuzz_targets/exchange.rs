//! A document of the Credential Exchange Format from anywhere: no panic, bounded passkeys, and what was
//! read once is read again from our own document.
#![no_main]

use cabled::authenticator::store::exchange::fuzz_document;
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

fuzz_target!(|data: &[u8]| {
    let rng = || ChaCha20Rng::seed_from_u64(1);
    let Some((passkeys, encoded)) = fuzz_document(data, &mut rng()) else { return };
    let (again, _) = fuzz_document(&encoded, &mut rng()).expect("our own document");
    assert_eq!(again.len(), passkeys.len());
    for (one, other) in passkeys.iter().zip(&again) {
        assert!(one.id == other.id && one.rp.id == other.rp.id && one.user.id == other.user.id);
        assert!(one.private_key == other.private_key && one.prf_seeds == other.prf_seeds);
        assert!(one.cred_blob == other.cred_blob && one.backup == other.backup);
    }
});
