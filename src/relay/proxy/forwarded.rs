//! `Forwarded` (RFC 7239) and `X-Forwarded-For`: for whom a proxy speaks HTTP.
//!
//! Pure. Each proxy adds what it knows at the end, and what stands before that came from its own
//! client, who may have invented it. So the lists are read from their end, through the proxies that
//! are named, to the first address that is not one of them; what stands before that is not looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Malformed, Proxies};

/// More hops than any honest way has.
const MAX_HOPS: usize = 32;

/// What one proxy says of whom it forwards for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hop {
    Address(IpAddr),
    /// It knows and does not say, or does not know.
    Hidden,
    /// Neither; a fault if anybody who is believed said it.
    Garbage,
}

/// The client's address, if the proxies tell one. Both headers at once have to agree: of two that do
/// not, one was not written by the proxy.
pub(in crate::relay) fn client<'a>(
    standard: impl Iterator<Item = &'a [u8]>,
    usual: impl Iterator<Item = &'a [u8]>,
    proxies: &Proxies,
) -> Result<Option<IpAddr>, Malformed> {
    let mut hops = Vec::new();
    for value in standard {
        elements(value, &mut hops)?;
    }
    let mut usual_hops = Vec::new();
    for value in usual {
        list(value, &mut usual_hops)?;
    }
    match (hops.is_empty(), usual_hops.is_empty()) {
        (_, true) => walk(&hops, proxies),
        (true, false) => walk(&usual_hops, proxies),
        (false, false) => {
            let client = walk(&hops, proxies)?;
            let same = client == walk(&usual_hops, proxies)?;
            same.then_some(client).ok_or(Malformed)
        }
    }
}

fn walk(hops: &[Hop], proxies: &Proxies) -> Result<Option<IpAddr>, Malformed> {
    let mut known = None;
    for hop in hops.iter().rev() {
        match *hop {
            Hop::Address(address) => known = Some(address),
            Hop::Hidden => return Ok(known),
            Hop::Garbage => return Err(Malformed),
        }
        if known.is_some_and(|address| !proxies.trusts(address)) {
            return Ok(known);
        }
    }
    Ok(known)
}

fn push(hops: &mut Vec<Hop>, hop: Hop) -> Result<(), Malformed> {
    hops.push(hop);
    (hops.len() <= MAX_HOPS).then_some(()).ok_or(Malformed)
}

/// Addresses between commas.
fn list(value: &[u8], hops: &mut Vec<Hop>) -> Result<(), Malformed> {
    let items = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    items.filter(|item| !item.is_empty()).try_for_each(|item| push(hops, node(item)))
}

/// `for=192.0.2.7;proto=https, for="[2001:db8::9]:4711"`. A field ends with its line: a quote that
/// a client left open does not swallow what the proxy wrote into the next.
fn elements(value: &[u8], hops: &mut Vec<Hop>) -> Result<(), Malformed> {
    let mut rest = value.trim_ascii();
    // Of the element at hand: whether it has a pair, and whom it is for.
    let (mut begun, mut whom) = (false, None);
    loop {
        match rest.split_first() {
            Some((b';', after)) => rest = after.trim_ascii_start(),
            Some((b',', _)) | None => {
                if begun {
                    push(hops, whom.unwrap_or(Hop::Hidden))?;
                }
                let Some((_, after)) = rest.split_first() else { return Ok(()) };
                rest = after.trim_ascii_start();
                (begun, whom) = (false, None);
            }
            Some(_) => {
                let (name, value, after) = pair(rest)?;
                if name.eq_ignore_ascii_case(b"for") && whom.replace(node(&value)).is_some() {
                    return Err(Malformed);
                }
                begun = true;
                rest = after;
            }
        }
    }
}

type Pair<'a> = (&'a [u8], Vec<u8>, &'a [u8]);

/// A name, a value, and what follows, which is nothing, a semicolon or a comma.
fn pair(text: &[u8]) -> Result<Pair<'_>, Malformed> {
    let (name, rest) = token(text)?;
    let rest = rest.strip_prefix(b"=").ok_or(Malformed)?;
    let (value, rest) = match rest.strip_prefix(b"\"") {
        Some(quoted) => unquote(quoted)?,
        None => token(rest).map(|(value, rest)| (value.to_vec(), rest))?,
    };
    let rest = rest.trim_ascii_start();
    let ended = matches!(rest.first(), None | Some(b';' | b','));
    ended.then_some((name, value, rest)).ok_or(Malformed)
}

fn token(text: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let length = text.iter().take_while(|byte| legal(byte)).count();
    text.split_at_checked(length).filter(|(token, _)| !token.is_empty()).ok_or(Malformed)
}

/// What stands before the closing quote, and what after it.
fn unquote(text: &[u8]) -> Result<(Vec<u8>, &[u8]), Malformed> {
    let mut value = Vec::new();
    let mut rest = text;
    loop {
        match rest {
            [b'"', after @ ..] => return Ok((value, after)),
            [b'\\', byte, after @ ..] | [byte, after @ ..] => {
                value.push(*byte);
                rest = after;
            }
            [] => return Err(Malformed),
        }
    }
}

/// An address, perhaps with a port, an IPv6 one in brackets then; `unknown`; or a made-up name.
fn node(text: &[u8]) -> Hop {
    let Ok(text) = std::str::from_utf8(text) else { return Hop::Garbage };
    if text.eq_ignore_ascii_case("unknown") || text.starts_with('_') {
        return Hop::Hidden;
    }
    let address = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']').and_then(|(address, port)| {
            let fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            let address = address.parse::<Ipv6Addr>().ok()?;
            fits.then_some(IpAddr::V6(address))
        }),
        None => text.parse().ok().or_else(|| {
            let (address, port) = text.split_once(':')?;
            let address = address.parse::<Ipv4Addr>().ok()?;
            is_port(port).then_some(IpAddr::V4(address))
        }),
    };
    address.map_or(Hop::Garbage, |address| Hop::Address(address.to_canonical()))
}

/// A number or a made-up name.
fn is_port(text: &str) -> bool {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.starts_with('_') || (digits && (1..=5).contains(&text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies() -> Proxies {
        let networks = ["10.0.0.0/8", "2001:db8:ff::/48"].map(|range| range.parse().unwrap());
        Proxies { networks: networks.to_vec(), header: false }
    }

    fn client_of(standard: &[&str], usual: &[&str]) -> Result<Option<String>, Malformed> {
        let bytes = |values: &[&str]| -> Vec<Vec<u8>> {
            values.iter().map(|value| value.as_bytes().to_vec()).collect()
        };
        let (standard, usual) = (bytes(standard), bytes(usual));
        let (standard, usual) =
            (standard.iter().map(Vec::as_slice), usual.iter().map(Vec::as_slice));
        client(standard, usual, &proxies()).map(|client| client.map(|client| client.to_string()))
    }

    fn usual(values: &[&str]) -> Result<Option<String>, Malformed> {
        client_of(&[], values)
    }

    fn standard(values: &[&str]) -> Result<Option<String>, Malformed> {
        client_of(values, &[])
    }

    fn found(address: &str) -> Result<Option<String>, Malformed> {
        Ok(Some(address.to_owned()))
    }

    #[test]
    fn the_last_that_is_no_named_proxy_is_the_client() {
        assert_eq!(usual(&[]), Ok(None));
        assert_eq!(usual(&["192.0.2.7"]), found("192.0.2.7"));
        assert_eq!(usual(&["198.51.100.1, 192.0.2.7"]), found("192.0.2.7"));
        assert_eq!(usual(&["198.51.100.1", "192.0.2.7 ,10.1.1.1"]), found("192.0.2.7"));
        assert_eq!(usual(&["10.2.2.2,10.1.1.1"]), found("10.2.2.2"));
        assert_eq!(usual(&["192.0.2.7:4711"]), found("192.0.2.7"));
        assert_eq!(usual(&["2001:db8::9"]), found("2001:db8::9"));
        assert_eq!(usual(&["[2001:db8::9]:4711, 2001:db8:ff::1"]), found("2001:db8::9"));
        assert_eq!(usual(&["::ffff:192.0.2.7"]), found("192.0.2.7"));
        assert_eq!(usual(&["", ", ,"]), Ok(None));
    }

    #[test]
    fn the_standard_header_is_read_in_full() {
        assert_eq!(standard(&["for=192.0.2.7"]), found("192.0.2.7"));
        assert_eq!(standard(&["For=\"[2001:db8::9]:4711\";proto=https"]), found("2001:db8::9"));
        let chain = "for=198.51.100.1;by=_x, proto=https;for=192.0.2.7 ;host=\"a,b;c=\\\"d\"";
        assert_eq!(standard(&[chain]), found("192.0.2.7"));
        assert_eq!(
            standard(&["for=198.51.100.1", "for=192.0.2.7,for=10.0.0.1"]),
            found("192.0.2.7")
        );
        assert_eq!(standard(&["for=\"192.0.2.7:_port\";;"]), found("192.0.2.7"));
        // One that does not say for whom hides what is behind it.
        assert_eq!(standard(&["for=192.0.2.7, for=unknown"]), Ok(None));
        assert_eq!(standard(&["for=192.0.2.7, proto=https"]), Ok(None));
        assert_eq!(standard(&["for=192.0.2.7, for=_secret, for=10.0.0.1"]), found("10.0.0.1"));
    }

    #[test]
    fn what_a_client_invents_is_not_looked_at() {
        assert_eq!(usual(&["<script>, 192.0.2.7"]), found("192.0.2.7"));
        assert_eq!(standard(&["for=\"<script>\", for=192.0.2.7"]), found("192.0.2.7"));
        assert_eq!(usual(&["192.0.2.7, <script>"]), Err(Malformed));
        // A quote that is left open cannot hide the proxy's own part.
        assert_eq!(standard(&["for=\"198.51.100.1", "for=192.0.2.7"]), Err(Malformed));
        assert_eq!(standard(&["for=\"198.51.100.1, for=192.0.2.7"]), Err(Malformed));
        let swallowed = "for=198.51.100.1;x=\", for=192.0.2.7;by=\"[2001:db8::1]\"";
        assert_eq!(standard(&[swallowed]), Err(Malformed));
    }

    #[test]
    fn two_headers_have_to_agree() {
        assert_eq!(client_of(&["for=192.0.2.7"], &["192.0.2.7"]), found("192.0.2.7"));
        assert_eq!(client_of(&["for=192.0.2.7"], &["192.0.2.8"]), Err(Malformed));
        assert_eq!(client_of(&["for=unknown"], &["192.0.2.8"]), Err(Malformed));
    }

    #[test]
    fn other_texts_are_refused() {
        for value in [
            "192.0.2.7",
            "for",
            "for=",
            "=192.0.2.7",
            "for=192.0.2.7 x",
            "for=192.0.2.7 for=::1",
            "for=[2001:db8::9]",
            "for=192.0.2.7;for=192.0.2.8",
            "for=\"192.0.2.7",
            "for=\"a\\",
            "for =192.0.2.7",
            "for=192.0.2.7\u{fc}",
        ] {
            assert_eq!(standard(&[value]), Err(Malformed), "{value}");
        }
        for value in [
            "192.0.2.256",
            "192.0.2.7:",
            "192.0.2.7:123456",
            "192.0.2.7:x",
            "[192.0.2.7]",
            "[::1]x",
            "[::1",
            "fe80::1%eth0",
            "example.com",
        ] {
            assert_eq!(usual(&[value]), Err(Malformed), "{value}");
        }
        let many = vec!["10.0.0.1"; MAX_HOPS + 1].join(",");
        assert_eq!(usual(&[&many]), Err(Malformed));
        assert_eq!(usual(&[&many[9..]]), found("10.0.0.1"));
    }
}
