//! The channel over pipes inside of the process.

use tokio::io::{DuplexStream, duplex};

use super::*;
use crate::channel::{MAX_MESSAGE_LEN, conformance};

/// Less than a message, so that both ends have to wait for each other.
const PIPE: usize = 512;

type End = L2capChannel<DuplexStream>;

/// A laptop and a phone.
fn pair(framing: Framing) -> (End, End) {
    let (laptop, phone) = duplex(PIPE);
    (L2capChannel::new(laptop, framing), L2capChannel::detecting(phone))
}

#[tokio::test]
async fn conforms_with_a_phone_that_has_to_find_out() {
    conformance::run(async || Ok(pair(Framing::LengthPrefix))).await.unwrap();
}

#[tokio::test]
async fn conforms_with_lines() {
    let pair = || {
        let (left, right) = duplex(PIPE);
        (L2capChannel::new(left, Framing::CrLf), L2capChannel::new(right, Framing::CrLf))
    };
    conformance::run(async || Ok(pair())).await.unwrap();
}

#[tokio::test]
async fn a_phone_answers_in_the_framing_that_it_was_spoken_to() {
    for (framing, answer) in
        [(Framing::LengthPrefix, &b"\0\0\0\x03yes"[..]), (Framing::CrLf, b"yes\r\n")]
    {
        let (mut laptop, phone) = duplex(PIPE);
        let mut phone = L2capChannel::detecting(phone);
        laptop.write_all(&framing::encode(framing, b"\x04 hello")).await.unwrap();
        assert_eq!(phone.recv().await.unwrap(), b"\x04 hello");
        phone.send(b"yes").await.unwrap();
        let mut heard = vec![0; answer.len()];
        laptop.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, answer);
    }
}

#[tokio::test]
async fn an_end_inside_of_a_message_is_a_loss() {
    for (sent, lost) in [(&b""[..], false), (b"\0\0\0\x02ab", false), (b"\0\0\0\x02a", true)] {
        let (mut laptop, phone) = duplex(PIPE);
        let mut phone = L2capChannel::detecting(phone);
        laptop.write_all(sent).await.unwrap();
        drop(laptop);
        let end = loop {
            if let Err(end) = phone.recv().await {
                break end;
            }
        };
        assert_eq!(matches!(end, Error::Lost(_)), lost, "{sent:?}: {end:?}");
        assert!(matches!(phone.recv().await, Err(Error::Closed { code: None })));
    }
}

/// A stream that fails as Bluetooth's does when the peer has gone.
struct Reset(Vec<u8>);

impl AsyncRead for Reset {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        if self.0.is_empty() {
            return std::task::Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        buffer.put_slice(&std::mem::take(&mut self.0));
        std::task::Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Reset {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        std::task::Poll::Ready(Err(ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Err(ErrorKind::NotConnected.into()))
    }
}

#[tokio::test]
async fn a_reset_between_messages_is_an_end_and_inside_of_one_a_loss() {
    let mut channel = L2capChannel::new(Reset(b"\0\0\0\x01a".to_vec()), Framing::LengthPrefix);
    assert_eq!(channel.recv().await.unwrap(), b"a");
    assert!(matches!(channel.recv().await, Err(Error::Closed { code: None })));
    let mut channel = L2capChannel::new(Reset(b"\0\0\0\x01".to_vec()), Framing::LengthPrefix);
    assert!(matches!(channel.recv().await, Err(Error::Lost(_))));
    let mut channel = L2capChannel::new(Reset(b"\0\0\0\x01a".to_vec()), Framing::LengthPrefix);
    assert!(matches!(channel.send(b"x").await, Err(Error::Lost(_))));
    assert!(matches!(channel.send(b"x").await, Err(Error::Closed { code: None })));
    assert_eq!(channel.recv().await.unwrap(), b"a", "what had arrived is still there");
}

#[tokio::test]
async fn a_dropped_send_leaves_no_half_message() {
    let (mut laptop, mut phone) = pair(Framing::LengthPrefix);
    let long = vec![7; 4 * PIPE];
    {
        let mut sending = std::pin::pin!(laptop.send(&long));
        let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
        assert!(sending.as_mut().poll(context).is_pending());
    }
    let (sent, first) = tokio::join!(laptop.send(b"next"), phone.recv());
    sent.unwrap();
    assert_eq!(first.unwrap(), long);
    assert_eq!(phone.recv().await.unwrap(), b"next");
}

#[tokio::test]
async fn too_much_ends_the_channel() {
    let (mut laptop, phone) = duplex(PIPE);
    let mut phone = L2capChannel::detecting(phone);
    let length = u32::try_from(MAX_MESSAGE_LEN + 1).unwrap();
    laptop.write_all(&length.to_be_bytes()).await.unwrap();
    assert!(matches!(phone.recv().await, Err(Error::TooLong)));
    assert!(phone.recv().await.is_err() && phone.send(b"x").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_goes_does_not_hold_up_the_goodbye() {
    let (mut laptop, _phone) = pair(Framing::LengthPrefix);
    let begun = tokio::time::Instant::now();
    laptop.close().await;
    assert_eq!(begun.elapsed(), CLOSE_DEADLINE);
}

#[test]
fn nothing_that_was_said_is_shown() {
    let mut channel = L2capChannel::detecting(Reset(Vec::new()));
    channel.incoming.buffer().extend(b"secret");
    assert_eq!(format!("{channel:?}"), "L2capChannel { framing: None, .. }");
}
