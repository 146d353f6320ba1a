//! What goes around a proxy: the list that `NO_PROXY` holds.
//!
//! Depends on nothing. There is no standard; this takes what common programs agree on.

use std::convert::Infallible;
use std::net::IpAddr;
use std::str::FromStr;

/// A list of hosts that are reached without a proxy.
///
/// Items stand between commas or blanks: `*` for everything; a domain, which covers what is below
/// it too, with or without a dot or `*.` before it; an IP address; a network such as `10.0.0.0/8`.
/// A domain or an address may be followed by `:PORT`. Case does not matter, and what is none of
/// these covers nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Around(Vec<Item>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    All,
    /// Without dots at its ends, in lower case; any port if `None`.
    Domain(String, Option<u16>),
    Address(IpAddr, Option<u16>),
    /// An address and how many of its first bits count.
    Network(IpAddr, u8),
}

impl FromStr for Around {
    type Err = Infallible;

    fn from_str(list: &str) -> Result<Self, Infallible> {
        let items = list.split(|c: char| c == ',' || c.is_ascii_whitespace());
        Ok(Self(items.filter_map(Item::read).collect()))
    }
}

impl Around {
    /// Whether the host, an IPv6 address without brackets, is reached without the proxy.
    #[must_use]
    pub fn covers(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address: Option<IpAddr> = host.parse().ok().map(canonical);
        self.0.iter().any(|item| match item {
            Item::All => true,
            Item::Domain(domain, only) => {
                only.is_none_or(|only| only == port) && address.is_none() && below(&host, domain)
            }
            Item::Address(own, only) => {
                only.is_none_or(|only| only == port) && address == Some(*own)
            }
            Item::Network(net, bits) => address.is_some_and(|host| inside(host, *net, *bits)),
        })
    }
}

impl Item {
    fn read(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        if let Some((network, bits)) = text.split_once('/') {
            let network: IpAddr = unbracketed(network).parse().ok()?;
            let most = if network.is_ipv4() { 32 } else { 128 };
            return Some(Self::Network(network, bits.parse().ok().filter(|bits| *bits <= most)?));
        }
        if let Ok(address) = unbracketed(text).parse() {
            return Some(Self::Address(canonical(address), None));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text, None),
        };
        if let Ok(address) = unbracketed(host).parse() {
            return Some(Self::Address(canonical(address), port));
        }
        let domain = host.strip_prefix('*').unwrap_or(host).trim_matches('.').to_ascii_lowercase();
        (!domain.is_empty()).then_some(Self::Domain(domain, port))
    }
}

fn unbracketed(text: &str) -> &str {
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text)
}

fn below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// An IPv4 address stays one when it is written as IPv6.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn inside(host: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (host, network) {
        (IpAddr::V4(host), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            (host.to_bits() ^ network.to_bits()) & mask == 0
        }
        (IpAddr::V6(host), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            (host.to_bits() ^ network.to_bits()) & mask == 0
        }
        _ => false,
    }
}

/// Whether a host is this very machine, by its name alone.
pub(super) fn is_this_machine(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    match host.parse() {
        Ok(address) => canonical(address).is_loopback(),
        Err(_) => below(&host.to_ascii_lowercase(), "localhost"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn covers(list: &str, host: &str) -> bool {
        let Ok(around) = list.parse::<Around>();
        around.covers(host, 443)
    }

    #[test]
    fn domains_cover_what_is_below_them() {
        for item in
            ["corp.example", ".corp.example", "*.corp.example", "CORP.example.", "a,corp.example"]
        {
            assert!(covers(item, "corp.example") && covers(item, "a.B.Corp.Example"), "{item}");
            assert!(covers(item, "a.corp.example."), "{item}");
            assert!(!covers(item, "notcorp.example") && !covers(item, "example"), "{item}");
        }
        assert!(covers("*", "a") && covers("b, *", "192.0.2.1") && covers("b\t*", "::1"));
        for empty in ["", " , ,", ".", "*.", ":443", "a:b", "a:99999"] {
            assert!(!covers(empty, "a") && !covers(empty, ""), "{empty:?}");
        }
    }

    #[test]
    fn addresses_and_networks_are_compared_as_numbers() {
        assert!(covers("192.0.2.1", "192.0.2.1") && !covers("192.0.2.1", "192.0.2.11"));
        assert!(!covers("2.1", "192.0.2.1") && !covers("0.2.1", "192.0.2.1"));
        assert!(
            covers("[2001:db8::1]", "2001:DB8:0::1") && covers("::ffff:192.0.2.1", "192.0.2.1")
        );
        assert!(covers("10.0.0.0/8", "10.9.8.7") && !covers("10.0.0.0/8", "11.0.0.1"));
        assert!(covers("0.0.0.0/0", "192.0.2.1") && !covers("0.0.0.0/0", "2001:db8::1"));
        assert!(
            covers("2001:db8::/32", "2001:db8:1::1") && !covers("2001:db8::/32", "2001:db9::1")
        );
        assert!(covers("192.0.2.1/32", "192.0.2.1") && !covers("192.0.2.1/32", "192.0.2.0"));
        for odd in ["10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "a/8", "10.0.0.0/8", "::/129"] {
            assert!(!covers(odd, "a.example"), "{odd}");
        }
        assert!(!covers("10.0.0.0/33", "10.0.0.0") && !covers("::/129", "::1"));
    }

    #[test]
    fn a_port_narrows() {
        let Ok(around) = "corp.example:8443,192.0.2.1:443,[2001:db8::1]:80".parse::<Around>();
        assert!(around.covers("corp.example", 8443) && !around.covers("corp.example", 443));
        assert!(around.covers("192.0.2.1", 443) && !around.covers("192.0.2.1", 80));
        assert!(around.covers("2001:db8::1", 80) && !around.covers("2001:db8::1", 443));
    }

    proptest! {
        #[test]
        fn no_list_panics_and_each_host_is_covered_by_itself(
            list in ".{0,40}",
            host in "[a-z][a-z0-9.-]{0,20}[a-z]",
        ) {
            let Ok(any) = list.parse::<Around>();
            let _whatever = any.covers(&list, 443) || any.covers(&host, 443);
            let (longer, sub, other) =
                (format!("{list},{host}"), format!("sub.{host}"), format!("x{host}"));
            prop_assert!(covers(&longer, &host) && covers(&host, &sub));
            prop_assert!(!covers(&other, &host) && !covers(&host, &other));
        }

        #[test]
        fn networks_cover_their_own(address: u32, other: u32, bits in 0..=32_u8) {
            let same = (u64::from(address) >> (32 - bits)) == (u64::from(other) >> (32 - bits));
            let [address, other] = [address, other].map(std::net::Ipv4Addr::from);
            let list = format!("{address}/{bits}");
            prop_assert!(covers(&list, &address.to_string()));
            prop_assert_eq!(covers(&list, &other.to_string()), same);
        }
    }
}
