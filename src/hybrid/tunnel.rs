//! What the tunnel service looks like from outside: its domain names, and the URL, header and
//! subprotocol grammar that laptop, phone and relay share.
//!
//! Depends on `hex` alone. CTAP 2.2 section 11.5.1.

mod path;
mod text;
mod url;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::hex;

pub use path::{ContactId, Endpoint, MAX_CONTACT_ID_LEN};
pub use url::{ServiceUrl, TunnelUrl};

/// The WebSocket subprotocol that both sides request and the service must echo.
pub const SUBPROTOCOL: &str = "fido.cable";

/// Response header of `/cable/new`: the routing id as 6 hex digits.
pub const ROUTING_ID_HEADER: &str = "X-caBLE-Routing-ID";

/// Request header of `/cable/contact`: the client payload (CBOR) in hex.
pub const CLIENT_PAYLOAD_HEADER: &str = "X-caBLE-Client-Payload";

/// Header of `/cable/contact`, both ways: `true` asks for, and echoed promises, one binary message
/// `00` when the phone attaches, ahead of everything else.
pub const SIGNAL_CONNECTION_HEADER: &str = "X-caBLE-Signal-Connection";

/// How many bytes of client payload [`decode_client_payload`] takes at most. Real ones have 33.
pub const MAX_CLIENT_PAYLOAD_LEN: usize = 512;

/// What the tunnel service grammar refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The id lies in 2..=255, which nobody has been given.
    #[error("tunnel service {0} is not assigned to anybody")]
    UnassignedService(u16),
    /// Not 6 hex digits.
    #[error("a routing id has 6 hex digits")]
    RoutingId,
    /// Not 32 hex digits.
    #[error("a tunnel id has 32 hex digits")]
    TunnelId,
    /// Not base64url without padding, empty, or longer than [`MAX_CONTACT_ID_LEN`].
    #[error("a contact id is base64url without padding, of 1 to {MAX_CONTACT_ID_LEN} bytes")]
    ContactId,
    /// Not hex, or longer than [`MAX_CLIENT_PAYLOAD_LEN`].
    #[error("a client payload is hex, of at most {MAX_CLIENT_PAYLOAD_LEN} bytes")]
    ClientPayload,
    /// A path that no tunnel service has.
    #[error("the path is none of /cable/new, /cable/connect, /cable/contact and /cable/listen")]
    Path,
    /// The URL starts neither with `wss://` nor with `ws://`.
    #[error("a tunnel service URL starts with wss:// or ws://")]
    Scheme,
    /// The URL's host or port is missing or malformed, or it names a user.
    #[error("the URL's host or port is not valid")]
    Authority,
    /// The URL's path has a query, a fragment, or characters that do not belong there.
    #[error("the URL's path is not valid")]
    UrlPath,
}

/// Which tunnel service a phone uses, as its advert names it.
///
/// Any 16-bit value can arrive; only [`domain`](Self::domain) tells whether it means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelServiceId(u16);

impl TunnelServiceId {
    /// `cable.ua5v.com`.
    pub const GOOGLE: Self = Self(0);
    /// `cable.auth.com`.
    pub const APPLE: Self = Self(1);
    /// How many ids below 256 are assigned: what a QR says under key 2.
    pub const ASSIGNED: u16 = 2;
    /// The first id whose name is computed.
    pub const FIRST_HASHED: u16 = 256;

    /// Wraps any id.
    #[must_use]
    pub const fn new(id: u16) -> Self {
        Self(id)
    }

    /// Reads the two bytes of an advert, little-endian.
    #[must_use]
    pub const fn from_le_bytes(bytes: [u8; 2]) -> Self {
        Self(u16::from_le_bytes(bytes))
    }

    /// Gives the two bytes of an advert, little-endian.
    #[must_use]
    pub const fn to_le_bytes(self) -> [u8; 2] {
        self.0.to_le_bytes()
    }

    /// Gives the number.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }

    /// Whether the id stands for a domain: everything but 2..=255.
    #[must_use]
    pub const fn is_known(self) -> bool {
        self.0 < Self::ASSIGNED || self.0 >= Self::FIRST_HASHED
    }

    /// Gives the service's domain name: assigned below 256, hashed from there on.
    ///
    /// Allocates and hashes; a scanner that only wants to know whether to ignore an advert asks
    /// [`is_known`](Self::is_known).
    ///
    /// # Errors
    ///
    /// [`Error::UnassignedService`] for 2..=255.
    pub fn domain(self) -> Result<String, Error> {
        match self.0 {
            0 => Ok("cable.ua5v.com".to_owned()),
            1 => Ok("cable.auth.com".to_owned()),
            id if id < Self::FIRST_HASHED => Err(Error::UnassignedService(id)),
            id => Ok(hashed_domain(id)),
        }
    }
}

/// The low two bits of the hash choose the last label.
const TOP_LEVEL_DOMAINS: [&str; 4] = ["com", "org", "net", "info"];

fn hashed_domain(id: u16) -> String {
    let mut hash = hash_of_id(id);
    let top_level = TOP_LEVEL_DOMAINS.get((hash & 3) as usize).copied().unwrap_or_default();
    hash >>= 2;
    let mut domain = "cable.".to_owned();
    while hash != 0 {
        domain.push(text::base32_digit((hash & 31) as u8));
        hash >>= 5;
    }
    domain.push('.');
    domain.push_str(top_level);
    domain
}

fn hash_of_id(id: u16) -> u64 {
    let digest =
        Sha256::new().chain_update("caBLEv2 tunnel server domain").chain_update(id.to_le_bytes());
    let digest: [u8; 32] = digest.chain_update([0]).finalize().into();
    digest.iter().take(8).rev().fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// The part of a tunnel service that holds the tunnel: 3 bytes from the phone's service, carried
/// to the laptop by the advert.
///
/// Written as 6 upper-case hex digits, read in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RoutingId([u8; 3]);

impl RoutingId {
    /// Wraps the bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 3]) -> Self {
        Self(bytes)
    }

    /// Gives the bytes as they stand in the advert.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 3] {
        self.0
    }
}

impl fmt::Display for RoutingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::encode_hex(&self.0))
    }
}

impl FromStr for RoutingId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        hex::array(text).map(Self).ok_or(Error::RoutingId)
    }
}

/// The name of one tunnel at its service: 16 bytes derived from the QR secret.
///
/// Whoever knows it can take the laptop's place at the relay, so it is kept out of `Debug` and has
/// no `Display`; [`Endpoint::path`] is where it is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TunnelId([u8; 16]);

impl TunnelId {
    /// Wraps the derived bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Gives the bytes. Named so that every use can be found and judged.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for TunnelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TunnelId(redacted)")
    }
}

impl FromStr for TunnelId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        hex::array(text).map(Self).ok_or(Error::TunnelId)
    }
}

/// Writes a client payload as the value of [`CLIENT_PAYLOAD_HEADER`].
#[must_use]
pub fn encode_client_payload(payload: &[u8]) -> String {
    text::encode_hex(payload)
}

/// Reads the value of [`CLIENT_PAYLOAD_HEADER`], in either case.
///
/// # Errors
///
/// [`Error::ClientPayload`] if it is not hex or longer than [`MAX_CLIENT_PAYLOAD_LEN`].
pub fn decode_client_payload(value: &str) -> Result<Vec<u8>, Error> {
    if value.len() > 2 * MAX_CLIENT_PAYLOAD_LEN {
        return Err(Error::ClientPayload);
    }
    hex::decode(value).ok_or(Error::ClientPayload)
}
