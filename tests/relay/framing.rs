//! RFC 6455 on raw sockets, as a table: what a side sends, what the other side gets, what it is answered, and how the tunnel
//! ends. Each case runs from the laptop and from the phone. The numbers are those of Autobahn's cases about the same
//! thing, for reference; where Autobahn sends text these send binary messages, because text is not carried.

use super::hostile::upgraded;
use super::*;

const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// A client's frame. The first byte may be any.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x1d, 0x82, 0xe7, 0x05];
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(0x80 | len as u8),
        len @ 126..=0xffff => bytes.extend([&[0xfe], &(len as u16).to_be_bytes()[..]].concat()),
        len => bytes.extend([&[0xff], &(len as u64).to_be_bytes()[..]].concat()),
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

fn closing(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// First bytes and payloads of a server's frames.
fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let (len, rest) = match second {
            126 => (usize::from(u16::from_be_bytes(rest[..2].try_into().unwrap())), &rest[2..]),
            127 => (u64::from_be_bytes(rest[..8].try_into().unwrap()) as usize, &rest[8..]),
            len => (usize::from(*len), rest),
        };
        all.push((*first, rest[..len].to_vec()));
        bytes = &rest[len..];
    }
    all
}

struct Case {
    number: String,
    sent: Vec<u8>,
    /// Written in pieces of this length.
    piece: usize,
    delivered: Vec<Vec<u8>>,
    pongs: Vec<Vec<u8>>,
    /// Close codes for the sender and for the other side.
    codes: (u16, u16),
}

impl Case {
    /// Something after which the tunnel goes on: until a last message, and a goodbye.
    fn carried(number: &str, sent: &[u8], delivered: &[&[u8]]) -> Self {
        let rest = [frame(BINARY, b"and on"), closing(1000, b"")].concat();
        let delivered = delivered.iter().copied().chain([&b"and on"[..]]);
        Self {
            number: number.to_owned(),
            sent: [sent, &rest].concat(),
            piece: usize::MAX,
            delivered: delivered.map(<[u8]>::to_vec).collect(),
            pongs: Vec::new(),
            codes: (1000, 1000),
        }
    }

    /// Something that ends the tunnel; what follows does nothing.
    fn ended(number: &str, sent: &[u8], delivered: &[&[u8]], codes: (u16, u16)) -> Self {
        let mut case = Self::carried(number, sent, delivered);
        case.delivered.pop();
        Self { codes, ..case }
    }

    fn broken(number: &str, sent: &[u8], delivered: &[&[u8]]) -> Self {
        Self::ended(number, sent, delivered, (1002, 1008))
    }

    fn answered(self, pongs: &[&[u8]]) -> Self {
        Self { pongs: pongs.iter().map(|pong| pong.to_vec()).collect(), ..self }
    }

    fn in_pieces_of(self, piece: usize) -> Self {
        Self { piece, ..self }
    }
}

/// Lengths, and text.
fn messages() -> Vec<Case> {
    let mut cases = Vec::new();
    let lengths = [0, 125, 126, 127, 128, 65_535, 65_536, 65_536];
    for (number, len) in (1..).zip(lengths) {
        let payload = vec![0xfe; len];
        let text = frame(0x81, &vec![b'*'; len]);
        cases.push(Case::ended(&format!("1.1.{number}"), &text, &[], (1003, 1008)));
        let piece = if number == 8 { 997 } else { usize::MAX };
        let case = Case::carried(&format!("1.2.{number}"), &frame(BINARY, &payload), &[&payload]);
        cases.push(case.in_pieces_of(piece));
    }
    // Autobahn's 6 is about what text may be. Here none is carried, well formed or not.
    for (number, text, code) in [
        ("6.1.1", &b""[..], 1003),
        ("6.2.1", "\u{3ba}\u{1f79}".as_bytes(), 1003),
        ("6.3.1", b"\xce\xba\xed\xa0\x80", 1007),
        ("6.6.1", b"\xce", 1007),
    ] {
        cases.push(Case::ended(number, &frame(0x81, text), &[], (code, 1008)));
    }
    cases
}

/// Pings and pongs.
fn pings() -> Vec<Case> {
    let long = [0xfe; 125];
    let ten: Vec<Vec<u8>> = (0..10).map(|number| vec![b'0' + number; 10]).collect();
    let ten: Vec<&[u8]> = ten.iter().map(Vec::as_slice).collect();
    let pings: Vec<u8> = ten.iter().flat_map(|payload| frame(PING, payload)).collect();
    let ping = |number: &str, payload: &[u8]| {
        Case::carried(number, &frame(PING, payload), &[]).answered(&[payload])
    };
    let pong_then_ping = [frame(PONG, b"unasked"), frame(PING, b"asked")].concat();
    vec![
        ping("2.1", b""),
        ping("2.2", b"Hello, world!"),
        ping("2.3", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"),
        ping("2.4", &long),
        Case::broken("2.5", &frame(PING, &[0xfe; 126]), &[]),
        ping("2.6", &long).in_pieces_of(1),
        Case::carried("2.7", &frame(PONG, b""), &[]),
        Case::carried("2.8", &frame(PONG, b"unasked"), &[]),
        Case::carried("2.9", &pong_then_ping, &[]).answered(&[b"asked"]),
        Case::carried("2.10", &pings, &[]).answered(&ten),
        Case::carried("2.11", &pings, &[]).answered(&ten).in_pieces_of(1),
    ]
}

/// Reserved bits and opcodes.
fn reserved() -> Vec<Case> {
    let good = frame(BINARY, b"good");
    let with = |bits: u8, first: u8| frame(first | bits << 4, b"bad");
    let after = |bad: Vec<u8>| [good.clone(), bad, frame(PING, b"late")].concat();
    let good: &[&[u8]] = &[b"good"];
    let mut cases = vec![
        Case::broken("3.1", &with(1, BINARY), &[]),
        Case::broken("3.2", &after(with(2, BINARY)), good),
        Case::broken("3.3", &after(with(3, BINARY)), good).in_pieces_of(11),
        Case::broken("3.4", &after(with(4, BINARY)), good).in_pieces_of(1),
        Case::broken("3.5", &with(5, BINARY), &[]),
        Case::broken("3.6", &with(6, PING), &[]),
        Case::broken("3.7", &with(7, CLOSE), &[]),
    ];
    for (number, opcode) in (1..).zip(3..8_u8) {
        let (other, name) = (opcode + 8, |group: u8| format!("4.{group}.{number}"));
        cases.push(Case::broken(&name(1), &after(frame(0x80 | opcode, b"bad")), good));
        cases.push(Case::broken(&name(2), &after(frame(0x80 | other, b"bad")), good));
    }
    cases
}

/// Fragments, and control frames among them.
fn fragments() -> Vec<Case> {
    let (first, middle, last) = (frame(0x02, b"one"), frame(0x00, b"two"), frame(0x80, b"three"));
    let (ping, pong) = (frame(PING, b"ping"), frame(PONG, b"pong"));
    let joined = |frames: &[&Vec<u8>]| frames.iter().flat_map(|f| f.iter().copied()).collect();
    let two: Vec<u8> = joined(&[&first, &last]);
    let pinged: Vec<u8> = joined(&[&first, &ping, &last]);
    let five: Vec<u8> = joined(&[&first, &middle, &ping, &pong, &middle, &middle, &ping, &last]);
    let empty: Vec<u8> = joined(&[&frame(0x02, b""), &frame(0x00, b""), &frame(0x80, b"")]);
    let again: Vec<u8> = joined(&[&first, &frame(BINARY, b"new"), &last]);
    let (whole, longer): (&[&[u8]], &[&[u8]]) = (&[b"onethree"], &[b"onetwotwotwothree"]);
    vec![
        Case::broken("5.1", &joined(&[&frame(0x09, b"ping"), &last]), &[]),
        Case::broken("5.2", &joined(&[&frame(0x0a, b"pong"), &last]), &[]),
        Case::carried("5.3", &two, whole),
        Case::carried("5.4", &two, whole).in_pieces_of(5),
        Case::carried("5.5", &two, whole).in_pieces_of(1),
        Case::carried("5.6", &pinged, whole).answered(&[b"ping"]),
        Case::carried("5.7", &pinged, whole).answered(&[b"ping"]).in_pieces_of(5),
        Case::carried("5.8", &pinged, whole).answered(&[b"ping"]).in_pieces_of(1),
        Case::broken("5.9", &last, &[]),
        Case::broken("5.10", &last, &[]).in_pieces_of(5),
        Case::broken("5.11", &last, &[]).in_pieces_of(1),
        Case::broken("5.12", &joined(&[&middle, &two]), &[]),
        Case::broken("5.13", &joined(&[&middle, &two]), &[]).in_pieces_of(5),
        Case::broken("5.14", &joined(&[&middle, &two]), &[]).in_pieces_of(1),
        Case::broken("5.15", &joined(&[&two, &last]), whole),
        Case::broken("5.16", &joined(&[&middle, &two, &middle, &two]), &[]),
        Case::broken("5.17", &joined(&[&last, &two, &last, &two]), &[]),
        Case::broken("5.18", &again, &[]),
        Case::carried("5.19", &five, longer).answered(&[b"ping", b"ping"]),
        Case::carried("5.20", &five, longer).answered(&[b"ping", b"ping"]).in_pieces_of(1),
        Case::carried("6.1.2", &empty, &[b""]),
    ]
}

/// Goodbyes: what comes with them, and after them.
fn closes() -> Vec<Case> {
    let good = frame(BINARY, b"good");
    let bye = closing(1000, b"");
    let said: &[&[u8]] = &[b"good"];
    let end = |number: &str, sent: &[&[u8]], delivered: &[&[u8]]| {
        Case::ended(number, &sent.concat(), delivered, (1000, 1000))
    };
    let large = vec![7; 256 << 10];
    let close = |payload: &[u8]| frame(CLOSE, payload);
    // Without a code none is returned, which reads as 1005 here.
    let mut cases = vec![
        end("7.1.1", &[&good, &bye], said),
        end("7.1.2", &[&bye, &bye], &[]),
        end("7.1.3", &[&bye, &frame(PING, b"late")], &[]),
        end("7.1.4", &[&bye, &good], &[]),
        end("7.1.5", &[&frame(0x02, b"half"), &bye, &frame(0x80, b"rest")], &[]),
        end("7.1.6", &[&frame(BINARY, &large), &bye, &frame(PING, b"late")], &[&large]),
        Case::ended("7.3.1", &close(b""), &[], (1005, 1000)),
        Case::broken("7.3.2", &close(b"a"), &[]),
        end("7.3.3", &[&bye], &[]),
        end("7.3.4", &[&closing(1000, b"Hello World!")], &[]),
        end("7.3.5", &[&closing(1000, &[b'*'; 123])], &[]),
        Case::broken("7.3.6", &closing(1000, &[b'*'; 124]), &[]),
        Case::ended("7.5.1", &closing(1000, b"\xce\xba\xed\xa0\x80edited"), &[], (1007, 1008)),
    ];
    let good = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
    for (number, code) in (1..).zip(good) {
        let name = format!("7.7.{number}");
        cases.push(Case::ended(&name, &closing(code, b""), &[], (code, 1000)));
    }
    let bad = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999];
    for (number, code) in (1..).zip(bad) {
        let name = format!("7.9.{number}");
        cases.push(Case::ended(&name, &closing(code, b""), &[], (1002, 1000)));
    }
    cases
}

/// Up to the limit, at it, and beyond.
fn limits() -> Vec<Case> {
    const LIMIT: usize = 1 << 20;
    let most: Vec<u8> = (0..LIMIT).map(|place| (place % 251) as u8).collect();
    let mut cases = Vec::new();
    for (number, len) in [("9.2.1", 64 << 10), ("9.2.2", 256 << 10), ("9.2.3", LIMIT)] {
        cases.push(Case::carried(number, &frame(BINARY, &most[..len]), &[&most[..len]]));
    }
    let beyond = frame(BINARY, &vec![7; LIMIT + 1]);
    cases.push(Case::ended("9.2.4", &beyond, &[], (1009, 1008)));
    let split = |bytes: &[u8], len: usize| {
        let mut sent = Vec::new();
        for (number, part) in bytes.chunks(len).enumerate() {
            let fin = if (number + 1) * len >= bytes.len() { 0x80 } else { 0 };
            sent.extend(frame(fin | if number == 0 { 0x02 } else { 0 }, part));
        }
        sent
    };
    for (number, len) in (1..).zip([64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10]) {
        cases.push(Case::carried(&format!("9.4.{number}"), &split(&most, len), &[&most]));
    }
    let beyond = split(&[&most[..], b"x"].concat(), 64 << 10);
    cases.push(Case::ended("9.4.8", &beyond, &[], (1009, 1008)));
    for (number, piece) in (1..).zip([64, 128, 256, 512, 1024, 2048]) {
        let case = Case::carried(&format!("9.6.{number}"), &frame(BINARY, &most), &[&most]);
        cases.push(case.in_pieces_of(piece));
    }
    for (number, len) in (1..).zip([0, 16, 64, 256, 1024, 4096]) {
        let sent = frame(BINARY, &most[..len]).repeat(1000);
        cases.push(Case::carried(&format!("9.8.{number}"), &sent, &[&most[..len]; 1000]));
    }
    cases.push(Case::carried("10.1.1", &split(&most[..65_536], 1300), &[&most[..65_536]]));
    cases
}

async fn connect(service: &Service, path: &str) -> TcpStream {
    let (socket, head) = upgraded(service, path, "").await;
    assert!(head.starts_with("HTTP/1.1 101 "));
    socket.set_nodelay(true).unwrap();
    socket
}

async fn write(mut half: tokio::net::tcp::OwnedWriteHalf, case: &Case) {
    for piece in case.sent.chunks(case.piece) {
        // What comes after the end of a tunnel may be refused.
        if half.write_all(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    // Reads on, until the relay has said everything.
    std::future::pending().await
}

/// Everything until the end of the connection.
async fn all(half: &mut (impl AsyncReadExt + Unpin)) -> Vec<(u8, Vec<u8>)> {
    let mut bytes = Vec::new();
    let _ = half.read_to_end(&mut bytes).await;
    frames(&bytes)
}

/// What was said, and the close code after it; 1005 without one.
fn told(mut frames: Vec<(u8, Vec<u8>)>, first: u8) -> Option<(Vec<Vec<u8>>, u16)> {
    let (last, payload) = frames.pop()?;
    let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
    let alike = last == CLOSE && frames.iter().all(|(kind, _)| *kind == first);
    alike.then(|| (frames.into_iter().map(|(_, payload)| payload).collect(), code))
}

/// What differs from what is due.
async fn differences(
    service: &Service,
    number: u8,
    from_phone: bool,
    case: &Case,
) -> Option<String> {
    let id = format!("{}{number:02X}", "00".repeat(15));
    let path = format!("/cable/new/{id}");
    let phone = connect(service, &path).await;
    let laptop = connect(service, &format!("/cable/connect/{HERE}/{id}")).await;
    let (sender, mut other) = if from_phone { (phone, laptop) } else { (laptop, phone) };
    let (mut read, half) = sender.into_split();
    let reading = async { tokio::join!(all(&mut read), all(&mut other)) };
    let (answers, delivered) = tokio::select! {
        both = reading => both,
        () = write(half, case) => return None,
    };
    let (answers, delivered) = (told(answers, PONG), told(delivered, BINARY));
    let due =
        (Some((case.pongs.clone(), case.codes.0)), Some((case.delivered.clone(), case.codes.1)));
    let short = |told: &Option<(Vec<Vec<u8>>, u16)>| {
        told.as_ref().map(|(all, code)| (all.iter().map(Vec::len).collect::<Vec<_>>(), *code))
    };
    (due != (answers.clone(), delivered.clone())).then(|| {
        let (name, side) = (&case.number, if from_phone { "phone" } else { "laptop" });
        format!("{name} from the {side}: {:?} {:?}", short(&answers), short(&delivered))
    })
}

async fn hold(cases: Vec<Case>) {
    let room = Limits { tunnel_rate_per_address: 1000, ..Limits::default() };
    let service = with(room).await;
    let mut wrong = Vec::new();
    for (number, case) in (0..).zip(&cases) {
        for from_phone in [false, true] {
            let number = number * 2 + u8::from(from_phone);
            let one = differences(&service, number, from_phone, case);
            wrong.extend(timeout(PATIENCE, one).await.unwrap());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn messages_of_every_length_are_carried_and_text_is_not() {
    hold(messages()).await;
}

#[tokio::test]
async fn pings_are_answered_and_not_carried() {
    hold(pings()).await;
}

#[tokio::test]
async fn reserved_bits_and_opcodes_end_a_tunnel() {
    hold(reserved()).await;
}

#[tokio::test]
async fn fragments_arrive_as_one_message_and_control_frames_may_come_between() {
    hold(fragments()).await;
}

#[tokio::test]
async fn goodbyes_are_returned_and_nothing_after_them_counts() {
    hold(closes()).await;
}

#[tokio::test]
async fn messages_reach_the_limit_whole_in_fragments_and_in_pieces() {
    hold(limits()).await;
}
