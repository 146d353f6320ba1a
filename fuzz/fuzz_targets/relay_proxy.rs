//! What a proxy in front of the relay says of its client: PROXY headers of both versions, and
//! `Forwarded` with `X-Forwarded-For`. A header is read to its end and no further, and nothing that a
//! client puts before a proxy's own words changes whom the relay believes.
#![no_main]

use std::net::IpAddr;

use cabled::relay::{Cidr, fuzz_forwarded, fuzz_proxy_header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    check_header(data);
    check_forwarded(data);
});

fn check_header(data: &[u8]) {
    match fuzz_proxy_header(data) {
        None => assert!(!data.is_empty()),
        Some(Err(missing)) => {
            assert!(missing > 0 && data.len() + missing <= 2048 + 16, "unbounded");
        }
        Some(Ok(client)) => {
            assert!(client.is_none_or(|address| address == address.to_canonical()));
            for length in 0..data.len() {
                match fuzz_proxy_header(&data[..length]) {
                    Some(Err(missing)) => assert!(length + missing <= data.len(), "overread"),
                    _ => panic!("judged before its end"),
                }
            }
        }
    }
    // The text form of an address says the same as the bytes.
    if let Some((bytes, _)) = data.split_first_chunk::<4>() {
        let address = IpAddr::from(*bytes);
        let line = format!("PROXY TCP4 {address} {address} 1 65535\r\n");
        assert_eq!(fuzz_proxy_header(line.as_bytes()), Some(Ok(Some(address))));
    }
}

fn check_forwarded(data: &[u8]) {
    let trusted: [Cidr; 2] =
        ["10.0.0.0/8", "2001:db8::/32"].map(|range| range.parse().expect("a range"));
    let values: Vec<&[u8]> = data.split(|byte| *byte == b'\n').take(8).collect();
    let _ = fuzz_forwarded(&values, &values, &trusted);
    for (standard, usual) in [(&values[..], &[][..]), (&[], &values[..])] {
        let Some(Some(client)) = fuzz_forwarded(standard, usual, &trusted) else { continue };
        assert_eq!(client, client.to_canonical());
        // With the client's own address in a line of the last proxy, all before is the client's claim.
        let address = "192.0.2.7".parse().expect("an address");
        let own: &[u8] = if usual.is_empty() { b"for=192.0.2.7" } else { b"192.0.2.7" };
        let more = [&values[..], &[own]].concat();
        let (standard, usual): (&[_], &[_]) =
            if usual.is_empty() { (&more, &[]) } else { (&[], &more) };
        if let Some(found) = fuzz_forwarded(standard, usual, &trusted) {
            assert_eq!(found, Some(address), "the claim won");
        }
        // One proxy more on the way changes nothing.
        let own: &[u8] = if usual.is_empty() { b"for=10.0.0.1" } else { b"10.0.0.1" };
        let more = [&values[..], &[own]].concat();
        let (standard, usual): (&[_], &[_]) =
            if usual.is_empty() { (&more, &[]) } else { (&[], &more) };
        if let Some(found) = fuzz_forwarded(standard, usual, &trusted) {
            assert_eq!(found, Some(client), "a proxy hides its client");
        }
    }
}
