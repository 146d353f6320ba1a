//! Proxies in front of the relay that may say for whom they connect.
//!
//! Pure. Whoever is not named here says nothing that is believed: both ways of saying it are read
//! from named proxies only.

mod cidr;
pub(super) mod forwarded;
pub(super) mod header;

use std::net::IpAddr;

pub(super) use self::cidr::network;
pub use self::cidr::{Cidr, CidrError};

/// What a proxy said is not in its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The proxies that are believed.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxies {
    pub(super) networks: Vec<Cidr>,
    /// Whether their connections begin with a PROXY header.
    pub(super) header: bool,
}

impl Proxies {
    /// Whether `address` is one of them.
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}

/// What a PROXY header says, for the fuzz target alone: how many bytes are missing at least, or for
/// whom, or nothing if it is none.
#[cfg(fuzzing)]
#[must_use]
pub fn fuzz_proxy_header(bytes: &[u8]) -> Option<Result<Option<IpAddr>, usize>> {
    match header::parse(bytes) {
        Ok(header::Parsed::Partial(missing)) => Some(Err(missing)),
        Ok(header::Parsed::Done(address)) => Some(Ok(address)),
        Err(Malformed) => None,
    }
}

/// What `Forwarded` and `X-Forwarded-For` say, for the fuzz target alone.
#[cfg(fuzzing)]
#[must_use]
pub fn fuzz_forwarded(
    standard: &[&[u8]],
    usual: &[&[u8]],
    trusted: &[Cidr],
) -> Option<Option<IpAddr>> {
    let proxies = Proxies { networks: trusted.to_vec(), header: false };
    let (standard, usual) = (standard.iter().copied(), usual.iter().copied());
    forwarded::client(standard, usual, &proxies).ok()
}
