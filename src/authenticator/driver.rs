//! One transaction of the phone: the pure state machine between data channels, radio and engine.
//!
//! Depends on `hybrid`, `ble`, `channel` and the siblings in `authenticator`.

mod failure;
mod linking;

use std::future::Future;
use std::pin::Pin;

use rand_core::{CryptoRng, RngCore};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::channels::{Channels, Heard};
use super::door::Entrance;
use super::engine::{Outcome, Reply, Transport};
use super::phone::{Phone, Progress};
use super::{Consent, Error, PasskeyStore, Timestamp};
use crate::ble::{Advertisement as _, Advertiser, Outgoing, RadioAdvertisement};
use crate::hybrid;
use crate::hybrid::advert::ADVERT_LEN;
use crate::hybrid::authenticator::{Event, Input, Output, Transaction, Tunnel};
use crate::hybrid::qr::ChannelKind;
use crate::hybrid::tunnel::{RoutingId, TunnelId};
use crate::{ble, channel};

pub(super) struct Driver<'a, S, C, K, R, P> {
    phone: &'a mut Phone<S, C>,
    transaction: Transaction,
    clock: K,
    rng: &'a mut R,
    progress: P,
    channels: Channels,
    /// Why nobody can come over Bluetooth, though the laptop could.
    no_door: Option<ble::Error>,
    /// Which of them spoke last.
    via: ChannelKind,
    advertisement: Option<RadioAdvertisement>,
    /// Why the tunnel failed, for the error that the state machine then makes of it.
    failure: Option<Box<channel::Error>>,
    /// Which open channel ended and why, unless it was a goodbye.
    broken: Option<(ChannelKind, Box<channel::Error>)>,
    /// Why the advert left the air by itself.
    off_air: Option<ble::Error>,
    /// Where a laptop that rang waits.
    contacted: Option<(RoutingId, TunnelId)>,
    request: Option<Vec<u8>>,
    unacknowledged: Option<Outcome>,
}

/// What woke the driver.
enum Woken {
    Heard(Heard),
    Reply(Reply),
    /// The advert has left the air by itself, so that no laptop will come.
    OffAir(ble::Error),
    Cancelled,
    Deadline,
}

impl<'a, S, C, K, R, P> Driver<'a, S, C, K, R, P>
where
    S: PasskeyStore + Send + Sync,
    C: Consent + Send + Sync,
    K: Fn() -> Timestamp + Send + Sync,
    R: RngCore + CryptoRng + Send,
    P: FnMut(Progress<'_>) + Send,
{
    pub(super) fn new(
        phone: &'a mut Phone<S, C>,
        transaction: Transaction,
        entrance: Entrance,
        clock: K,
        rng: &'a mut R,
        progress: P,
    ) -> Self {
        let (door, no_door) = entrance.open();
        Self {
            phone,
            transaction,
            clock,
            rng,
            progress,
            channels: Channels::new(door),
            no_door,
            via: ChannelKind::Tunnel,
            advertisement: None,
            failure: None,
            broken: None,
            off_air: None,
            contacted: None,
            request: None,
            unacknowledged: None,
        }
    }

    /// Meets a laptop that rang.
    pub(super) fn contacted(self, routing: RoutingId, tunnel: TunnelId) -> Self {
        Self { contacted: Some((routing, tunnel)), ..self }
    }

    pub(super) async fn run(
        mut self,
        cancel: impl Future<Output = ()> + Send,
    ) -> Result<(), Error> {
        let mut cancel = std::pin::pin!(cancel);
        loop {
            self.perform().await?;
            if self.transaction.is_closed() {
                return Ok(());
            }
            let woken = self.wait(cancel.as_mut()).await;
            if let Err(error) = self.feed(woken) {
                // What is still to be sent or closed is, before the error is told.
                self.perform().await?;
                return Err(self.explain(error));
            }
        }
    }

    async fn wait(&mut self, mut cancel: Pin<&mut (impl Future<Output = ()> + Send)>) -> Woken {
        // Whoever ends this may do so by dropping it, and has the time to before anything is heard: a phone that is
        // gone after its answer hears no thanks, however soon they came.
        tokio::select! {
            biased;
            () = cancel.as_mut() => return Woken::Cancelled,
            () = yield_now() => {}
        }
        let deadline = self.transaction.poll_timeout().map(Instant::from_std);
        let sleep = sleep_until(deadline.unwrap_or_else(Instant::now));
        let request = self.request.take();
        let (engine, now) = (&mut self.phone.engine, (self.clock)());
        let rng = &mut *self.rng;
        let reply = async {
            match &request {
                Some(request) => engine.handle(request, Transport::Hybrid, now, rng).await,
                None => std::future::pending().await,
            }
        };
        // Before the advert is on the air nobody can know where the door is.
        let welcome = self.advertisement.is_some();
        tokio::select! {
            biased;
            () = cancel => Woken::Cancelled,
            // Before what others send: a storm of it must not put the deadline off.
            () = sleep, if deadline.is_some() => Woken::Deadline,
            heard = self.channels.next(welcome) => Woken::Heard(heard),
            reply = reply, if request.is_some() => Woken::Reply(reply),
            why = off_air(&mut self.advertisement) => Woken::OffAir(why),
        }
    }

    fn feed(&mut self, woken: Woken) -> Result<(), hybrid::Error> {
        let now = Instant::now().into_std();
        match woken {
            Woken::Heard(Heard::Opened(Ok(routing))) => {
                let service = self.phone.config.service;
                self.transaction.handle(Input::TunnelOpen { routing, service }, now)
            }
            Woken::Heard(Heard::Opened(Err(error))) => {
                self.failure = Some(error);
                self.transaction.handle(Input::TunnelFailed, now)
            }
            Woken::Heard(Heard::Message(via, Ok(message))) => {
                self.via = via;
                self.transaction.handle(Input::Message { via, message: &message }, now)
            }
            Woken::Heard(Heard::Message(via, Err(error))) => {
                self.broken = (!error.is_goodbye()).then(|| (via, Box::new(error)));
                self.transaction.handle(Input::ChannelClosed { via }, now)
            }
            Woken::Reply(reply) => self.reply(reply),
            Woken::OffAir(why) => {
                self.off_air = Some(why);
                self.transaction.handle(Input::Cancel, now)
            }
            Woken::Cancelled => self.transaction.handle(Input::Cancel, now),
            Woken::Deadline => self.transaction.handle(Input::Timeout, now),
        }
    }

    fn reply(&mut self, reply: Reply) -> Result<(), hybrid::Error> {
        tracing::debug!(status = reply.status().name(), "answered a request");
        (self.progress)(Progress::Answered(&reply.outcome));
        let now = Instant::now().into_std();
        let agreed = match &reply.outcome {
            Outcome::Saved { credential } | Outcome::SignedIn { credential, .. } => {
                Some(credential.clone())
            }
            _ => None,
        };
        self.unacknowledged = Some(reply.outcome);
        // First, because a laptop that has its answer may hang up at once.
        if let Some(info) = agreed.and_then(|credential| self.link(&credential)) {
            self.transaction.handle(Input::Update(Some(&info)), now)?;
        }
        self.transaction.handle(Input::Response(&reply.bytes), now)
    }

    async fn perform(&mut self) -> Result<(), Error> {
        while let Some(output) = self.transaction.poll_output() {
            match output {
                Output::OpenTunnel(tunnel) => self.open(tunnel),
                Output::Advertise(data) => self.advertise(&data).await?,
                Output::StopAdvertising => {
                    self.advertisement = None;
                    self.channels.shut_door();
                }
                Output::Send { via, message } => {
                    let deadline = self.phone.config.send_deadline;
                    self.channels.send(via, &message, deadline).await;
                }
                Output::Discard(via) => {
                    if self.channels.discard(via) {
                        self.failure = Some(Box::new(channel::Error::TimedOut));
                    }
                }
                Output::CloseChannel => self.channels.close().await,
                Output::Event(event) => self.event(event)?,
            }
        }
        Ok(())
    }

    fn open(&mut self, tunnel: Tunnel) {
        (self.progress)(Progress::OpeningTunnel);
        let (connector, relay) =
            (self.phone.config.connector.clone(), self.phone.config.relay.clone());
        let contacted = self.contacted;
        self.channels.open_tunnel(Box::pin(async move {
            let (channel, routing) = match (tunnel, contacted) {
                (Tunnel::New(id), _) => connector.open_tunnel(&relay, id).await?,
                (Tunnel::Contacted, Some((routing, id))) => {
                    (connector.join_tunnel(&relay, routing, id).await?, routing)
                }
                (Tunnel::Contacted, None) => return Err(Box::new(channel::Error::TimedOut)),
            };
            Ok((Box::new(channel), routing))
        }));
    }

    async fn advertise(&mut self, data: &[u8]) -> Result<(), Error> {
        let connectable = data.len() > ADVERT_LEN;
        let advert = Outgoing { connectable, ..Outgoing::new(data) };
        let advertisement = self.phone.radio.advertise(advert).await.map_err(Error::Radio)?;
        self.advertisement = Some(advertisement);
        Ok(())
    }

    fn event(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Advertising => {
                if let Some(failure) = &self.failure {
                    (self.progress)(Progress::WithoutTunnel(failure));
                }
                (self.progress)(Progress::Advertising);
            }
            Event::Connected => {
                self.broken = None;
                (self.progress)(Progress::Connected { via: self.via });
            }
            Event::Ctap(request) => {
                if let Some(tap) = &self.phone.config.tap {
                    (tap.0)(&request);
                }
                self.request = Some(request);
            }
            Event::Acknowledged => self.acknowledged()?,
            // Not offered in our post-handshake message, and the end is seen by `run`.
            Event::Json(_) | Event::Closed => {}
        }
        Ok(())
    }

    fn acknowledged(&mut self) -> Result<(), Error> {
        if let Some(outcome) = self.unacknowledged.take() {
            let now = (self.clock)();
            self.phone.engine.delivered(&outcome, now, &mut *self.rng).map_err(Error::Store)?;
        }
        (self.progress)(Progress::Acknowledged);
        Ok(())
    }
}

async fn off_air(advertisement: &mut Option<RadioAdvertisement>) -> ble::Error {
    match advertisement {
        Some(advertisement) => advertisement.lost().await,
        None => std::future::pending().await,
    }
}
