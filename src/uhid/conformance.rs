//! The rules of [`Device`] as checks that every implementation runs in its tests: the fake one here, the
//! kernel's in the guest of `tests/uhid_real`.
//!
//! Depends on its parent. Public so that the tests of the real device can use it.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

use super::{Device, Error, Event, REPORT_LEN, Report};

/// Reports that may be under way in one direction: the kernel keeps 32 for us, 64 for a program.
const BATCH: u8 = 20;

/// A program that uses the device, on its other side.
pub trait Program {
    /// Opens the device. What was sent before is not heard.
    fn open(&mut self) -> impl Future<Output = io::Result<()>>;

    /// Closes it.
    fn close(&mut self) -> impl Future<Output = io::Result<()>>;

    /// Sends a report to the key.
    fn write(&mut self, report: &Report) -> impl Future<Output = io::Result<()>>;

    /// Waits for the next report of the key; fails once there is no key any more.
    fn read(&mut self) -> impl Future<Output = io::Result<Report>>;
}

/// A broken rule.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A call of the device failed that had to succeed.
    #[error("{rule}: the device failed")]
    Device {
        /// The rule that was being checked.
        rule: &'static str,
        /// What the call returned.
        source: Error,
    },
    /// The program could not do what it had to do.
    #[error("{rule}: the program failed")]
    Program {
        /// The rule that was being checked.
        rule: &'static str,
        /// What the call returned.
        source: io::Error,
    },
    /// All calls succeeded, but not as the rule says.
    #[error("{rule}")]
    Broken {
        /// The rule that does not hold.
        rule: &'static str,
    },
}

/// Checks all rules with a fresh device that no program has opened yet.
///
/// # Errors
///
/// The first rule that does not hold. A device that says nothing at all is waited for without end:
/// put a deadline around it.
pub async fn run(mut device: impl Device, mut program: impl Program) -> Result<(), Violation> {
    unheard(&mut device)?;
    opened_and_closed(&mut device, &mut program).await?;
    opened_and_closed(&mut device, &mut program).await?;
    program.open().await.map_err(program_failed("a program can open it"))?;
    require(next(&mut device, OPENED).await? == Event::Opened, OPENED)?;
    from_program(&mut device, &mut program).await?;
    to_program(&mut device, &mut program).await?;
    cancelled_next(&mut device, &mut program).await?;
    drop_is_seen(device, program).await
}

const OPENED: &str = "the first open is told";

async fn opened_and_closed(
    device: &mut impl Device,
    program: &mut impl Program,
) -> Result<(), Violation> {
    const CLOSED: &str = "the last close is told";
    program.open().await.map_err(program_failed(OPENED))?;
    require(next(device, OPENED).await? == Event::Opened, OPENED)?;
    program.close().await.map_err(program_failed(CLOSED))?;
    require(next(device, CLOSED).await? == Event::Closed, CLOSED)?;
    unheard(device)
}

/// A later check would see it if a program heard it after all.
fn unheard(device: &mut impl Device) -> Result<(), Violation> {
    const RULE: &str = "a report that nobody listens to is lost, and no error";
    device.send(&[0xee; REPORT_LEN]).map_err(device_failed(RULE))
}

async fn from_program(
    device: &mut impl Device,
    program: &mut impl Program,
) -> Result<(), Violation> {
    const RULE: &str = "a program's reports arrive unchanged, in order, each once";
    for batch in 0..5 {
        for number in 0..BATCH {
            program.write(&report(batch, number)).await.map_err(program_failed(RULE))?;
        }
        for number in 0..BATCH {
            require(next(device, RULE).await? == Event::Report(report(batch, number)), RULE)?;
        }
    }
    Ok(())
}

async fn to_program(device: &mut impl Device, program: &mut impl Program) -> Result<(), Violation> {
    const RULE: &str = "the key's reports arrive unchanged, in order, each once";
    for batch in 0..5 {
        for number in 0..BATCH {
            device.send(&report(batch, number)).map_err(device_failed(RULE))?;
        }
        for number in 0..BATCH {
            let heard = program.read().await.map_err(program_failed(RULE))?;
            require(heard == report(batch, number), RULE)?;
        }
    }
    Ok(())
}

async fn cancelled_next(
    device: &mut impl Device,
    program: &mut impl Program,
) -> Result<(), Violation> {
    const RULE: &str = "a dropped next loses nothing";
    for number in 0..BATCH {
        require(poll_once(device.next()).await.is_none(), RULE)?;
        program.write(&report(99, number)).await.map_err(program_failed(RULE))?;
        let event = match poll_once(device.next()).await {
            Some(event) => event.map_err(device_failed(RULE))?,
            None => next(device, RULE).await?,
        };
        require(event == Event::Report(report(99, number)), RULE)?;
    }
    Ok(())
}

async fn drop_is_seen(device: impl Device, mut program: impl Program) -> Result<(), Violation> {
    const RULE: &str = "a dropped device is gone for its programs";
    drop(device);
    require(program.read().await.is_err(), RULE)?;
    require(program.open().await.is_err(), RULE)
}

/// One that differs in every byte from that of another number. Some begin with 0, as what hidraw takes
/// for a report number does.
fn report(batch: u8, number: u8) -> Report {
    let mut report = [0; REPORT_LEN];
    let bytes = (1..).map(|at: u8| at.wrapping_mul(7) ^ number ^ batch.rotate_left(4));
    report.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
    report
}

async fn next(device: &mut impl Device, rule: &'static str) -> Result<Event, Violation> {
    device.next().await.map_err(device_failed(rule))
}

fn device_failed(rule: &'static str) -> impl FnOnce(Error) -> Violation {
    move |source| Violation::Device { rule, source }
}

fn program_failed(rule: &'static str) -> impl FnOnce(io::Error) -> Violation {
    move |source| Violation::Program { rule, source }
}

fn require(holds: bool, rule: &'static str) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::Broken { rule }) }
}

/// Polls once and drops the future if it is not ready.
async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
