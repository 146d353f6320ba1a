//! Floods of the mixed load, each from an address of its own: more new tunnels than its rate allows, more
//! connections than it may have, and requests that come drop by drop.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, sleep_until};

use super::fault::Fault;
use super::ledger::{Either, Ledger, NO_PATH, SLOW, WAITING_GOODBYE};
use super::link::{Answer, Link, Service, fresh_id};
use crate::hybrid::tunnel::Endpoint;

/// New tunnels at once, where a relay of ours usually takes 50 a second.
const TUNNELS: usize = 150;
/// Connections at once, where a relay of ours usually serves 256 and answers 512.
const CONNECTIONS: usize = 640;
const TUNNELS_EVERY: Duration = Duration::from_secs(4);
const CONNECTIONS_EVERY: Duration = Duration::from_secs(10);
/// Longer than a relay of ours waits for a request.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug)]
pub(super) enum Flood {
    Tunnels,
    Connections,
    /// Half a request, and then nothing.
    Slow,
}

pub(super) const FLOODS: [Flood; 3] = [Flood::Tunnels, Flood::Connections, Flood::Slow];

impl Flood {
    pub(super) async fn run(
        self,
        service: Service,
        from: Ipv4Addr,
        until: Instant,
    ) -> Result<Ledger, Fault> {
        let mut ledger = Ledger::default();
        // One that comes drop by drop takes longer than others have.
        let patient = Service { deadline: service.deadline.max(PATIENCE), ..service };
        loop {
            let began = Instant::now();
            let (every, wave) = match self {
                Self::Tunnels => (TUNNELS_EVERY, patient.in_time(tunnels(&patient, from)).await),
                Self::Connections => {
                    (CONNECTIONS_EVERY, patient.in_time(connections(&patient, from)).await)
                }
                Self::Slow => (Duration::ZERO, patient.in_time(slow(&patient, from)).await),
            };
            ledger.add(wave.map_err(|fault| fault.at(self))?);
            ledger.faults += 1;
            let next = began + every;
            if next.max(Instant::now()) >= until {
                return Ok(ledger);
            }
            sleep_until(next).await;
        }
    }
}

async fn tunnels(service: &Service, from: Ipv4Addr) -> Result<Ledger, Fault> {
    let mut ledger = Ledger::default();
    let asking = (0..TUNNELS).map(|_| async {
        let head = service.request(&Endpoint::New(fresh_id()));
        service.ask(from, &head).await
    });
    let answered: Vec<Result<(Link, Answer), Fault>> =
        stream::iter(asking).buffer_unordered(TUNNELS).collect().await;
    for answer in answered {
        match answer {
            Ok((link, Answer::Upgraded(_))) => {
                link.goodbye().await?;
                ledger.note(WAITING_GOODBYE);
            }
            Ok((_, refused)) => ledger.note_crowd(&refused)?,
            // Where the relay allows few connections, or this machine is slow.
            Err(_) => ledger.note_either(Either::CutOff),
        }
    }
    Ok(ledger)
}

async fn connections(service: &Service, from: Ipv4Addr) -> Result<Ledger, Fault> {
    let (mut ledger, mut links) = (Ledger::default(), Vec::new());
    for _ in 0..CONNECTIONS {
        links.push(service.connect(from).await?);
    }
    let head = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", service.host);
    for mut link in links {
        // Whoever was cut off already may learn of it now.
        let sent = link.send(head.as_bytes()).await;
        let answer = if sent.is_ok() { link.answer().await } else { Err(Fault::Late) };
        match answer {
            Ok(Answer::Refused(200, _)) => {}
            // The page may have a listener of its own.
            Ok(Answer::Refused(404, _)) => ledger.note(NO_PATH),
            Ok(refused) => ledger.note_crowd(&refused)?,
            Err(_) => ledger.note_either(Either::CutOff),
        }
    }
    Ok(ledger)
}

async fn slow(service: &Service, from: Ipv4Addr) -> Result<Ledger, Fault> {
    let mut ledger = Ledger::default();
    let mut link = service.connect(from).await?;
    link.send(b"GET /cable/new/").await?;
    let said = link.until_gone().await;
    ledger.note(SLOW);
    match said.as_slice() {
        [] => Ok(ledger),
        said => Err(Fault::Answer { due: "nothing", came: String::from_utf8_lossy(said).into() }),
    }
}
