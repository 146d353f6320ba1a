//! The authenticator proper: CTAP2 messages in, answers out, over a store and a consent.
//!
//! It asks its user about every request and verifies that it is the user, whatever the client asks
//! for; only then does it sign. Nothing about what the store holds leaves without an answer of the
//! user. Knows no transport beyond its name, reads no clock (except to limit the wait for the
//! user) and draws no randomness of its own. May depend on the pure modules and on siblings.
//!
//! Specification: CTAP 2.2, section 6.

mod attest;
mod config;
mod extensions;
mod register;
mod reply;
mod sign_in;
mod silent;

pub use self::config::{AAGUID, Attestation, Config, SeveralAccounts, Transport};
pub use self::reply::{Outcome, Reply};
use self::sign_in::Listing;
use super::consent::{Consent, ConsentRequest, Decision, Verification};
use super::passkey::{PasskeyStore, Timestamp};
use super::{Random, store};
use crate::ctap::{Command, CredentialParameters, ES256, GetInfo, Status, respond};

/// Why there is no body to answer with.
enum Failure {
    Status(Status),
    Store(store::Error),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

type Answer = Result<(Vec<u8>, Outcome), Failure>;

/// What an approval says.
struct Approval {
    account: usize,
    verification: Verification,
}

/// The authenticator for one client at a time.
pub struct Engine<S, C> {
    store: S,
    consent: C,
    config: Config,
    listing: Option<Listing>,
}

impl<S, C> std::fmt::Debug for Engine<S, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("config", &self.config).finish_non_exhaustive()
    }
}

impl<S: PasskeyStore + Sync, C: Consent + Sync> Engine<S, C> {
    /// An engine over a store and somebody who asks the user.
    pub fn new(store: S, consent: C, config: Config) -> Self {
        Self { store, consent, config, listing: None }
    }

    /// The body of getInfo without status byte: what goes into the post-handshake message.
    #[must_use]
    pub fn get_info(&self, transport: Transport) -> Vec<u8> {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let transports = match transport {
            Transport::Hybrid => ["internal", "hybrid"].as_slice(),
            Transport::Hid => &["usb", "internal", "hybrid"],
        };
        // `plat` is false: seen from the client this is another device. No message size: it would
        // have to be named to allow more than 1024 bytes, but clients of phones do not look.
        let options = [("rk", true), ("uv", true), ("plat", false)];
        let info = GetInfo {
            versions: texts(&["FIDO_2_0", "FIDO_2_1"]),
            extensions: texts(&[extensions::CRED_PROTECT, extensions::PRF]),
            aaguid: self.config.aaguid,
            options: options.map(|(key, value)| (key.to_owned(), value)).to_vec(),
            transports: texts(transports),
            algorithms: vec![CredentialParameters::new(ES256)],
            ..GetInfo::default()
        };
        info.encode()
    }

    /// Answers one message: command byte and CBOR.
    ///
    /// Waits for the user, at most as long as the configuration says. Dropped while it waits, it
    /// has changed nothing. Calls of the store block the thread for a few milliseconds each.
    pub async fn handle(
        &mut self,
        message: &[u8],
        transport: Transport,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Reply {
        match self.answer(message, transport, now, rng).await {
            Ok((body, outcome)) => Reply { bytes: respond(Ok(body)), outcome },
            Err(failure) => Reply::failed(failure),
        }
    }

    async fn answer(
        &mut self,
        message: &[u8],
        transport: Transport,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Answer {
        // Any other command ends a listing.
        let listing = self.listing.take();
        let (command, body) = Command::split(message)?;
        match command {
            Command::MakeCredential => self.make_credential(body, now, rng).await,
            Command::GetAssertion => self.get_assertion(body, transport, now).await,
            Command::GetInfo | Command::GetNextAssertion | Command::Selection
                if !body.is_empty() =>
            {
                Err(Status::INVALID_LENGTH.into())
            }
            Command::GetInfo => Ok((self.get_info(transport), Outcome::Answered)),
            Command::GetNextAssertion => self.get_next_assertion(listing, now),
            Command::Selection => {
                self.ask(ConsentRequest::Presence).await?;
                Ok((Vec::new(), Outcome::Answered))
            }
            _ => Err(Status::INVALID_COMMAND.into()),
        }
    }

    /// Notes that the client has the answer that led to `outcome`: it shut the transaction down in
    /// order, or sent its next command. Outcomes that concern no passkey are fine too.
    ///
    /// # Errors
    ///
    /// The store failed; the passkey then stays possibly orphaned.
    pub fn delivered(
        &self,
        outcome: &Outcome,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Result<(), store::Error> {
        match outcome {
            Outcome::Saved { credential } => self.store.mark_delivered(credential, now, rng),
            Outcome::SignedIn { credential, first_proof } => {
                if *first_proof {
                    self.store.mark_delivered(credential, now, rng)?;
                }
                self.store.mark_used(credential, now, rng)
            }
            _ => Ok(()),
        }
    }

    /// Asks the user; anything but an approval is the status to answer.
    async fn ask(&self, request: ConsentRequest) -> Result<Approval, Status> {
        let choices = match &request {
            ConsentRequest::SignIn { accounts, .. } => accounts.len(),
            _ => 1,
        };
        let answer = tokio::time::timeout(self.config.user_timeout, self.consent.ask(request));
        match answer.await.unwrap_or(Decision::TimedOut) {
            Decision::Approved { account, verification } if account < choices => {
                Ok(Approval { account, verification })
            }
            Decision::Approved { .. } | Decision::Declined => Err(Status::OPERATION_DENIED),
            Decision::TimedOut => Err(Status::USER_ACTION_TIMEOUT),
            Decision::Cancelled => Err(Status::KEEPALIVE_CANCEL),
            Decision::NotVerified => Err(Status::UV_INVALID),
            Decision::LockedOut => Err(Status::UV_BLOCKED),
        }
    }
}

/// Whether it can be shown for what it is: printable ASCII, as domains and `ssh:` are.
fn valid_rp_id(rp_id: &str) -> Result<(), Status> {
    let shown = !rp_id.is_empty() && rp_id.bytes().all(|byte| byte.is_ascii_graphic());
    if shown { Ok(()) } else { Err(Status::INVALID_PARAMETER) }
}

/// No PIN or UV token can be right: none was ever given out, no protocol is announced.
fn no_pin_protocol(param: &Option<Vec<u8>>, protocol: Option<u64>) -> Result<(), Status> {
    if param.is_some() || protocol.is_some() { Err(Status::INVALID_PARAMETER) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
