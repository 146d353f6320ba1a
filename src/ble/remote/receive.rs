//! Drives the machine that a radio is shared with: a pipe to the other machine, and programs of this one
//! that listen. The other machine scans as long as one of them does. Depends on tokio and siblings.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::Error;
use super::pairing::PairingKey;
use super::pipe::{Moved, Pipe};
use super::receiver::{Input, Output, Receiver};
use super::wire::{Report, framed};
use crate::hybrid::PrivateKey;

/// Programs that listen at the same time; one more is turned away.
const MAX_LISTENERS: usize = 32;
/// Reports that wait for a program; one that falls behind loses the oldest.
const QUEUE: usize = 256;
/// How long a program may take nothing at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes what the machine at the other end of a pipe hears to those who listen, until that ends; `paired`
/// is called when the other machine has shown the key. Dropping it ends it. Needs a tokio runtime.
pub async fn receive<L>(
    pipe: (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    listeners: mpsc::Receiver<L>,
    key: PairingKey,
    ephemeral: PrivateKey,
    paired: impl FnMut(),
) -> Error
where
    L: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let receiver = Receiver::new(key, ephemeral, Instant::now().into_std());
    let pipe = Pipe::new(pipe.0, pipe.1);
    let mut driver = Driver { pipe, receiver, listeners, audience: Audience::new(), paired };
    let Err(error) = driver.run().await;
    driver.perform();
    driver.pipe.farewell().await;
    error
}

struct Driver<R, W, L, T> {
    pipe: Pipe<R, W>,
    receiver: Receiver,
    listeners: mpsc::Receiver<L>,
    audience: Audience,
    paired: T,
}

impl<R, W, L, T> Driver<R, W, L, T>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    L: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: FnMut(),
{
    async fn run(&mut self) -> Result<std::convert::Infallible, Error> {
        loop {
            self.perform();
            let due = Instant::from_std(self.receiver.poll_timeout());
            tokio::select! {
                () = sleep_until(due) => self.feed(Input::Timeout)?,
                moved = self.pipe.moved() => self.moved(moved?)?,
                Some(listener) = self.listeners.recv() => self.admit(listener)?,
                () = self.audience.left() => {
                    if self.audience.is_empty() {
                        self.feed(Input::Wanted(false))?;
                    }
                }
            }
        }
    }

    fn feed(&mut self, input: Input<'_>) -> Result<(), Error> {
        self.receiver.handle(input, Instant::now().into_std())
    }

    fn moved(&mut self, moved: Moved) -> Result<(), Error> {
        let Moved::Came(count) = moved else { return Ok(()) };
        self.receiver.handle(Input::Bytes(self.pipe.came(count)), Instant::now().into_std())
    }

    fn admit(&mut self, listener: L) -> Result<(), Error> {
        if self.audience.admit(listener, self.receiver.standing()) {
            self.feed(Input::Wanted(true))?;
        }
        Ok(())
    }

    fn perform(&mut self) {
        while let Some(output) = self.receiver.poll_output() {
            match output {
                Output::Write(bytes) => self.pipe.put(&bytes),
                Output::Paired => (self.paired)(),
                Output::Report(report) => self.audience.tell(&report),
            }
        }
    }
}

/// The programs that listen.
struct Audience {
    reports: broadcast::Sender<Vec<u8>>,
    tasks: JoinSet<()>,
}

impl Audience {
    fn new() -> Self {
        Self { reports: broadcast::channel(QUEUE).0, tasks: JoinSet::new() }
    }

    fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// One more; `first` is what it missed. Whether there was room.
    fn admit<L>(&mut self, listener: L, first: Option<Report>) -> bool
    where
        L: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if self.tasks.len() >= MAX_LISTENERS {
            tracing::warn!("more than {MAX_LISTENERS} programs want to use the shared radio");
            return false;
        }
        let first = first.map(|report| framed(&report.encode()));
        self.tasks.spawn(serve(listener, first, self.reports.subscribe()));
        true
    }

    /// Waits until one has left.
    async fn left(&mut self) {
        match self.tasks.join_next().await {
            Some(_) => {}
            None => std::future::pending().await,
        }
    }

    fn tell(&mut self, report: &Report) {
        let _nobody = self.reports.send(framed(&report.encode()));
        if let Report::Failed { .. } = report {
            // They get it, see that nothing follows, and go; whoever comes next asks anew.
            self.reports = broadcast::channel(QUEUE).0;
            std::mem::take(&mut self.tasks).detach_all();
        }
    }
}

/// Serves one program until it leaves, or there is nothing more to tell.
async fn serve(
    mut listener: impl AsyncRead + AsyncWrite + Unpin,
    first: Option<Vec<u8>>,
    mut reports: broadcast::Receiver<Vec<u8>>,
) {
    let mut next = first;
    loop {
        if let Some(bytes) = next.take()
            && !matches!(timeout(PATIENCE, listener.write_all(&bytes)).await, Ok(Ok(())))
        {
            return;
        }
        let mut nothing = [0; 16];
        tokio::select! {
            biased;
            report = reports.recv() => match report {
                Ok(bytes) => next = Some(bytes),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            // Listeners say nothing; this is their end.
            _ = listener.read(&mut nothing) => return,
        }
    }
}
