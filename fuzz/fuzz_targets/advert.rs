//! Adverts: arbitrary service data, arbitrary plaintexts under the right tag, arbitrary suffixes
//! behind a good advert. What opens is what was sealed, and a suffix never spoils an advert.
#![no_main]

use cabled::hybrid::advert::{
    ADVERT_LEN, AdvertPlaintext, AdvertSuffix, ConnectionNonce, MAX_SERVICE_DATA, seal, trial_open,
};
use cabled::hybrid::keys::EidKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let key = EidKey::new([7; 64]);
    if let Some(advert) = trial_open(&key, data) {
        assert_eq!(seal(&key, &advert.plaintext), data[..ADVERT_LEN]);
    }
    let Some((bytes, suffix)) = data.split_first_chunk::<16>() else { return };
    let Some(plaintext) = AdvertPlaintext::from_bytes(*bytes) else {
        assert_ne!(bytes[0], 0);
        return;
    };
    let service = plaintext.service();
    assert_eq!(service.domain().is_ok(), service.is_known());
    let nonce: ConnectionNonce = plaintext.nonce();
    assert!(AdvertPlaintext::new(nonce, plaintext.routing_id(), service) == plaintext);

    let service_data = [&seal(&key, &plaintext)[..], suffix].concat();
    match trial_open(&key, &service_data) {
        Some(advert) => {
            assert!(advert.plaintext == plaintext);
            assert_eq!(advert.suffix, AdvertSuffix::decode(suffix));
            assert_eq!(AdvertSuffix::decode(&advert.suffix.encode()), advert.suffix);
        }
        None => assert!(service_data.len() > MAX_SERVICE_DATA),
    }
});
