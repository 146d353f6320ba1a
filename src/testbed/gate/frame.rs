//! WebSocket frames as they lie on the wire, one at a time: enough to count, lose and spoil them. RFC 6455,
//! section 5.2.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Longer than any message of the protocol; what is longer ends the connection.
const MAX_PAYLOAD: u64 = 2 << 20;

/// A frame with its head, as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    bytes: Vec<u8>,
    /// Where the payload begins.
    payload: usize,
}

impl Frame {
    /// The next one; `None` at an end between two frames. Waits as long as the peer likes.
    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let mut bytes = Vec::with_capacity(128);
        if from.take(1).read_to_end(&mut bytes).await? == 0 {
            return Ok(None);
        }
        let second = from.read_u8().await?;
        bytes.push(second);
        let length = match second & 0x7f {
            126 => {
                let length = from.read_u16().await?;
                bytes.extend(length.to_be_bytes());
                u64::from(length)
            }
            127 => {
                let length = from.read_u64().await?;
                bytes.extend(length.to_be_bytes());
                length
            }
            length => u64::from(length),
        };
        if length > MAX_PAYLOAD {
            return Err(io::Error::other("a frame is longer than any message"));
        }
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let payload = bytes.len() + mask;
        let rest = mask as u64 + length;
        if from.take(rest).read_to_end(&mut bytes).await? as u64 != rest {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(Self { bytes, payload }))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it carries data and not the protocol's own affairs.
    pub(super) fn is_data(&self) -> bool {
        self.bytes.first().is_some_and(|first| first & 0x0f <= 2)
    }

    /// Flips one bit of the payload, under the mask or not.
    pub(super) fn corrupt(&mut self, which: u64) {
        let payload = self.bytes.get_mut(self.payload..).unwrap_or_default();
        let bits = payload.len() as u64 * 8;
        let bit = which.checked_rem(bits).unwrap_or_default();
        let byte = usize::try_from(bit / 8).ok().and_then(|byte| payload.get_mut(byte));
        if let Some(byte) = byte {
            *byte ^= 1 << (bit % 8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> io::Result<Option<Frame>> {
        Frame::read(&mut &*bytes).await
    }

    #[tokio::test]
    async fn frames_of_all_lengths_are_read_whole() {
        assert_eq!(read(&[]).await.unwrap(), None);
        let short = [&[0x82, 0x83, 1, 2, 3, 4][..], b"abc"].concat();
        let long = [&[0x82, 126, 1, 0][..], &[7; 256]].concat();
        let longest = [&[0x80, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &[7; 0x10000]].concat();
        for bytes in [short, long, longest] {
            let followed = [&bytes[..], b"more"].concat();
            let frame = read(&followed).await.unwrap().unwrap();
            assert!(frame.bytes() == bytes && frame.is_data());
            for cut in [1, 2, bytes.len() - 1] {
                read(&bytes[..cut]).await.unwrap_err();
            }
        }
        assert!(!read(&[0x89, 0]).await.unwrap().unwrap().is_data(), "a ping");
        read(&[0x82, 127, 1, 0, 0, 0, 0, 0, 0, 0]).await.unwrap_err();
    }

    #[tokio::test]
    async fn one_bit_of_the_payload_is_spoilt() {
        let bytes = [0x82, 0x82, 0, 0, 0, 0, 0x55, 0x55];
        for which in [0, 9, u64::MAX] {
            let mut frame = read(&bytes).await.unwrap().unwrap();
            frame.corrupt(which);
            let changed = frame.bytes().iter().zip(bytes).map(|(a, b)| (a ^ b).count_ones());
            assert_eq!(changed.sum::<u32>(), 1);
            assert_eq!(frame.bytes()[..6], bytes[..6]);
        }
        let mut empty = read(&[0x82, 0]).await.unwrap().unwrap();
        empty.corrupt(3);
        assert_eq!(empty.bytes(), [0x82, 0]);
    }
}
