//! The paths of a tunnel service, read and written.
//!
//! Depends on the identifiers of its parent and the alphabets of `text`.

use std::fmt;

use super::{Error, RoutingId, TunnelId, text};

/// How long a contact id may be, in bytes. Push tokens seen have under 200; this leaves room and
/// still keeps a request head below 8 KiB.
pub const MAX_CONTACT_ID_LEN: usize = 4096;

/// The opaque address under which a linked phone is reached: 1 to [`MAX_CONTACT_ID_LEN`] bytes.
///
/// It names a person's device for years, so `Debug` tells its length only.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ContactId(Vec<u8>);

impl ContactId {
    /// Takes the bytes of a linking map.
    ///
    /// # Errors
    ///
    /// [`Error::ContactId`] if there are none or more than [`MAX_CONTACT_ID_LEN`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, Error> {
        if bytes.is_empty() || bytes.len() > MAX_CONTACT_ID_LEN {
            return Err(Error::ContactId);
        }
        Ok(Self(bytes))
    }

    /// Gives the bytes. Named so that every use can be found and judged.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// One that is the hash of a key.
    pub(in crate::hybrid) fn of_key(hash: [u8; 32]) -> Self {
        Self(hash.to_vec())
    }

    fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_CONTACT_ID_LEN.div_ceil(3) * 4 {
            return Err(Error::ContactId);
        }
        Self::new(text::decode_base64url(text).ok_or(Error::ContactId)?)
    }
}

impl fmt::Debug for ContactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContactId({} bytes, redacted)", self.0.len())
    }
}

/// What one asks of a tunnel service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// The phone opens a tunnel.
    New(TunnelId),
    /// The laptop joins the phone's tunnel at the node that the advert named.
    Connect(RoutingId, TunnelId),
    /// The laptop asks for a linked phone to be called.
    Contact(ContactId),
    /// A phone waits to be called; our own way, see [`crate::hybrid::listen`].
    Listen(ContactId),
}

impl Endpoint {
    /// Writes the path, `/cable/...`, hex in upper case.
    ///
    /// The text holds what `Debug` hides; it goes into a request and nowhere else.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::New(tunnel) => format!("/cable/new/{}", text::encode_hex(tunnel.expose())),
            Self::Connect(routing, tunnel) => {
                format!("/cable/connect/{routing}/{}", text::encode_hex(tunnel.expose()))
            }
            Self::Contact(contact) => {
                format!("/cable/contact/{}", text::encode_base64url(contact.expose()))
            }
            Self::Listen(contact) => {
                format!("/cable/listen/{}", text::encode_base64url(contact.expose()))
            }
        }
    }

    /// Reads the target of a request, hex in either case; a query is cut off and ignored.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] if it is none of the four, otherwise the error of the malformed id.
    pub fn parse(target: &str) -> Result<Self, Error> {
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        let mut segments = path.strip_prefix("/cable/").ok_or(Error::Path)?.split('/');
        let parts = (segments.next(), segments.next(), segments.next(), segments.next());
        match parts {
            (Some("new"), Some(tunnel), None, _) => Ok(Self::New(tunnel.parse()?)),
            (Some("connect"), Some(routing), Some(tunnel), None) => {
                Ok(Self::Connect(routing.parse()?, tunnel.parse()?))
            }
            (Some("contact"), Some(contact), None, _) => {
                ContactId::parse(contact).map(Self::Contact)
            }
            (Some("listen"), Some(contact), None, _) => ContactId::parse(contact).map(Self::Listen),
            _ => Err(Error::Path),
        }
    }
}
