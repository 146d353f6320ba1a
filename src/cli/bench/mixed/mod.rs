//! A mixed load: tunnels that live, beside all kinds of trouble, for as long as wanted. Nothing may be missing in
//! those that live, what was cut is a prefix, the relay counts what was provoked and nothing else, and its
//! memory stays as it is.

mod end;
mod fault;
mod flood;
mod ledger;
mod link;
mod living;
mod report;
mod script;
mod trouble;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use self::fault::Fault;
use self::flood::FLOODS;
use self::ledger::{Counters, Ledger};
use self::link::Service;
use self::living::Living;
use self::script::Random;
use self::trouble::Maker;
use super::process::Server;
use crate::cli::failure::{Failure, Status};
use crate::cli::ui::Ui;
use crate::hybrid::tunnel::ServiceUrl;

pub(super) use self::report::Report;

/// Troublemakers at a time.
const MAKERS: u8 = 4;
/// Addresses that the tunnels that live share.
const HOMES: u32 = 16;
/// From where the metrics are read.
const JUDGE: Ipv4Addr = Ipv4Addr::new(127, 0, 3, 1);
/// Memory is looked at so often in a run, and at least every five seconds: what is under way falls to nothing for moments only.
const LOOKS: u32 = 20;
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often the metrics are asked whether all is counted.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// What to do to which relay.
pub(super) struct Mixed {
    pub(super) url: ServiceUrl,
    pub(super) lasts: Duration,
    pub(super) seed: u64,
    /// Tunnels that live, at a time.
    pub(super) tunnels: u32,
    /// Of those so many have a laptop that reads slowly.
    pub(super) slow: u32,
    /// Messages in each direction of one of them, at most.
    pub(super) messages: u32,
    pub(super) longest: usize,
    pub(super) deadline: Duration,
}

impl Mixed {
    /// Runs all of it. The first thing that goes wrong ends it.
    pub(super) async fn run(&self, server: Option<Server>, ui: Ui) -> Result<Report, Failure> {
        let service = self.service().await?;
        let failed = |fault: Fault| fault.failure(self.seed);
        let before = counters(&service).await.map_err(failed)?;
        let words = format!("a mixed load for {} s, seed {}", self.lasts.as_secs(), self.seed);
        ui.step("mixed-began", &words, serde_json::json!({ "seed": self.seed }));
        let mut report = Report { lasts: self.lasts, seed: self.seed, ..Report::default() };
        report.look_every = LOOK_EVERY.min(self.lasts / LOOKS);
        report.ledger = self.load(&service, server, &mut report).await?;
        let after = settled(&service, &report.ledger, &before).await.map_err(failed)?;
        report.counted = after.json(&before);
        report.judge_memory().map_err(failed)?;
        Ok(report)
    }

    /// The address of the relay, which has to be on this machine: each kind of trouble comes from an address of its
    /// own.
    async fn service(&self) -> Result<Service, Failure> {
        let host = self.url.host_and_port();
        let found = tokio::net::lookup_host(host.clone()).await;
        let mut found = found.map_err(|error| {
            Failure::because(Status::Network, &error, "check the relay's address")
        })?;
        let near = |address: &SocketAddr| match address.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(_) => false,
        };
        match found.find(near).filter(|_| !self.url.is_secure()) {
            Some(address) => Ok(Service { address, host, deadline: self.deadline }),
            None => Err(Failure::new(
                Status::Usage,
                "a mixed load is for a relay on this machine, without TLS",
                "give an address such as ws://127.0.0.1:4433",
            )),
        }
    }

    fn begin(&self, service: &Service) -> JoinSet<Result<Ledger, Fault>> {
        let (random, until) = (Random::new(self.seed), Instant::now() + self.lasts);
        let mut running = JoinSet::new();
        for number in 0..self.tunnels {
            let living = Living {
                service: service.clone(),
                from: Ipv4Addr::new(127, 0, 0, 1 + (number % HOMES) as u8),
                random: random.branch(u64::from(number) << 8),
                messages: self.messages.max(1),
                longest: self.longest,
                slow: number < self.slow,
                until,
            };
            running.spawn(living.run());
        }
        for number in 1..=MAKERS {
            let from = Ipv4Addr::new(127, 0, 1, number);
            let random = random.branch(number.into());
            running.spawn(Maker::new(service.clone(), from, random, until).run());
        }
        for (number, flood) in (1..).zip(FLOODS) {
            let from = Ipv4Addr::new(127, 0, 2, number);
            running.spawn(flood.run(service.clone(), from, until));
        }
        running
    }

    async fn load(
        &self,
        service: &Service,
        server: Option<Server>,
        report: &mut Report,
    ) -> Result<Ledger, Failure> {
        let mut all = Ledger::default();
        let mut running = self.begin(service);
        let mut looks = interval_at(Instant::now() + report.look_every, report.look_every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ended = running.join_next() => match ended {
                    // A task of the load that panicked is a defect of the load.
                    Some(ended) => all.add(ended.unwrap_or(Err(Fault::Late)).map_err(|f| f.failure(self.seed))?),
                    None => return Ok(all),
                },
                _ = looks.tick(), if server.is_some() => {
                    report.memory.extend(server.map(Server::memory).transpose()?);
                }
            }
        }
    }
}

async fn counters(service: &Service) -> Result<Counters, Fault> {
    let page = service.in_time(service.page(JUDGE, "/metrics")).await?;
    let counters = Counters::parse(&page);
    if counters.is_empty() {
        let came = page.lines().next().unwrap_or_default().to_owned();
        return Err(Fault::Answer { due: "metrics at /metrics", came });
    }
    Ok(counters)
}

/// The metrics, once they hold all that was provoked: the last connections end a moment after the load.
async fn settled(service: &Service, ledger: &Ledger, before: &Counters) -> Result<Counters, Fault> {
    let mut wrong = Vec::new();
    let asking = async {
        loop {
            let after = counters(service).await?;
            wrong = ledger.differences(before, &after);
            if wrong.is_empty() {
                return Ok(after);
            }
            sleep(ASK_EVERY).await;
        }
    };
    let asked = timeout(service.deadline, asking).await;
    asked.unwrap_or_else(|_| Err(Fault::Count(wrong.join("; "))))
}
