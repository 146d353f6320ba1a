//! The virtual key of the laptop: programs use the passkeys on the phone, as if a key were plugged in.
//!
//! ```text
//!  programs ──CTAPHID──> uhid::host ──> plan ──> Carrier ──> the phone
//!                                        └─ a look: receipts
//! ```
//!
//! What is only a look never wakes the phone, and is never answered with a lie: of a passkey that this
//! laptop carried, the receipts tell; for one that it does not know, the phone is fetched, and what the
//! program does next goes over that very connection. One program at a time; others hear that the key is
//! busy, and what it is at any time. What the phone says passes through untouched, but for a refusal.
//! Depends on `ctap`, `uhid` and siblings in `client`.

mod bridge;
mod plan;
mod wanted;

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Notify;

use self::bridge::Bridge;
use super::service::Service;
use crate::ctap::{Status, respond};
use crate::uhid::host::{Host, Sign};
use crate::uhid::{Device, Error};

/// What there is to tell about a key in use, beside what the service tells of its transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A program asks for what no phone can do through this key; with the status that it is told.
    Refused(Status),
    /// The program that asked went away, or changed its mind.
    Withdrawn,
    /// A program wants to know which key this is.
    Wink,
}

/// Serves programs over `device` until `cancel` comes. What waits for the phone then is withdrawn.
///
/// An answer counts as taken once it is written to a channel that still waited for it: there is no other
/// sign.
///
/// # Errors
///
/// The device broke.
pub async fn serve<D: Device>(
    device: D,
    service: Service,
    cancel: impl Future<Output = ()> + Send,
    progress: impl Fn(Progress) + Send + Sync,
) -> Result<(), Error> {
    let closed = Arc::new(Notify::new());
    let close = Arc::clone(&closed);
    let tell = &progress;
    let mut host = Host::new(device, move |sign| match sign {
        Sign::Withdrawn => tell(Progress::Withdrawn),
        Sign::Wink => tell(Progress::Wink),
        Sign::Closed => close.notify_one(),
    });
    host.info = respond(Ok(plan::info()));
    let mut bridge = Bridge::new(service);
    let work = async {
        loop {
            let job = tokio::select! {
                job = host.job() => job?,
                () = closed.notified() => {
                    // Nobody is there to go on with what was begun.
                    bridge.hang_up();
                    continue;
                }
                () = bridge.ends() => continue,
            };
            let planned = plan::plan(job.kind(), job.message());
            if let plan::Plan::Refuse(status) = planned {
                tell(Progress::Refused(status));
            }
            bridge.answer(&mut host, &job, planned).await?;
        }
    };
    tokio::select! {
        biased;
        () = cancel => Ok(()),
        result = work => result,
    }
}
