//! Where the frames of a WebSocket begin, in bytes that pass by from server to client.
//!
//! Pure. A node that lets bytes pass can add a goodbye of its own only between two frames.

/// How far the bytes have come.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: Vec<u8>,
    left: u64,
    closed: bool,
}

impl Frames {
    /// These bytes have passed.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let skip = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= skip as u64;
                bytes = bytes.get(skip..).unwrap_or_default();
                continue;
            }
            self.head.push(*first);
            bytes = rest;
            if let Some(length) = body_len(&self.head) {
                self.closed |= self.head.first().is_some_and(|first| first & 0x0F == 8);
                self.head.clear();
                self.left = length;
            }
        }
    }

    /// Whether a frame of ours could follow.
    pub(super) fn takes_one(&self) -> bool {
        self.head.is_empty() && self.left == 0 && !self.closed
    }
}

/// The length of what follows a whole head; servers do not mask.
fn body_len(head: &[u8]) -> Option<u64> {
    match *head {
        [_, length] if length & 0x7F < 126 => Some((length & 0x7F).into()),
        [_, length, a, b] if length & 0x7F == 126 => Some(u16::from_be_bytes([a, b]).into()),
        [_, _, a, b, c, d, e, f, g, h] => Some(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
        _ => None,
    }
}

/// A Close frame as servers send it. Reasons are ours and short.
pub(super) fn close(code: u16, reason: &'static str) -> Vec<u8> {
    let length = u8::try_from(reason.len() + 2).unwrap_or_default();
    [&[0x88, length], &code.to_be_bytes()[..], reason.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_are_passed_over_in_pieces_of_any() {
        let mut stream = Vec::new();
        let mut ends = vec![0];
        for length in [0_usize, 1, 125, 126, 65_535, 65_536] {
            stream.push(0x82);
            match length {
                0..126 => stream.push(length as u8),
                126..65_536 => {
                    stream.push(126);
                    stream.extend((length as u16).to_be_bytes());
                }
                _ => {
                    stream.push(127);
                    stream.extend((length as u64).to_be_bytes());
                }
            }
            stream.extend(vec![0x88; length]);
            ends.push(stream.len());
        }
        for step in [1, 2, 3, 1000, stream.len()] {
            let (mut frames, mut at) = (Frames::default(), 0);
            for piece in stream.chunks(step) {
                frames.pass(piece);
                at += piece.len();
                assert_eq!(frames.takes_one(), ends.contains(&at), "at {at} by {step}");
            }
        }
    }

    #[test]
    fn nothing_follows_a_close() {
        let mut frames = Frames::default();
        frames.pass(&close(1001, "gone"));
        assert!(!frames.takes_one());
        assert_eq!(close(1001, "gone"), [0x88, 6, 0x03, 0xE9, b'g', b'o', b'n', b'e']);
    }
}
