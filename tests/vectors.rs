//! Published, independent and recorded values, each in both directions where there are two.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Instant;

use cabled::hybrid::advert::{self, AdvertPlaintext, AdvertSuffix, ConnectionNonce, Psm};
use cabled::hybrid::frame::{Frame, MessageType, Opener, Sealer};
use cabled::hybrid::keys::{ClientNonce, EidKey, LinkSecret, Psk, QrSecret};
use cabled::hybrid::linking::{self, ClientPayload, LinkId, LinkingInfo};
use cabled::hybrid::noise::{self, AuthenticatorSide, ClientSide, Established, HandshakeHash};
use cabled::hybrid::post_handshake::{Feature, PostHandshake};
use cabled::hybrid::qr::{ChannelKind, Hint, QrContents};
use cabled::hybrid::tunnel::{RoutingId, TunnelServiceId};
use cabled::hybrid::{PrivateKey, PublicKey, authenticator, client, digits};
use cabled::secret::Secret;
use serde_json::Value;

fn load(name: &str) -> Value {
    let path = format!("{}/tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is missing in {value}"))
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "{text}");
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn hex(value: &Value, key: &str) -> Vec<u8> {
    unhex(text(value, key))
}

fn bytes<const N: usize>(value: &Value, key: &str) -> [u8; N] {
    hex(value, key).try_into().unwrap_or_else(|v: Vec<u8>| panic!("{key} has {} bytes", v.len()))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    let list = value[key].as_array().unwrap_or_else(|| panic!("no list {key}"));
    assert!(!list.is_empty());
    list
}

fn private(value: &Value, key: &str) -> PrivateKey {
    PrivateKey::from_scalar(&Secret::new(bytes(value, key))).unwrap()
}

fn public(value: &Value, key: &str) -> PublicKey {
    PublicKey::from_sec1(&hex(value, key)).unwrap()
}

// ---- digits and QR ----

#[test]
fn digits_both_ways() {
    let (published, oracle) = (load("public"), load("oracle"));
    let published = &published["digit_encoding"];
    let cases = list(published, "encode").iter().chain(list(published, "encode_own"));
    for case in cases.chain(list(&oracle["digits"], "ok")) {
        assert_eq!(digits::encode(&hex(case, "bytes")), text(case, "digits"));
        assert_eq!(digits::decode(text(case, "digits")).unwrap(), hex(case, "bytes"));
    }
    let bad = list(published, "decode_invalid").iter().chain(list(&oracle["digits"], "reject"));
    for case in bad {
        assert!(digits::decode(case.as_str().unwrap()).is_err(), "{case}");
    }
}

#[test]
fn qr_texts_that_are_none() {
    let (published, oracle) = (load("public"), load("oracle"));
    for uri in list(&published["digit_encoding"], "uri_invalid") {
        assert!(QrContents::decode(uri.as_str().unwrap()).is_err(), "{uri}");
    }
    for (name, uri) in oracle["qr"]["reject"].as_object().unwrap() {
        assert!(QrContents::decode(uri.as_str().unwrap()).is_err(), "{name}");
    }
    for (name, uri) in oracle["qr"]["accept_also"].as_object().unwrap() {
        assert!(QrContents::decode(uri.as_str().unwrap()).is_ok(), "{name}");
    }
    for key in list(&published, "qr_public_key_validity") {
        let decoded = PublicKey::from_sec1(&hex(key, "compressed"));
        assert_eq!(decoded.is_some(), key["valid"].as_bool().unwrap());
    }
}

#[test]
fn published_qrs_both_ways() {
    for qr in list(&load("public"), "qr") {
        let fields = &qr["fields"];
        let contents = QrContents::decode(text(qr, "uri")).unwrap();
        assert_eq!(contents.encode(), text(qr, "uri"));
        assert_eq!(contents.encode_cbor(), hex(qr, "cbor"));
        assert_eq!(contents.identity.compressed()[..], hex(fields, "pubkey_compressed"));
        assert_eq!(contents.secret.expose()[..], hex(fields, "secret"));
        assert_eq!(contents.known_services, fields["known_domains"].as_u64().unwrap());
        assert_eq!(contents.shown_at, fields["timestamp"].as_u64());
        assert_eq!(contents.wants_linking, fields["supports_linking"].as_bool());
        assert_eq!(contents.intent(), Hint::from_wire(text(fields, "hint")));
        assert_eq!(contents.channels.is_some(), fields["channels"].is_array());
        assert!(contents.offers(ChannelKind::Tunnel) && !contents.offers(ChannelKind::L2cap));
        if qr["eid_key"].is_string() {
            assert_eq!(contents.secret.eid_key().expose()[..], hex(qr, "eid_key"));
            assert_eq!(contents.secret.tunnel_id().expose()[..], hex(qr, "tunnel_id"));
        }
    }
}

#[test]
fn independent_qrs_both_ways() {
    for qr in list(&load("oracle")["qr"], "encode_and_decode") {
        let key = private(qr, "scalar");
        assert_eq!(key.public(), &public(qr, "public_uncompressed"));
        assert_eq!(key.public().compressed()[..], hex(qr, "public_compressed"));
        let contents = QrContents::decode(text(qr, "url")).unwrap();
        let channels = qr["transports_key_6"].as_array().map(|ids| {
            let kind = |id: &Value| match id.as_u64() {
                Some(0) => ChannelKind::Tunnel,
                _ => ChannelKind::L2cap,
            };
            ids.iter().map(kind).collect()
        });
        let expected = QrContents {
            identity: *key.public(),
            secret: QrSecret::new(bytes(qr, "secret")),
            known_services: qr["num_domains"].as_u64().unwrap(),
            shown_at: qr["timestamp"].as_u64(),
            wants_linking: qr["state_assisted"].as_bool(),
            hint: qr["hint"].as_str().map(Hint::from_wire),
            channels,
            grease: None,
        };
        assert_eq!(contents, expected);
        assert_eq!(expected.encode_cbor(), hex(qr, "cbor"));
        assert_eq!(expected.encode(), text(qr, "url"));
    }
}

// ---- derivations, adverts, tunnels ----

#[test]
fn derivations() {
    let (published, oracle) = (load("public"), load("oracle"));
    let mut typed = 0;
    for case in list(&published, "hkdf_eid_key").iter().chain(list(&oracle, "derive")) {
        let (secret, salt) = (case.get("secret").or(case.get("ikm")).unwrap(), text(case, "salt"));
        let (secret, salt) = (unhex(secret.as_str().unwrap()), unhex(salt));
        let output = case.get("output").or(case.get("okm")).unwrap();
        let output = unhex(output.as_str().unwrap());
        let purpose = case["purpose"].as_u64().unwrap_or(1);
        let got = derived(&secret, &salt, purpose, output.len());
        typed += usize::from(got.is_some());
        assert_eq!(got.unwrap_or_else(|| reference(&secret, &salt, purpose, output.len())), output);
    }
    assert!(typed >= 4, "only {typed} cases fit the typed derivations");
}

/// The typed derivation that a case is about, if it is one of the protocol's.
fn derived(secret: &[u8], salt: &[u8], purpose: u64, len: usize) -> Option<Vec<u8>> {
    let plaintext = <[u8; 16]>::try_from(salt).ok().and_then(AdvertPlaintext::from_bytes);
    let nonce = <[u8; 16]>::try_from(salt).ok().map(ClientNonce::from);
    let qr = <[u8; 16]>::try_from(secret).ok().map(QrSecret::new);
    let link = <[u8; 32]>::try_from(secret).ok().map(LinkSecret::new);
    match (purpose, len, salt.len()) {
        (1, 64, 0) => Some(qr?.eid_key().expose().to_vec()),
        (1, 64, 16) => Some(link?.eid_key(&nonce?).expose().to_vec()),
        (2, 16, 0) => Some(qr?.tunnel_id().expose().to_vec()),
        (3, 32, 16) => match (qr, link) {
            (Some(qr), _) => Some(qr.psk(&plaintext?).expose().to_vec()),
            (_, Some(link)) => Some(link.psk(&plaintext?).expose().to_vec()),
            _ => None,
        },
        _ => None,
    }
}

/// The same function without types, for lengths and purposes that the protocol has no use for.
fn reference(secret: &[u8], salt: &[u8], purpose: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    let info = u32::try_from(purpose).unwrap().to_le_bytes();
    hkdf::Hkdf::<sha2::Sha256>::new(Some(salt), secret).expand(&info, &mut out).unwrap();
    out
}

#[test]
fn adverts_both_ways() {
    let (published, oracle) = (load("public"), load("oracle"));
    for case in list(&published, "advert").iter().chain(list(&oracle["eid"], "ok")) {
        let secret = case.get("secret").or(case.get("qr_secret")).unwrap().as_str().unwrap();
        let secret = QrSecret::new(unhex(secret).try_into().unwrap());
        let service = case.get("domain_id").or(case.get("domain")).unwrap().as_u64().unwrap();
        let service = TunnelServiceId::new(u16::try_from(service).unwrap());
        let nonce = ConnectionNonce::from(bytes::<10>(case, "nonce"));
        let routing = RoutingId::new(bytes::<3>(case, "routing_id"));
        let plaintext = AdvertPlaintext::new(nonce, routing, service);
        assert_eq!(plaintext.as_bytes()[..], hex(case, "plaintext"));
        assert_eq!(secret.eid_key().expose()[..], hex(case, "eid_key"));
        assert_eq!(secret.tunnel_id().expose()[..], hex(case, "tunnel_id"));
        assert_eq!(secret.psk(&plaintext).expose()[..], hex(case, "psk"));
        assert_eq!(advert::seal(&secret.eid_key(), &plaintext)[..], hex(case, "advert"));
        let opened = advert::trial_open(&secret.eid_key(), &hex(case, "advert")).unwrap();
        assert_eq!(opened.plaintext, plaintext);
        assert_eq!((opened.plaintext.nonce(), opened.plaintext.routing_id()), (nonce, routing));
        assert_eq!(opened.plaintext.service(), service);
    }
}

#[test]
fn adverts_to_refuse() {
    let oracle = load("oracle");
    let key = EidKey::new(bytes(&oracle["eid"]["reject"], "eid_key"));
    for (name, data) in oracle["eid"]["reject"]["adverts"].as_object().unwrap() {
        let opened = advert::trial_open(&key, &unhex(data.as_str().unwrap()));
        match name.as_str() {
            // Authentic, but no tunnel service: the transaction keeps scanning.
            "domain 2" | "domain 255" => {
                assert!(!opened.unwrap().plaintext.service().is_known(), "{name}");
            }
            // A suffix may follow, see the README beside the vectors.
            "21 bytes" => assert_eq!(opened.unwrap().suffix, AdvertSuffix::default()),
            _ => assert!(opened.is_none(), "{name}"),
        }
    }
}

#[test]
fn advert_suffixes() {
    let published = load("public");
    for case in list(&published, "advert_suffix") {
        let suffix = AdvertSuffix::decode(&hex(case, "suffix"));
        match case["meaning"]["1"].as_u64() {
            Some(psm) => {
                assert_eq!(suffix.psm, Some(Psm(u16::try_from(psm).unwrap())));
                assert_eq!(suffix.encode(), hex(case, "suffix"));
            }
            // Firefox's tests have the map the other way round; nobody else does.
            None => assert_eq!(suffix.psm, None),
        }
    }
}

#[test]
fn plaintext_fields() {
    let published = load("public");
    let case = &published["eid_plaintext_parse"];
    let plaintext = AdvertPlaintext::from_bytes(bytes(case, "plaintext")).unwrap();
    assert_eq!(plaintext.nonce(), ConnectionNonce::from(bytes::<10>(case, "nonce")));
    assert_eq!(plaintext.routing_id(), RoutingId::new(bytes::<3>(case, "routing_id")));
    assert_eq!(u64::from(plaintext.service().value()), case["domain_id"].as_u64().unwrap());
    let zero = &published["tunnel_id_zero_secret"];
    let secret = QrSecret::new(bytes(zero, "secret"));
    assert_eq!(secret.tunnel_id().expose()[..], hex(zero, "tunnel_id"));
}

// ---- handshakes and frames ----

/// Both sides of a handshake with fixed keys; checks each message and gives both channels.
fn handshake(
    sides: (ClientSide<'_>, AuthenticatorSide<'_>),
    psk: &Psk,
    ephemerals: (&PrivateKey, &PrivateKey),
    messages: (&[u8], &[u8]),
) -> (Established, Established) {
    let (first, wait) = noise::initiate(sides.0, psk, ephemerals.0).unwrap();
    assert_eq!(first[..], *messages.0);
    let (second, phone) = noise::respond(sides.1, psk, ephemerals.1, &first).unwrap();
    assert_eq!(second[..], *messages.1);
    let laptop = wait.finish(&second).unwrap();
    assert_eq!(laptop.handshake_hash, phone.handshake_hash);
    (laptop, phone)
}

/// Checks that a side seals with this key, by the first frame it makes.
fn assert_key(sealer: &mut Sealer, key: [u8; 32]) {
    let ours = sealer.seal_untyped(b"which key").unwrap();
    assert_eq!(ours, Sealer::new(&Secret::new(key)).seal_untyped(b"which key").unwrap());
}

#[test]
fn knpsk0_published() {
    let published = load("public");
    let case = &published["noise_knpsk0_synthetic"];
    let own = private(case, "client_static_private");
    assert_eq!(own.public(), &public(case, "client_static_public"));
    let ephemerals = (private(case, "client_eph_private"), private(case, "phone_eph_private"));
    let (mut laptop, mut phone) = handshake(
        (ClientSide::Qr(&own), AuthenticatorSide::Qr(own.public())),
        &Psk::new(bytes(case, "psk")),
        (&ephemerals.0, &ephemerals.1),
        (&hex(case, "message1"), &hex(case, "message2")),
    );
    assert_eq!(laptop.handshake_hash.as_bytes()[..], hex(case, "handshake_hash"));
    let sealed = laptop.sealer.seal_untyped(b"client").unwrap();
    assert_eq!(sealed, hex(case, "first_client_ciphertext"));
    assert_eq!(phone.opener.open(&sealed).unwrap(), b"client");
    assert_key(&mut phone.sealer, bytes(case, "client_read_key"));
}

#[test]
fn nkpsk0_computed() {
    let published = load("public");
    let case = &published["own_computed_state_assisted"];
    let secret = LinkSecret::new(bytes(case, "link_secret"));
    let nonce = ClientNonce::from(bytes::<16>(case, "client_nonce"));
    assert_eq!(secret.eid_key(&nonce).expose()[..], hex(case, "eid_key"));
    let plaintext = AdvertPlaintext::from_bytes(bytes(case, "advert_plaintext")).unwrap();
    assert_eq!(advert::seal(&secret.eid_key(&nonce), &plaintext)[..], hex(case, "advert"));
    let psk = secret.psk(&plaintext);
    assert_eq!(psk.expose()[..], hex(case, "psk"));
    let payload =
        ClientPayload { link_id: LinkId(bytes(case, "link_id")), nonce, hint: Hint::GetAssertion };
    assert_eq!(payload.encode(), hex(case, "client_payload_header"));
    assert_eq!(ClientPayload::decode(&payload.encode()), Some(payload));

    let own = private(case, "phone_static_private");
    let ephemerals = (private(case, "client_eph_private"), private(case, "phone_eph_private"));
    let (mut laptop, mut phone) = handshake(
        (ClientSide::StateAssisted(own.public()), AuthenticatorSide::StateAssisted(&own)),
        &psk,
        (&ephemerals.0, &ephemerals.1),
        (&hex(case, "message1"), &hex(case, "message2")),
    );
    assert_eq!(laptop.handshake_hash.as_bytes()[..], hex(case, "handshake_hash"));
    assert_key(&mut laptop.sealer, bytes(case, "client_write_key"));
    assert_key(&mut phone.sealer, bytes(case, "client_read_key"));
}

#[test]
fn independent_handshakes() {
    let oracle = load("oracle");
    let kn = &oracle["handshake_KNpsk0"];
    let nk = &oracle["handshake_NKpsk0"];
    let (kn_key, nk_key) = (private(kn, "static_scalar"), private(nk, "static_scalar"));
    for (case, sides) in [
        (kn, (ClientSide::Qr(&kn_key), AuthenticatorSide::Qr(kn_key.public()))),
        (
            nk,
            (ClientSide::StateAssisted(nk_key.public()), AuthenticatorSide::StateAssisted(&nk_key)),
        ),
    ] {
        independent_handshake(case, sides);
    }
}

fn independent_handshake(case: &Value, sides: (ClientSide<'_>, AuthenticatorSide<'_>)) {
    let psk = Psk::new(bytes(case, "psk"));
    let laptop_key = private(case, "initiator_ephemeral_scalar");
    let phone_key = private(case, "responder_ephemeral_scalar");
    let messages = (hex(case, "message_1"), hex(case, "message_2"));
    let keys = (&laptop_key, &phone_key);
    let (laptop, phone) = handshake(sides, &psk, keys, (&messages.0, &messages.1));
    assert_eq!(laptop.handshake_hash.as_bytes()[..], hex(case, "handshake_hash"));

    let failures = &case["failures"];
    let bad = hex(failures, "message_1 with a flipped bit is refused");
    assert!(noise::respond(sides.1, &psk, &phone_key, &bad).is_err());
    let foreign = hex(failures, "message_1 with another psk");
    let wrong = Psk::new(foreign.try_into().unwrap());
    assert!(noise::respond(sides.1, &wrong, &phone_key, &messages.0).is_err());
    let (_, wait) = noise::initiate(sides.0, &psk, &laptop_key).unwrap();
    assert!(wait.finish(&hex(failures, "response with a flipped bit is refused")).is_err());
    for len in (0..81).chain([82]) {
        let mut cut = messages.0.clone();
        cut.resize(len, 0);
        assert!(noise::respond(sides.1, &psk, &phone_key, &cut).is_err(), "{len}");
    }
    independent_frames(case, laptop, phone);
    far_counters(case);
}

fn independent_frames(case: &Value, mut laptop: Established, mut phone: Established) {
    for frame in list(case, "frames") {
        let (plaintext, ciphertext) = (hex(frame, "plaintext"), hex(frame, "ciphertext"));
        let (from, to) = match text(frame, "from") {
            "phone" => (&mut phone.sealer, &mut laptop.opener),
            _ => (&mut laptop.sealer, &mut phone.opener),
        };
        let sealed = from.seal_untyped(&plaintext).unwrap();
        assert_eq!(sealed, ciphertext, "{}", text(frame, "what"));
        assert_eq!(to.open(&sealed).unwrap(), plaintext);
    }
}

/// Frames far along the counter, reached by sealing that many frames where it is near, and by the
/// bare AEAD where it is not: 2^24 frames would take a minute and prove the same addition.
fn far_counters(case: &Value) {
    use aes_gcm::aead::{AeadInPlace, KeyInit};
    let key = bytes::<32>(case, "initiator_write_key");
    for far in list(case, "laptop_write_key_at_far_counters") {
        let counter = far["counter"].as_u64().unwrap();
        let plaintext = hex(far, "plaintext");
        if counter <= 70_000 {
            let mut sealer = Sealer::new(&Secret::new(key));
            (0..counter).for_each(|_| drop(sealer.seal_untyped(&[]).unwrap()));
            assert_eq!(sealer.seal_untyped(&plaintext).unwrap(), hex(far, "ciphertext"));
        }
        let mut buffer = plaintext.clone();
        let zeros = 31 - buffer.len() % 32;
        buffer.resize(buffer.len() + zeros, 0);
        buffer.push(u8::try_from(zeros).unwrap());
        let nonce = bytes::<12>(far, "nonce");
        aes_gcm::Aes256Gcm::new(&key.into())
            .encrypt_in_place(&nonce.into(), b"", &mut buffer)
            .unwrap();
        assert_eq!(buffer, hex(far, "ciphertext"));
    }
}

#[test]
fn traffic_and_padding() {
    let published = load("public");
    let case = &published["traffic_crypter"];
    let key = Secret::new(bytes(case, "key"));
    let plaintext = hex(case, "plaintext");
    let frame = Frame::decode(&plaintext).unwrap();
    assert_eq!(frame.kind, MessageType::Ctap);
    assert_eq!(Sealer::new(&key).seal(frame).unwrap(), hex(case, "ciphertext"));
    assert_eq!(Opener::new(&key).open(&hex(case, "ciphertext")).unwrap(), plaintext);
    for case in list(&published["own_computed_padding"], "cases") {
        let sealed = Sealer::new(&key).seal_untyped(&hex(case, "in")).unwrap();
        assert_eq!(sealed.len(), hex(case, "out").len() + 16);
        assert_eq!(Opener::new(&key).open(&sealed).unwrap(), hex(case, "in"));
    }
}

// ---- post-handshake, linking, contact ----

#[test]
fn post_handshake_messages() {
    let (published, oracle) = (load("public"), load("oracle"));
    for sample in list(&published, "post_handshake_samples") {
        let decoded = PostHandshake::decode(&hex(sample, "cbor")).unwrap();
        assert!(decoded.features.contains(&Feature::Ctap));
        let names = sample["features"].as_array();
        assert_eq!(decoded.features.len(), names.map_or(1, Vec::len));
        if names.is_some() {
            assert_eq!(decoded.encode(), hex(sample, "cbor"));
        }
    }
    let cases = &oracle["post_handshake"];
    for name in ["revision_1", "revision_0_padded"] {
        let decoded = PostHandshake::decode(&hex(&cases[name], "plaintext")).unwrap();
        assert_eq!(decoded.get_info.unwrap(), hex(&cases[name], "getinfo"), "{name}");
    }
    let decoded = PostHandshake::decode(&hex(cases, "no_features")).unwrap();
    assert_eq!(decoded.features, [Feature::Ctap]);
}

#[test]
fn linking_signatures() {
    let published = load("public");
    let case = &published["own_computed_link_signature"];
    let (phone, laptop) =
        (private(case, "phone_static_private"), private(case, "client_qr_private"));
    let hash = HandshakeHash::from(bytes::<32>(case, "handshake_hash"));
    assert_eq!(linking::sign(&phone, laptop.public(), &hash)[..], hex(case, "signature"));
    assert_eq!(linking::sign(&laptop, phone.public(), &hash)[..], hex(case, "signature"));
}

#[test]
fn linking_information_both_ways() {
    let oracle = load("oracle");
    let case = &oracle["handshake_KNpsk0"];
    let linking = &case["linking"];
    let hash = HandshakeHash::from(bytes::<32>(case, "handshake_hash"));
    let phone = private(linking, "phone_identity_scalar");
    assert_eq!(phone.public(), &public(linking, "phone_identity_public"));
    let laptop = private(case, "static_scalar");
    assert_eq!(linking::sign(&phone, laptop.public(), &hash)[..], hex(linking, "signature"));

    let map = cabled::cbor::decode(&hex(linking, "map")).unwrap();
    let info = LinkingInfo::from_value(&map).unwrap();
    assert_eq!(cabled::cbor::encode(&info.to_value()), hex(linking, "map"));
    assert_eq!(linking::decode_update(&linking::encode_update(Some(&info))), Some(info.clone()));
    let device = info.clone().verify(&laptop, &hash, TunnelServiceId::GOOGLE).unwrap();
    assert_eq!((&device.identity, &device.name), (phone.public(), &info.name));

    let mut forged = info.clone();
    forged.signature[0] ^= 1;
    assert!(forged.verify(&laptop, &hash, TunnelServiceId::GOOGLE).is_none());
    let other = HandshakeHash::from([0; 32]);
    assert!(info.verify(&laptop, &other, TunnelServiceId::GOOGLE).is_none());
}

#[test]
fn contact_requests() {
    let oracle = load("oracle");
    let case = &oracle["contact"];
    let nonce = ClientNonce::from(bytes::<16>(case, "client_nonce"));
    let payload = ClientPayload {
        link_id: LinkId(bytes(case, "link_id")),
        nonce,
        hint: Hint::from_wire(text(case, "hint")),
    };
    assert_eq!(payload.encode(), unhex(text(case, "client_payload_header")));
    let secret = LinkSecret::new(bytes(case, "link_secret"));
    assert_eq!(secret.eid_key(&nonce).expose()[..], hex(case, "eid_key"));
    let plaintext = AdvertPlaintext::from_bytes(bytes(case, "eid_plaintext")).unwrap();
    assert_eq!(advert::seal(&secret.eid_key(&nonce), &plaintext)[..], hex(case, "advert"));
    assert_eq!(secret.psk(&plaintext).expose()[..], hex(case, "psk"));
}

// ---- whole sessions through the state machines ----

fn outputs(transaction: &mut client::Transaction) -> Vec<client::Output> {
    std::iter::from_fn(|| transaction.poll_output()).collect()
}

/// A real iPhone's session: our client, given the keys, sends what the laptop sent.
#[test]
fn real_iphone_session() {
    use client::{Event, Input, Output, Target};
    let published = load("public");
    let case = &published["real_session_iphone"];
    let contents = QrContents::decode(text(case, "qr_uri")).unwrap();
    assert_eq!(contents.encode(), text(case, "qr_uri"));
    assert_eq!(contents.encode_cbor(), hex(case, "qr_cbor"));
    assert_eq!(contents.secret.expose()[..], hex(case, "secret"));
    assert_eq!(contents.secret.eid_key().expose()[..], hex(case, "eid_key"));
    let identity = private(case, "client_static_private");
    assert_eq!(identity.public(), &contents.identity);
    let offer =
        client::QrOffer { contents, identity, ephemeral: private(case, "client_eph_private") };

    let now = Instant::now();
    let mut laptop = client::Transaction::qr(offer, client::Deadlines::default(), now);
    assert_eq!(laptop.qr_text().unwrap(), text(case, "qr_uri"));
    assert_eq!(outputs(&mut laptop), [Output::StartScan]);

    let sender = client::Sender { address: [0; 6], random: true };
    laptop.handle(Input::Sighting { service_data: &hex(case, "advert"), sender }, now).unwrap();
    let [Output::StopScan, Output::Event(Event::AdvertSeen), Output::OpenChannel(target)] =
        &outputs(&mut laptop)[..]
    else {
        panic!("the advert did not match")
    };
    let Target::Tunnel { service, routing, tunnel } = target else { panic!("{target:?}") };
    let url =
        format!("{}{}", service.domain().unwrap(), routing_and_tunnel(*routing, tunnel.expose()));
    assert_eq!(format!("wss://{url}"), text(case, "connect_url"));

    laptop.handle(Input::ChannelOpen, now).unwrap();
    assert_eq!(outputs(&mut laptop), [Output::Send(hex(case, "message1"))]);
    laptop.handle(Input::Message(&hex(case, "message2")), now).unwrap();
    assert_eq!(outputs(&mut laptop), [Output::Event(Event::Connected)]);
    laptop.handle(Input::Message(&hex(case, "post_handshake_ciphertext")), now).unwrap();
    let [Output::Event(Event::Ready(said))] = &outputs(&mut laptop)[..] else {
        panic!("not ready")
    };
    assert_eq!(said.features, [Feature::Ctap, Feature::DigitalCredentials]);

    let request = unpad(&hex(case, "ga_request_padded"));
    laptop.handle(Input::Ctap(&request[1..]), now).unwrap();
    assert_eq!(outputs(&mut laptop), [Output::Send(hex(case, "ga_request_ciphertext"))]);
    laptop.handle(Input::Message(&hex(case, "ga_response_ciphertext")), now).unwrap();
    let response = unpad(&hex(case, "ga_response_padded"));
    assert_eq!(outputs(&mut laptop), [Output::Event(Event::Ctap(response[1..].to_vec()))]);
}

/// The article prints the identifiers in lower case.
fn routing_and_tunnel(routing: RoutingId, tunnel: &[u8; 16]) -> String {
    let lower = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    format!("/cable/connect/{}/{}", lower(&routing.to_bytes()), lower(tunnel))
}

fn unpad(padded: &[u8]) -> Vec<u8> {
    let zeros = usize::from(*padded.last().unwrap());
    padded[..padded.len() - zeros - 1].to_vec()
}

/// A real Chromium's sessions: our phone, given the keys, answers what the recorded phone did.
#[test]
fn real_chromium_sessions() {
    let recorded = load("chromium-session");
    let sessions = list(&recorded, "sessions");
    assert_eq!(sessions.len(), 3);
    sessions.iter().for_each(chromium_session);
}

fn chromium_session(session: &Value) {
    use authenticator::{Deadlines, Event, Input, Offer, Output, Scan, Transaction};
    let contents = QrContents::decode(text(session, "qr_url")).unwrap();
    assert_eq!(contents.encode(), text(session, "qr_url"));
    assert_eq!(contents.intent(), Hint::from_wire(text(session, "hint")));
    let plaintext = AdvertPlaintext::from_bytes(bytes(session, "eid_plaintext")).unwrap();
    let frames = list(session, "frames");
    let first = PostHandshake::decode(&hex(&frames[0], "plaintext")).unwrap();
    assert_eq!(first.encode(), hex(&frames[0], "plaintext"));
    let offer = Offer {
        post_handshake: first,
        ephemeral: private(session, "phone_ephemeral_scalar"),
        nonce: plaintext.nonce(),
        l2cap: None,
    };
    let now = Instant::now();
    let mut phone = Transaction::qr(Scan { contents }, offer, Deadlines::default(), now);
    let drain = |phone: &mut Transaction| -> Vec<Output> {
        std::iter::from_fn(|| phone.poll_output()).collect()
    };
    assert!(matches!(drain(&mut phone)[..], [Output::OpenTunnel(_)]));
    let service = plaintext.service();
    let routing = plaintext.routing_id();
    phone.handle(Input::TunnelOpen { routing, service }, now).unwrap();
    assert_eq!(
        drain(&mut phone),
        [Output::Advertise(hex(session, "advert")), Output::Event(Event::Advertising)]
    );
    let via = ChannelKind::Tunnel;
    let message = &hex(session, "message_1");
    phone.handle(Input::Message { via, message }, now).unwrap();
    assert_eq!(
        drain(&mut phone),
        [
            Output::StopAdvertising,
            Output::Send { via, message: hex(session, "message_2") },
            Output::Send { via, message: hex(&frames[0], "ciphertext") },
            Output::Event(Event::Connected),
        ]
    );
    let message = &hex(&frames[1], "ciphertext");
    phone.handle(Input::Message { via, message }, now).unwrap();
    let request = hex(&frames[1], "plaintext");
    assert_eq!(drain(&mut phone), [Output::Event(Event::Ctap(request[1..].to_vec()))]);
    phone.handle(Input::Response(&hex(&frames[2], "plaintext")[1..]), now).unwrap();
    assert_eq!(drain(&mut phone), [Output::Send { via, message: hex(&frames[2], "ciphertext") }]);
    let message = &hex(&frames[3], "ciphertext");
    phone.handle(Input::Message { via, message }, now).unwrap();
    assert_eq!(
        drain(&mut phone),
        [Output::Event(Event::Acknowledged), Output::CloseChannel, Output::Event(Event::Closed)]
    );
    assert!(phone.is_closed());
}
