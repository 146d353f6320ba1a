//! Bad input over both transports: for each command, 10,000 messages spoilt at random from a fixed
//! seed. The answer is a status every time and the store stays as it is.

use rand_core::RngCore;

use super::hid::{by_uv, shared};
use super::*;

const ROUNDS: u32 = 10_000;

/// Declines at once whatever is asked.
struct Declines;

impl Consent for Declines {
    async fn ask(&self, _: ConsentRequest) -> Decision {
        Decision::Declined
    }
}

/// One valid message for each command, as clients send them.
fn messages(phone: &mut Phone) -> Vec<Vec<u8>> {
    let (secret, key) = shared(phone, PinProtocol::Two);
    let pin = ClientPinRequest {
        key_agreement: Some(key),
        pin_hash_enc: Some(secret.encrypt([1; 16], &[7; 16])),
        new_pin_enc: Some(secret.encrypt([1; 16], &[0; 64])),
        pin_uv_auth_param: Some(vec![5; 32]),
        permissions: Some(5),
        rp_id: Some(RP.to_owned()),
        ..ClientPinRequest::new(2, PinCommand::ChangePin)
    };
    let salt_enc = secret.encrypt([5; 16], &[9; 64]);
    let salt_auth = secret.authenticate(&salt_enc);
    let hmac = HmacSecretInput { key_agreement: key, salt_enc, salt_auth, protocol: Some(2) };
    let extensions = vec![("hmac-secret".to_owned(), hmac.to_value())];
    let known = phone.store.list().unwrap().remove(0);
    let params = ManageParams {
        rp_id_hash: Some(Sha256::digest(RP).into()),
        credential: Some(descriptor(&known.id)),
        user: Some(known.user),
    };
    let mut manage = ManageRequest::new(ManageCommand::Delete, params);
    (manage.pin_uv_auth_param, manage.protocol) = (Some(vec![1; 32]), Some(2));
    let blobs = LargeBlobsRequest {
        set: Some(vec![1; 40]),
        length: Some(40),
        pin_uv_auth_param: Some(vec![1; 32]),
        protocol: Some(2),
        ..Default::default()
    };
    let param = (Some(vec![1; 32]), Some(2));
    let mut make = make("ann");
    (make.pin_uv_auth_param, make.pin_uv_auth_protocol) = param.clone();
    let mut get = GetAssertionRequest { extensions, ..allowing(&[&known.id]) };
    (get.pin_uv_auth_param, get.pin_uv_auth_protocol) = param;
    let token = ClientPinRequest { command: 9, ..pin.clone() };
    let mut messages = vec![make.encode(), get.encode(), pin.encode(), token.encode()];
    let mut preview = manage.encode();
    preview[0] = Command::CredentialManagementPreview as u8;
    messages.extend([manage.encode(), preview, blobs.encode(), super::make("bob").encode()]);
    messages.extend([super::get().encode(), vec![0x04], vec![0x07], vec![0x08], vec![0x0b]]);
    messages
}

/// Truncated, extended, with bits and bytes changed, doubled or swapped.
fn spoil(message: &[u8], rng: &mut ChaCha20Rng) -> Vec<u8> {
    let mut out = message.to_vec();
    for _ in 0..=rng.next_u32() % 3 {
        let at = rng.next_u32() as usize % out.len().max(1);
        let byte = rng.next_u32().to_le_bytes()[0];
        match rng.next_u32() % 6 {
            0 => out.truncate(at),
            1 => out.insert(at, byte),
            2 if at < out.len() => drop(out.remove(at)),
            3 if at < out.len() => out[at] ^= 1 << (byte % 8),
            4 => out.extend_from_within(at..),
            _ if at < out.len() => out[at] = byte,
            _ => {}
        }
    }
    out
}

/// A look without the user, whose flags say so.
fn silent(reply: &Reply) -> bool {
    let response = GetAssertionResponse::decode(&reply.bytes[1..]);
    let data = response.map(|response| AuthenticatorData::decode(&response.auth_data).unwrap());
    data.is_ok_and(|data| data.flags == Flags::BACKUP_ELIGIBLE && data.extensions.is_none())
}

#[tokio::test]
async fn spoilt_messages_change_nothing() {
    let mut phone = Phone::new();
    phone.registered(&make("ann")).await;
    // A token is out, so that proofs are looked at; it fits none of the messages.
    by_uv(&mut phone, Permissions::MANAGE, None, &[approve(0)]).unwrap();
    let before = phone.store.list().unwrap();
    let messages = messages(&mut phone);
    let mut rng = ChaCha20Rng::seed_from_u64(20_261_126);
    let mut engine = Engine::new(phone.store.clone(), Declines, Config::default());
    for message in &messages {
        let mut refused = 0;
        for round in 0..ROUNDS {
            let spoilt = spoil(message, &mut rng);
            let transport = [Transport::Hid, Transport::Hybrid][round as usize % 2];
            let reply = engine.handle(&spoilt, transport, NOW, &mut rng).await;
            let status = reply.status();
            assert!(!reply.bytes.is_empty() && (status.is_ok() || reply.bytes.len() == 1));
            let harmless = [0x04, 0x06, 0x0c].contains(spoilt.first().unwrap_or(&0));
            assert!(!status.is_ok() || harmless || silent(&reply), "{spoilt:02x?}");
            refused += u32::from(!status.is_ok());
        }
        assert!(message == &[0x04] || refused > ROUNDS / 2, "{message:02x?}: {refused}");
    }
    assert_eq!(phone.store.list().unwrap(), before);
    assert_eq!(phone.store.large_blobs().unwrap(), None);
    let pin = Pin::new("1234".to_owned()).unwrap();
    phone.store.verify_pin(&pin, Timestamp(NOW.0 + 100_000)).unwrap();
}
