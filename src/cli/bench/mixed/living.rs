//! Tunnels of the mixed load that live: both sides speak at once until they have said all, and nothing may
//! be missing. Then they say goodbye, and another tunnel comes.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::WriteHalf;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::fault::Fault;
use super::ledger::{JOINED_GOODBYE, Ledger};
use super::link::{Answer, Heard, Link, Reader, Service, fresh_id};
use super::script::{Random, Script};
use crate::hybrid::tunnel::Endpoint;

/// What a tunnel carries in a direction: less than a relay of ours usually allows.
const BUDGET: usize = 12 << 20;
/// How long a slow reader rests before each message.
const SLOWNESS: Duration = Duration::from_millis(10);
/// How long after a refusal for want of room the next request comes.
const AGAIN: Duration = Duration::from_millis(200);

/// One tunnel after the other.
pub(super) struct Living {
    pub(super) service: Service,
    pub(super) from: Ipv4Addr,
    pub(super) random: Random,
    pub(super) messages: u32,
    pub(super) longest: usize,
    pub(super) slow: bool,
    pub(super) until: Instant,
}

/// What one side says, and how long it waits between two messages.
struct Talk {
    script: Script,
    count: u32,
    pause: Duration,
    until: Instant,
}

/// What one side has said.
struct Said {
    messages: u32,
    pings: u64,
    bytes: u64,
}

impl Living {
    pub(super) async fn run(mut self) -> Result<Ledger, Fault> {
        let mut ledger = Ledger::default();
        while Instant::now() < self.until {
            if let Some((phone, laptop)) = self.open(&mut ledger).await? {
                let lived = self.live(phone, laptop, &mut ledger).await;
                lived.map_err(|fault| fault.at("a tunnel that lives"))?;
            }
        }
        Ok(ledger)
    }

    async fn open(&self, ledger: &mut Ledger) -> Result<Option<(Link, Link)>, Fault> {
        let (service, id) = (&self.service, fresh_id());
        let new = service.request(&Endpoint::New(id));
        let (phone, answer) = service.in_time(service.ask(self.from, &new)).await?;
        let Answer::Upgraded(Some(routing_id)) = answer else {
            ledger.note_crowd(&answer)?;
            sleep_until(self.until.min(Instant::now() + AGAIN)).await;
            return Ok(None);
        };
        let connect = service.request(&Endpoint::Connect(routing_id, id));
        let (laptop, answer) = service.in_time(service.ask(self.from, &connect)).await?;
        match answer {
            Answer::Upgraded(_) => Ok(Some((phone, laptop))),
            refused => Err(Fault::Answer { due: "101", came: format!("{refused:?}") }),
        }
    }

    /// Some tunnels are short and hurried, others long and leisurely.
    fn talk(&mut self) -> Talk {
        let longest = match self.random.below(4) {
            0 => 64,
            1 => 1 << 10,
            2 => 64 << 10,
            _ => self.longest,
        };
        let script = Script::new(&mut self.random, longest.min(self.longest));
        let most = 1 + self.random.below(self.messages as usize) as u32;
        let pause = match self.random.below(3) {
            0 => Duration::ZERO,
            1 => Duration::from_millis(5),
            _ => Duration::from_millis(50),
        };
        Talk { count: script.within(most, BUDGET), script, pause, until: self.until }
    }

    async fn live(
        &mut self,
        mut phone: Link,
        mut laptop: Link,
        ledger: &mut Ledger,
    ) -> Result<(), Fault> {
        let (up, down) = (self.talk(), self.talk());
        let (service, rest) = (&self.service, if self.slow { SLOWNESS } else { Duration::ZERO });
        let (all_up, up_due) = watch::channel(up.count);
        let (all_down, down_due) = watch::channel(down.count);
        let said = {
            let ((from_phone, to_phone), (from_laptop, to_laptop)) =
                (phone.halves(), laptop.halves());
            tokio::try_join!(
                speak(service, &up, to_phone, &all_up),
                speak(service, &down, to_laptop, &all_down),
                listen(service, &up.script, from_laptop, up_due, rest),
                listen(service, &down.script, from_phone, down_due, Duration::ZERO),
            )?
        };
        let (first, mut second) = match self.random.below(2) {
            0 => (phone, laptop),
            _ => (laptop, phone),
        };
        service.in_time(async { tokio::try_join!(first.goodbye(), second.closes(1000)) }).await?;
        ledger.note(JOINED_GOODBYE);
        ledger.lived += 1;
        for said in [said.0, said.1] {
            ledger.messages += u64::from(said.messages);
            ledger.pings += said.pings;
            ledger.bytes += said.bytes;
        }
        Ok(())
    }
}

/// Says all, or what it can in the time of the run; `all` tells how much that is in the end.
async fn speak(
    service: &Service,
    talk: &Talk,
    mut to: WriteHalf<'_>,
    all: &watch::Sender<u32>,
) -> Result<Said, Fault> {
    let mut said = Said { messages: 0, pings: 0, bytes: 0 };
    while said.messages < talk.count && Instant::now() < talk.until {
        let (wire, pings) = talk.script.wire(said.messages);
        service.in_time(async { Ok(to.write_all(&wire).await?) }).await?;
        said.bytes += talk.script.len(said.messages) as u64;
        said.messages += 1;
        said.pings += pings;
        if !talk.pause.is_zero() {
            sleep(talk.pause).await;
        }
    }
    all.send_replace(said.messages);
    Ok(said)
}

/// Hears all that is said, each message in its turn.
async fn listen(
    service: &Service,
    script: &Script,
    mut from: Reader<'_>,
    mut all: watch::Receiver<u32>,
    rest: Duration,
) -> Result<(), Fault> {
    let mut due = 0;
    loop {
        if due >= *all.borrow_and_update() {
            return Ok(());
        }
        if !rest.is_zero() {
            sleep(rest).await;
        }
        tokio::select! {
            heard = service.in_time(from.hear(script, due)) => match heard? {
                Heard::Message => due += 1,
                Heard::Close(code) => return Err(Fault::Closed(code)),
            },
            // The other end lives as long as this.
            _ = all.changed() => {}
        }
    }
}
