//! What a caller holds of a running transaction: ask, finish, cancel, and watch.
//!
//! Depends on `hybrid`, `ble` and the driver beside it.

use std::fmt;

use tokio::sync::{mpsc, oneshot};

use super::transaction::Driver;
use super::{Config, Error};
use crate::ble::{Radio, SharedScanner};
use crate::hybrid::client::Transaction;
use crate::hybrid::linking::LinkedDevice;
use crate::hybrid::post_handshake::PostHandshake;
use crate::hybrid::qr::ChannelKind;
use crate::hybrid::{self, Waiting};

/// How a transaction gets on, for the person who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The radio listens; show the QR.
    Listening,
    /// The radio listens, and the linked phone is being rung.
    Ringing,
    /// The phone is near and a data channel to it is being opened.
    AdvertSeen,
    /// Bluetooth alone did not do, so the tunnel is being opened.
    FallingBack,
    /// Nothing else did either, so Bluetooth alone gets a second try.
    TryingAgain,
    /// The phone proved that it read the QR.
    Connected {
        /// Over which kind of data channel.
        via: ChannelKind,
    },
    /// The phone has the request; its user decides.
    WaitingForUser,
    /// The phone is to be remembered: it proved who it is.
    Linked(Box<LinkedDevice>),
}

/// A transaction that runs. Dropping it cancels it. `Debug` leaves the QR out.
pub struct TransactionHandle {
    qr_text: Option<String>,
    commands: mpsc::Sender<Command>,
    task: Option<tokio::task::JoinHandle<Result<(), Error>>>,
}

impl fmt::Debug for TransactionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionHandle").field("task", &self.task).finish_non_exhaustive()
    }
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
pub(super) enum Command {
    Ready(oneshot::Sender<PostHandshake>),
    Call(Vec<u8>, oneshot::Sender<Vec<u8>>),
    Finish,
    Cancel,
}

impl TransactionHandle {
    pub(super) fn start(
        radio: SharedScanner<Radio>,
        config: Config,
        transaction: Transaction,
    ) -> (Self, ProgressStream) {
        let qr_text = transaction.qr_text();
        let (commands, inbox) = mpsc::channel(4);
        // Progress is for eyes; when nobody reads it, it is dropped.
        let (progress, receiver) = mpsc::channel(16);
        let driver = Driver::new(radio, config, transaction, inbox, progress);
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
        self.outcome().await?;
        // It ended in order, but not by our doing: the phone said goodbye.
        Err(hybrid::Error::PeerClosed(Waiting::Response).into())
    }

    /// Tells the phone that nothing more comes, which is how it learns that its answer arrived, and
    /// waits until the channel is closed.
    ///
    /// # Errors
    ///
    /// What ended the transaction before: the phone then may not know that its answer arrived.
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
