//! One transaction of the phone: the pure state machine between tunnel, radio and engine.
//!
//! Depends on `hybrid`, `ble`, `channel` and the siblings in `authenticator`.

use std::future::Future;
use std::pin::Pin;

use rand_core::{CryptoRng, RngCore};
use tokio::time::{Instant, sleep_until};

use super::engine::{Outcome, Reply, Transport};
use super::phone::{Phone, Progress};
use super::{Consent, Error, PasskeyStore, Timestamp};
use crate::ble::{self, Advertisement as _, Advertiser, Outgoing, RadioAdvertisement};
use crate::channel;
use crate::channel::slot::{Kept, Slot, kept};
use crate::channel::websocket::WebSocketChannel;
use crate::hybrid::advert::ADVERT_LEN;
use crate::hybrid::authenticator::{Event, Input, Output, Transaction, Tunnel};
use crate::hybrid::qr::ChannelKind;
use crate::hybrid::tunnel::RoutingId;
use crate::hybrid::{self, Waiting};

type Opened = Result<(Box<WebSocketChannel>, RoutingId), Box<channel::Error>>;

pub(super) struct Driver<'a, S, C, K, R, P> {
    phone: &'a mut Phone<S, C>,
    transaction: Transaction,
    clock: K,
    rng: &'a mut R,
    progress: P,
    opening: Option<Kept<Opened>>,
    channel: Slot<WebSocketChannel>,
    advertisement: Option<RadioAdvertisement>,
    /// Why the tunnel failed, for the error that the state machine then makes of it.
    failure: Option<Box<channel::Error>>,
    /// Why an open tunnel ended, unless it was a goodbye.
    broken: Option<Box<channel::Error>>,
    /// Why the advert left the air by itself.
    off_air: Option<ble::Error>,
    request: Option<Vec<u8>>,
    unacknowledged: Option<Outcome>,
}

/// What woke the driver.
enum Woken {
    Opened(Opened),
    Message(Result<Vec<u8>, channel::Error>),
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
        clock: K,
        rng: &'a mut R,
        progress: P,
    ) -> Self {
        Self {
            phone,
            transaction,
            clock,
            rng,
            progress,
            opening: None,
            channel: Slot::empty(),
            advertisement: None,
            failure: None,
            broken: None,
            off_air: None,
            request: None,
            unacknowledged: None,
        }
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

    async fn wait(&mut self, cancel: Pin<&mut (impl Future<Output = ()> + Send)>) -> Woken {
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
        tokio::select! {
            biased;
            () = cancel => Woken::Cancelled,
            // Before what others send: a storm of it must not put the deadline off.
            () = sleep, if deadline.is_some() => Woken::Deadline,
            message = self.channel.recv(), if self.channel.is_filled() => Woken::Message(message),
            opened = kept(&mut self.opening), if self.opening.is_some() => {
                self.opening = None;
                Woken::Opened(opened)
            }
            reply = reply, if request.is_some() => Woken::Reply(reply),
            why = off_air(&mut self.advertisement) => Woken::OffAir(why),
        }
    }

    fn feed(&mut self, woken: Woken) -> Result<(), hybrid::Error> {
        let now = Instant::now().into_std();
        let via = ChannelKind::Tunnel;
        match woken {
            Woken::Opened(Ok((channel, routing))) => {
                self.channel.fill(channel);
                let service = self.phone.config.service;
                self.transaction.handle(Input::TunnelOpen { routing, service }, now)
            }
            Woken::Opened(Err(error)) => {
                self.failure = Some(error);
                self.transaction.handle(Input::TunnelFailed, now)
            }
            Woken::Message(Ok(message)) => {
                self.transaction.handle(Input::Message { via, message: &message }, now)
            }
            Woken::Message(Err(error)) => {
                self.channel.clear();
                self.broken = (!error.is_goodbye()).then(|| Box::new(error));
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
        self.unacknowledged = Some(reply.outcome);
        self.transaction.handle(Input::Response(&reply.bytes), Instant::now().into_std())
    }

    async fn perform(&mut self) -> Result<(), Error> {
        while let Some(output) = self.transaction.poll_output() {
            match output {
                Output::OpenTunnel(tunnel) => self.open(tunnel),
                Output::Advertise(data) => self.advertise(&data).await?,
                Output::StopAdvertising => self.advertisement = None,
                Output::Send { message, .. } => {
                    self.channel.send(&message, self.phone.config.send_deadline).await;
                }
                Output::CloseChannel => self.close().await,
                Output::Event(event) => self.event(event)?,
            }
        }
        Ok(())
    }

    fn open(&mut self, tunnel: Tunnel) {
        (self.progress)(Progress::OpeningTunnel);
        if let Tunnel::New(id) = tunnel {
            let (connector, relay) =
                (self.phone.config.connector.clone(), self.phone.config.relay.clone());
            self.opening = Some(Box::pin(async move {
                let (channel, routing) = connector.open_tunnel(&relay, id).await?;
                Ok((Box::new(channel), routing))
            }));
        }
    }

    async fn advertise(&mut self, data: &[u8]) -> Result<(), Error> {
        let connectable = data.len() > ADVERT_LEN;
        let advert = Outgoing { connectable, ..Outgoing::new(data) };
        let advertisement = self.phone.radio.advertise(advert).await.map_err(Error::Radio)?;
        self.advertisement = Some(advertisement);
        Ok(())
    }

    async fn close(&mut self) {
        self.opening = None;
        self.channel.close().await;
    }

    fn event(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Advertising => (self.progress)(Progress::Advertising),
            Event::Connected => (self.progress)(Progress::Connected),
            Event::Ctap(request) => self.request = Some(request),
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

    /// Puts the driver's knowledge into the protocol's error.
    fn explain(&mut self, error: hybrid::Error) -> Error {
        if let Some(why) = self.off_air.take() {
            return Error::Radio(why);
        }
        let error = match (error, self.failure.take(), self.broken.take()) {
            (hybrid::Error::ChannelFailed, Some(source), _) => self.no_tunnel(source),
            (hybrid::Error::TimedOut(Waiting::Channel), ..) => {
                self.no_tunnel(Box::new(channel::Error::TimedOut))
            }
            (hybrid::Error::PeerClosed(waiting), _, Some(source)) => {
                Error::Broken { waiting, source }
            }
            (error, ..) => Error::Protocol(error),
        };
        match self.unacknowledged.take() {
            Some(Outcome::Saved { credential }) => {
                Error::Unconfirmed { credential, source: Box::new(error) }
            }
            _ => error,
        }
    }

    fn no_tunnel(&self, source: Box<channel::Error>) -> Error {
        Error::Tunnel { service: Box::new(self.phone.config.relay.clone()), source }
    }
}

async fn off_air(advertisement: &mut Option<RadioAdvertisement>) -> ble::Error {
    match advertisement {
        Some(advertisement) => advertisement.lost().await,
        None => std::future::pending().await,
    }
}
