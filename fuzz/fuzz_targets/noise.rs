//! Both handshake messages, either initiation: hostile bytes and every damage to real ones is
//! refused without a panic.
#![no_main]

use std::sync::LazyLock;

use cabled::hybrid::PrivateKey;
use cabled::hybrid::keys::Psk;
use cabled::hybrid::noise::{AuthenticatorSide, ClientSide, initiate, respond};
use cabled::secret::Secret;
use libfuzzer_sys::fuzz_target;

fn key(n: u8) -> PrivateKey {
    PrivateKey::from_scalar(&Secret::new([n; 32])).expect("a valid scalar")
}

static KEYS: LazyLock<[PrivateKey; 3]> = LazyLock::new(|| [key(1), key(2), key(3)]);

/// The first byte chooses, the second says where the rest is laid over the real message.
fn damage(real: &[u8], at: u8, data: &[u8]) -> Vec<u8> {
    let mut message = real.get(..usize::from(at).min(real.len())).unwrap_or_default().to_vec();
    message.extend_from_slice(data);
    message
}

fuzz_target!(|data: &[u8]| {
    let [choice, at, data @ ..] = data else { return };
    let [fixed, own, peer] = &*KEYS;
    let psk = Psk::new([5; 32]);
    let (client, phone) = if choice & 1 == 0 {
        (ClientSide::Qr(fixed), AuthenticatorSide::Qr(fixed.public()))
    } else {
        (ClientSide::StateAssisted(fixed.public()), AuthenticatorSide::StateAssisted(fixed))
    };
    let (first, waiting) = initiate(client, &psk, own).expect("checked keys");
    if choice & 2 == 0 {
        let message = damage(&first, *at, data);
        let answer = respond(phone, &psk, peer, &message);
        assert_eq!(answer.is_ok(), message == first, "only the real message is taken");
    } else {
        let (second, _) = respond(phone, &psk, peer, &first).expect("the real message");
        let message = damage(&second, *at, data);
        assert_eq!(waiting.finish(&message).is_ok(), message == second);
    }
});
