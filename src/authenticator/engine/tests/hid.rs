//! What a program on the same machine sees: tokens, management, large blobs, `hmac-secret`, reset.

use super::*;

pub(super) fn shared(phone: &mut Phone, protocol: PinProtocol) -> (SharedSecret, Es256PublicKey) {
    let ours = AgreementKey::random(&mut phone.rng);
    let request = ClientPinRequest::new(protocol as u64, PinCommand::GetKeyAgreement);
    let response = pin_answer(phone, &request, &[]).unwrap();
    let shared = ours.agree(protocol, &response.key_agreement.unwrap()).unwrap();
    (shared, ours.public().unwrap())
}

/// Sends as a security key's client does. The futures of the tests never wait.
pub(super) fn hid(phone: &mut Phone, message: &[u8], answers: &[Decision]) -> Reply {
    use std::future::Future;
    phone.script.answers.lock().unwrap().extend(answers);
    phone.now.0 += 1;
    let now = phone.now;
    let reply = phone.engine.handle(message, Transport::Hid, now, &mut phone.rng);
    let mut reply = std::pin::pin!(reply);
    let waker = std::task::Waker::noop();
    let std::task::Poll::Ready(reply) =
        reply.as_mut().poll(&mut std::task::Context::from_waker(waker))
    else {
        panic!("asked more than expected")
    };
    assert!(phone.script.answers.lock().unwrap().is_empty(), "asked less than expected");
    reply
}

fn pin_answer(
    phone: &mut Phone,
    request: &ClientPinRequest,
    answers: &[Decision],
) -> Result<ClientPinResponse, Status> {
    let reply = hid(phone, &request.encode(), answers);
    if reply.status() != Status::OK {
        return Err(reply.status());
    }
    Ok(match &reply.bytes[1..] {
        [] => ClientPinResponse::default(),
        body => ClientPinResponse::decode(body).unwrap(),
    })
}

fn pin_hash(pin: &str) -> [u8; 16] {
    Sha256::digest(pin)[..16].try_into().unwrap()
}

fn by_pin(
    phone: &mut Phone,
    protocol: PinProtocol,
    pin: &str,
    permissions: Permissions,
    rp_id: Option<&str>,
) -> Result<Vec<u8>, Status> {
    let (shared, key) = shared(phone, protocol);
    let request = ClientPinRequest {
        key_agreement: Some(key),
        pin_hash_enc: Some(shared.encrypt([1; 16], &pin_hash(pin))),
        permissions: Some(permissions.0.into()),
        rp_id: rp_id.map(str::to_owned),
        ..ClientPinRequest::new(protocol as u64, PinCommand::GetTokenUsingPin)
    };
    let response = pin_answer(phone, &request, &[])?;
    Ok(shared.decrypt(&response.token.unwrap()).unwrap().to_vec())
}

pub(super) fn by_uv(
    phone: &mut Phone,
    permissions: Permissions,
    rp_id: Option<&str>,
    answers: &[Decision],
) -> Result<Vec<u8>, Status> {
    let (shared, key) = shared(phone, PinProtocol::Two);
    let request = ClientPinRequest {
        key_agreement: Some(key),
        permissions: Some(permissions.0.into()),
        rp_id: rp_id.map(str::to_owned),
        ..ClientPinRequest::new(2, PinCommand::GetTokenUsingUv)
    };
    let response = pin_answer(phone, &request, answers)?;
    Ok(shared.decrypt(&response.token.unwrap()).unwrap().to_vec())
}

fn with_token(token: &[u8], request: MakeCredentialRequest) -> MakeCredentialRequest {
    let param = PinProtocol::Two.authenticate(token, &request.client_data_hash);
    let options = Options { uv: None, ..request.options };
    let (param, protocol) = (Some(param), Some(2));
    let pin_uv_auth_param = param;
    MakeCredentialRequest { options, pin_uv_auth_param, pin_uv_auth_protocol: protocol, ..request }
}

fn managed(
    phone: &mut Phone,
    token: &[u8],
    command: ManageCommand,
    params: ManageParams,
) -> Result<ManageResponse, Status> {
    let mut request = ManageRequest::new(command, params);
    let param = PinProtocol::Two.authenticate(token, &request.authenticated);
    (request.pin_uv_auth_param, request.protocol) = (Some(param), Some(2));
    let reply = hid(phone, &request.encode(), &[]);
    if reply.status() != Status::OK {
        return Err(reply.status());
    }
    Ok(ManageResponse::decode(&reply.bytes[1..]).unwrap())
}

#[tokio::test]
async fn info_is_consistent() {
    let phone = Phone::new();
    let info = GetInfo::decode(&phone.engine.get_info(Transport::Hid)).unwrap();
    for option in ["rk", "uv", "clientPin", "pinUvAuthToken", "credMgmt", "largeBlobs"] {
        assert_eq!(info.option(option), Some(true), "{option}");
    }
    assert_eq!(info.pin_uv_auth_protocols, [2, 1]);
    assert!(info.has_extension("hmac-secret") && !info.has_extension("prf"));
    assert!(info.max_credential_count_in_list >= Some(64));
    let info = GetInfo::decode(&phone.engine.get_info(Transport::Hybrid)).unwrap();
    assert!(info.has_extension("prf") && !info.has_extension("hmac-secret"));
    assert_eq!((info.option("clientPin"), info.pin_uv_auth_protocols.len()), (None, 0));
}

#[tokio::test]
async fn tokens_are_nothing_over_hybrid() {
    let mut phone = Phone::new();
    let request = ClientPinRequest::new(2, PinCommand::GetKeyAgreement).encode();
    for message in [&request[..], &[0x07], &[0x0a, 0xa0], &[0x0c, 0xa0], &[0x41, 0xa0]] {
        assert_eq!(phone.status(message, &[]).await, Status::INVALID_COMMAND);
    }
}

#[tokio::test]
async fn a_token_by_pin_registers_once_at_its_site() {
    let mut phone = Phone::new();
    let mc = Permissions::MAKE_CREDENTIAL;
    for protocol in PinProtocol::ALL {
        assert_eq!(by_pin(&mut phone, protocol, "1234", mc, Some(RP)).unwrap().len(), TOKEN_LEN);
    }
    let token = by_pin(&mut phone, PinProtocol::Two, "1234", mc, Some(RP)).unwrap();
    let request = with_token(&token, make("ann"));
    let rp = RpEntity { id: "example.org".to_owned(), name: None };
    let elsewhere = MakeCredentialRequest { rp, ..request.clone() };
    let wrong = hid(&mut phone, &elsewhere.encode(), &[]);
    assert_eq!(wrong.status(), Status::PIN_AUTH_INVALID);
    let reply = hid(&mut phone, &request.encode(), &[approve(0)]);
    assert!(made(&reply).1.flags.contains(Flags::USER_VERIFIED));
    // Used up.
    let again = hid(&mut phone, &request.encode(), &[]);
    assert_eq!(again.status(), Status::PIN_AUTH_INVALID);
}

#[tokio::test]
async fn tokens_end_by_time_and_permit_what_they_say() {
    let mut phone = Phone::new();
    let ga = Permissions::GET_ASSERTION;
    let token = by_uv(&mut phone, ga, Some(RP), &[]).unwrap();
    let other = hid(&mut phone, &with_token(&token, make("ann")).encode(), &[]);
    assert_eq!(other.status(), Status::PIN_AUTH_INVALID);
    let token = by_uv(&mut phone, Permissions::MAKE_CREDENTIAL, Some(RP), &[]).unwrap();
    phone.now.0 += 31;
    let late = hid(&mut phone, &with_token(&token, make("ann")).encode(), &[]);
    assert_eq!(late.status(), Status::PIN_AUTH_INVALID);
    let without_rp = by_uv(&mut phone, ga, None, &[]);
    assert_eq!(without_rp, Err(Status::MISSING_PARAMETER));
    let settings = by_uv(&mut phone, Permissions::CONFIG, None, &[]);
    assert_eq!(settings, Err(Status::UNAUTHORIZED_PERMISSION));
    assert_eq!(by_uv(&mut phone, Permissions(0), None, &[]), Err(Status::INVALID_PARAMETER));
    // Nothing was asked so far: none of these tokens permits what its command does not ask about.
    assert_eq!(phone.asked(), []);
    let declined = by_uv(&mut phone, Permissions::MANAGE, None, &[Decision::Declined]);
    assert_eq!(declined, Err(Status::OPERATION_DENIED));
    assert!(matches!(&phone.asked()[..], [ConsentRequest::Allow { rp_id: None, .. }]));
}

#[tokio::test]
async fn wrong_pins_block_until_the_user_is_seen() {
    let mut phone = Phone::new();
    let tried = |phone: &mut Phone, pin: &str| {
        by_pin(phone, PinProtocol::Two, pin, Permissions::MANAGE, None).map(drop)
    };
    assert_eq!(tried(&mut phone, "0000"), Err(Status::PIN_INVALID));
    assert_eq!(tried(&mut phone, "0000"), Err(Status::PIN_INVALID));
    assert_eq!(tried(&mut phone, "0000"), Err(Status::PIN_AUTH_BLOCKED));
    assert_eq!(tried(&mut phone, "1234"), Err(Status::PIN_AUTH_BLOCKED));
    let retries = ClientPinRequest::new(2, PinCommand::GetPinRetries);
    let response = pin_answer(&mut phone, &retries, &[]).unwrap();
    assert_eq!((response.pin_retries, response.power_cycle), (Some(5), Some(true)));
    assert_eq!(hid(&mut phone, &[0x0b], &[approve(0)]).bytes, [0]);
    assert_eq!(tried(&mut phone, "1234"), Ok(()));
    let response = pin_answer(&mut phone, &retries, &[]).unwrap();
    assert_eq!((response.pin_retries, response.power_cycle), (Some(8), Some(false)));
}

#[tokio::test]
async fn the_pin_changes_and_is_not_set_anew() {
    let mut phone = Phone::new();
    let set = ClientPinRequest::new(2, PinCommand::SetPin);
    assert_eq!(pin_answer(&mut phone, &set, &[]), Err(Status::PIN_AUTH_INVALID));
    let change = |phone: &mut Phone, old: &str, new: &str| {
        let (shared, key) = shared(phone, PinProtocol::Two);
        let mut padded = [0; 64];
        padded[..new.len()].copy_from_slice(new.as_bytes());
        let (new, hash) =
            (shared.encrypt([2; 16], &padded), shared.encrypt([3; 16], &pin_hash(old)));
        let request = ClientPinRequest {
            key_agreement: Some(key),
            pin_uv_auth_param: Some(shared.authenticate(&[&new[..], &hash].concat())),
            new_pin_enc: Some(new),
            pin_hash_enc: Some(hash),
            ..ClientPinRequest::new(2, PinCommand::ChangePin)
        };
        pin_answer(phone, &request, &[]).map(drop)
    };
    assert_eq!(change(&mut phone, "1234", "123"), Err(Status::PIN_POLICY_VIOLATION));
    assert_eq!(change(&mut phone, "4321", "56789"), Err(Status::PIN_INVALID));
    assert_eq!(change(&mut phone, "1234", "56789"), Ok(()));
    assert_eq!(change(&mut phone, "1234", "00000"), Err(Status::PIN_INVALID));
    let pin = Pin::new("56789".to_owned()).unwrap();
    phone.store.verify_pin(&pin, phone.now).unwrap();
}

#[tokio::test]
async fn lists_renames_and_deletes() {
    let mut phone = Phone::new();
    let (ann, _bob) = (phone.registered(&make("ann")).await, phone.registered(&make("bob")).await);
    let rp = RpEntity { id: "example.org".to_owned(), name: None };
    phone.registered(&MakeCredentialRequest { rp, ..make("eve") }).await;
    let hidden = Options { rk: Some(false), ..Options::default() };
    phone.registered(&MakeCredentialRequest { options: hidden, ..make("zed") }).await;
    let none = ManageParams::default;
    let no_token = ManageRequest::new(ManageCommand::RpsBegin, none());
    assert_eq!(hid(&mut phone, &no_token.encode(), &[]).status(), Status::PUAT_REQUIRED);
    let token = by_uv(&mut phone, Permissions::MANAGE, None, &[approve(0)]).unwrap();
    let counts = managed(&mut phone, &token, ManageCommand::Metadata, none()).unwrap();
    assert_eq!(counts.existing, Some(3));
    let first = managed(&mut phone, &token, ManageCommand::RpsBegin, none()).unwrap();
    assert_eq!((first.total_rps, first.rp.unwrap().id.as_str()), (Some(2), RP));
    let next = managed(&mut phone, &token, ManageCommand::RpsNext, none()).unwrap();
    assert_eq!((next.total_rps, next.rp.unwrap().id.as_str()), (None, "example.org"));
    let over = managed(&mut phone, &token, ManageCommand::RpsNext, none());
    assert_eq!(over.unwrap_err(), Status::NOT_ALLOWED);

    let of_rp = ManageParams { rp_id_hash: first.rp_id_hash, ..none() };
    let first = managed(&mut phone, &token, ManageCommand::CredentialsBegin, of_rp).unwrap();
    assert_eq!((first.total_credentials, first.user.unwrap().id), (Some(2), b"ann".to_vec()));
    assert!(matches!(first.public_key, Some(CosePublicKey::Es256(_))));
    managed(&mut phone, &token, ManageCommand::CredentialsNext, none()).unwrap();

    let user =
        UserEntity { name: Some("Ann B.".to_owned()), display_name: None, ..make("ann").user };
    let change = ManageParams {
        credential: Some(descriptor(&ann)),
        user: Some(UserEntity { id: b"eve".to_vec(), ..user.clone() }),
        ..none()
    };
    let wrong = managed(&mut phone, &token, ManageCommand::UpdateUser, change.clone());
    assert_eq!(wrong.unwrap_err(), Status::INVALID_PARAMETER);
    let change = ManageParams { user: Some(user.clone()), ..change };
    managed(&mut phone, &token, ManageCommand::UpdateUser, change).unwrap();
    assert_eq!(phone.passkey(&ann).user, user);

    let gone = ManageParams { credential: Some(descriptor(&ann)), ..none() };
    managed(&mut phone, &token, ManageCommand::Delete, gone.clone()).unwrap();
    assert_eq!(phone.store.find_by_id(&ann).unwrap(), None);
    let again = managed(&mut phone, &token, ManageCommand::Delete, gone);
    assert_eq!(again.unwrap_err(), Status::NO_CREDENTIALS);
    let bad = managed(&mut phone, &[0; 32], ManageCommand::Metadata, none());
    assert_eq!(bad.unwrap_err(), Status::PIN_AUTH_INVALID);

    // A token for one site tells nothing about others.
    let token = by_uv(&mut phone, Permissions::MANAGE, Some(RP), &[approve(0)]).unwrap();
    let all = managed(&mut phone, &token, ManageCommand::RpsBegin, none());
    assert_eq!(all.unwrap_err(), Status::PIN_AUTH_INVALID);
    let rp_id_hash = Some(Sha256::digest("example.org").into());
    let other = ManageParams { rp_id_hash, ..none() };
    let other = managed(&mut phone, &token, ManageCommand::CredentialsBegin, other);
    assert_eq!(other.unwrap_err(), Status::PIN_AUTH_INVALID);
}

fn blob_write(token: &[u8], piece: &[u8], offset: u32, length: Option<u64>) -> Vec<u8> {
    let message = LargeBlobsRequest::authenticated(offset, &Sha256::digest(piece).into());
    LargeBlobsRequest {
        set: Some(piece.to_vec()),
        offset: offset.into(),
        length,
        pin_uv_auth_param: Some(PinProtocol::Two.authenticate(token, &message)),
        protocol: Some(2),
        ..Default::default()
    }
    .encode()
}

#[tokio::test]
async fn large_blobs_are_written_whole_or_not_at_all() {
    let mut phone = Phone::new();
    let read = LargeBlobsRequest { get: Some(1000), ..Default::default() }.encode();
    let empty = hid(&mut phone, &read, &[]).bytes;
    assert_eq!(empty[..5], [0, 0xa1, 1, 0x51, 0x80]);
    let token = by_uv(&mut phone, Permissions::LARGE_BLOBS, None, &[approve(0)]).unwrap();
    let mut array = vec![0x81; 100];
    array.extend(&Sha256::digest(&array)[..16]);
    let (head, tail) = array.split_at(60);
    let status = |phone: &mut Phone, message: &[u8]| hid(phone, message, &[]).status();
    assert_eq!(status(&mut phone, &blob_write(&token, head, 0, Some(116))), Status::OK);
    let gap = blob_write(&token, tail, 61, None);
    assert_eq!(status(&mut phone, &gap), Status::INVALID_SEQ);
    assert_eq!(hid(&mut phone, &read, &[]).bytes, empty);
    assert_eq!(status(&mut phone, &blob_write(&token, head, 0, Some(116))), Status::OK);
    assert_eq!(status(&mut phone, &[0x04]), Status::OK);
    assert_eq!(status(&mut phone, &blob_write(&token, tail, 60, None)), Status::OK);
    let written = hid(&mut phone, &read, &[]).bytes;
    assert_eq!(&written[5..], &array[..], "{written:02x?}");
    let torn = blob_write(&token, &[7; 20], 0, Some(20));
    assert_eq!(status(&mut phone, &torn), Status::INTEGRITY_FAILURE);
    let huge = blob_write(&token, &[7; 20], 0, Some(1 << 20));
    assert_eq!(status(&mut phone, &huge), Status::LARGE_BLOB_STORAGE_FULL);
    assert_eq!(
        status(&mut phone, &blob_write(&[0; 32], &array, 0, Some(116))),
        Status::PIN_AUTH_INVALID
    );
    assert_eq!(hid(&mut phone, &read, &[]).bytes, written);
}

#[tokio::test]
async fn hmac_secret_is_the_same_secret_as_prf() {
    let mut phone = Phone::new();
    let asks = vec![("hmac-secret".to_owned(), Value::Bool(true))];
    let request = MakeCredentialRequest { extensions: asks, ..make("ann") };
    let reply = hid(&mut phone, &request.encode(), &[approve(0)]);
    let (_, data) = made(&reply);
    assert_eq!(data.extensions, Some(Value::text_map([("hmac-secret", Value::Bool(true))])));
    let id = CredentialId::from_bytes(&data.attested.unwrap().id).unwrap();
    let seeds = phone.passkey(&id).prf_seeds;
    assert_ne!(seeds.verified, seeds.unverified);
    for (protocol, salts) in [(PinProtocol::One, 1), (PinProtocol::Two, 1), (PinProtocol::Two, 2)] {
        let (shared, key_agreement) = shared(&mut phone, protocol);
        let salt_enc = shared.encrypt([5; 16], &[9; 64][..32 * salts]);
        let salt_auth = shared.authenticate(&salt_enc);
        let input = |salt_auth| {
            let (salt_enc, protocol) = (salt_enc.clone(), Some(protocol as u64));
            let input = HmacSecretInput { key_agreement, salt_enc, salt_auth, protocol };
            let extensions = vec![("hmac-secret".to_owned(), input.to_value())];
            GetAssertionRequest { extensions, ..get() }.encode()
        };
        let reply = hid(&mut phone, &input(salt_auth), &[approve(0)]);
        let response = GetAssertionResponse::decode(&reply.bytes[1..]).unwrap();
        let data = AuthenticatorData::decode(&response.auth_data).unwrap();
        let output = data.extensions.unwrap();
        let output = output.get_text("hmac-secret").unwrap().as_bytes().unwrap();
        let opened = shared.decrypt(output).unwrap();
        let expected = crate::authenticator::mac::hmac_sha256(&seeds.verified, &[&[9; 32]]);
        assert_eq!(opened.len(), 32 * salts);
        assert!(opened.chunks(32).all(|secret| secret == expected));
        let forged = hid(&mut phone, &input(vec![0; 32]), &[]);
        assert_eq!(forged.status(), Status::PIN_AUTH_INVALID);
    }
    let eval = Value::text_map([("first", Value::from([9; 32]))]);
    let prf = vec![("prf".to_owned(), Value::text_map([("eval", eval)]))];
    let request = GetAssertionRequest { extensions: prf, ..get() };
    let reply = phone.send(&request.encode(), &[approve(0)]).await;
    let outputs = signed(&phone, &reply).1.unsigned_extension_outputs.unwrap();
    let results = outputs.get_text("prf").unwrap().get_text("results").unwrap();
    let expected = crate::authenticator::mac::hmac_sha256(&seeds.verified, &[&[9; 32]]);
    assert_eq!(results.get_text("first").unwrap().as_bytes(), Some(&expected[..]));
}

#[tokio::test]
async fn reset_says_what_is_lost_and_needs_a_yes() {
    let mut phone = Phone::new();
    phone.registered(&make("ann")).await;
    let declined = hid(&mut phone, &[0x07], &[Decision::Declined]);
    assert_eq!(
        (declined.status(), phone.store.list().unwrap().len()),
        (Status::OPERATION_DENIED, 1)
    );
    assert_eq!(phone.asked(), [ConsentRequest::Reset { passkeys: 1 }]);
    assert_eq!(hid(&mut phone, &[0x07], &[approve(0)]).bytes, [0]);
    assert_eq!(phone.store.list().unwrap(), []);
    assert_eq!(hid(&mut phone, &[0x07, 0xa0], &[]).status(), Status::INVALID_LENGTH);
}

#[tokio::test]
async fn an_empty_proof_is_a_touch() {
    let mut phone = Phone::new();
    let (param, protocol) = (Some(Vec::new()), Some(1));
    let request = MakeCredentialRequest {
        pin_uv_auth_param: param,
        pin_uv_auth_protocol: protocol,
        ..make("ann")
    };
    let reply = hid(&mut phone, &request.encode(), &[approve(0)]);
    assert_eq!(reply.status(), Status::PIN_INVALID);
    assert_eq!(phone.asked(), [ConsentRequest::Presence]);
    assert_eq!(phone.store.list().unwrap(), []);
}

#[tokio::test]
async fn a_site_keeps_a_blob_and_a_key_with_a_passkey() {
    let mut phone = Phone::new();
    let asks = |blob: Vec<u8>| {
        let blob = ("credBlob".to_owned(), Value::from(blob));
        vec![blob, ("largeBlobKey".to_owned(), Value::Bool(true))]
    };
    let request = MakeCredentialRequest { extensions: asks(vec![6; 33]), ..make("bob") };
    let (_, data) = made(&hid(&mut phone, &request.encode(), &[approve(0)]));
    assert_eq!(data.extensions, Some(Value::text_map([("credBlob", Value::Bool(false))])));
    let hidden = Options { rk: Some(false), ..Options::default() };
    let request = MakeCredentialRequest { options: hidden, ..request };
    assert_eq!(hid(&mut phone, &request.encode(), &[]).status(), Status::INVALID_OPTION);

    let request = MakeCredentialRequest { extensions: asks(vec![7; 32]), ..make("ann") };
    let (response, data) = made(&hid(&mut phone, &request.encode(), &[approve(0)]));
    assert_eq!(data.extensions, Some(Value::text_map([("credBlob", Value::Bool(true))])));
    let id = CredentialId::from_bytes(&data.attested.unwrap().id).unwrap();
    let asks = vec![("credBlob", Value::Bool(true)), ("largeBlobKey", Value::Bool(true))];
    let extensions = asks.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let request = GetAssertionRequest { extensions, ..allowing(&[&id]) };
    let reply = hid(&mut phone, &request.encode(), &[approve(0)]);
    let signed = GetAssertionResponse::decode(&reply.bytes[1..]).unwrap();
    assert!(signed.large_blob_key.is_some());
    assert_eq!(signed.large_blob_key, response.large_blob_key);
    let data = AuthenticatorData::decode(&signed.auth_data).unwrap();
    assert_eq!(data.extensions, Some(Value::text_map([("credBlob", Value::from([7; 32]))])));
}

#[tokio::test]
async fn a_phone_keeps_a_large_blob() {
    let mut phone = Phone::new();
    let with = |input: Value| vec![("largeBlob".to_owned(), input)];
    let support = Value::text_map([("support", Value::from("required"))]);
    let request = MakeCredentialRequest { extensions: with(support), ..make("ann") };
    let reply = phone.send(&request.encode(), &[approve(0)]).await;
    let (response, data) = made(&reply);
    let outputs = response.unsigned_extension_outputs.unwrap();
    let supported = outputs.get_text("largeBlob").unwrap().get_text("supported").cloned();
    assert_eq!(supported, Some(Value::Bool(true)));
    let id = CredentialId::from_bytes(&data.attested.unwrap().id).unwrap();
    let packed = miniz_oxide::deflate::compress_to_vec(&[8; 5000], 6);
    let write = |size: u64| {
        let size = ("originalSize", Value::Uint(size));
        let input = Value::text_map([("write", Value::from(packed.clone())), size]);
        GetAssertionRequest { extensions: with(input), ..allowing(&[&id]) }.encode()
    };
    for (size, status) in [(4999, 0x02), (5001, 0x02), (1 << 20, 0x18)] {
        assert_eq!(phone.status(&write(size), &[]).await, Status(status));
    }
    assert_eq!(phone.status(&write(5000), &[Decision::Declined]).await, Status(0x27));
    assert_eq!(phone.passkey(&id).large_blob, None);
    let reply = phone.send(&write(5000), &[approve(0)]).await;
    let outputs = signed(&phone, &reply).1.unsigned_extension_outputs.unwrap();
    let expected = Value::text_map([("written", Value::Bool(true))]);
    assert_eq!(outputs.get_text("largeBlob"), Some(&expected));
    assert_eq!(phone.passkey(&id).large_blob.unwrap()[..], [8; 5000]);
    let read = with(Value::text_map([("read", Value::Bool(true))]));
    let request = GetAssertionRequest { extensions: read, ..allowing(&[&id]) };
    let reply = phone.send(&request.encode(), &[approve(0)]).await;
    let outputs = signed(&phone, &reply).1.unsigned_extension_outputs.unwrap();
    assert_eq!(outputs.get_text("largeBlob").unwrap().get_text("blob"), Some(&Value::from(packed)));
}

#[test]
fn another_vendors_make_is_refused() {
    let authenticator = 0xde1e552d_db1d_4423_a619_566b625cdc84_u128.to_be_bytes();
    assert_eq!(Config::default().with_aaguid(authenticator).unwrap_err(), ForeignAaguid);
    assert_eq!(Config::default().with_aaguid([1; 16]).unwrap().aaguid, [1; 16]);
    assert!(Config::default().with_aaguid(AAGUID).is_ok());
}

#[tokio::test]
async fn a_look_without_the_user_says_so_and_shows_nothing_protected() {
    let mut phone = Phone::new();
    let mut ids = Vec::new();
    for level in 1..=3 {
        let extensions = vec![("credProtect".to_owned(), Value::Uint(level))];
        let user = ["ann", "bob", "eve"][usize::try_from(level).unwrap() - 1];
        ids.push(phone.registered(&MakeCredentialRequest { extensions, ..make(user) }).await);
    }
    let options = Options { up: Some(false), ..Options::default() };
    let look = |request: GetAssertionRequest| GetAssertionRequest { options, ..request };
    let seen = |phone: &mut Phone, request: &GetAssertionRequest| {
        let reply = hid(phone, &request.encode(), &[]);
        reply.status().is_ok().then(|| GetAssertionResponse::decode(&reply.bytes[1..]).unwrap())
    };
    let all = seen(&mut phone, &look(get())).unwrap();
    assert_eq!(all.credential.unwrap().id, ids[0].as_bytes());
    let data = AuthenticatorData::decode(&all.auth_data).unwrap();
    assert_eq!((data.flags, data.extensions), (Flags::BACKUP_ELIGIBLE, None));
    assert!(seen(&mut phone, &look(allowing(&[&ids[1]]))).is_some());
    let hidden = look(allowing(&[&ids[2]]));
    assert!(seen(&mut phone, &hidden).is_none());
    let token = by_uv(&mut phone, Permissions::GET_ASSERTION, Some(RP), &[]).unwrap();
    let param = Some(PinProtocol::Two.authenticate(&token, &HASH));
    let shown =
        GetAssertionRequest { pin_uv_auth_param: param, pin_uv_auth_protocol: Some(2), ..hidden };
    assert!(seen(&mut phone, &shown).is_some());
    // A question put off shows nothing that could not be named.
    for (id, visible) in [(&ids[0], true), (&ids[1], false), (&ids[2], false)] {
        let any = GetAssertionRequest { allow_list: vec![], ..shown.clone() };
        assert_eq!(seen(&mut phone, &any).is_some(), visible);
        phone.store.delete(id, &mut rand_core::OsRng).unwrap();
    }
    assert_eq!(phone.asked(), []);
    assert_eq!(phone.status(&look(get()).encode(), &[]).await, Status::UNSUPPORTED_OPTION);
}
