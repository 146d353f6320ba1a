//! Forwarding over in-memory sockets, on a clock that moves only when everything waits: a time-out
//! that fires is proof that nothing can go on by itself.

use futures_util::{SinkExt, StreamExt};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::*;
use crate::relay::stop::{self, Stopper};

/// What each in-memory socket holds per direction.
const SOCKET_LEN: usize = 4096;
const LIMIT: usize = 64 * 1024;

type Peer = WebSocketStream<DuplexStream>;

struct Tunnel {
    phone: Peer,
    laptop: Peer,
    stopper: Stopper,
    pipe: tokio::task::JoinHandle<(Cause, [Meter; 2])>,
}

async fn end(meter: Meter) -> (Peer, End<DuplexStream>) {
    let (near, far) = tokio::io::duplex(SOCKET_LEN);
    let peer = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
    (peer, End { socket: WebSocket::accept(far, Vec::new(), LIMIT), meter })
}

async fn tunnel_with(meter: Meter, early: Vec<Bytes>, life: Duration) -> Tunnel {
    let (phone, authenticator) = end(meter).await;
    let (laptop, client) = end(meter).await;
    let (stopper, stop) = stop::channel();
    let until = Instant::now() + life;
    let pipe = tokio::spawn(run(authenticator, client, early, (), until, stop));
    Tunnel { phone, laptop, stopper, pipe }
}

async fn tunnel() -> Tunnel {
    let meter = Meter { messages_left: 1_000_000, bytes_left: 1 << 40 };
    tunnel_with(meter, Vec::new(), Duration::from_secs(300)).await
}

fn binary(bytes: &[u8]) -> Message {
    Message::Binary(Bytes::copy_from_slice(bytes))
}

/// The messages up to the end, and the close code if there was one.
async fn rest(peer: &mut Peer) -> (Vec<Vec<u8>>, Option<CloseCode>) {
    let mut messages = Vec::new();
    loop {
        match peer.next().await {
            Some(Ok(Message::Binary(message))) => messages.push(message.to_vec()),
            Some(Ok(Message::Close(frame))) => return (messages, frame.map(|frame| frame.code)),
            Some(Ok(other)) => panic!("{other}"),
            Some(Err(_)) | None => return (messages, None),
        }
    }
}

/// Sends messages until nothing moves any more, and says how many were taken whole.
///
/// On the paused clock the second passes only when nobody can do anything.
async fn fill(peer: &mut Peer) -> usize {
    for taken in 0..100 {
        let sending = peer.send(binary(&vec![7; LIMIT]));
        match timeout(Duration::from_secs(1), sending).await {
            Ok(sent) => sent.unwrap(),
            Err(_) => return taken,
        }
    }
    panic!("no backpressure");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_blocks_the_sender_and_costs_no_memory() {
    let Tunnel { mut phone, mut laptop, pipe, stopper: _stopper } = tunnel().await;
    let taken = fill(&mut phone).await;
    // Two sockets of 4 KiB cannot hold one of these, so the pipe holds at most: one in its hands,
    // one in the making.
    assert!(taken <= 2, "{taken} messages were taken");

    // All arrive when the reader wakes up, also the one whose sending was given up in the middle.
    let (received, ()) = tokio::join!(rest(&mut laptop), async {
        phone.send(binary(b"last")).await.unwrap();
        phone.close(None).await.unwrap();
        while phone.next().await.is_some() {}
    });
    let (messages, code) = received;
    assert_eq!(code, Some(CloseCode::Normal));
    assert_eq!(messages.len(), taken + 2);
    assert!(messages[..=taken].iter().all(|message| *message == vec![7; LIMIT]));
    assert_eq!(messages[taken + 1], b"last");
    drop(laptop);
    assert_eq!(pipe.await.unwrap().0, Cause::Goodbye);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_direction_does_not_block_the_other() {
    let Tunnel { mut phone, mut laptop, pipe: _pipe, stopper: _stopper } = tunnel().await;
    fill(&mut phone).await;
    for number in 0..50 {
        laptop.send(binary(&[number])).await.unwrap();
        assert_eq!(phone.next().await.unwrap().unwrap(), binary(&[number]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_direction_that_never_rests_does_not_starve_the_other() {
    let Tunnel { phone, laptop, pipe: _pipe, stopper: _stopper } = tunnel().await;
    let (mut tells, mut hears) = phone.split();
    let (mut answers, mut listens) = laptop.split();
    // Tasks of their own: each may do as much at a time as the pipe's.
    let flood = tokio::spawn(async move {
        for _ in 0..1000 {
            // Many in one write, so that the pipe always has more to do than it may at a time.
            for _ in 0..100 {
                tells.feed(binary(b"more")).await.unwrap();
            }
            tells.flush().await.unwrap();
        }
    });
    let reading = tokio::spawn(async move { while let Some(Ok(_)) = listens.next().await {} });
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    answers.send(binary(b"enough")).await.unwrap();
    assert_eq!(hears.next().await.unwrap().unwrap(), binary(b"enough"));
    assert!(!flood.is_finished(), "the answer waited for the flood to end");
    assert!(!reading.is_finished());
}

#[tokio::test(start_paused = true)]
async fn what_was_said_early_comes_first() {
    let early = vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")];
    let meter = Meter { messages_left: 9, bytes_left: 99 };
    let Tunnel { mut phone, mut laptop, pipe: _pipe, stopper: _stopper } =
        tunnel_with(meter, early, Duration::from_secs(1)).await;
    phone.send(binary(b"three")).await.unwrap();
    for expected in ["one", "two", "three"] {
        assert_eq!(laptop.next().await.unwrap().unwrap(), binary(expected.as_bytes()));
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_words_of_one_who_has_left_are_delivered() {
    let Tunnel { mut phone, mut laptop, pipe, stopper: _stopper } = tunnel().await;
    // The laptop has written more than the phone will ever read when the phone answers and goes.
    fill(&mut laptop).await;
    phone.send(binary(b"reply")).await.unwrap();
    phone.send(binary(b"shutdown")).await.unwrap();
    drop(phone);
    let (messages, code) = rest(&mut laptop).await;
    assert_eq!(messages, [b"reply".to_vec(), b"shutdown".to_vec()]);
    assert_eq!(code, Some(CloseCode::Away));
    drop(laptop);
    assert_eq!(pipe.await.unwrap().0, Cause::Dropped);
}

#[tokio::test(start_paused = true)]
async fn broken_rules_end_both_sides_with_their_codes() {
    let long = binary(&vec![0; LIMIT + 1]);
    for (message, cause, to_sender) in [
        (Message::Text("text".into()), Cause::Text, CloseCode::Unsupported),
        (long, Cause::TooLong, CloseCode::Size),
    ] {
        let Tunnel { mut phone, mut laptop, pipe, stopper: _stopper } = tunnel().await;
        laptop.send(binary(b"before")).await.unwrap();
        let (_, at_sender) =
            tokio::join!(timeout(Duration::from_secs(1), phone.send(binary(b"x"))), async {
                laptop.send(message).await.unwrap();
                rest(&mut laptop).await.1
            });
        assert_eq!(at_sender, Some(to_sender));
        assert_eq!(rest(&mut phone).await, (vec![b"before".to_vec()], Some(CloseCode::Policy)));
        drop((phone, laptop));
        assert_eq!(pipe.await.unwrap().0, cause);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_bytes_and_pings_are_metered() {
    let spent = |messages_left, bytes_left| Meter { messages_left, bytes_left };
    for (meter, sent) in [
        (spent(2, 99), [binary(b"1"), binary(b"2"), binary(b"3")]),
        (spent(9, 2), [binary(b"1"), binary(b"2"), binary(b"3")]),
        (spent(2, 99), [binary(b"1"), binary(b"2"), Message::Ping(Bytes::new())]),
    ] {
        let Tunnel { mut phone, mut laptop, pipe, stopper: _stopper } =
            tunnel_with(meter, Vec::new(), Duration::from_secs(9)).await;
        for message in sent {
            phone.send(message).await.unwrap();
        }
        let expected = (vec![b"1".to_vec(), b"2".to_vec()], Some(CloseCode::Policy));
        assert_eq!(rest(&mut laptop).await, expected);
        assert_eq!(rest(&mut phone).await.1, Some(CloseCode::Policy));
        drop((phone, laptop));
        assert_eq!(pipe.await.unwrap().0, Cause::Quota);
    }
}

#[tokio::test(start_paused = true)]
async fn a_life_has_an_end() {
    let Tunnel { mut phone, mut laptop, pipe, stopper } = tunnel().await;
    assert_eq!(rest(&mut phone).await.1, Some(CloseCode::Policy));
    assert_eq!(rest(&mut laptop).await.1, Some(CloseCode::Policy));
    drop((phone, laptop, stopper));
    assert_eq!(pipe.await.unwrap().0, Cause::Expired);
}

#[tokio::test(start_paused = true)]
async fn a_stopping_relay_says_so() {
    let Tunnel { mut phone, mut laptop, pipe, stopper } = tunnel().await;
    stopper.stop();
    assert_eq!(rest(&mut phone).await.1, Some(CloseCode::Away));
    assert_eq!(rest(&mut laptop).await.1, Some(CloseCode::Away));
    drop((phone, laptop));
    assert_eq!(pipe.await.unwrap().0, Cause::Stopping);
}

#[tokio::test(start_paused = true)]
async fn one_who_does_not_read_its_goodbye_is_cut_off() {
    let Tunnel { phone, mut laptop, pipe, stopper } = tunnel().await;
    fill(&mut laptop).await;
    stopper.stop();
    // Neither side reads, and yet the pipe ends.
    assert_eq!(pipe.await.unwrap().0, Cause::Stopping);
    drop((phone, laptop));
}
