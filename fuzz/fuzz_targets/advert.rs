//! Service data of adverts: hostile bytes, and our own adverts with any suffix behind them.
#![no_main]

use cabled::hybrid::advert::{
    AdvertPlaintext, AdvertSuffix, MAX_SERVICE_DATA, TrialOpener, seal, trial_open,
};
use cabled::hybrid::keys::EidKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let key = EidKey::new([7; 64]);
    let opener = TrialOpener::new(&key);
    assert_eq!(opener.open(data).is_some(), trial_open(&key, data).is_some());

    let suffix = AdvertSuffix::decode(data);
    let again = AdvertSuffix::decode(&suffix.encode());
    assert_eq!(again.encode(), suffix.encode());

    let Some((head, rest)) = data.split_first_chunk::<16>() else { return };
    let Some(plaintext) = AdvertPlaintext::from_bytes(*head) else { return };
    let sealed = seal(&key, &plaintext);
    let service_data = [sealed.as_slice(), rest].concat();
    let advert = opener.open(&service_data);
    assert_eq!(advert.is_some(), service_data.len() <= MAX_SERVICE_DATA, "ours opens, if it fits");
    assert!(advert.is_none_or(|advert| advert.plaintext.as_bytes() == head));
});
