//! What nodes ask each other, and under which subjects.
//!
//! Pure. Whoever may write to these subjects is a node as good as any, but may be of another version, or broken.

use sha2::{Digest, Sha256};

use crate::hex;
use crate::hybrid::linking::ClientPayload;
use crate::hybrid::listen::Verdict;
use crate::hybrid::tunnel::{ContactId, RoutingId, TunnelId};

/// The bucket of the numbers.
pub(super) const BUCKET: &str = "cabled-relay";
const PREFIX: &str = "cabled.relay";
const VERSION: u8 = 1;
const JOIN: u8 = b'J';
const RING: u8 = b'R';
const LISTENING: u8 = b'L';

/// Names one link; drawn by the node of the client.
pub(super) type LinkName = [u8; 16];
/// Names one process, whatever number it has.
pub(super) type Instance = [u8; 8];

/// Where a node takes clients for its tunnels.
pub(super) fn node(number: RoutingId) -> String {
    format!("{PREFIX}.node.{number}")
}

/// Where a phone that listens is rung. A contact ID may be long, and names somebody: its hash does as well.
pub(super) fn contact(contact: &ContactId) -> String {
    format!("{PREFIX}.contact.{}", hex::lower(&Sha256::digest(contact.expose())))
}

/// Where the node of the tunnel, and that of the client, hear what the other says.
pub(super) fn link(name: &LinkName) -> [String; 2] {
    ["host", "guest"].map(|end| format!("{PREFIX}.link.{}.{end}", hex::lower(name)))
}

/// A part of a URL without its percent signs.
pub(super) fn unescape(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(digits.unwrap_or(b'%'));
        let after = if digits.is_some() { piece.get(2..) } else { Some(piece) };
        bytes.extend(after.unwrap_or_default().as_bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A client wants into a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Join {
    pub(super) tunnel: TunnelId,
    pub(super) link: LinkName,
}

impl Join {
    pub(super) fn encode(&self) -> Vec<u8> {
        [&[VERSION, JOIN], &self.tunnel.expose()[..], &self.link].concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&[VERSION, JOIN])?;
        let (tunnel, rest) = rest.split_first_chunk()?;
        Some(Self { tunnel: TunnelId::new(*tunnel), link: rest.try_into().ok()? })
    }
}

/// What the node of the tunnel says to that: come in, or there is none.
pub(super) fn admitted(yes: bool) -> Vec<u8> {
    vec![VERSION, JOIN, u8::from(yes)]
}

pub(super) fn is_admitted(bytes: &[u8]) -> Option<bool> {
    match bytes.strip_prefix(&[VERSION, JOIN])? {
        [0] => Some(false),
        [1] => Some(true),
        _ => None,
    }
}

/// What is said about a phone that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    /// A laptop rings it, and waits in this tunnel at that node.
    Ring { tunnel: TunnelId, routing: RoutingId, payload: ClientPayload },
    /// It listens at this process from now on.
    Listening(Instance),
}

impl Call {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Ring { tunnel, routing, payload } => [
                &[VERSION, RING],
                &tunnel.expose()[..],
                &routing.to_bytes(),
                payload.encode().as_slice(),
            ]
            .concat(),
            Self::Listening(instance) => [&[VERSION, LISTENING], &instance[..]].concat(),
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        if let Some(rest) = bytes.strip_prefix(&[VERSION, LISTENING]) {
            return Some(Self::Listening(rest.try_into().ok()?));
        }
        let rest = bytes.strip_prefix(&[VERSION, RING]).filter(|rest| rest.len() < 4096)?;
        let (tunnel, rest) = rest.split_first_chunk()?;
        let (routing, payload) = rest.split_first_chunk()?;
        Some(Self::Ring {
            tunnel: TunnelId::new(*tunnel),
            routing: RoutingId::new(*routing),
            payload: ClientPayload::decode(payload)?,
        })
    }
}

/// What came of a ring; none if the phone left meanwhile or does not answer.
pub(super) fn answer(verdict: Option<Verdict>) -> Vec<u8> {
    let word = match verdict {
        None => 0,
        Some(Verdict::Coming) => 1,
        Some(Verdict::NoSuchLink) => 2,
        Some(Verdict::Busy) => 3,
    };
    vec![VERSION, RING, word]
}

pub(super) fn read_answer(bytes: &[u8]) -> Option<Verdict> {
    match bytes.strip_prefix(&[VERSION, RING])? {
        [1] => Some(Verdict::Coming),
        [2] => Some(Verdict::NoSuchLink),
        [3] => Some(Verdict::Busy),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood_and_nothing_else() {
        let join = Join { tunnel: TunnelId::new([1; 16]), link: [2; 16] };
        assert_eq!(Join::decode(&join.encode()), Some(join.clone()));
        for bad in [&[][..], &[1, b'J'], &[2, b'J', 0], &join.encode()[1..], &join.encode()[..33]] {
            assert_eq!(Join::decode(bad), None);
            assert_eq!(Call::decode(bad), None);
        }
        let moved = Call::Listening([3; 8]);
        assert_eq!(Call::decode(&moved.encode()), Some(moved));
        assert_eq!([true, false].map(|yes| is_admitted(&admitted(yes))), [Some(true), Some(false)]);
        for verdict in [None, Some(Verdict::Coming), Some(Verdict::NoSuchLink), Some(Verdict::Busy)]
        {
            assert_eq!(read_answer(&answer(verdict)), verdict);
        }
        assert_eq!((is_admitted(&[1, b'J', 2]), read_answer(&[1, b'R', 9])), (None, None));
    }

    #[test]
    fn passwords_of_urls_are_what_they_mean() {
        for (text, meant) in [("a%40b%2Fc", "a@b/c"), ("100%", "100%"), ("%zz", "%zz"), ("", "")] {
            assert_eq!(unescape(text), meant);
        }
    }

    #[test]
    fn subjects_are_one_token_each_and_show_no_contact_id() {
        let phone = ContactId::new(b"a.b >*".to_vec()).unwrap();
        assert_eq!(contact(&phone).len(), "cabled.relay.contact.".len() + 64);
        assert_eq!(contact(&phone).matches('.').count(), 3);
        assert_eq!(node(RoutingId::new([1, 2, 3])).matches('.').count(), 3);
    }
}
