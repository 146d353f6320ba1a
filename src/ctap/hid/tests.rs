//! The machine as programs use and misuse it.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const GET_INFO: &[u8] = &[4];

struct Key {
    machine: Machine,
    now: Instant,
}

/// What one message of the key says.
type Said = (u32, HidCommand, Vec<u8>);

impl Key {
    #[allow(clippy::disallowed_methods, reason = "a base that everything is added to")]
    fn new() -> Self {
        Self { machine: Machine::new([1, 2, 3]), now: Instant::now() }
    }

    fn input(&mut self, input: Input<'_>) -> Vec<Output> {
        self.machine.handle(input, self.now).unwrap();
        self.drain()
    }

    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.machine.poll_output()).collect()
    }

    fn sends(&mut self, channel: u32, command: HidCommand, payload: &[u8]) -> Vec<Output> {
        let reports: Vec<_> = fragments(ChannelId(channel), command, payload).collect();
        reports.iter().flat_map(|report| self.input(Input::Report(report))).collect()
    }

    fn opens(&mut self) -> u32 {
        let said = said(&self.sends(u32::MAX, HidCommand::INIT, &[7; 8]));
        let [(u32::MAX, HidCommand::INIT, body)] = &said[..] else { panic!("{said:?}") };
        assert_eq!((&body[..8], &body[12..]), (&[7; 8][..], &[2, 1, 2, 3, 0x0d][..]));
        u32::from_be_bytes(body[8..12].try_into().unwrap())
    }

    fn asks(&mut self, channel: u32, message: &[u8]) -> RequestId {
        let outputs = self.sends(channel, HidCommand::CBOR, message);
        let [Output::Request(request)] = &outputs[..] else { panic!("{outputs:?}") };
        assert_eq!((request.channel.0, &request.message[..]), (channel, message));
        request.id
    }

    fn waits(&mut self, time: u64) -> Vec<Output> {
        self.now += Duration::from_millis(time);
        self.input(Input::Timeout)
    }
}

fn said(outputs: &[Output]) -> Vec<Said> {
    let mut said: Vec<Said> = Vec::new();
    for output in outputs {
        let Output::Report(report) = output else { continue };
        match Packet::read(report) {
            Packet::First { channel, command, length, data } => {
                let data = &data[..data.len().min(length.into())];
                said.push((channel.0, command, data.to_vec()));
            }
            Packet::Next { data, .. } => said.last_mut().unwrap().2.extend(data),
        }
    }
    said
}

fn error(channel: u32, error: HidError) -> Vec<Said> {
    vec![(channel, HidCommand::ERROR, vec![error as u8])]
}

#[test]
fn a_request_is_answered_on_its_channel() {
    let mut key = Key::new();
    let (one, two) = (key.opens(), key.opens());
    assert_ne!(one, two);
    let (first, second) = (key.asks(one, &[1, 0xa0]), key.asks(two, GET_INFO));
    let answer = said(&key.input(Input::Response(second, &[0, 1])));
    assert_eq!(answer, [(two, HidCommand::CBOR, vec![0, 1])]);
    let answer = said(&key.input(Input::Response(first, &[0x2e])));
    assert_eq!(answer, [(one, HidCommand::CBOR, vec![0x2e])]);
    let late = key.machine.handle(Input::Response(first, &[0]), key.now);
    assert_eq!((late, key.drain()), (Err(NoSuchRequest), vec![]));
}

#[test]
fn the_longest_message_arrives_and_comes_back() {
    let mut key = Key::new();
    let channel = key.opens();
    let long: Vec<u8> = (0..MAX_PAYLOAD).map(|n| n as u8).collect();
    let outputs = key.sends(channel, HidCommand::PING, &long);
    assert_eq!(outputs.len(), 129);
    assert_eq!(said(&outputs)[0].2[..MAX_PAYLOAD], long);
    let id = key.asks(channel, &long);
    assert_eq!(said(&key.input(Input::Response(id, &[&long[..], &[1]].concat())))[0].2, [0x7f]);
}

#[test]
fn what_is_too_long_is_refused_before_anything_is_kept() {
    let mut key = Key::new();
    let channel = key.opens();
    let mut report = fragments(ChannelId(channel), HidCommand::CBOR, &[1; 57]).next().unwrap();
    [report[5], report[6]] = (MAX_PAYLOAD as u16 + 1).to_be_bytes();
    assert_eq!(said(&key.input(Input::Report(&report))), error(channel, HidError::InvalidLength));
    assert_eq!(key.machine.poll_timeout(), None);
}

#[test]
fn mistakes_are_told_on_their_own_channel() {
    let mut key = Key::new();
    let channel = key.opens();
    let mut told = |to, command, body: &[u8]| said(&key.sends(to, command, body));
    use HidCommand as C;
    assert_eq!(told(channel, C::MSG, &[0, 3]), error(channel, HidError::InvalidCommand));
    assert_eq!(told(channel, C::LOCK, &[5]), error(channel, HidError::InvalidCommand));
    assert_eq!(told(channel, C(0x22), &[]), error(channel, HidError::InvalidCommand));
    assert_eq!(told(channel, C::CBOR, &[]), error(channel, HidError::InvalidLength));
    assert_eq!(told(channel, C::INIT, &[1; 7]), error(channel, HidError::InvalidLength));
    assert_eq!(told(channel, C::WINK, &[1]), error(channel, HidError::InvalidLength));
    assert_eq!(told(channel + 1, C::CBOR, &[4]), error(channel + 1, HidError::InvalidChannel));
    assert_eq!(told(channel + 1, C::INIT, &[1; 8]), error(channel + 1, HidError::InvalidChannel));
    assert_eq!(told(u32::MAX, C::PING, &[4]), error(u32::MAX, HidError::InvalidChannel));
    assert_eq!(told(0, C::CBOR, &[4]), error(0, HidError::InvalidChannel));
    assert_eq!(told(channel, C::CANCEL, &[]), []);
}

#[test]
fn packets_out_of_order_end_their_message_only() {
    let mut key = Key::new();
    let channel = key.opens();
    let reports: Vec<_> = fragments(ChannelId(channel), HidCommand::PING, &[5; 200]).collect();
    assert_eq!(key.input(Input::Report(&reports[1])), [], "continues nothing");
    assert_eq!(key.input(Input::Report(&reports[0])), []);
    let twice = said(&key.input(Input::Report(&reports[2])));
    assert_eq!(twice, error(channel, HidError::InvalidSequence));
    assert_eq!(key.input(Input::Report(&reports[1])), [], "it was forgotten");
    key.input(Input::Report(&reports[0]));
    let again = said(&key.input(Input::Report(&reports[0])));
    assert_eq!(again, error(channel, HidError::InvalidSequence));
    assert_eq!(said(&key.sends(channel, HidCommand::PING, &[6]))[0].2, [6]);
}

#[test]
fn half_a_message_is_given_up_after_half_a_second() {
    let mut key = Key::new();
    let channel = key.opens();
    let report = fragments(ChannelId(channel), HidCommand::PING, &[5; 99]).next().unwrap();
    key.input(Input::Report(&report));
    assert_eq!(key.machine.poll_timeout(), Some(key.now + PACKET_TIMEOUT));
    assert_eq!(key.waits(499), []);
    assert_eq!(said(&key.waits(1)), error(channel, HidError::Timeout));
    assert_eq!(key.machine.poll_timeout(), None);
}

#[test]
fn keepalives_say_what_is_waited_for() {
    let mut key = Key::new();
    let channel = key.opens();
    let id = key.asks(channel, &[1]);
    let alive = |status| vec![(channel, HidCommand::KEEPALIVE, vec![status])];
    assert_eq!(key.waits(99), []);
    assert_eq!(said(&key.waits(1)), alive(1));
    assert_eq!(key.input(Input::NeedsUser(id)), []);
    assert_eq!(said(&key.waits(100)), alive(2));
    // A device that was not listened to for long has no heap of them to send.
    assert_eq!(said(&key.waits(60_000)), alive(2));
    key.input(Input::Response(id, &[0]));
    assert_eq!(key.machine.poll_timeout(), None);
}

#[test]
fn cancel_and_close_and_init_withdraw() {
    let mut key = Key::new();
    let channel = key.opens();
    let id = key.asks(channel, &[2]);
    let outputs = key.sends(channel, HidCommand::CANCEL, &[]);
    assert_eq!(outputs[0], Output::Withdrawn(id));
    assert_eq!(said(&outputs), [(channel, HidCommand::CBOR, vec![0x2d])]);
    assert_eq!(key.sends(channel, HidCommand::CANCEL, &[]), [], "the second one is late");

    let id = key.asks(channel, &[2]);
    let outputs = key.sends(channel, HidCommand::INIT, &[3; 8]);
    assert_eq!(outputs[0], Output::Withdrawn(id));
    assert_eq!(said(&outputs)[0].2[..12], [&[3; 8][..], &channel.to_be_bytes()].concat());

    let (id, other) = (key.asks(channel, &[2]), key.opens());
    let more = key.asks(other, &[1]);
    assert_eq!(key.input(Input::Closed), [Output::Withdrawn(id), Output::Withdrawn(more)]);
    assert_eq!((key.machine.channels(), key.machine.poll_timeout()), (0, None));
}

#[test]
fn a_channel_that_waits_is_busy_and_others_are_not() {
    let mut key = Key::new();
    let (waiting, other) = (key.opens(), key.opens());
    key.asks(waiting, &[1]);
    let more = said(&key.sends(waiting, HidCommand::CBOR, GET_INFO));
    assert_eq!(more, error(waiting, HidError::Busy));
    let id = key.asks(other, &[2]);
    assert_eq!(said(&key.input(Input::Busy(id))), error(other, HidError::Busy));
    assert!(said(&key.sends(other, HidCommand::PING, &[1]))[0].1 == HidCommand::PING);
}

#[test]
fn channels_make_room_and_the_one_that_waits_stays() {
    let mut key = Key::new();
    let first = key.opens();
    let id = key.asks(first, &[1]);
    let second = key.opens();
    (0..2 * MAX_CHANNELS).for_each(|_| assert_ne!(key.opens(), second));
    assert_eq!(key.machine.channels(), MAX_CHANNELS);
    let gone = said(&key.sends(second, HidCommand::PING, &[1]));
    assert_eq!(gone, error(second, HidError::InvalidChannel));
    assert_eq!(said(&key.input(Input::Response(id, &[0])))[0].0, first);
}

#[test]
fn a_wink_is_shown() {
    let mut key = Key::new();
    let channel = key.opens();
    let outputs = key.sends(channel, HidCommand::WINK, &[]);
    assert_eq!(outputs[0], Output::Wink);
    assert_eq!(said(&outputs), [(channel, HidCommand::WINK, vec![])]);
}

/// A step of a program or of whoever answers.
fn step() -> impl Strategy<Value = (u8, u32, u8, u16, Vec<u8>)> {
    let command = prop_oneof![Just(0x86u8), Just(0x90), Just(0x81), Just(0x91), any::<u8>()];
    let length = prop_oneof![Just(8u16), 0..200u16, any::<u16>()];
    let channel = prop_oneof![Just(u32::MAX), 0..4u32, any::<u32>()];
    (0..8u8, channel, command, length, prop::collection::vec(any::<u8>(), 0..80))
}

proptest! {
    #[test]
    fn nothing_brings_it_out_of_bounds(steps in prop::collection::vec(step(), 0..200)) {
        let mut key = Key::new();
        let mut open: Vec<RequestId> = Vec::new();
        for (what, channel, command, length, bytes) in steps {
            let mut report = [0; REPORT_LEN];
            let head = [&channel.to_be_bytes()[..], &[command], &length.to_be_bytes()].concat();
            report.iter_mut().zip(head.iter().chain(&bytes)).for_each(|(to, from)| *to = *from);
            let named = open.last().copied().unwrap_or(RequestId(0));
            let input = match what {
                0 => Input::Response(named, &bytes),
                1 => Input::NeedsUser(named),
                2 => Input::Timeout,
                3 if command == 0x90 => Input::Closed,
                _ => Input::Report(&report),
            };
            key.now += Duration::from_millis(u64::from(command));
            let known = key.machine.handle(input, key.now).is_ok();
            prop_assert!(known || !open.contains(&named));
            if matches!(input, Input::Response(..)) {
                open.retain(|id| *id != named);
            }
            let outputs = key.drain();
            prop_assert!(outputs.len() <= 129 + MAX_CHANNELS);
            for output in outputs {
                match output {
                    Output::Request(request) => {
                        prop_assert!((1..=MAX_PAYLOAD).contains(&request.message.len()));
                        open.push(request.id);
                    }
                    Output::Withdrawn(id) => {
                        prop_assert!(open.contains(&id));
                        open.retain(|other| *other != id);
                    }
                    _ => {}
                }
            }
            prop_assert!(key.machine.channels() <= MAX_CHANNELS && open.len() <= MAX_CHANNELS);
            prop_assert!(open.is_empty() || key.machine.poll_timeout().is_some());
        }
    }
}
