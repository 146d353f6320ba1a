//! How messages stand one behind the other in a stream of bytes. Pure, but for the name of an error.
//!
//! Implementations of 2026 disagree, and the newest put the length first, so that is the default:
//!
//! ```text
//!  LengthPrefix   length, 4 bytes, big-endian │ message
//!  CrLf           message │ 0D 0A
//! ```
//!
//! CR LF cannot be told from two bytes of a message: sealed messages of n bytes hold it by chance
//! once in 65,536 / n. It is there for peers that know nothing else.

use std::fmt;
use std::str::FromStr;

use crate::channel::{Error, MAX_MESSAGE_LEN};

const PREFIX: usize = 4;
const CR_LF: [u8; 2] = *b"\r\n";
/// How every first message begins: an uncompressed point.
const POINT: u8 = 0x04;

/// How messages are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Four bytes of length, big-endian, before each message.
    #[default]
    LengthPrefix,
    /// CR LF behind each message, as an earlier draft had it.
    CrLf,
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LengthPrefix => "length",
            Self::CrLf => "crlf",
        })
    }
}

/// A text that names no framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write length or crlf")]
pub struct UnknownFraming;

impl FromStr for Framing {
    type Err = UnknownFraming;

    fn from_str(text: &str) -> Result<Self, UnknownFraming> {
        match text {
            "length" => Ok(Self::LengthPrefix),
            "crlf" => Ok(Self::CrLf),
            _ => Err(UnknownFraming),
        }
    }
}

/// A message as it goes out. Of at most [`MAX_MESSAGE_LEN`] bytes, which the caller has checked.
pub(super) fn encode(framing: Framing, message: &[u8]) -> Vec<u8> {
    match framing {
        Framing::LengthPrefix => {
            let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
            [&length.to_be_bytes(), message].concat()
        }
        Framing::CrLf => [message, &CR_LF].concat(),
    }
}

/// Finds the messages in what was received.
///
/// It never holds more than one message of the greatest length and what was read with its end, and
/// takes no memory for what a length promises before the bytes are there.
pub(super) struct Decoder {
    framing: Option<Framing>,
    buffer: Vec<u8>,
    /// No CR LF begins before this place.
    searched: usize,
}

impl Decoder {
    /// Reads this framing, or the one that the first byte tells.
    pub(super) fn new(framing: Option<Framing>) -> Self {
        Self { framing, buffer: Vec::new(), searched: 0 }
    }

    /// The framing, once it is known.
    pub(super) fn framing(&self) -> Option<Framing> {
        self.framing
    }

    /// Where received bytes are to be appended, after `next` has said that there is no message.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Whether a message has begun and not ended.
    pub(super) fn is_half_read(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Takes the next whole message.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] as soon as that is known, [`Error::Framing`] for a first byte that begins
    /// no message. Both are final.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let Some(first) = self.buffer.first() else { return Ok(None) };
        let framing = match self.framing {
            Some(framing) => framing,
            None => *self.framing.insert(detect(*first)?),
        };
        match framing {
            Framing::LengthPrefix => self.next_prefixed(),
            Framing::CrLf => self.next_terminated(),
        }
    }

    fn next_prefixed(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let Some((prefix, rest)) = self.buffer.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
        if length > MAX_MESSAGE_LEN {
            return Err(Error::TooLong);
        }
        if rest.len() < length {
            return Ok(None);
        }
        let mut message = self.take(PREFIX + length);
        message.drain(..PREFIX);
        Ok(Some(message))
    }

    fn next_terminated(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
        let found = unsearched.windows(CR_LF.len()).position(|pair| pair == CR_LF);
        let length = found.map(|at| self.searched + at);
        // A CR at the end may be the first half.
        self.searched = self.buffer.len().saturating_sub(1);
        if length.unwrap_or(self.searched) > MAX_MESSAGE_LEN {
            return Err(Error::TooLong);
        }
        let Some(length) = length else { return Ok(None) };
        let mut message = self.take(length + CR_LF.len());
        message.truncate(length);
        self.searched = 0;
        Ok(Some(message))
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(length.min(self.buffer.len()));
        std::mem::replace(&mut self.buffer, rest)
    }
}

/// The first message is a handshake of 81 bytes: either its own first byte comes first, or that of
/// its length, which is zero for every length that is allowed.
fn detect(first: u8) -> Result<Framing, Error> {
    match first {
        POINT => Ok(Framing::CrLf),
        0 => Ok(Framing::LengthPrefix),
        _ => Err(Error::Framing),
    }
}

/// Decodes bytes that come in pieces of this length, for the fuzz target alone: the messages, whether
/// it ended with an error, and the most bytes that were held at a time.
#[cfg(fuzzing)]
pub fn fuzz_framing(
    framing: Option<Framing>,
    bytes: &[u8],
    piece: usize,
) -> (Vec<Vec<u8>>, bool, usize) {
    let mut decoder = Decoder::new(framing);
    let (mut messages, mut most) = (Vec::new(), 0);
    for piece in bytes.chunks(piece.max(1)) {
        decoder.buffer().extend(piece);
        most = most.max(decoder.buffer.len());
        loop {
            match decoder.next() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return (messages, true, most),
            }
        }
    }
    (messages, false, most)
}

/// A message as it goes out, for the fuzz target alone.
#[cfg(fuzzing)]
pub fn fuzz_frame(framing: Framing, message: &[u8]) -> Vec<u8> {
    encode(framing, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Decodes `bytes` that come in pieces of this length.
    fn decode(
        framing: Option<Framing>,
        bytes: &[u8],
        piece: usize,
    ) -> (Vec<Vec<u8>>, Result<bool, Error>) {
        let mut decoder = Decoder::new(framing);
        let mut messages = Vec::new();
        for piece in bytes.chunks(piece) {
            decoder.buffer().extend(piece);
            loop {
                match decoder.next() {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(error) => return (messages, Err(error)),
                }
            }
        }
        (messages, Ok(decoder.is_half_read()))
    }

    #[test]
    fn both_forms_are_as_they_are_in_the_field() {
        assert_eq!(encode(Framing::LengthPrefix, b"ab"), b"\0\0\0\x02ab");
        assert_eq!(encode(Framing::CrLf, b"ab"), b"ab\r\n");
        let prefix = encode(Framing::LengthPrefix, &[4; 81]);
        assert_eq!(prefix[..5], [0, 0, 0, 0x51, 4]);
    }

    #[test]
    fn the_first_byte_tells_the_framing() {
        let mut handshake = [0x55; 81];
        handshake[0] = POINT;
        for framing in [Framing::LengthPrefix, Framing::CrLf] {
            let (messages, end) = decode(None, &encode(framing, &handshake), 7);
            assert_eq!((messages, end.unwrap()), (vec![handshake.to_vec()], false));
        }
        for first in [1, 3, 5, b'\r', 0xff] {
            assert!(matches!(decode(None, &[first], 1).1, Err(Error::Framing)), "{first}");
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_a_byte_of_it_is_there() {
        let limit = u32::try_from(MAX_MESSAGE_LEN).unwrap();
        let (_, end) = decode(Some(Framing::LengthPrefix), &(limit + 1).to_be_bytes(), 4);
        assert!(matches!(end, Err(Error::TooLong)));
        let mut decoder = Decoder::new(Some(Framing::LengthPrefix));
        decoder.buffer().extend(limit.to_be_bytes());
        assert!(matches!(decoder.next(), Ok(None)));
        assert!(decoder.buffer().capacity() < 1024, "nothing is allocated for a promise");
    }

    #[test]
    fn a_line_beyond_the_limit_is_refused() {
        let line = |length| [vec![b'x'; length], CR_LF.to_vec()].concat();
        let (messages, end) = decode(Some(Framing::CrLf), &line(MAX_MESSAGE_LEN), 8192);
        assert_eq!((messages[0].len(), end.unwrap()), (MAX_MESSAGE_LEN, false));
        let (messages, end) = decode(Some(Framing::CrLf), &line(MAX_MESSAGE_LEN + 1), 8192);
        assert!(messages.is_empty() && matches!(end, Err(Error::TooLong)));
        let endless = vec![b'x'; MAX_MESSAGE_LEN + 2];
        assert!(matches!(decode(Some(Framing::CrLf), &endless, 8192).1, Err(Error::TooLong)));
    }

    #[test]
    fn framings_have_names() {
        for framing in [Framing::LengthPrefix, Framing::CrLf] {
            assert_eq!(framing.to_string().parse(), Ok(framing));
        }
        assert_eq!("seqpacket".parse::<Framing>(), Err(UnknownFraming));
    }

    proptest! {
        #[test]
        fn what_is_framed_is_found_however_it_is_cut(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6),
            piece in 1..64_usize,
        ) {
            let framing = Framing::LengthPrefix;
            let bytes: Vec<u8> = messages.iter().flat_map(|m| encode(framing, m)).collect();
            let (found, end) = decode(Some(framing), &bytes, piece);
            prop_assert_eq!((found, end.unwrap()), (messages, false));
        }

        #[test]
        fn lines_are_found_however_they_are_cut(
            messages in prop::collection::vec("[^\n]{0,40}", 0..6),
            piece in 1..64_usize,
        ) {
            let messages: Vec<Vec<u8>> = messages.into_iter().map(Vec::from).collect();
            let framing = Framing::CrLf;
            let bytes: Vec<u8> = messages.iter().flat_map(|m| encode(framing, m)).collect();
            let (found, end) = decode(Some(framing), &bytes, piece);
            prop_assert_eq!((found, end.unwrap()), (messages, false));
        }
    }
}
