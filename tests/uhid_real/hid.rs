//! The rules of CTAPHID (section 11.2 of the CTAP specification), held against a key through the kernel's hidraw: as
//! programs that make mistakes would see it. `docs/virtual-key.md` has the table.

use cabled::uhid::conformance::Program as _;
use cabled::uhid::{REPORT_LEN, Report};
use tokio::time::timeout;

use crate::device::Hidraw;
use crate::world::{Key, PATIENCE};

const BROADCAST: u32 = u32::MAX;
const PING: u8 = 0x01;
const MSG: u8 = 0x03;
const LOCK: u8 = 0x04;
const INIT: u8 = 0x06;
const WINK: u8 = 0x08;
const CBOR: u8 = 0x10;
const CANCEL: u8 = 0x11;
const KEEPALIVE: u8 = 0x3b;
const ERROR: u8 = 0x3f;

/// What one message says.
type Said = (u32, u8, Vec<u8>);

struct Wire(Hidraw);

fn first(channel: u32, command: u8, length: usize, data: &[u8]) -> Report {
    let length = u16::try_from(length).unwrap().to_be_bytes();
    packet(&[&channel.to_be_bytes()[..], &[command | 0x80], &length, data].concat())
}

fn packet(bytes: &[u8]) -> Report {
    let mut report = [0; REPORT_LEN];
    report.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    report
}

fn packets(channel: u32, command: u8, message: &[u8]) -> Vec<Report> {
    let (head, rest) = message.split_at(message.len().min(57));
    let next = rest.chunks(59).zip(0u8..);
    let next = next.map(|(data, n)| packet(&[&channel.to_be_bytes()[..], &[n], data].concat()));
    std::iter::once(first(channel, command, message.len(), head)).chain(next).collect()
}

fn error(channel: u32, code: u8) -> Said {
    (channel, ERROR, vec![code])
}

impl Wire {
    async fn sends(&mut self, reports: &[Report]) {
        for report in reports {
            self.0.write(report).await.unwrap();
        }
    }

    async fn report(&mut self) -> Report {
        timeout(PATIENCE, self.0.read()).await.expect("the key is silent").unwrap()
    }

    /// The next message of the key, whatever it is.
    async fn hears(&mut self) -> Said {
        let report = self.report().await;
        let channel = u32::from_be_bytes(report[..4].try_into().unwrap());
        assert!(report[4] & 0x80 != 0, "a message begins: {report:?}");
        let length = usize::from(u16::from_be_bytes([report[5], report[6]]));
        let mut message = report[7..].to_vec();
        for sequence in 0.. {
            if message.len() >= length {
                break;
            }
            let next = self.report().await;
            assert_eq!((&next[..4], next[4]), (&report[..4], sequence));
            message.extend(&next[5..]);
        }
        message.truncate(length);
        (channel, report[4] & 0x7f, message)
    }

    /// The next one that is no keepalive.
    async fn told(&mut self, channel: u32, command: u8, message: &[u8]) -> Said {
        self.sends(&packets(channel, command, message)).await;
        loop {
            let said = self.hears().await;
            if said.1 != KEEPALIVE {
                return said;
            }
        }
    }

    async fn opens(&mut self) -> u32 {
        let nonce = [7, 1, 7, 2, 7, 3, 7, 4];
        let (channel, command, body) = self.told(BROADCAST, INIT, &nonce).await;
        assert_eq!((channel, command, body.len()), (BROADCAST, INIT, 17));
        // Version 2, and that it winks, knows CBOR, and does not know U2F.
        assert_eq!((&body[..8], body[12], body[16]), (&nonce[..], 2, 0x0d));
        u32::from_be_bytes(body[8..12].try_into().unwrap())
    }
}

async fn key() -> (Key, Wire) {
    let key = Key::asking().await;
    let mut hidraw = Hidraw::at(key.node.clone());
    hidraw.open().await.unwrap();
    (key, Wire(hidraw))
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn messages_and_mistakes() {
    let (key, mut wire) = key().await;
    let (one, two) = (wire.opens().await, wire.opens().await);
    assert!(one != two && ![0, BROADCAST].contains(&one));
    // The kernel keeps 32 reports for a key that is slower; the longest message of all is tried on the host.
    for length in [0, 57, 58, 57 + 59, 1500] {
        let long: Vec<u8> = (0..length).map(|n| n as u8).collect();
        assert_eq!(wire.told(one, PING, &long).await, (one, PING, long));
    }
    assert_eq!(wire.told(one, WINK, &[]).await, (one, WINK, vec![]));
    for (channel, command, message, code) in [
        (one, MSG, &[0, 3, 0, 0][..], 0x01),
        (one, LOCK, &[5], 0x01),
        (one, 0x22, &[], 0x01),
        (one, CBOR, &[], 0x03),
        (one, INIT, &[1; 7], 0x03),
        (one, WINK, &[1], 0x03),
        (two + 1000, CBOR, &[4], 0x0b),
        (BROADCAST, PING, &[4], 0x0b),
        (0, CBOR, &[4], 0x0b),
    ] {
        assert_eq!(
            wire.told(channel, command, message).await,
            error(channel, code),
            "{command:#x}"
        );
    }
    wire.sends(&[first(one, PING, 7610, &[1])]).await;
    assert_eq!(wire.hears().await, error(one, 0x03), "too long");
    let long = packets(one, PING, &[9; 200]);
    wire.sends(&[long[1], long[0], long[2]]).await;
    assert_eq!(
        wire.hears().await,
        error(one, 0x04),
        "what continues nothing is ignored, this is not"
    );
    wire.sends(&[long[0], long[0]]).await;
    assert_eq!(wire.hears().await, error(one, 0x04), "begun twice");
    wire.sends(&long[..1]).await;
    assert_eq!(wire.hears().await, error(one, 0x05), "half of it, and no more");
    // Two messages at once.
    wire.sends(&long[..1]).await;
    assert_eq!(wire.told(two, PING, &[2; 99]).await, (two, PING, vec![2; 99]));
    wire.sends(&long[1..]).await;
    assert_eq!(wire.hears().await, (one, PING, vec![9; 200]));
    // INIT begins anew, in the middle of a message, on the same channel.
    wire.sends(&long[..2]).await;
    let (channel, command, body) = wire.told(one, INIT, &[3; 8]).await;
    assert_eq!((channel, command), (one, INIT));
    assert_eq!(body[..12], [&[3; 8][..], &one.to_be_bytes()].concat());
    wire.sends(&long[2..]).await;
    assert_eq!(wire.told(one, PING, &[1]).await, (one, PING, vec![1]), "the rest is ignored");
    drop(wire);
    key.stops();
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn while_the_owner_is_asked() {
    /// `authenticatorSelection`: the owner is asked which key is meant.
    const SELECTION: &[u8] = &[0x0b];
    /// `authenticatorGetInfo`.
    const INFO: &[u8] = &[0x04];
    let (mut key, mut wire) = key().await;
    let (one, two) = (wire.opens().await, wire.opens().await);
    wire.sends(&packets(one, CBOR, SELECTION)).await;
    let question = key.asks();
    // Again and again, that the owner is waited for.
    let mut seen = 0;
    while seen < 5 {
        let said = wire.hears().await;
        assert_eq!((said.0, said.1), (one, KEEPALIVE));
        seen += u32::from(said.2 == [2]);
    }
    assert_eq!(wire.told(one, CBOR, INFO).await, error(one, 0x06), "the same channel");
    let (channel, command, info) = wire.told(two, CBOR, INFO).await;
    assert_eq!((channel, command, info[0]), (two, CBOR, 0), "another one may ask what this is");
    assert_eq!(wire.told(two, CBOR, SELECTION).await, error(two, 0x06), "and not for the owner");
    assert_eq!(wire.told(two, PING, &[5]).await, (two, PING, vec![5]));
    let three = wire.opens().await;
    assert!(![one, two].contains(&three));
    assert_eq!(wire.told(one, CANCEL, &[]).await, (one, CBOR, vec![0x2d]));
    key.tells(&format!("Question {question}: withdrawn"));
    // Late, and without a word.
    wire.sends(&packets(one, CANCEL, &[])).await;
    assert_eq!(wire.told(one, PING, &[6]).await, (one, PING, vec![6]));
    // INIT withdraws, too, and so does closing.
    wire.sends(&packets(one, CBOR, SELECTION)).await;
    let question = key.asks();
    let (channel, command, _) = wire.told(one, INIT, &[3; 8]).await;
    assert_eq!((channel, command), (one, INIT));
    key.tells(&format!("Question {question}: withdrawn"));
    wire.sends(&packets(two, CBOR, SELECTION)).await;
    let question = key.asks();
    drop(wire);
    key.tells(&format!("Question {question}: withdrawn"));
    key.stops();
}
