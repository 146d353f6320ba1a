//! The radio of another machine: both ends of it in this process, with all that they print on the tape.

use std::path::Path;

use cabled::ble::Radio;
use cabled::ble::remote::{PairingKey, receive, share};
use cabled::hybrid::PrivateKey;
use cabled::hybrid::noise::paired;
use cabled::secret::Secret;
use tokio::net::UnixListener;
use tokio::sync::mpsc;

use crate::capture::Tape;
use crate::search::Needle;
use crate::secrets::rng;

const KEY: u64 = 900;
const SEEDS: [u64; 2] = [901, 902];

/// Shares this radio; gives it as the other machine has it, and what nobody is to see.
pub(crate) fn shared(tape: &Tape, radio: Radio, folder: &Path) -> (Radio, Vec<Needle>) {
    let key = || PairingKey::random(&mut rng(KEY));
    let code = key().code();
    tape.debug(&key());
    tape.error(&PairingKey::from_code(&code[1..]).unwrap_err());
    let socket = folder.join("radio.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let (admit, listeners) = mpsc::channel(4);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if admit.send(stream).await.is_err() {
                return;
            }
        }
    });
    let [here, there] = SEEDS.map(|seed| PrivateKey::generate(&mut rng(seed)));
    let needles = needles(&key(), &here, &there);
    let (a, b) = tokio::io::duplex(4096);
    tokio::spawn(receive(tokio::io::split(a), listeners, key(), there, || ()));
    let told = tape.clone();
    tokio::spawn(async move {
        let tell = |shared| told.debug(&shared);
        share(tokio::io::split(b), (&radio, true), vec![key()], here, tell).await
    });
    let radio = Radio::open(&format!("shared:{}", socket.display()).parse().unwrap()).unwrap();
    tape.debug(&radio);
    (radio, needles)
}

fn needles(key: &PairingKey, here: &PrivateKey, there: &PrivateKey) -> Vec<Needle> {
    let code = key.code();
    let middle: String = code.split('-').skip(4).take(3).collect::<Vec<_>>().join("-");
    vec![
        Needle::new("pairing's key", key.secret().expose()),
        Needle::text("pairing's code", &code),
        Needle::text("a part of the pairing's code", &middle),
        Needle::new("sharer's ephemeral key", here.scalar().expose()),
        Needle::new("receiver's ephemeral key", there.scalar().expose()),
    ]
}

/// The handshake's own types.
pub(crate) fn types(tape: &Tape) {
    let key = Secret::random(&mut rng(KEY));
    let [here, there] = SEEDS.map(|seed| PrivateKey::generate(&mut rng(seed)));
    let (first, waiting) = paired::initiate(b"test", &key, &here).unwrap();
    let (second, at_there) = paired::respond(b"test", &key, &there, &first).unwrap();
    tape.debug(&at_there);
    tape.debug(&waiting.finish(&second).unwrap());
}
