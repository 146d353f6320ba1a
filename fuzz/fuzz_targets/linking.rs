//! Linking: information, updates, client payloads, and what a phone that listens and its service say; what
//! decodes means the same once written again, nothing is linked without the signature, and nobody listens
//! without the proof.
#![no_main]

use std::sync::LazyLock;

use cabled::cbor;
use cabled::hybrid::linking::{ClientPayload, LinkingInfo, decode_update, encode_update, sign};
use cabled::hybrid::listen::{Answer, Challenge, ListenKey, Ring};
use cabled::hybrid::noise::HandshakeHash;
use cabled::hybrid::tunnel::TunnelServiceId;
use cabled_fuzz::KEYS;
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// A phone that listens, and what its service wants proven.
static LISTENING: LazyLock<(ListenKey, Challenge)> = LazyLock::new(|| {
    let phone = ListenKey::new(KEYS.phone.clone(), "relay.example").expect("a short name");
    (phone, Challenge::new(&mut ChaCha20Rng::seed_from_u64(1)))
});

fuzz_target!(|data: &[u8]| {
    if let Some(payload) = ClientPayload::decode(data) {
        assert_eq!(ClientPayload::decode(&payload.encode()), Some(payload));
    }
    let direct = cbor::decode_lenient(data).ok().and_then(|map| LinkingInfo::from_value(&map));
    for info in [decode_update(data), direct].into_iter().flatten() {
        let again = decode_update(&encode_update(Some(&info)));
        assert!(again.as_ref() == Some(&info), "changed by writing and reading it");
        let hash = HandshakeHash::from([5; 32]);
        let right = sign(&KEYS.laptop, &info.identity, &hash);
        let signed = info.signature == right;
        let linked = info.verify(&KEYS.laptop, &hash, TunnelServiceId::GOOGLE);
        assert_eq!(linked.is_some(), signed);
    }
    assert!(decode_update(&encode_update(None)).is_none());
    if let Some(ring) = Ring::decode(data) {
        assert_eq!(Ring::decode(&ring.encode()), Some(ring));
    }
    if let Some(answer) = Answer::decode(data) {
        assert_eq!(Answer::decode(&answer.encode()), Some(answer));
    }
    let (phone, challenge) = &*LISTENING;
    let right = phone.prove(&challenge.message()).is_some_and(|proof| proof == data);
    assert_eq!(challenge.admits(&phone.contact_id(), data), right);
    let _nonsense = phone.prove(data);
});
