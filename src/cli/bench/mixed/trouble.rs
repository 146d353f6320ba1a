//! Troublemakers of the mixed load, one after the other: requests that are none, phones and laptops that
//! leave at any point, frames that nobody may send. What each is told, and what its partner gets, is held
//! against what it has to be.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::end::{ENDS, End};
use super::fault::Fault;
use super::ledger::{Either, Ledger, NO_PATH, OCCUPIED, SILENT, WAITING_GOODBYE};
use super::link::{Answer, Link, Service, fresh_id};
use super::script::{Random, Script};
use crate::hybrid::tunnel::{Endpoint, RoutingId, TunnelId};

/// Between two tunnels of one address: fewer than a relay of ours usually allows.
const PACE: Duration = Duration::from_millis(25);
/// What one of them says at most before its end.
const MOST: usize = 8;
const LONGEST: usize = 16 << 10;

/// Requests that are refused, by status and name.
const REFUSED: [(u16, &str); 7] = [
    (400, r#"requests_refused_total{status="400",reason="bad_request"}"#),
    (400, r#"requests_refused_total{status="400",reason="bad_request"}"#),
    (405, r#"requests_refused_total{status="405",reason="method"}"#),
    (426, r#"requests_refused_total{status="426",reason="version"}"#),
    (404, NO_PATH),
    (404, r#"requests_refused_total{status="404",reason="no_tunnel"}"#),
    (431, r#"requests_refused_total{status="431",reason="head"}"#),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Connects and leaves.
    Silent,
    /// Leaves within the request.
    Half { resets: bool },
    /// A request that cannot be served; the number is that of [`REFUSED`].
    Refused(usize),
    /// A second phone for a tunnel.
    Occupied,
    /// Asks well, and is gone before the answer.
    Vanished { laptop: bool },
    /// A phone that ends before its laptop came.
    Waiting(End),
    /// A side of a tunnel that ends.
    Joined(End, Side),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Phone,
    Laptop,
}

/// One troublemaker, with an address of its own.
pub(super) struct Maker {
    pub(super) service: Service,
    pub(super) from: Ipv4Addr,
    pub(super) random: Random,
    pub(super) until: Instant,
    ledger: Ledger,
    next_tunnel: Instant,
}

impl Maker {
    pub(super) fn new(service: Service, from: Ipv4Addr, random: Random, until: Instant) -> Self {
        let ledger = Ledger::default();
        Self { service, from, random, until, ledger, next_tunnel: Instant::now() }
    }

    /// Each kind of trouble once, in another order each time; once at least, however long that takes.
    pub(super) async fn run(mut self) -> Result<Ledger, Fault> {
        let mut rounds = 0;
        while rounds == 0 || Instant::now() < self.until {
            let mut all = every();
            while !all.is_empty() && (rounds == 0 || Instant::now() < self.until) {
                let next = all.swap_remove(self.random.below(all.len()));
                let service = self.service.clone();
                service.in_time(self.make(next)).await.map_err(|fault| fault.at(next))?;
                self.ledger.faults += 1;
            }
            rounds += 1;
        }
        Ok(self.ledger)
    }

    async fn make(&mut self, trouble: Trouble) -> Result<(), Fault> {
        match trouble {
            Trouble::Silent => {
                drop(self.service.connect(self.from).await?);
                self.ledger.note(SILENT);
                Ok(())
            }
            Trouble::Half { resets } => self.half(resets).await,
            Trouble::Refused(number) => self.refused(number).await,
            Trouble::Occupied => self.occupied().await,
            Trouble::Vanished { laptop: false } => self.vanish(&Endpoint::New(fresh_id())).await,
            Trouble::Vanished { laptop: true } => self.vanishing_laptop().await,
            Trouble::Waiting(end) => self.waiting(end).await,
            Trouble::Joined(end, side) => self.joined(end, side).await,
        }
    }

    async fn half(&mut self, resets: bool) -> Result<(), Fault> {
        let head = self.service.request(&Endpoint::New(fresh_id()));
        let cut = 1 + self.random.below(head.len() - 1);
        let mut link = self.service.connect(self.from).await?;
        link.send(head.as_bytes().get(..cut).unwrap_or_default()).await?;
        self.ledger.note(SILENT);
        if resets { link.reset() } else { Ok(()) }
    }

    async fn refused(&mut self, number: usize) -> Result<(), Fault> {
        let service = &self.service;
        let (good, other) = (Endpoint::New(fresh_id()).path(), "/somewhere/else");
        let head = match number {
            // The beginning of a TLS handshake, as from somebody who takes this for wss://.
            0 => "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0".to_owned(),
            1 => service.odd_request("GET", &good, "13", "chat"),
            2 => service.odd_request("POST", &good, "13", "fido.cable"),
            3 => service.odd_request("GET", &good, "8", "fido.cable"),
            4 => service.odd_request("GET", other, "13", "fido.cable"),
            5 => service.request(&Endpoint::Connect(RoutingId::new([1, 2, 3]), fresh_id())),
            _ => service.odd_request("GET", &good, "13", &"x".repeat(9000)),
        };
        let (_, answer) = service.ask(self.from, &head).await?;
        let Some((status, sample)) = REFUSED.get(number) else { return Ok(()) };
        answer.refused_with(*status, sample)?;
        self.ledger.note(sample);
        Ok(())
    }

    /// A phone that waits.
    async fn phone(&mut self) -> Result<(Link, RoutingId, TunnelId), Fault> {
        loop {
            sleep_until(self.next_tunnel).await;
            self.next_tunnel = Instant::now() + PACE;
            let id = fresh_id();
            let head = self.service.request(&Endpoint::New(id));
            match self.service.ask(self.from, &head).await? {
                (link, Answer::Upgraded(Some(routing_id))) => return Ok((link, routing_id, id)),
                (_, answer) => self.ledger.note_crowd(&answer)?,
            }
        }
    }

    async fn occupied(&mut self) -> Result<(), Fault> {
        let (phone, _, id) = self.phone().await?;
        sleep_until(self.next_tunnel).await;
        self.next_tunnel = Instant::now() + PACE;
        let head = self.service.request(&Endpoint::New(id));
        let (_, answer) = self.service.ask(self.from, &head).await?;
        answer.refused_with(409, OCCUPIED)?;
        phone.goodbye().await?;
        self.ledger.note(OCCUPIED);
        self.ledger.note(WAITING_GOODBYE);
        Ok(())
    }

    async fn vanish(&mut self, to: &Endpoint) -> Result<(), Fault> {
        sleep_until(self.next_tunnel).await;
        self.next_tunnel = Instant::now() + PACE;
        let mut link = self.service.connect(self.from).await?;
        link.send(self.service.request(to).as_bytes()).await?;
        self.ledger.note_either(Either::LeftEarly);
        link.reset()
    }

    async fn vanishing_laptop(&mut self) -> Result<(), Fault> {
        let (mut phone, routing_id, id) = self.phone().await?;
        self.vanish(&Endpoint::Connect(routing_id, id)).await?;
        phone.closes(1001).await
    }

    async fn waiting(&mut self, end: End) -> Result<(), Fault> {
        let (mut phone, ..) = self.phone().await?;
        let script = Script::new(&mut self.random, 100);
        for number in 0..self.random.below(3) as u32 {
            phone.send(&script.wire(number).0).await?;
        }
        self.ledger.note(end.counted().waiting);
        end.come(phone, &mut self.random).await
    }

    /// One side says something and ends; the other hears all of it, or what came before it was cut off.
    async fn joined(&mut self, end: End, side: Side) -> Result<(), Fault> {
        let (phone, routing_id, id) = self.phone().await?;
        let head = self.service.request(&Endpoint::Connect(routing_id, id));
        let (laptop, answer) = self.service.ask(self.from, &head).await?;
        let Answer::Upgraded(_) = answer else {
            return Err(Fault::Answer { due: "101", came: format!("{answer:?}") });
        };
        let (mut ending, mut other) = match side {
            Side::Phone => (phone, laptop),
            Side::Laptop => (laptop, phone),
        };
        let script = Script::new(&mut self.random, LONGEST);
        let count = self.random.below(MOST) as u32;
        let random = &mut self.random;
        let saying = async {
            for number in 0..count {
                ending.send(&script.wire(number).0).await?;
            }
            end.come(ending, random).await
        };
        let hearing = async { other.halves().0.rest(&script).await };
        let ((), (came, code)) = tokio::try_join!(saying, hearing)?;
        end.judge(count, came, code)?;
        self.ledger.note(end.counted().joined);
        Ok(())
    }
}

/// All there is.
fn every() -> Vec<Trouble> {
    let mut all = vec![Trouble::Silent, Trouble::Occupied];
    all.extend([true, false].map(|resets| Trouble::Half { resets }));
    all.extend([true, false].map(|laptop| Trouble::Vanished { laptop }));
    all.extend((0..REFUSED.len()).map(Trouble::Refused));
    for end in ENDS {
        all.push(Trouble::Waiting(end));
        all.extend([Side::Phone, Side::Laptop].map(|side| Trouble::Joined(end, side)));
    }
    all
}
