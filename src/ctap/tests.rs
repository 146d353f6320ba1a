use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::cbor::Value;

fn vectors() -> Json {
    serde_json::from_str(include_str!("../../tests/vectors/ctap.json")).unwrap()
}

fn unhex(text: &Json) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// A message out of a frame: type byte 1, message.
fn message(frame: &Json) -> Vec<u8> {
    let bytes = unhex(frame);
    assert_eq!(bytes[0], 1);
    bytes[1..].to_vec()
}

/// A message out of a padded frame: type byte, message, zeros, count of zeros.
fn padded_message(frame: &Json) -> Vec<u8> {
    let bytes = unhex(frame);
    let padding = usize::from(*bytes.last().unwrap()) + 1;
    bytes[1..bytes.len() - padding].to_vec()
}

fn response(message: &[u8]) -> &[u8] {
    let (status, body) = split_response(message).unwrap();
    assert_eq!(status, Status::OK);
    body
}

#[test]
fn chromium_make_credential() {
    let frame = &vectors()["chromium"][0];
    let request = message(&frame["request"]);
    let (command, body) = Command::split(&request).unwrap();
    assert_eq!(command, Command::MakeCredential);
    let decoded = MakeCredentialRequest::decode(body).unwrap();
    assert_eq!(decoded.rp.id, "localhost");
    assert_eq!(decoded.rp.name.as_deref(), Some("oracle"));
    assert_eq!(decoded.user.id, b"user-1");
    assert_eq!(decoded.user.display_name.as_deref(), Some("Alice"));
    assert_eq!(decoded.pub_key_cred_params.iter().map(|p| p.alg).collect::<Vec<_>>(), [-7, -257]);
    assert_eq!(decoded.options, Options { rk: Some(true), up: None, uv: Some(true) });
    assert_eq!(decoded.encode(), request);

    let answer = message(&frame["response"]);
    let decoded = MakeCredentialResponse::decode(response(&answer)).unwrap();
    assert_eq!(decoded.fmt, "packed");
    assert_eq!(respond(Ok(decoded.encode())), answer);
    let data = AuthenticatorData::decode(&decoded.auth_data).unwrap();
    assert!(data.flags.contains(Flags::USER_VERIFIED | Flags::ATTESTED | Flags::BACKED_UP));
    let attested = data.attested.clone().unwrap();
    assert_eq!(&attested.aaguid, b"oracle-phone-001");
    assert_eq!(attested.id.len(), 16);
    assert_eq!(data.encode(), decoded.auth_data);
    verify(&attested, &decoded, &unhex(&frame["request"])[6..38]);
}

/// Checks a packed self attestation.
fn verify(attested: &AttestedCredential, made: &MakeCredentialResponse, hash: &[u8]) {
    use p256::ecdsa::signature::Verifier;
    let CosePublicKey::Es256(key) = &attested.public_key else { panic!("not ES256") };
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&key.to_sec1()).unwrap();
    let signature = made.att_stmt.get_text("sig").and_then(Value::as_bytes).unwrap();
    let signature = p256::ecdsa::Signature::from_der(signature).unwrap();
    key.verify(&[&made.auth_data, hash].concat(), &signature).unwrap();
}

#[test]
fn chromium_get_assertion() {
    for (index, allowed) in [(1, 0), (2, 1)] {
        let frame = &vectors()["chromium"][index];
        let request = message(&frame["request"]);
        let decoded = GetAssertionRequest::decode(&request[1..]).unwrap();
        assert_eq!(decoded.rp_id, "localhost");
        assert_eq!(decoded.allow_list.len(), allowed);
        assert_eq!(decoded.options.uv, Some(true));
        assert_eq!(decoded.encode(), request);

        let answer = message(&frame["response"]);
        let decoded = GetAssertionResponse::decode(response(&answer)).unwrap();
        assert_eq!(decoded.user.is_some(), allowed == 0);
        assert_eq!(respond(Ok(decoded.encode())), answer);
        let data = AuthenticatorData::decode(&decoded.auth_data).unwrap();
        assert_eq!((data.sign_count, data.attested, data.extensions), (0, None, None));
    }
}

#[test]
fn iphone_get_assertion() {
    let frame = &vectors()["iphone"];
    let request = padded_message(&frame["request"]);
    let decoded = GetAssertionRequest::decode(&request[1..]).unwrap();
    assert_eq!(decoded.rp_id, "example.com");
    assert_eq!(decoded.encode(), request);

    let answer = padded_message(&frame["response"]);
    let decoded = GetAssertionResponse::decode(response(&answer)).unwrap();
    assert_eq!(decoded.user_selected, Some(true));
    assert_eq!(decoded.user.as_ref().unwrap().name.as_deref(), Some(""));
    assert_eq!(AuthenticatorData::decode(&decoded.auth_data).unwrap().flags, Flags(0x1d));
    assert_eq!(respond(Ok(decoded.encode())), answer);
}

#[test]
fn exclude_list_of_a_chromium() {
    let request = message(&vectors()["traffic"]["request"]);
    let decoded = MakeCredentialRequest::decode(&request[1..]).unwrap();
    assert_eq!(decoded.exclude_list, [CredentialDescriptor::new(vec![0, 1, 2, 3])]);
    assert_eq!(decoded.encode(), request);
}

#[test]
fn get_info_of_real_phones() {
    let vectors = vectors();
    let mut samples = vectors["get_info"].as_array().unwrap().clone();
    samples.push(vectors["chromium"][0].clone());
    let expected = [(vec!["devicePubKey", "prf"], 3), (vec![], 2), (vec!["largeBlob", "prf"], 2)];
    for (sample, (extensions, transports)) in samples.iter().zip(expected) {
        let (outer, _) = cbor::decode_prefix(&unhex(&sample["post_handshake"])).unwrap();
        let body = outer.get(1).and_then(Value::as_bytes).unwrap();
        let info = GetInfo::decode(body).unwrap();
        assert_eq!(info.versions[0], "FIDO_2_0");
        assert_eq!(info.extensions, extensions);
        assert_eq!(info.transports.len(), transports);
        assert_eq!((info.option("uv"), info.option("rk")), (Some(true), Some(true)));
        assert_eq!(info.encode(), body);
    }
}

#[test]
fn requests_within_bounds() {
    use Value as V;
    let good = || {
        let mut map = vec![(V::Uint(1), V::from("example.com")), (V::Uint(2), V::from([7; 32]))];
        map.push((V::Uint(5), V::text_map([("uv", V::Bool(true))])));
        map
    };
    let decode = |map| GetAssertionRequest::decode(&cbor::encode(&V::Map(map))).map(drop);
    let with = |at: usize, value| {
        let mut map = good();
        map[at].1 = value;
        decode(map)
    };
    assert_eq!(decode(good()), Ok(()));
    assert_eq!(with(0, V::Uint(1)), Err(Status::CBOR_UNEXPECTED_TYPE));
    assert_eq!(with(0, V::from("x".repeat(256))), Err(Status::LIMIT_EXCEEDED));
    assert_eq!(with(1, V::from([7; 31])), Err(Status::INVALID_LENGTH));
    assert_eq!(with(2, V::text_map([("uv", V::Uint(1))])), Err(Status::CBOR_UNEXPECTED_TYPE));
    assert_eq!(with(2, V::text_map([("new", V::Uint(1))])), Ok(()));
    assert_eq!(decode(good()[1..].to_vec()), Err(Status::MISSING_PARAMETER));
    let extra = [good(), vec![(V::Uint(77), V::Null), (V::from("x"), V::Uint(1))]].concat();
    assert_eq!(decode(extra), Ok(()));

    let descriptor =
        |n| V::text_map([("id", V::from(vec![0; n])), ("type", V::from("public-key"))]);
    let listed = |list| decode([good(), vec![(V::Uint(3), V::Array(list))]].concat());
    assert_eq!(listed(vec![descriptor(1023); 256]), Ok(()));
    assert_eq!(listed(vec![descriptor(1); 257]), Err(Status::LIMIT_EXCEEDED));
    assert_eq!(listed(vec![descriptor(1024)]), Err(Status::LIMIT_EXCEEDED));
    assert_eq!(listed(vec![V::Map(vec![])]), Err(Status::MISSING_PARAMETER));

    let mut bytes = cbor::encode(&V::Map(good()));
    assert_eq!(GetAssertionRequest::decode(&bytes[..5]).unwrap_err(), Status::INVALID_CBOR);
    bytes.push(0);
    assert_eq!(GetAssertionRequest::decode(&bytes).unwrap_err(), Status::INVALID_CBOR);
    assert_eq!(GetAssertionRequest::decode(&[0x80]).unwrap_err(), Status::CBOR_UNEXPECTED_TYPE);
}

/// Firefox says `uv` before `up`. What a token authenticates may come in one form only.
#[test]
fn an_order_of_its_own() {
    let options = [&[0xa2, 0x62][..], b"uv", &[0xf5, 0x62], b"up", &[0xf5]].concat();
    let head = [&[0xa3, 1, 0x69][..], b"localhost", &[2, 0x58, 32], &[7; 32], &[5]].concat();
    let bytes = [head.clone(), options].concat();
    let request = GetAssertionRequest::decode(&bytes).unwrap();
    assert_eq!((request.options.up, request.options.uv), (Some(true), Some(true)));
    // What goes on to the phone is canonical.
    assert_ne!(request.encode()[1..], bytes);
    assert_eq!(GetAssertionRequest::decode(&request.encode()[1..]), Ok(request));
    // So are extensions, and what is within them, to whoever compares.
    let within = [&[0xa2, 2, 0xf6, 1, 0xf6, 0x62][..], b"ue", &[0xf5]].concat();
    let head_of_extensions = [&head[..head.len() - 1], &[4, 0xa2, 0x62], b"uv"].concat();
    let extended = GetAssertionRequest::decode(&[head_of_extensions, within].concat()).unwrap();
    assert_eq!(extended.extensions.len(), 2);
    assert_eq!(GetAssertionRequest::decode(&extended.encode()[1..]), Ok(extended));
    let twice = [&[0xa2, 0x62][..], b"uv", &[0xf5, 0x62], b"uv", &[0xf5]].concat();
    let decoded = GetAssertionRequest::decode(&[head, twice].concat());
    assert_eq!(decoded, Err(Status::INVALID_CBOR));
    assert_eq!(ClientPinRequest::decode(&[0xa2, 2, 2, 1, 1]), Err(Status::INVALID_CBOR));
}

#[test]
fn user_id_has_1_to_64_bytes() {
    let request = message(&vectors()["chromium"][0]["request"]);
    let mut request = MakeCredentialRequest::decode(&request[1..]).unwrap();
    for (len, expected) in [(1, None), (64, None), (0, Some(Status::INVALID_LENGTH))] {
        request.user.id = vec![1; len];
        assert_eq!(MakeCredentialRequest::decode(&request.encode()[1..]).err(), expected);
    }
    request.user.id = vec![1; 65];
    let error = MakeCredentialRequest::decode(&request.encode()[1..]).unwrap_err();
    assert_eq!(error, Status::LIMIT_EXCEEDED);
}

#[test]
fn lenient_responses() {
    let unordered = [&[0xa2, 3][..], &[0x41, 9], &[2, 0x41, 8]].concat();
    let decoded = GetAssertionResponse::decode(&unordered).unwrap();
    assert_eq!((decoded.auth_data, decoded.signature), (vec![8], vec![9]));
    let missing = GetAssertionResponse::decode(&[0xa0]).unwrap_err();
    assert_eq!(missing, Error::Missing { field: "authData" });
}

#[test]
fn debug_hides_extension_values() {
    let secret = Value::from([0x5a; 32]);
    let extensions = vec![("prf".to_owned(), secret.clone())];
    let request = message(&vectors()["chromium"][0]["request"]);
    let make = MakeCredentialRequest::decode(&request[1..]).unwrap();
    let make = MakeCredentialRequest { extensions: extensions.clone(), ..make };
    let request = message(&vectors()["chromium"][1]["request"]);
    let get = GetAssertionRequest::decode(&request[1..]).unwrap();
    let get = GetAssertionRequest { extensions, ..get };
    let answer = message(&vectors()["chromium"][0]["response"]);
    let mut made = MakeCredentialResponse::decode(response(&answer)).unwrap();
    made.unsigned_extension_outputs = Some(secret.clone());
    made.large_blob_key = Some(vec![0x5a; 32]);
    let answer = message(&vectors()["chromium"][1]["response"]);
    let mut got = GetAssertionResponse::decode(response(&answer)).unwrap();
    got.unsigned_extension_outputs = Some(secret);
    got.large_blob_key = Some(vec![0x5a; 32]);
    let debug = format!("{make:?} {get:?} {made:?} {got:?}");
    assert!(debug.contains("localhost") && debug.contains("prf") && debug.contains("Redacted"));
    assert!(!debug.contains("90, 90"));
}

#[test]
fn commands_and_statuses() {
    assert_eq!(Command::split(&[]), Err(Status::INVALID_LENGTH));
    assert_eq!(Command::split(&[0x42]), Err(Status::INVALID_COMMAND));
    assert_eq!(Command::split(&vec![1; MAX_MESSAGE + 1]), Err(Status::REQUEST_TOO_LARGE));
    assert_eq!(Command::split(&[8]), Ok((Command::GetNextAssertion, &[][..])));
    assert_eq!(respond(Err(Status::NO_CREDENTIALS)), [0x2e]);
    assert_eq!(split_response(&[]), Err(Error::Empty));
    assert_eq!(Status::OPERATION_DENIED.to_string(), "OPERATION_DENIED (0x27)");
    assert_eq!(Status(0xfe).name(), "UNNAMED");
}

#[test]
fn spki_is_what_aws_lc_writes() {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let point = pair.public_key().as_ref();
    let key = Es256PublicKey::from_sec1(point).unwrap();
    assert_eq!(key.to_sec1(), point);
    assert_eq!(key.to_spki(), pair.public_key().as_der().unwrap().as_ref());
    assert_eq!(Es256PublicKey::from_sec1(&point[1..]), None);
    assert_eq!(Es256PublicKey::from_sec1(&[4; 66]), None);
}

#[test]
fn authenticator_data_truncated_everywhere() {
    let body = message(&vectors()["chromium"][0]["response"]);
    let data = MakeCredentialResponse::decode(&body[1..]).unwrap().auth_data;
    for len in 0..data.len() {
        AuthenticatorData::decode(&data[..len]).unwrap_err();
    }
    let longer = [&data[..], &[0]].concat();
    assert_eq!(AuthenticatorData::decode(&longer), Err(Error::AuthenticatorData));
}

fn descriptors() -> impl Strategy<Value = Vec<CredentialDescriptor>> {
    let transports = vec("[a-z]{1,8}", 0..3);
    let one = (vec(any::<u8>(), 0..80), "[a-z-]{1,12}", transports)
        .prop_map(|(id, kind, transports)| CredentialDescriptor { id, kind, transports });
    vec(one, 0..4)
}

fn users() -> impl Strategy<Value = UserEntity> {
    (vec(any::<u8>(), 1..=64), option::of(".{0,20}"), option::of(".{0,20}"))
        .prop_map(|(id, name, display_name)| UserEntity { id, name, display_name })
}

fn options() -> impl Strategy<Value = Options> {
    (any::<Option<bool>>(), any::<Option<bool>>(), any::<Option<bool>>())
        .prop_map(|(rk, up, uv)| Options { rk, up, uv })
}

fn extensions() -> impl Strategy<Value = Vec<(String, Value)>> {
    let value =
        prop_oneof![any::<bool>().prop_map(Value::Bool), any::<u64>().prop_map(Value::Uint)];
    option::of(("[a-z]{1,9}", value)).prop_map(|entry| entry.into_iter().collect())
}

prop_compose! {
    fn make_requests()(
        hash: [u8; 32], id in ".{1,40}", rp_name in option::of(".{0,40}"), user in users(),
        algs in vec(any::<i64>(), 0..4), exclude_list in descriptors(), extensions in extensions(),
        options in options(), proof in option::of(vec(any::<u8>(), 0..=64)),
        protocol: Option<u64>, enterprise_attestation: Option<u64>,
    ) -> MakeCredentialRequest {
        MakeCredentialRequest {
            client_data_hash: hash,
            rp: RpEntity { id, name: rp_name },
            user,
            pub_key_cred_params: algs.into_iter().map(CredentialParameters::new).collect(),
            exclude_list,
            extensions,
            options,
            pin_uv_auth_param: proof,
            pin_uv_auth_protocol: protocol,
            enterprise_attestation,
        }
    }
}

prop_compose! {
    fn get_requests()(
        hash: [u8; 32], rp_id in ".{1,40}", allow_list in descriptors(),
        extensions in extensions(), options in options(), protocol: Option<u64>,
    ) -> GetAssertionRequest {
        GetAssertionRequest {
            rp_id,
            client_data_hash: hash,
            allow_list,
            extensions,
            options,
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: protocol,
        }
    }
}

proptest! {
    #[test]
    fn make_request_round_trip(request in make_requests()) {
        let (command, body) = (request.encode()[0], request.encode()[1..].to_vec());
        prop_assert_eq!(command, 1);
        prop_assert_eq!(MakeCredentialRequest::decode(&body), Ok(request));
    }

    #[test]
    fn get_request_round_trip(request in get_requests()) {
        prop_assert_eq!(GetAssertionRequest::decode(&request.encode()[1..]), Ok(request));
    }

    #[test]
    fn get_response_round_trip(
        credential in descriptors(), auth_data: Vec<u8>, signature: Vec<u8>,
        user in option::of(users()), number: Option<u64>, selected: Option<bool>,
        large_blob_key: Option<Vec<u8>>, unsigned: Option<bool>,
    ) {
        let response = GetAssertionResponse {
            credential: credential.into_iter().next(),
            auth_data,
            signature,
            user,
            number_of_credentials: number,
            user_selected: selected,
            large_blob_key,
            unsigned_extension_outputs: unsigned.map(Value::Bool),
        };
        prop_assert_eq!(GetAssertionResponse::decode(&response.encode()), Ok(response));
    }

    #[test]
    fn make_response_round_trip(
        fmt in "[a-z]{0,9}", auth_data: Vec<u8>, ep_att: Option<bool>,
        large_blob_key: Option<Vec<u8>>, unsigned: Option<bool>,
    ) {
        let unsigned_extension_outputs = unsigned.map(Value::Bool);
        let att_stmt = Value::Map(vec![]);
        let response = MakeCredentialResponse {
            fmt, auth_data, att_stmt, ep_att, large_blob_key, unsigned_extension_outputs,
        };
        prop_assert_eq!(MakeCredentialResponse::decode(&response.encode()), Ok(response));
    }

    #[test]
    fn authenticator_data_round_trip(
        rp_id_hash: [u8; 32], flags: u8, sign_count: u32, id in vec(any::<u8>(), 0..=1023),
        (x, y, aaguid) in any::<([u8; 32], [u8; 32], [u8; 16])>(), attest: bool, extend: bool,
    ) {
        let public_key = CosePublicKey::Es256(Es256PublicKey { x, y });
        let data = AuthenticatorData {
            rp_id_hash,
            flags: Flags(flags).with(Flags::ATTESTED, attest).with(Flags::EXTENSIONS, extend),
            sign_count,
            attested: attest.then_some(AttestedCredential { aaguid, id, public_key }),
            extensions: extend.then(|| Value::text_map([("credProtect", Value::Uint(3))])),
        };
        prop_assert_eq!(AuthenticatorData::decode(&data.encode()), Ok(data));
    }

    #[test]
    fn nothing_panics(bytes in vec(any::<u8>(), 0..200)) {
        let _ = MakeCredentialRequest::decode(&bytes);
        let _ = GetAssertionRequest::decode(&bytes);
        let _ = MakeCredentialResponse::decode(&bytes);
        let _ = GetAssertionResponse::decode(&bytes);
        let _ = GetInfo::decode(&bytes);
        let _ = AuthenticatorData::decode(&bytes);
        let _ = Command::split(&bytes);
    }

    #[test]
    fn mutations_do_not_panic(at in 0_usize..400, byte: u8, cut in 0_usize..400) {
        for session in vectors()["chromium"].as_array().unwrap() {
            for frame in [&session["request"], &session["response"]] {
                let mut bytes = message(frame);
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
                bytes.truncate(cut.max(1));
                let _ = MakeCredentialRequest::decode(&bytes[1..]);
                let _ = GetAssertionRequest::decode(&bytes[1..]);
                let _ = GetAssertionResponse::decode(&bytes[1..]);
                let made = MakeCredentialResponse::decode(&bytes[1..]);
                let _ = made.map(|made| AuthenticatorData::decode(&made.auth_data));
            }
        }
    }
}

#[test]
fn client_pin_management_and_blobs_survive_the_wire() {
    let key = Es256PublicKey { x: [1; 32], y: [2; 32] };
    let pin = ClientPinRequest {
        key_agreement: Some(key),
        pin_hash_enc: Some(vec![3; 32]),
        new_pin_enc: Some(vec![4; 80]),
        pin_uv_auth_param: Some(vec![5; 32]),
        permissions: Some(5),
        rp_id: Some("contoso.com".to_owned()),
        ..ClientPinRequest::new(2, PinCommand::GetTokenUsingPin)
    };
    assert_eq!(ClientPinRequest::decode(&pin.encode()[1..]), Ok(pin));
    let params = ManageParams { rp_id_hash: Some([7; 32]), ..ManageParams::default() };
    let manage = ManageRequest {
        protocol: Some(2),
        pin_uv_auth_param: Some(vec![8; 32]),
        ..ManageRequest::new(ManageCommand::CredentialsBegin, params)
    };
    assert_eq!(manage.authenticated, [&[4, 0xa1, 1, 0x58, 32][..], &[7; 32]].concat());
    assert_eq!(ManageRequest::decode(&manage.encode()[1..]), Ok(manage));
    let blobs = LargeBlobsRequest { set: Some(vec![1]), length: Some(18), ..Default::default() };
    assert_eq!(LargeBlobsRequest::decode(&blobs.encode()[1..]), Ok(blobs));
    assert_eq!(LargeBlobsRequest::decode(&[0xa0]), Err(Status::INVALID_PARAMETER));
    // An ES256 key is no key to agree with.
    let wrong = Value::int_map([(2, Value::Uint(5)), (3, CosePublicKey::Es256(key).to_value())]);
    let refused = ClientPinRequest::decode(&cbor::encode(&wrong));
    assert_eq!(refused, Err(Status::INVALID_PARAMETER));
}
