//! The virtual key: programs on this very machine use the passkeys, as if a key were plugged in.
//!
//! Joins a device and its requests to the engine. One request at a time is with the engine, and
//! dropping it is how it is cancelled. Depends on `ctap`, `uhid` and the siblings in `authenticator`.

use std::future::Future;

use rand_core::{CryptoRng, RngCore};

use super::engine::{Engine, Outcome, Reply, Transport};
use super::{Consent, PasskeyStore, Timestamp, store};
use crate::ctap::{Status, respond};
use crate::uhid::host::{Host, Job, Sign};
use crate::uhid::{Device, Error};

/// What there is to tell about a key in use.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A request was answered.
    Answered(&'a Outcome),
    /// The program has the answer, and the store could not note that.
    NotNoted(&'a store::Error),
    /// The program that asked went away, or changed its mind.
    Withdrawn,
    /// A program wants to know which key this is.
    Wink,
}

/// Serves programs over `device` until `cancel` comes. What waits for the user then is dropped, and
/// nothing was changed by it.
///
/// An answer counts as delivered once it is written to a channel that still waited for it: there is
/// no other sign.
///
/// # Errors
///
/// The device broke.
pub async fn serve<D, S, C>(
    device: D,
    engine: &mut Engine<S, C>,
    cancel: impl Future<Output = ()> + Send,
    clock: impl Fn() -> Timestamp + Send,
    rng: &mut (impl RngCore + CryptoRng + Send),
    progress: impl Fn(Progress<'_>) + Send + Sync,
) -> Result<(), Error>
where
    D: Device,
    S: PasskeyStore + Send + Sync,
    C: Consent + Send + Sync,
{
    let tell = &progress;
    let mut host = Host::new(device, |sign| match sign {
        Sign::Withdrawn => tell(Progress::Withdrawn),
        Sign::Wink => tell(Progress::Wink),
        Sign::Closed => {}
    });
    let work = async {
        loop {
            host.info = respond(Ok(engine.get_info(Transport::Hid)));
            let job = host.job().await?;
            let request = job.message();
            let answer = engine.handle(request, Transport::Hid, clock(), &mut *rng);
            let Some(reply) = host.while_wanted(answer).await? else { continue };
            let bytes = over_hid(&job, &reply);
            let written = host.answer(&job, &bytes)?;
            tell(Progress::Answered(&reply.outcome));
            let noted = match written {
                true => engine.delivered(&reply.outcome, clock(), &mut *rng),
                false => Ok(()),
            };
            if let Err(error) = noted {
                tell(Progress::NotNoted(&error));
            }
        }
    };
    tokio::select! {
        biased;
        () = cancel => Ok(()),
        result = work => result,
    }
}

/// The answer as programs on the USB want it.
fn over_hid(job: &Job, reply: &Reply) -> Vec<u8> {
    match reply.status() {
        // Firefox takes "denied" for a bad fingerprint and asks again at once, for ever.
        Status::OPERATION_DENIED => respond(Err(Status::USER_ACTION_TIMEOUT)),
        // What a touch is asked for with cannot succeed in any other way.
        Status::OK if job.is_touch() => respond(Err(Status::PIN_NOT_SET)),
        _ => reply.bytes.clone(),
    }
}

#[cfg(test)]
mod tests;
