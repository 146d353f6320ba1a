//! One transaction as a task: the pure state machine between a radio and a data channel.
//!
//! Depends on `hybrid`, `ble` and `channel`.

mod failure;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::dial::{Channel, Dialled, Dialling, NotOpened, dial};
use super::handle::{Command, Progress};
use super::{Config, Error, Unreachable};
use crate::ble::{AddressType, Radio, Scan, Scanner, SharedScan, SharedScanner, Sighting};
use crate::channel;
use crate::channel::slot::{Kept, Slot, kept};
use crate::hybrid::client::{Event, Input, Output, Sender, Target, Transaction};
use crate::hybrid::post_handshake::PostHandshake;
use crate::hybrid::qr::ChannelKind;
use crate::hybrid::tunnel::ServiceUrl;
use crate::hybrid::{self, Waiting};

pub(super) struct Driver {
    radio: SharedScanner<Radio>,
    config: Config,
    transaction: Transaction,
    inbox: mpsc::Receiver<Command>,
    progress: mpsc::Sender<Progress>,
    scan: Option<SharedScan>,
    opening: Option<Kept<Dialled>>,
    channel: Slot<Channel>,
    /// Which kind was dialled last.
    via: ChannelKind,
    /// The tunnel service that was dialled last.
    service: Option<ServiceUrl>,
    /// Why it failed, for the error that the state machine then makes of it.
    failure: Option<Box<channel::Error>>,
    /// Why Bluetooth alone did not do, should it go no further from here.
    bluetooth: Option<Unreachable>,
    /// Why an open channel ended, unless it was a goodbye.
    broken: Option<Box<channel::Error>>,
    finishing: bool,
    said: Option<PostHandshake>,
    ready: Option<oneshot::Sender<PostHandshake>>,
    call: Option<oneshot::Sender<Vec<u8>>>,
}

/// What woke the driver.
enum Woken {
    Sighting(Sighting),
    Opened(Dialled),
    Message(Result<Vec<u8>, channel::Error>),
    Command(Option<Command>),
    Deadline,
}

impl Driver {
    pub(super) fn new(
        radio: SharedScanner<Radio>,
        config: Config,
        transaction: Transaction,
        inbox: mpsc::Receiver<Command>,
        progress: mpsc::Sender<Progress>,
    ) -> Self {
        Self {
            radio,
            config,
            transaction,
            inbox,
            progress,
            scan: None,
            opening: None,
            channel: Slot::empty(),
            via: ChannelKind::Tunnel,
            service: None,
            failure: None,
            bluetooth: None,
            broken: None,
            finishing: false,
            said: None,
            ready: None,
            call: None,
        }
    }

    pub(super) async fn run(mut self) -> Result<(), Error> {
        loop {
            self.perform().await?;
            if self.transaction.is_closed() {
                return self.end();
            }
            let woken = self.wait().await?;
            if let Err(error) = self.feed(woken) {
                if error == hybrid::Error::Misuse {
                    // It changed nothing, but its caller is told that all is over.
                    let _cancelled =
                        self.transaction.handle(Input::Cancel, Instant::now().into_std());
                }
                // What is still to be sent or closed is, before the error is told.
                self.perform().await?;
                return Err(self.explain(error));
            }
        }
    }

    /// An idle channel that ends is fine for the protocol; for the caller only if nothing was to
    /// be sent any more.
    fn end(self) -> Result<(), Error> {
        match self.broken.filter(|_| !self.finishing) {
            Some(source) => {
                Err(Error::Broken { via: self.via, waiting: Waiting::Response, source })
            }
            None => Ok(()),
        }
    }

    async fn wait(&mut self) -> Result<Woken, Error> {
        let deadline = self.transaction.poll_timeout().map(Instant::from_std);
        let sleep = sleep_until(deadline.unwrap_or_else(Instant::now));
        let woken = tokio::select! {
            biased;
            command = self.inbox.recv() => Woken::Command(command),
            // Before what others send: a storm of it must not put the deadline off.
            () = sleep, if deadline.is_some() => Woken::Deadline,
            message = self.channel.recv(), if self.channel.is_filled() => Woken::Message(message),
            opened = kept(&mut self.opening), if self.opening.is_some() => {
                self.opening = None;
                Woken::Opened(opened)
            }
            sighting = next(&mut self.scan), if self.scan.is_some() => {
                Woken::Sighting(sighting.map_err(Error::Radio)?)
            }
        };
        Ok(woken)
    }

    fn feed(&mut self, woken: Woken) -> Result<(), hybrid::Error> {
        let now = Instant::now().into_std();
        match woken {
            Woken::Sighting(Sighting { address, service_data, .. }) => {
                let random = address.kind == AddressType::Random;
                let sender = Sender { address: address.bytes, random };
                self.transaction
                    .handle(Input::Sighting { service_data: &service_data, sender }, now)
            }
            Woken::Opened(dialled) => self.opened(dialled),
            Woken::Message(Ok(message)) => self.transaction.handle(Input::Message(&message), now),
            Woken::Message(Err(error)) => {
                self.channel.clear();
                self.broken = (!error.is_goodbye()).then(|| Box::new(error));
                self.transaction.handle(Input::ChannelClosed, now)
            }
            Woken::Deadline => self.transaction.handle(Input::Timeout, now),
            Woken::Command(command) => self.command(command.unwrap_or(Command::Cancel)),
        }
    }

    fn opened(&mut self, dialled: Dialled) -> Result<(), hybrid::Error> {
        let now = Instant::now().into_std();
        match dialled {
            Ok(channel) => {
                if self.via == ChannelKind::L2cap {
                    self.bluetooth = Some(Unreachable::NoHandshake);
                }
                self.channel.fill(channel);
                return self.transaction.handle(Input::ChannelOpen, now);
            }
            Err(NotOpened::Tunnel(failure)) => self.failure = Some(failure),
            Err(NotOpened::L2cap(failure)) => self.bluetooth = Some(failure),
        }
        self.transaction.handle(Input::ChannelFailed, now)
    }

    fn command(&mut self, command: Command) -> Result<(), hybrid::Error> {
        let now = Instant::now().into_std();
        match command {
            Command::Ready(tell) => {
                self.ready = Some(tell);
                self.tell_ready();
                Ok(())
            }
            Command::Call(message, tell) => {
                self.call = Some(tell);
                self.transaction.handle(Input::Ctap(&message), now)?;
                self.report(Progress::WaitingForUser);
                Ok(())
            }
            Command::Finish => {
                self.finishing = true;
                self.transaction.handle(Input::Finish, now)
            }
            Command::Cancel => self.transaction.handle(Input::Cancel, now),
        }
    }

    fn tell_ready(&mut self) {
        if let (Some(said), Some(_)) = (&self.said, &self.ready)
            && let Some(tell) = self.ready.take()
        {
            let _nobody_waits = tell.send(said.clone());
        }
    }

    async fn perform(&mut self) -> Result<(), Error> {
        while let Some(output) = self.transaction.poll_output() {
            match output {
                Output::StartScan => {
                    self.scan = Some(self.radio.scan().await.map_err(Error::Radio)?);
                    self.report(match self.transaction.qr_text() {
                        Some(_) => Progress::Listening,
                        None => Progress::Ringing,
                    });
                }
                Output::StopScan => self.scan = None,
                Output::OpenChannel(target) => self.open(target)?,
                Output::Send(message) => {
                    self.channel.send(&message, self.config.send_deadline).await;
                }
                Output::CloseChannel => self.close().await,
                Output::Event(event) => self.event(event),
            }
        }
        Ok(())
    }

    fn open(&mut self, target: Target) -> Result<(), Error> {
        let Dialling { via, service, channel } = dial(self.radio.scanner(), &self.config, target)?;
        match via {
            ChannelKind::L2cap if self.bluetooth.is_some() => self.report(Progress::TryingAgain),
            ChannelKind::Tunnel if self.bluetooth.is_some() => self.report(Progress::FallingBack),
            ChannelKind::L2cap | ChannelKind::Tunnel => {}
        }
        if via == ChannelKind::L2cap {
            self.bluetooth = Some(Unreachable::TimedOut);
        }
        (self.via, self.opening) = (via, Some(channel));
        self.service = service.or_else(|| self.service.take());
        self.broken = None;
        Ok(())
    }

    async fn close(&mut self) {
        if self.opening.take().is_some() && self.via == ChannelKind::Tunnel {
            self.failure = Some(Box::new(channel::Error::TimedOut));
        }
        self.channel.close().await;
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::AdvertSeen => self.report(Progress::AdvertSeen),
            Event::Connected => {
                (self.bluetooth, self.failure) = (None, None);
                self.report(Progress::Connected { via: self.via });
            }
            Event::Ready(said) => {
                self.said = Some(said);
                self.tell_ready();
            }
            Event::Ctap(response) => {
                if let Some(tell) = self.call.take() {
                    let _nobody_waits = tell.send(response);
                }
            }
            Event::Linked(device) => self.report(Progress::Linked(Box::new(device))),
            // No caller asks for JSON yet, and the end is seen by `run`.
            Event::Json(_) | Event::Closed => {}
        }
    }

    fn report(&self, progress: Progress) {
        tracing::debug!(?progress, "transaction");
        let _nobody_looks = self.progress.try_send(progress);
    }
}

async fn next(scan: &mut Option<SharedScan>) -> Result<Sighting, crate::ble::Error> {
    match scan {
        Some(scan) => scan.next().await,
        None => std::future::pending().await,
    }
}
