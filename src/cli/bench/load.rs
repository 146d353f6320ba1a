//! The load: tunnels are set up, stand idle, carry messages, and are closed.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rand_core::RngCore as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::process::Server;
use super::report::{Memory, Report};
use super::wire::{End, Fault};
use crate::channel::Error;
use crate::channel::websocket::Connector;
use crate::cli::failure::{Failure, Status, causes};
use crate::cli::system;
use crate::cli::ui::Ui;
use crate::hybrid::tunnel::{Endpoint, ServiceUrl, TunnelId};

/// How long a slow reader rests before each message.
const SLOWNESS: Duration = Duration::from_millis(10);

/// What to do to which relay.
pub(super) struct Load {
    pub(super) connector: Connector,
    pub(super) url: ServiceUrl,
    pub(super) tunnels: u32,
    pub(super) active: u32,
    pub(super) messages: u32,
    pub(super) size: usize,
    pub(super) window: u32,
    pub(super) slow: u32,
    pub(super) concurrency: usize,
    pub(super) rate: Option<u32>,
    pub(super) sources: Option<u8>,
    pub(super) deadline: Duration,
}

/// Both ends of a tunnel.
struct Pair {
    phone: End,
    laptop: End,
}

impl Load {
    /// Runs all of it. The first thing that goes wrong ends it.
    pub(super) async fn run(&self, server: Option<Server>, ui: Ui) -> Result<Report, Failure> {
        let mut report = Report::of(self);
        let base = measured(server, Server::memory)?;
        let (began, cpu) = (Instant::now(), measured(server, Server::cpu)?);
        let pairs = self.set_up(began).await?;
        report.setting_up = began.elapsed();
        let cpu_setups = spent(server, cpu)?;
        ui.step(
            "tunnels-open",
            &format!("{} tunnels are open", pairs.len()),
            serde_json::json!({}),
        );
        let idle = settled(server).await?;
        let (began, cpu) = (Instant::now(), measured(server, Server::cpu)?);
        let (pairs, turns) = self.carry(pairs).await?;
        report.carrying = began.elapsed();
        let cpu_carrying = spent(server, cpu)?;
        report.messages = u64::from(self.active) * u64::from(self.messages) * 2;
        report.turns = turns;
        report.turns.sort_unstable();
        report.cpu = cpu_setups.zip(cpu_carrying);
        self.close(pairs).await?;
        let after = settled(server).await?;
        report.memory = match (base, idle, after) {
            (Some(base), Some(idle), Some(after)) => Some(Memory { base, idle, after }),
            _ => None,
        };
        Ok(report)
    }

    async fn set_up(&self, began: Instant) -> Result<Vec<Pair>, Failure> {
        let openings = (0..self.tunnels).map(|number| async move {
            if let Some(rate) = self.rate {
                sleep_until(began + Duration::from_secs(1) * number / rate).await;
            }
            self.open(number).await
        });
        let opened = stream::iter(openings).buffer_unordered(self.concurrency);
        opened.try_collect().await.map_err(|error| refused(&error))
    }

    async fn open(&self, number: u32) -> Result<Pair, Error> {
        let mut id = [0; 16];
        system::random().fill_bytes(&mut id);
        let id = TunnelId::new(id);
        let from = self.sources.map(|sources| {
            IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1 + (number % u32::from(sources)) as u8))
        });
        let asked = Endpoint::New(id);
        let phone = self.connector.upgrade(&self.url, &asked, from).await?;
        let routing_id = phone.routing_id.ok_or(Error::RoutingId)?;
        let asked = Endpoint::Connect(routing_id, id);
        let laptop = self.connector.upgrade(&self.url, &asked, from).await?;
        Ok(Pair { phone: End::new(phone), laptop: End::new(laptop) })
    }

    /// Lets messages go round in the active ones; gives all back, and how long each turn took.
    async fn carry(&self, mut pairs: Vec<Pair>) -> Result<(Vec<Pair>, Vec<Duration>), Failure> {
        let idle = pairs.split_off(self.active as usize);
        let mut running = JoinSet::new();
        for (number, pair) in (0..).zip(pairs) {
            let session = Session {
                messages: self.messages,
                size: self.size,
                window: self.window,
                deadline: self.deadline,
                slow: number < self.slow,
            };
            running.spawn(session.run(pair));
        }
        let (mut pairs, mut all) = (idle, Vec::new());
        while let Some(ended) = running.join_next().await {
            let (pair, turns) = ended.map_err(|_| broken(&Fault::Late))?.map_err(|f| broken(&f))?;
            pairs.push(pair);
            all.extend(turns);
        }
        Ok((pairs, all))
    }

    async fn close(&self, pairs: Vec<Pair>) -> Result<(), Failure> {
        let goodbyes = pairs.into_iter().map(|pair| async {
            let Pair { phone, laptop } = pair;
            // Both say it at once; either may be the first that the relay hears.
            let both = async { tokio::join!(phone.close(), laptop.close()) };
            timeout(self.deadline, both).await
        });
        let said = stream::iter(goodbyes).buffer_unordered(self.concurrency);
        let late = said.filter(|said| std::future::ready(said.is_err())).count().await;
        match late {
            0 => Ok(()),
            late => Err(Failure::new(
                Status::Network,
                format!("{late} tunnels did not end within the deadline after a goodbye"),
                "look at the relay's log, or raise --deadline",
            )),
        }
    }
}

/// What an active tunnel does.
struct Session {
    messages: u32,
    size: usize,
    window: u32,
    deadline: Duration,
    slow: bool,
}

impl Session {
    async fn run(self, mut pair: Pair) -> Result<(Pair, Vec<Duration>), Fault> {
        let mut turns = Vec::new();
        let mut number = 0;
        while number < self.messages {
            let count = self.window.min(self.messages - number);
            let began = Instant::now();
            self.turn(&mut pair.phone, &mut pair.laptop, number, count, self.slow).await?;
            self.turn(&mut pair.laptop, &mut pair.phone, number, count, false).await?;
            turns.push(began.elapsed());
            number += count;
        }
        pair.phone.rest();
        pair.laptop.rest();
        Ok((pair, turns))
    }

    /// One end sends while the other reads: a relay may stop to read until it can write.
    async fn turn(
        &self,
        from: &mut End,
        to: &mut End,
        first: u32,
        count: u32,
        slow: bool,
    ) -> Result<(), Fault> {
        let sending = async { self.in_time(from.send(first, count, self.size)).await };
        let reading = async {
            for number in first..first + count {
                if slow {
                    sleep(SLOWNESS).await;
                }
                self.in_time(to.expect(number, self.size)).await?;
            }
            Ok(())
        };
        tokio::try_join!(sending, reading).map(|_| ())
    }

    async fn in_time(&self, step: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
        timeout(self.deadline, step).await.unwrap_or(Err(Fault::Late))
    }
}

fn measured<T>(
    server: Option<Server>,
    what: impl Fn(Server) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    server.map(what).transpose()
}

/// CPU time of the server since `before`, in nanoseconds.
fn spent(server: Option<Server>, before: Option<u64>) -> Result<Option<u64>, Failure> {
    let now = measured(server, Server::cpu)?;
    Ok(now.zip(before).map(|(now, before)| now.saturating_sub(before)))
}

async fn settled(server: Option<Server>) -> Result<Option<u64>, Failure> {
    match server {
        Some(server) => server.settled().await.map(Some),
        None => Ok(None),
    }
}

fn refused(error: &Error) -> Failure {
    let hint = match error {
        Error::Status { status: 429 | 503 } => {
            "raise the relay's --per-address, --connections, --tunnels, --tunnel-rate and \
             --tunnel-rate-per-address, or give --rate"
        }
        Error::Connect { .. } => "check that the relay runs; beyond 14,000 tunnels give --sources",
        Error::Plain { .. } => "measure a relay on this machine, or use wss://",
        Error::TimedOut => "raise --deadline, or lower --concurrency",
        _ => "check that the address is that of a tunnel service; look at its log",
    };
    Failure::because(Status::Network, error, hint)
}

fn broken(fault: &Fault) -> Failure {
    let (status, hint) = match fault {
        Fault::Closed(1008 | 1009) => {
            (Status::Network, "raise the relay's --messages, --bytes, --message-len and --life")
        }
        Fault::Late => (Status::Network, "raise --deadline, or lower --active and --window"),
        Fault::Content(_) | Fault::Frame(_) => {
            (Status::Protocol, "this is a defect of the relay; tell its makers")
        }
        _ => (Status::Network, "look at the relay's log"),
    };
    Failure::new(status, causes(fault), hint)
}
