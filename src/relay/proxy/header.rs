//! The PROXY protocol, versions 1 and 2: a line, or a block, before the first byte of the client.
//!
//! Pure but for [`receive`], which reads no byte beyond the header: what follows may be TLS.
//! Written after HAProxy's `proxy-protocol.txt`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt};

use super::Malformed;

/// The beginning of version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The beginning of version 1.
const WORD: &[u8; 6] = b"PROXY ";
/// The longest line of version 1, with its end.
const MAX_LINE_LEN: usize = 107;
/// The longest block of version 2. Addresses take up to 216 bytes; the rest is for what is skipped.
const MAX_BLOCK_LEN: usize = 2048;
const BLOCK_HEAD_LEN: usize = 16;

/// How far a header is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::relay) enum Parsed {
    /// So many bytes are missing at least, never 0.
    Partial(usize),
    /// The whole header: for whom the proxy connects, or for itself.
    Done(Option<IpAddr>),
}

/// Reads a header from a connection. Waits as long as the peer likes: the caller sets the deadline.
pub(in crate::relay) async fn receive(
    socket: &mut (impl AsyncRead + Unpin),
) -> Result<Option<IpAddr>, Malformed> {
    let mut header = Vec::new();
    loop {
        match parse(&header)? {
            Parsed::Done(address) => return Ok(address),
            Parsed::Partial(missing) => {
                let mut socket = (&mut *socket).take(missing as u64);
                match socket.read_buf(&mut header).await {
                    Ok(0) | Err(_) => return Err(Malformed),
                    Ok(_) => {}
                }
            }
        }
    }
}

/// Judges the bytes so far, which are not more than the header.
pub(in crate::relay) fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let begins = |whole: &[u8]| bytes.iter().zip(whole).all(|(byte, known)| byte == known);
    if !begins(SIGNATURE) && !begins(WORD) {
        return Err(Malformed);
    }
    match SIGNATURE.len().checked_sub(bytes.len()) {
        // A line is longer than the signature in any case.
        Some(missing @ 1..) => Ok(Parsed::Partial(missing)),
        _ if begins(WORD) => line(bytes),
        _ => block(bytes),
    }
}

fn line(bytes: &[u8]) -> Result<Parsed, Malformed> {
    match bytes.iter().position(|byte| *byte == b'\n') {
        None if bytes.len() < MAX_LINE_LEN => Ok(Parsed::Partial(1)),
        Some(at) if at + 1 == bytes.len() && at < MAX_LINE_LEN => {
            let line = bytes.strip_suffix(b"\r\n").ok_or(Malformed)?;
            let line = std::str::from_utf8(line).map_err(|_| Malformed)?;
            words(line).map(Parsed::Done)
        }
        _ => Err(Malformed),
    }
}

fn words(line: &str) -> Result<Option<IpAddr>, Malformed> {
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        // What follows is to be skipped.
        [_, "UNKNOWN", ..] => Ok(None),
        [_, "TCP4", source, destination, ports @ ..] => {
            let pair = (source.parse::<Ipv4Addr>(), destination.parse::<Ipv4Addr>());
            let (Ok(source), Ok(_)) = pair else { return Err(Malformed) };
            check_ports(ports).map(|()| Some(source.into()))
        }
        [_, "TCP6", source, destination, ports @ ..] => {
            let pair = (source.parse::<Ipv6Addr>(), destination.parse::<Ipv6Addr>());
            let (Ok(source), Ok(_)) = pair else { return Err(Malformed) };
            check_ports(ports).map(|()| Some(IpAddr::V6(source).to_canonical()))
        }
        _ => Err(Malformed),
    }
}

fn check_ports(ports: &[&str]) -> Result<(), Malformed> {
    let is_port =
        |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok();
    (ports.len() == 2 && ports.iter().all(is_port)).then_some(()).ok_or(Malformed)
}

fn block(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let Some((head, rest)) = bytes.split_first_chunk::<BLOCK_HEAD_LEN>() else {
        return Ok(Parsed::Partial(BLOCK_HEAD_LEN - bytes.len()));
    };
    let [.., version_and_command, family, high, low] = *head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_BLOCK_LEN || rest.len() > length {
        return Err(Malformed);
    }
    let local = match version_and_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Malformed),
    };
    match length - rest.len() {
        0 if local => Ok(Parsed::Done(None)),
        0 => source(family, rest).map(Parsed::Done),
        missing => Ok(Parsed::Partial(missing)),
    }
}

/// Source, destination, two ports, and then what is skipped.
fn source(family: u8, block: &[u8]) -> Result<Option<IpAddr>, Malformed> {
    match family {
        0x11 => {
            let (addresses, _) = block.split_first_chunk::<12>().ok_or(Malformed)?;
            let (source, _) = addresses.split_first_chunk::<4>().ok_or(Malformed)?;
            Ok(Some(Ipv4Addr::from(*source).into()))
        }
        0x21 => {
            let (addresses, _) = block.split_first_chunk::<36>().ok_or(Malformed)?;
            let (source, _) = addresses.split_first_chunk::<16>().ok_or(Malformed)?;
            Ok(Some(IpAddr::from(*source).to_canonical()))
        }
        // Unspecified, and a Unix socket of the proxy's machine.
        0x00 | 0x31 => Ok(None),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn block_of(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [SIGNATURE.as_slice(), &[command, family], &length, body].concat()
    }

    fn v6(last: u8) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        bytes[15] = last;
        bytes
    }

    fn good() -> Vec<(Vec<u8>, Option<IpAddr>)> {
        let four = [192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 1, 0xbb];
        let six = [&v6(9)[..], &v6(1), &[0x30, 0x39, 1, 0xbb]].concat();
        let extra = [&four[..], &[0x04, 0, 3, 1, 2, 3]].concat();
        vec![
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\n".into(), address("192.0.2.7")),
            (b"PROXY TCP6 2001:db8::9 2001:db8::1 0 65535\r\n".into(), address("2001:db8::9")),
            (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n".into(), address("192.0.2.7")),
            (b"PROXY UNKNOWN\r\n".into(), None),
            (b"PROXY UNKNOWN ffff:: :: what ever\r\n".into(), None),
            (block_of(0x21, 0x11, &four), address("192.0.2.7")),
            (block_of(0x21, 0x11, &extra), address("192.0.2.7")),
            (block_of(0x21, 0x21, &six), address("2001:db8::9")),
            (block_of(0x21, 0x00, b""), None),
            (block_of(0x21, 0x31, &[0; 216]), None),
            (block_of(0x20, 0x00, b""), None),
            (block_of(0x20, 0x11, &four), None),
        ]
    }

    #[test]
    fn both_versions_name_the_client() {
        for (header, expected) in good() {
            assert_eq!(parse(&header), Ok(Parsed::Done(expected)), "{header:?}");
            for length in 0..header.len() {
                let parsed = parse(&header[..length]);
                let Ok(Parsed::Partial(missing)) = parsed else { panic!("{parsed:?}") };
                assert!(missing > 0 && length + missing <= header.len(), "{header:?} {length}");
            }
        }
    }

    #[tokio::test]
    async fn nothing_beyond_the_header_is_read() {
        for (header, expected) in good() {
            let bytes = [&header[..], b"\x16\x03\x01"].concat();
            let mut left = bytes.as_slice();
            assert_eq!(receive(&mut left).await, Ok(expected));
            assert_eq!(left, b"\x16\x03\x01");
            assert_eq!(receive(&mut &header[..header.len() - 1]).await, Err(Malformed));
        }
    }

    #[tokio::test]
    async fn other_bytes_are_refused() {
        let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200], b"\r\n"].concat();
        let four = [192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 1, 0xbb];
        for header in [
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\n".to_vec(),
            b"PROXY TCP4  192.0.2.7 198.51.100.1 12345 443\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::9 2001:db8::1 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 12345\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 65536\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 +1 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 1 443 5\r\n".to_vec(),
            b"PROXY UDP4 192.0.2.7 198.51.100.1 1 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 1 443\xff\r\n".to_vec(),
            long,
            block_of(0x11, 0x11, &four),
            block_of(0x22, 0x11, &four),
            block_of(0x21, 0x12, &four),
            block_of(0x21, 0x11, &four[..11]),
            block_of(0x21, 0x21, &four),
            block_of(0x20, 0x00, &[0; MAX_BLOCK_LEN + 1]),
        ] {
            assert_eq!(receive(&mut header.as_slice()).await, Err(Malformed), "{header:?}");
        }
    }
}
