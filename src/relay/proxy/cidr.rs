//! Ranges of addresses in CIDR notation.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of addresses, `192.0.2.0/24` or `2001:db8::/32`; an address alone is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    first: IpAddr,
    prefix: u8,
}

/// Why a text is no range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CidrError {
    /// No address before the slash.
    #[error("not an IP address or a range like 192.0.2.0/24")]
    Address,
    /// No prefix length after the slash, or too long a one.
    #[error("the prefix length is not a number from 0 to 32, or 128 with IPv6")]
    Prefix,
    /// Bits beyond the prefix are set: one of the two is a mistake.
    #[error("the address has bits set beyond its prefix")]
    HostBits,
}

impl Cidr {
    /// Whether `address` lies within; an IPv4 address in IPv6 form counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        network(address.to_canonical(), self.prefix) == Some(self.first)
    }
}

/// The first address of the range of `prefix` bits that holds `address`; none if it has not so many.
pub(in crate::relay) fn network(address: IpAddr, prefix: u8) -> Option<IpAddr> {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(address) => {
            let host_bits = u32::BITS.checked_sub(prefix)?;
            let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
            Some(IpAddr::V4((address.to_bits() & mask).into()))
        }
        IpAddr::V6(address) => {
            let host_bits = u128::BITS.checked_sub(prefix)?;
            let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
            Some(IpAddr::V6((address.to_bits() & mask).into()))
        }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| CidrError::Address)?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = match prefix {
            Some(text) => Some(text).filter(digits).and_then(|text| text.parse().ok()),
            None => Some(whole),
        };
        let prefix = prefix.ok_or(CidrError::Prefix)?;
        let first = network(address, prefix).ok_or(CidrError::Prefix)?;
        if first != address {
            return Err(CidrError::HostBits);
        }
        Ok(Self { first, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_they_should() {
        for (range, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.6"),
            ("192.0.2.128/25", "192.0.2.128", "192.0.2.127"),
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"),
            ("::1", "::1", "127.0.0.1"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
        ] {
            let cidr: Cidr = range.parse().unwrap();
            assert!(cidr.contains(inside.parse().unwrap()), "{range} {inside}");
            assert!(!cidr.contains(outside.parse().unwrap()), "{range} {outside}");
            assert_eq!(cidr.to_string().parse(), Ok(cidr));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for (text, error) in [
            ("", CidrError::Address),
            ("proxy.example", CidrError::Address),
            ("192.0.2.0 /24", CidrError::Address),
            ("192.0.2.0/", CidrError::Prefix),
            ("192.0.2.0/+24", CidrError::Prefix),
            ("192.0.2.0/33", CidrError::Prefix),
            ("192.0.2.0/24/24", CidrError::Prefix),
            ("::/129", CidrError::Prefix),
            ("::/256", CidrError::Prefix),
            ("192.0.2.1/24", CidrError::HostBits),
            ("2001:db8::1/64", CidrError::HostBits),
        ] {
            assert_eq!(text.parse::<Cidr>(), Err(error), "{text}");
        }
    }
}
