//! Programs and whoever answers them, in any order, against the key's CTAPHID machine. It stays within
//! its bounds, each request is answered or withdrawn exactly once and on its own channel, and all that
//! it says can be put together again.
#![no_main]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cabled::ctap::hid::{
    ChannelId, HidCommand, Input, KEEPALIVE_EVERY, MAX_CHANNELS, MAX_PAYLOAD, Machine, Output,
    PACKET_TIMEOUT, Packet, REPORT_LEN, RequestId, fragments,
};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

/// More would only be slow.
const MOST_STEPS: usize = 200;

#[derive(Arbitrary, Debug)]
enum Step {
    /// Whatever fits into a report.
    Raw([u8; REPORT_LEN]),
    /// A message, of which all packets from `cut` on are lost.
    Message {
        channel: u8,
        command: u8,
        length: u16,
        fill: u8,
        cut: u8,
    },
    /// A new channel, or one brought back into step.
    Init {
        channel: Option<u8>,
    },
    Cancel {
        channel: u8,
    },
    Answer {
        request: u8,
        length: u16,
        fill: u8,
    },
    Busy {
        request: u8,
    },
    NeedsUser {
        request: u8,
    },
    Close,
    Wait {
        milliseconds: u16,
    },
}

type Said = (ChannelId, HidCommand, Vec<u8>);

struct World {
    machine: Machine,
    now: Instant,
    channels: Vec<ChannelId>,
    open: BTreeMap<RequestId, ChannelId>,
    used: Option<RequestId>,
}

impl World {
    fn step(&mut self, step: &Step) {
        match *step {
            Step::Raw(report) => drop(self.input(Input::Report(&report))),
            Step::Message { channel, command, length, fill, cut } => {
                let (id, payload) = (self.channel(channel), vec![fill; length.into()]);
                let reports = fragments(id, HidCommand(command), &payload);
                for report in reports.take(usize::from(cut) + 1) {
                    self.input(Input::Report(&report));
                }
            }
            Step::Init { channel } => {
                let id = channel.map_or(ChannelId::BROADCAST, |channel| self.channel(channel));
                self.init(id);
            }
            Step::Cancel { channel } => {
                let id = self.channel(channel);
                fragments(id, HidCommand::CANCEL, &[])
                    .for_each(|report| drop(self.input(Input::Report(&report))));
            }
            Step::Answer { request, length, fill } => {
                self.answer(request, &vec![fill; length.into()])
            }
            Step::Busy { request } => {
                let Some((id, channel)) = self.request(request) else { return };
                self.open.remove(&id);
                let said = self.input(Input::Busy(id));
                assert_eq!(said, [(channel, HidCommand::ERROR, vec![6])]);
            }
            Step::NeedsUser { request } => {
                let Some((id, _)) = self.request(request) else { return };
                assert_eq!(self.input(Input::NeedsUser(id)), []);
            }
            Step::Close => {
                assert_eq!(self.input(Input::Closed), []);
                assert!(self.open.is_empty() && self.machine.channels() == 0);
                assert_eq!(self.machine.poll_timeout(), None);
            }
            Step::Wait { milliseconds } => {
                self.now += Duration::from_millis(milliseconds.into());
                self.input(Input::Timeout);
                assert!(self.machine.poll_timeout().is_none_or(|at| at > self.now));
            }
        }
    }

    /// Whatever the key was asked and told before, a program can begin anew.
    fn init(&mut self, id: ChannelId) {
        let Some(report) = fragments(id, HidCommand::INIT, &[5; 8]).next() else { return };
        let said = self.input(Input::Report(&report));
        let [(at, HidCommand::INIT, body)] = &said[..] else {
            assert!(id != ChannelId::BROADCAST && said[0].1 == HidCommand::ERROR, "{said:?}");
            return;
        };
        assert!(*at == id && body.len() == 17 && body[..8] == [5; 8]);
        let given = ChannelId(u32::from_be_bytes([body[8], body[9], body[10], body[11]]));
        assert!(given != ChannelId::BROADCAST && given != ChannelId::RESERVED);
        assert!(!self.open.values().any(|waiting| *waiting == given), "it begins anew");
        self.channels.push(given);
    }

    fn answer(&mut self, request: u8, body: &[u8]) {
        let Some((id, channel)) = self.request(request) else { return };
        self.open.remove(&id);
        let said = self.input(Input::Response(id, body));
        let fits = (1..=MAX_PAYLOAD).contains(&body.len());
        let wanted = if fits { body.to_vec() } else { vec![0x7f] };
        assert_eq!(said, [(channel, HidCommand::CBOR, wanted)]);
        let late = self.machine.handle(Input::Response(id, body), self.now);
        assert!(late.is_err() && self.machine.poll_output().is_none());
    }

    fn channel(&self, number: u8) -> ChannelId {
        let known = self.channels.iter().rev().nth(usize::from(number));
        known.copied().unwrap_or(ChannelId(u32::from(number)))
    }

    fn request(&self, number: u8) -> Option<(RequestId, ChannelId)> {
        self.open.iter().nth(usize::from(number)).map(|(id, channel)| (*id, *channel))
    }

    /// What the machine says to one input, put together again.
    fn input(&mut self, input: Input<'_>) -> Vec<Said> {
        self.machine.handle(input, self.now).expect("only open requests are named");
        let (mut said, mut withdrawn) = (Vec::<(Said, usize)>::new(), Vec::new());
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Report(report) => hear(&mut said, &report),
                Output::Request(request) => {
                    assert!((1..=MAX_PAYLOAD).contains(&request.message.len()));
                    assert!(self.used.is_none_or(|used| used < request.id), "used twice");
                    assert!(!self.open.values().any(|channel| *channel == request.channel));
                    self.used = Some(request.id);
                    self.open.insert(request.id, request.channel);
                }
                Output::Withdrawn(id) => withdrawn.extend(self.open.remove(&id)),
                _ => {}
            }
        }
        assert!(said.iter().all(|((_, _, body), length)| body.len() == *length), "cut short");
        let said: Vec<Said> = said.into_iter().map(|(said, _)| said).collect();
        let alive = said.iter().filter(|(_, command, _)| *command == HidCommand::KEEPALIVE);
        assert!(alive.clone().all(|(channel, ..)| self.open.values().any(|c| c == channel)));
        assert!(alive.count() <= self.open.len() && withdrawn.len() <= MAX_CHANNELS);
        self.bounds();
        said
    }

    fn bounds(&self) {
        assert!(self.machine.channels() <= MAX_CHANNELS && self.open.len() <= MAX_CHANNELS);
        let latest = self.now + PACKET_TIMEOUT.max(KEEPALIVE_EVERY);
        let timeout = self.machine.poll_timeout();
        assert!(timeout.is_none_or(|at| at <= latest));
        assert!(timeout.is_some() || self.open.is_empty(), "a program would hear nothing");
    }
}

/// Takes one report as a program does, with the length that its message announced.
fn hear(said: &mut Vec<(Said, usize)>, report: &[u8; REPORT_LEN]) {
    match Packet::read(report) {
        Packet::First { channel, command, length, data } => {
            let length = usize::from(length);
            let data = data.get(..length).unwrap_or(data).to_vec();
            said.push(((channel, command, data), length));
        }
        Packet::Next { channel, sequence, data } => {
            let ((at, _, body), length) = said.last_mut().expect("something to continue");
            assert_eq!((*at, 57 + 59 * usize::from(sequence)), (channel, body.len()));
            body.extend(data.iter().take(*length - body.len()));
        }
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let mut world = World {
        machine: Machine::new([0, 1, 0]),
        #[allow(clippy::disallowed_methods, reason = "the machine's clock only counts from here")]
        now: Instant::now(),
        channels: Vec::new(),
        open: BTreeMap::new(),
        used: None,
    };
    steps.iter().take(MOST_STEPS).for_each(|step| world.step(step));
    world.init(ChannelId::BROADCAST);
});
