//! The hearing half that both simulated radios share: what a scan makes of the air.
//! Depends on tokio's timer only.
//!
//! All faults strike here, where a signal is received. So one scan can have bad air while another
//! beside it has good air, and there is noise even where nobody advertises. Without faults no timer
//! runs. Everything is bounded: a scan that is not read loses receptions, it never collects them.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::rng::Rng;
use super::transmission::MAX_TIME;
use super::{Conditions, Error, ServiceUuid, Sighting};

/// Most receptions that are under way because of a delay.
const MAX_DELAYED: usize = 256;
/// Most old adverts that are remembered for replay.
pub(super) const MAX_RECORDED: usize = 16;
/// Time between two replayed adverts.
const REPLAY_INTERVAL: Duration = Duration::from_millis(100);
/// A reader that comes back after longer than this has missed the noise in between.
const MAX_BACKLOG: Duration = Duration::from_millis(100);

/// Where a scan gets its receptions from.
pub(super) trait Source: Send {
    /// Waits for a reception; must be cancel safe.
    fn receive(&mut self) -> impl Future<Output = Result<Sighting, Error>> + Send;
    /// Keeps an advert for the replays of later scans; forgets old ones beyond [`MAX_RECORDED`].
    fn record(&self, sighting: &Sighting);
    /// Gives what earlier scans have kept.
    fn recorded(&self) -> Vec<Sighting>;
}

#[derive(Debug)]
pub(super) struct Hearing<S> {
    pub(super) source: S,
    loss: f64,
    delay: Duration,
    rng: Rng,
    delayed: VecDeque<(Instant, Sighting)>,
    noise: Option<Noise>,
    replay: Option<Replay>,
}

impl<S: Source> Hearing<S> {
    pub(super) fn new(source: S, conditions: &Conditions, rng: Rng) -> Self {
        let now = Instant::now();
        let replay = conditions.replay.then(|| Replay::new(source.recorded(), now));
        let noise = Noise::new(conditions.foreign, now);
        let (loss, delay) = (conditions.loss, conditions.delay.min(MAX_TIME));
        Self { source, loss, delay, rng, delayed: VecDeque::new(), noise, replay }
    }

    /// Cancel safe: what was received stands in `self` or is returned, with no await in between.
    pub(super) async fn next(&mut self) -> Result<Sighting, Error> {
        loop {
            let due = self.due();
            let room = self.delayed.len() < MAX_DELAYED;
            // The real adverts first: noise can always be made, so it would win every time.
            let heard = tokio::select! {
                biased;
                received = self.source.receive(), if room => self.arrive(received?),
                () = until(due) => self.emit(Instant::now()),
            };
            if let Some(sighting) = heard {
                return Ok(sighting);
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        let delayed = self.delayed.front().map(|(at, _)| *at);
        let noise = self.noise.as_ref().map(|noise| noise.at);
        let replay = self.replay.as_ref().and_then(Replay::due);
        [delayed, noise, replay].into_iter().flatten().min()
    }

    fn arrive(&mut self, sighting: Sighting) -> Option<Sighting> {
        if self.replay.as_mut().is_some_and(|replay| replay.remember(&sighting)) {
            self.source.record(&sighting);
        }
        if self.loss > 0.0 && self.rng.chance(self.loss) {
            return None;
        }
        if self.delay.is_zero() {
            return Some(sighting);
        }
        self.delayed.push_back((Instant::now() + self.delay, sighting));
        None
    }

    fn emit(&mut self, now: Instant) -> Option<Sighting> {
        if self.delayed.front().is_some_and(|(at, _)| *at <= now) {
            return self.delayed.pop_front().map(|(_, sighting)| sighting);
        }
        let replayed = self.replay.as_mut().and_then(|replay| replay.take(now));
        replayed.or_else(|| self.noise.as_mut()?.take(now, &mut self.rng))
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Adverts of strangers, made when they are due and not before.
#[derive(Debug)]
struct Noise {
    period: Duration,
    at: Instant,
}

impl Noise {
    fn new(per_second: u32, now: Instant) -> Option<Self> {
        let period = Duration::from_secs(1).checked_div(per_second)?;
        Some(Self { period, at: now + period })
    }

    fn take(&mut self, now: Instant, rng: &mut Rng) -> Option<Sighting> {
        if self.at > now {
            return None;
        }
        self.at += self.period;
        if now.duration_since(self.at) > MAX_BACKLOG {
            self.at = now;
        }
        Some(foreign(rng))
    }
}

fn foreign(rng: &mut Rng) -> Sighting {
    let service = if rng.chance(0.25) { ServiceUuid::Google } else { ServiceUuid::Fido };
    let mut service_data = vec![0; 20];
    rng.fill(&mut service_data);
    Sighting { address: rng.address(), service, service_data, rssi: None }
}

/// An attacker who repeats what was on the air, in turn, also after it has ended.
#[derive(Debug)]
struct Replay {
    heard: VecDeque<Sighting>,
    at: Instant,
}

impl Replay {
    fn new(recorded: Vec<Sighting>, now: Instant) -> Self {
        Self { heard: recorded.into(), at: now + REPLAY_INTERVAL }
    }

    fn due(&self) -> Option<Instant> {
        (!self.heard.is_empty()).then_some(self.at)
    }

    /// Says whether the advert is new.
    fn remember(&mut self, sighting: &Sighting) -> bool {
        if self.heard.contains(sighting) {
            return false;
        }
        while self.heard.len() >= MAX_RECORDED {
            self.heard.pop_front();
        }
        self.heard.push_back(sighting.clone());
        true
    }

    fn take(&mut self, now: Instant) -> Option<Sighting> {
        if self.due().is_none_or(|at| at > now) {
            return None;
        }
        self.at = now + REPLAY_INTERVAL;
        self.heard.rotate_left(1);
        self.heard.back().cloned()
    }
}
