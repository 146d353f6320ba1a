//! One transaction as a task: the pure state machine between a radio and a data channel.
//!
//! Depends on `hybrid`, `ble` and `channel`.

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::{Config, Dialled, Dialling, Error};
use crate::ble::{AddressType, Radio, RadioScan, Scan, Scanner, Sighting};
use crate::channel::websocket::WebSocketChannel;
use crate::channel::{self, DataChannel};
use crate::hybrid::client::{Event, Input, Output, Sender, Target, Transaction};
use crate::hybrid::post_handshake::PostHandshake;
use crate::hybrid::{self, Waiting};

/// How a transaction gets on, for the person who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The radio listens; show the QR.
    Listening,
    /// The phone is near and its tunnel is being opened.
    AdvertSeen,
    /// The phone proved that it read the QR.
    Connected,
    /// The phone has the request; its user decides.
    WaitingForUser,
}

/// A transaction that runs. Dropping it cancels it.
#[derive(Debug)]
pub struct TransactionHandle {
    qr_text: Option<String>,
    commands: mpsc::Sender<Command>,
    task: Option<tokio::task::JoinHandle<Result<(), Error>>>,
}

/// The steps of a transaction, as they happen. Dropping it is fine.
#[derive(Debug)]
pub struct ProgressStream(mpsc::Receiver<Progress>);

impl ProgressStream {
    /// Waits for the next step; `None` when there will be none. Cancel safe.
    pub async fn next(&mut self) -> Option<Progress> {
        self.0.recv().await
    }
}

/// What the handle asks of the task.
#[derive(Debug)]
enum Command {
    Ready(oneshot::Sender<PostHandshake>),
    Call(Vec<u8>, oneshot::Sender<Vec<u8>>),
    Finish,
    Cancel,
}

impl TransactionHandle {
    pub(super) fn start(
        radio: Radio,
        config: Config,
        transaction: Transaction,
    ) -> (Self, ProgressStream) {
        let qr_text = transaction.qr_text();
        let (commands, inbox) = mpsc::channel(4);
        // Progress is for eyes; when nobody reads it, it is dropped.
        let (progress, receiver) = mpsc::channel(16);
        let driver = Driver {
            radio,
            config,
            transaction,
            inbox,
            progress,
            scan: None,
            opening: None,
            channel: None,
            failure: None,
            said: None,
            ready: None,
            call: None,
        };
        let task = Some(tokio::spawn(driver.run()));
        (Self { qr_text, commands, task }, ProgressStream(receiver))
    }

    /// The text of the QR; `None` when a linked phone was rung.
    #[must_use]
    pub fn qr_text(&self) -> Option<&str> {
        self.qr_text.as_deref()
    }

    /// Waits until the phone said what it can.
    ///
    /// # Errors
    ///
    /// What ended the transaction before.
    pub async fn ready(&mut self) -> Result<PostHandshake, Error> {
        let (tell, told) = oneshot::channel();
        self.command(Command::Ready(tell), told).await
    }

    /// Sends a CTAP2 message (command byte and CBOR) and waits for the response (status byte and
    /// CBOR), both untouched.
    ///
    /// # Errors
    ///
    /// What ended the transaction; a CTAP status is no error here.
    pub async fn call(&mut self, message: Vec<u8>) -> Result<Vec<u8>, Error> {
        let (tell, told) = oneshot::channel();
        self.command(Command::Call(message, tell), told).await
    }

    async fn command<T>(
        &mut self,
        command: Command,
        told: oneshot::Receiver<T>,
    ) -> Result<T, Error> {
        if self.commands.send(command).await.is_ok()
            && let Ok(answer) = told.await
        {
            return Ok(answer);
        }
        Err(self.outcome().await.err().unwrap_or(Error::Over))
    }

    /// Tells the phone that nothing more comes, which is how it learns that its answer arrived, and
    /// waits until the channel is closed.
    ///
    /// # Errors
    ///
    /// What ended the transaction otherwise.
    pub async fn finish(mut self) -> Result<(), Error> {
        let _over_already = self.commands.send(Command::Finish).await;
        self.outcome().await
    }

    /// Gives up: the phone is told if it is there, and everything is closed.
    pub async fn cancel(mut self) {
        let _over_already = self.commands.send(Command::Cancel).await;
        let _cancelled = self.outcome().await;
    }

    async fn outcome(&mut self) -> Result<(), Error> {
        match self.task.take() {
            Some(task) => task.await.unwrap_or(Err(Error::Over)),
            None => Err(Error::Over),
        }
    }
}

struct Driver {
    radio: Radio,
    config: Config,
    transaction: Transaction,
    inbox: mpsc::Receiver<Command>,
    progress: mpsc::Sender<Progress>,
    scan: Option<RadioScan>,
    opening: Option<Dialling>,
    channel: Option<Box<WebSocketChannel>>,
    /// Why the last channel failed, for the error that the state machine then makes of it.
    failure: Option<Error>,
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
    async fn run(mut self) -> Result<(), Error> {
        loop {
            self.perform().await?;
            if self.transaction.is_closed() {
                return Ok(());
            }
            let woken = self.wait().await?;
            if let Err(error) = self.feed(woken) {
                // What is still to be sent or closed is, before the error is told.
                self.perform().await?;
                return Err(self.explain(error));
            }
        }
    }

    async fn wait(&mut self) -> Result<Woken, Error> {
        let deadline = self.transaction.poll_timeout().map(Instant::from_std);
        let sleep = sleep_until(deadline.unwrap_or_else(Instant::now));
        let woken = tokio::select! {
            biased;
            command = self.inbox.recv() => Woken::Command(command),
            message = recv(&mut self.channel), if self.channel.is_some() => Woken::Message(message),
            opened = open(&mut self.opening), if self.opening.is_some() => {
                self.opening = None;
                Woken::Opened(opened)
            }
            // Before the sightings: a storm of foreign adverts must not put the deadline off.
            () = sleep, if deadline.is_some() => Woken::Deadline,
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
            Woken::Opened(Ok(channel)) => {
                self.channel = Some(channel);
                self.transaction.handle(Input::ChannelOpen, now)
            }
            Woken::Opened(Err(failure)) => {
                self.failure = Some(failure);
                self.transaction.handle(Input::ChannelFailed, now)
            }
            Woken::Message(Ok(message)) => self.transaction.handle(Input::Message(&message), now),
            Woken::Message(Err(_)) => {
                self.channel = None;
                self.transaction.handle(Input::ChannelClosed, now)
            }
            Woken::Deadline => self.transaction.handle(Input::Timeout, now),
            Woken::Command(command) => self.command(command.unwrap_or(Command::Cancel)),
        }
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
            Command::Finish => self.transaction.handle(Input::Finish, now),
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
                    self.report(Progress::Listening);
                }
                Output::StopScan => self.scan = None,
                Output::OpenChannel(target) => self.open(target)?,
                Output::Send(message) => self.send(&message).await,
                Output::CloseChannel => self.close().await,
                Output::Event(event) => self.event(event),
            }
        }
        Ok(())
    }

    fn open(&mut self, target: Target) -> Result<(), Error> {
        self.opening = Some(self.config.dial(target)?);
        Ok(())
    }

    /// A message that cannot be sent is a channel that broke, and its reader will say so.
    async fn send(&mut self, message: &[u8]) {
        let deadline = Instant::now() + self.config.send_deadline;
        if let Some(channel) = &mut self.channel {
            let sent = tokio::time::timeout_at(deadline, channel.send(message)).await;
            if !matches!(sent, Ok(Ok(()))) {
                tracing::debug!("the channel did not take a message");
            }
        }
    }

    async fn close(&mut self) {
        self.opening = None;
        if let Some(mut channel) = self.channel.take() {
            channel.close().await;
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::AdvertSeen => self.report(Progress::AdvertSeen),
            Event::Connected => self.report(Progress::Connected),
            Event::Ready(said) => {
                self.said = Some(said);
                self.tell_ready();
            }
            Event::Ctap(response) => {
                if let Some(tell) = self.call.take() {
                    let _nobody_waits = tell.send(response);
                }
            }
            // No caller asks for JSON or for links yet, and the end is seen by `run`.
            Event::Json(_) | Event::Linked(_) | Event::Closed => {}
        }
    }

    fn report(&self, progress: Progress) {
        tracing::debug!(?progress, "transaction");
        let _nobody_looks = self.progress.try_send(progress);
    }

    /// Puts the driver's knowledge into the protocol's error.
    fn explain(&mut self, error: hybrid::Error) -> Error {
        match (error, self.failure.take()) {
            (hybrid::Error::ChannelFailed, Some(failure))
            | (hybrid::Error::TimedOut(Waiting::Channel), Some(failure)) => failure,
            (error, _) => Error::Protocol(error),
        }
    }
}

async fn recv(channel: &mut Option<Box<WebSocketChannel>>) -> Result<Vec<u8>, channel::Error> {
    match channel {
        Some(channel) => channel.recv().await,
        None => std::future::pending().await,
    }
}

async fn open(opening: &mut Option<Dialling>) -> Dialled {
    match opening {
        Some(opening) => opening.await,
        None => std::future::pending().await,
    }
}

async fn next(scan: &mut Option<RadioScan>) -> Result<Sighting, crate::ble::Error> {
    match scan {
        Some(scan) => scan.next().await,
        None => std::future::pending().await,
    }
}
