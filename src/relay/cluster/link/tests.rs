//! Two ends and a virtual clock.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

fn start() -> Instant {
    #[allow(clippy::disallowed_methods, reason = "an arbitrary start of the virtual clock")]
    Instant::now()
}

#[test]
fn whoever_does_not_read_holds_up_the_sender_at_a_window() {
    let now = start();
    let (mut near, mut far) = (Link::new(now), Link::new(now));
    let mut under_way = 0;
    while near.room() > 0 {
        let message = near.data(&vec![7; near.room()], now);
        assert!(matches!(far.handle(&message, now), Ok(Event::Data(data)) if data.len() <= CHUNK));
        under_way += message.len() - HEAD;
    }
    assert_eq!(under_way as u64, WINDOW);
    assert_eq!(far.consume(under_way / 2 - 1, now), None);
    let told = far.consume(1, now).unwrap();
    assert_eq!(near.handle(&told, now), Ok(Event::Nothing));
    assert_eq!(near.room(), CHUNK);
}

#[test]
fn a_sender_that_does_not_wait_is_cut_off() {
    let now = start();
    let (mut near, mut far) = (Link::new(now), Link::new(now));
    let outcomes: Vec<_> = (0..=WINDOW / CHUNK as u64)
        .map(|_| far.handle(&near.data(&[7; CHUNK], now), now))
        .collect();
    assert!(outcomes.iter().rev().skip(1).all(Result::is_ok));
    assert_eq!(outcomes.last(), Some(&Err(Broken)));
}

#[test]
fn a_lost_message_is_noticed_by_the_next_of_any_kind() {
    let now = start();
    for next in [
        |link: &mut Link, now| link.data(b"b", now),
        Link::end,
        |link: &mut Link, now| link.beat(now + BEAT).unwrap().unwrap(),
    ] {
        let (mut near, mut far) = (Link::new(now), Link::new(now));
        let _lost = near.data(b"a", now);
        let after = next(&mut near, now);
        assert_eq!(far.handle(&after, now), Err(Broken));
    }
}

#[test]
fn beats_keep_a_quiet_link_and_their_absence_ends_it() {
    let now = start();
    let (mut near, mut far) = (Link::new(now), Link::new(now));
    let mut at = now;
    for _ in 0..100 {
        at = near.wake();
        let beat = near.beat(at).unwrap().unwrap();
        assert_eq!(far.handle(&beat, at), Ok(Event::Nothing));
        let beat = far.beat(at + BEAT).unwrap().unwrap();
        assert_eq!(near.handle(&beat, at), Ok(Event::Nothing));
    }
    assert_eq!(far.beat(at + DEAD), Err(Broken));
    assert!(far.wake() <= at + DEAD);
}

#[test]
fn an_end_and_a_giving_up_are_told_apart() {
    let now = start();
    let (mut near, mut far) = (Link::new(now), Link::new(now));
    assert_eq!(far.handle(&near.end(now), now), Ok(Event::End));
    assert_eq!((near.ends(), far.ends()), ((true, false), (false, true)));
    assert_eq!(near.room(), 0);
    assert_eq!(near.handle(&far.abort(now), now), Err(Broken));
}

proptest! {
    /// Whatever is sent in whatever pieces and read in whatever pieces arrives whole and in order.
    #[test]
    fn a_stream_arrives_whole(pieces in prop::collection::vec(1..=CHUNK, 1..60), reads in 1..100_000_usize) {
        let now = start();
        let (mut near, mut far) = (Link::new(now), Link::new(now));
        let (mut buffer, mut waiting) = (VecDeque::new(), 0_usize);
        let (mut sent, mut read) = (0_u64, 0_u64);
        for piece in pieces {
            while near.room() < piece {
                let count = reads.min(waiting);
                prop_assert!(count > 0, "both sides wait");
                for place in buffer.drain(..count) {
                    prop_assert_eq!(place, read as u8);
                    read += 1;
                }
                waiting -= count;
                if let Some(told) = far.consume(count, now) {
                    prop_assert_eq!(near.handle(&told, now), Ok(Event::Nothing));
                }
            }
            let bytes: Vec<u8> = (sent..sent + piece as u64).map(|place| place as u8).collect();
            sent += piece as u64;
            match far.handle(&near.data(&bytes, now), now) {
                Ok(Event::Data(data)) => buffer.extend(data),
                other => prop_assert!(false, "{:?}", other),
            }
            waiting = buffer.len();
            prop_assert!(waiting as u64 <= WINDOW);
        }
    }

    /// Whatever another node says, nothing panics and no more than a window is let in.
    #[test]
    fn strange_messages_are_survived(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
        let now = start();
        let mut link = Link::new(now);
        for message in messages {
            let _any = link.handle(&message.into(), now);
            prop_assert!(link.received - link.consumed <= WINDOW + CHUNK as u64);
        }
    }
}
