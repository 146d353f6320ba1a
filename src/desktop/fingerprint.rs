//! Fingers, through fprintd: `net.reactivated.Fprint` on the system's bus.
//!
//! fprintd runs as root, holds the pictures of the fingers, and asks polkit whether this user may be
//! verified (`net.reactivated.fprint.device.verify`). The bus tells who runs the service, and one of
//! another user than root is not believed. A [`Match`] comes into being at one place: where that
//! service says `verify-match`.
//!
//! PAM is not used. Verifying through it means reading `/etc/shadow`, which takes root or a helper
//! with its rights, and it would take the login's password, which passkeys have no use for; pam_fprintd
//! itself does just what is here. Nor is polkit's own question: it tells that somebody knew the login's
//! password, or on many desktops that somebody sits at an open session, and an action of ours would
//! have to be installed as root. The PIN is the other way, and it is always there.
//!
//! Depends on the sibling `bus`.

mod claim;

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use zbus::zvariant::OwnedObjectPath;

use super::Error;
use super::bus::{Bus, Caller, Peer, Service, read};
use super::error::name;
use claim::Claim;

const NAME: &str = "net.reactivated.Fprint";
const MANAGER_PATH: &str = "/net/reactivated/Fprint/Manager";
const MANAGER: &str = "net.reactivated.Fprint.Manager";
const DEVICE: &str = "net.reactivated.Fprint.Device";
const SERVICE: Service = Service { name: NAME, signals: DEVICE };
/// The calling user.
const SELF: &str = "";
/// Touches that were no good picture, before it counts as a finger that does not match.
const POOR_TOUCHES: u32 = 20;

/// Proof that the service saw a finger of this user. Made by [`Reader::verify`] alone.
#[derive(Debug)]
pub struct Match(());

/// How a verification ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// A finger of this user.
    Matched(Match),
    /// Only other fingers, or no good picture, as often as was allowed.
    NotMatched,
    /// No finger in time.
    TimedOut,
}

/// What to tell the user meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// Put a finger on the reader, or swipe it.
    Touch,
    /// Not seen well; once more.
    Again,
    /// The swipe was too short.
    TooShort,
    /// The finger was not in the middle.
    NotCentered,
    /// Take the finger away and put it there again.
    Lift,
    /// That finger is none of this user's; once more.
    WrongFinger,
}

/// How long and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fingers that do not match, until it is over.
    pub tries: u32,
    /// For the whole.
    pub time: Duration,
}

impl Default for Limits {
    /// Three fingers within half a minute.
    fn default() -> Self {
        Self { tries: 3, time: Duration::from_secs(30) }
    }
}

/// The machine's fingerprint reader.
#[derive(Clone, Debug)]
pub struct Reader {
    bus: Bus,
    trusted: u32,
}

/// What the service said of a touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Touch {
    Matched,
    Other,
    Poor(Hint),
    Failed,
    Unknown,
}

impl Reader {
    /// The one of this machine, as root's fprintd offers it. Asks nothing yet.
    #[must_use]
    pub fn system() -> Self {
        Self::at(Bus::System, 0)
    }

    /// One on another bus, offered by the numeric user `trusted`; for tests.
    #[must_use]
    pub fn at(bus: Bus, trusted: u32) -> Self {
        Self { bus, trusted }
    }

    /// Which fingers of the user are known, such as `right-index-finger`; none if none is.
    ///
    /// # Errors
    ///
    /// [`Error::NoReader`], [`Error::NoBus`], [`Error::NoService`], [`Error::Impostor`] and those of
    /// a call.
    pub async fn enrolled(&self) -> Result<Vec<String>, Error> {
        let (peer, device) = self.device().await?;
        match enrolled(&peer.caller(), &device).await {
            Err(Error::NoFinger) => Ok(Vec::new()),
            other => other,
        }
    }

    /// Waits for a finger of the user. `tell` hears what to say meanwhile. Whatever way this ends, by
    /// being dropped too, the reader stops and is free again.
    ///
    /// # Errors
    ///
    /// [`Error::NoFinger`], [`Error::Busy`], [`Error::Denied`], [`Error::ReaderFailed`],
    /// [`Error::Vanished`] and those of [`Self::enrolled`]. None of them says anything about the user.
    pub async fn verify(
        &self,
        limits: Limits,
        mut tell: impl FnMut(Hint) + Send,
    ) -> Result<Verdict, Error> {
        let deadline = Instant::now() + limits.time;
        let (mut peer, device) = self.device().await?;
        enrolled(&peer.caller(), &device).await?;
        let mut claim = Claim::of(&peer, device).await?;
        for _ in 0..limits.tries {
            claim.start().await?;
            tell(Hint::Touch);
            let finger = finger(&mut peer, &claim.device, &mut tell);
            let Ok(finger) = timeout_at(deadline, finger).await else {
                claim.end().await;
                return Ok(Verdict::TimedOut);
            };
            if finger? {
                claim.end().await;
                return Ok(Verdict::Matched(Match(())));
            }
            claim.stop().await?;
            tell(Hint::WrongFinger);
        }
        claim.end().await;
        Ok(Verdict::NotMatched)
    }

    async fn device(&self) -> Result<(Peer, String), Error> {
        let peer = Peer::find(&self.bus, SERVICE).await?;
        let uid = peer.uid().await?;
        if uid != self.trusted {
            return Err(Error::Impostor { service: NAME, uid });
        }
        let asked = peer.caller().raw(MANAGER_PATH, MANAGER, "GetDefaultDevice", &()).await?;
        let device: OwnedObjectPath = read(&asked.map_err(reason)?, NAME)?;
        Ok((peer, device.to_string()))
    }
}

/// The names of the user's fingers, at least one.
async fn enrolled(caller: &Caller, device: &str) -> Result<Vec<String>, Error> {
    let asked = caller.raw(device, DEVICE, "ListEnrolledFingers", &SELF).await?;
    let fingers: Vec<String> = read(&asked.map_err(reason)?, NAME)?;
    if fingers.is_empty() { Err(Error::NoFinger) } else { Ok(fingers) }
}

/// Whether the next finger that is seen well is the user's.
async fn finger(
    peer: &mut Peer,
    device: &str,
    tell: &mut (impl FnMut(Hint) + Send),
) -> Result<bool, Error> {
    for _ in 0..POOR_TOUCHES {
        match touch(peer, device).await? {
            Touch::Matched => return Ok(true),
            Touch::Other => return Ok(false),
            Touch::Poor(hint) => tell(hint),
            Touch::Failed => return Err(Error::ReaderFailed),
            Touch::Unknown => {}
        }
    }
    Ok(false)
}

async fn touch(peer: &mut Peer, device: &str) -> Result<Touch, Error> {
    loop {
        let signal = peer.signal().await?;
        let header = signal.header();
        let ours = header.path().is_some_and(|path| path.as_str() == device);
        let status = header.member().is_some_and(|member| member.as_str() == "VerifyStatus");
        if ours && status {
            let (result, done): (String, bool) = read(&signal, NAME)?;
            return Ok(Touch::read(&result, done));
        }
    }
}

impl Touch {
    /// Results are fprintd's; both ends of a try come with `done`, and without it neither counts.
    fn read(result: &str, done: bool) -> Self {
        match (result, done) {
            ("verify-match", true) => Self::Matched,
            ("verify-no-match", true) => Self::Other,
            ("verify-retry-scan", false) => Self::Poor(Hint::Again),
            ("verify-swipe-too-short", false) => Self::Poor(Hint::TooShort),
            ("verify-finger-not-centered", false) => Self::Poor(Hint::NotCentered),
            ("verify-remove-and-retry", false) => Self::Poor(Hint::Lift),
            // verify-disconnected and verify-unknown-error among them: nothing comes any more.
            (_, true) => Self::Failed,
            ("verify-disconnected" | "verify-unknown-error", false) => Self::Failed,
            (_, false) => Self::Unknown,
        }
    }
}

/// What fprintd's errors mean.
fn reason(error: zbus::Error) -> Error {
    match name(&error) {
        "NoSuchDevice" => Error::NoReader,
        "NoEnrolledPrints" => Error::NoFinger,
        "AlreadyInUse" => Error::Busy,
        "PermissionDenied" => Error::Denied(NAME, Box::new(error)),
        "Internal" => Error::ReaderFailed,
        _ => match Error::of_call(NAME, error) {
            Error::NoService(service) => Error::Vanished(service),
            other => other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_match_that_ends_the_try_is_one() {
        assert_eq!(Touch::read("verify-match", true), Touch::Matched);
        for (result, done) in [
            ("verify-match", false),
            ("verify-Match", true),
            ("verify-match\0", true),
            ("verify-no-match", true),
            ("", true),
            ("verify-retry-scan", false),
        ] {
            assert_ne!(Touch::read(result, done), Touch::Matched, "{result}");
        }
        assert_eq!(Touch::read("verify-disconnected", true), Touch::Failed);
        assert_eq!(Touch::read("verify-unknown-error", false), Touch::Failed);
        assert_eq!(Touch::read("verify-new-kind", false), Touch::Unknown);
    }
}
