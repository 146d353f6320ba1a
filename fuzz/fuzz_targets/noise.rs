//! Handshake: the phone answers an arbitrary first message, the laptop takes an arbitrary answer.
//! Nothing but the right bytes gets through, and whoever is let through agrees on the keys.
#![no_main]

use cabled::hybrid::frame::{Frame, MessageType};
use cabled::hybrid::keys::Psk;
use cabled::hybrid::noise::{AuthenticatorSide, ClientSide, initiate, respond};
use cabled_fuzz::KEYS;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, bool, &[u8])| {
    let (linked, to_laptop, data) = input;
    let psk = Psk::new([3; 32]);
    let (laptop, phone) = (&KEYS.laptop, &KEYS.phone);
    let (client, authenticator) = match linked {
        false => (ClientSide::Qr(laptop), AuthenticatorSide::Qr(laptop.public())),
        true => {
            (ClientSide::StateAssisted(phone.public()), AuthenticatorSide::StateAssisted(phone))
        }
    };
    let (first, state) = initiate(client, &psk, &KEYS.laptop_ephemeral).expect("our keys are good");
    let answer = |message: &[u8]| respond(authenticator, &psk, &KEYS.phone_ephemeral, message);
    if !to_laptop {
        // A mutation of the right message, so that the fuzzer starts beside it.
        let spoiled = mutate(&first, data);
        assert_eq!(answer(&spoiled).is_ok(), spoiled == first);
        let _ = answer(data);
        return;
    }
    let (second, mut phone) = answer(&first).expect("the right message");
    let spoiled = mutate(&second, data);
    let Ok(mut laptop) = state.finish(&spoiled) else {
        assert_ne!(spoiled, second);
        return;
    };
    assert_eq!(spoiled, second);
    assert_eq!(laptop.handshake_hash, phone.handshake_hash);
    let sealed = laptop.sealer.seal(Frame { kind: MessageType::Ctap, payload: b"x" });
    assert_eq!(phone.opener.open(&sealed.expect("short")).as_deref(), Ok(b"\x01x".as_slice()));
});

/// The message with `data` over its beginning (xor) and behind its end; cut by the first byte.
fn mutate(message: &[u8], data: &[u8]) -> Vec<u8> {
    let Some((cut, data)) = data.split_first() else { return message.to_vec() };
    let mut out = message.to_vec();
    out.truncate(message.len().saturating_sub(usize::from(*cut)));
    out.iter_mut().zip(data).for_each(|(byte, x)| *byte ^= x);
    out.extend(data.iter().skip(message.len()));
    out
}
