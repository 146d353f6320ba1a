//! The authenticator proper: CTAP2 messages in, answers out, over a store and a consent.
//!
//! It asks its user about every request and verifies that it is the user, whatever the client asks
//! for; only then does it sign. Nothing about what the store holds leaves without an answer of the
//! user. Knows no transport beyond its name, reads no clock (except to limit the wait for the
//! user) and draws no randomness of its own. May depend on the pure modules and on siblings.
//!
//! Specification: CTAP 2.2, section 6.

mod attest;
mod blobs;
mod client_pin;
mod config;
mod extensions;
mod hmac_secret;
mod info;
mod manage;
mod register;
mod reply;
mod reset;
mod sign_in;
mod silent;
mod site_data;
mod token;

pub use self::config::{AAGUID, Attestation, Config, ForeignAaguid, SeveralAccounts, Transport};
pub use self::reply::{Outcome, Reply};
use self::sign_in::Listing;
use self::token::{Proof, Tokens};
use super::consent::{Consent, ConsentRequest, Decision, Verification};
use super::passkey::{Passkey, PasskeyStore, Timestamp};
use super::{Random, store};
use crate::ctap::{Command, RpEntity, Status, respond};

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

/// What a client has begun and not finished; any other command ends it.
enum Session {
    /// Accounts to sign in with.
    Listing(Box<Listing>),
    /// Relying parties to list, the next one last.
    Rps(Vec<RpEntity>),
    /// Passkeys to list, the next one last.
    Passkeys(Vec<Passkey>),
    /// Large blobs to write.
    Blobs(blobs::Write),
}

impl Session {
    /// Whether a list has nothing more to give.
    fn is_over(&self) -> bool {
        match self {
            Self::Rps(rest) => rest.is_empty(),
            Self::Passkeys(rest) => rest.is_empty(),
            Self::Listing(_) | Self::Blobs(_) => false,
        }
    }
}

/// The authenticator for one client at a time.
pub struct Engine<S, C> {
    store: S,
    consent: C,
    config: Config,
    session: Option<Session>,
    tokens: Tokens,
}

impl<S, C> std::fmt::Debug for Engine<S, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("config", &self.config).finish_non_exhaustive()
    }
}

impl<S: PasskeyStore + Sync, C: Consent + Sync> Engine<S, C> {
    /// An engine over a store and somebody who asks the user.
    pub fn new(store: S, consent: C, config: Config) -> Self {
        Self { store, consent, config, session: None, tokens: Tokens::default() }
    }

    /// The body of getInfo without status byte: what goes into the post-handshake message.
    #[must_use]
    pub fn get_info(&self, transport: Transport) -> Vec<u8> {
        let knows_pin = transport == Transport::Hid && self.store.knows_pin_hash().unwrap_or(false);
        info::info(&self.config, transport, knows_pin).encode()
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
        let (command, body) = Command::split(message)?;
        // Asked at any moment, by other programs on the same machine too: it ends nothing.
        if command == Command::GetInfo {
            empty(body)?;
            return Ok((self.get_info(transport), Outcome::Answered));
        }
        let session = self.session.take();
        match command {
            Command::MakeCredential => self.make_credential(body, transport, now, rng).await,
            Command::GetAssertion => self.get_assertion(body, transport, now, rng).await,
            Command::GetNextAssertion => {
                empty(body)?;
                self.get_next_assertion(session, now, rng)
            }
            Command::Selection => {
                empty(body)?;
                self.ask(ConsentRequest::Presence).await?;
                Ok((Vec::new(), Outcome::Answered))
            }
            // The rest is what a security key does; a phone far from the keyboard does not.
            _ if transport != Transport::Hid => Err(Status::INVALID_COMMAND.into()),
            Command::ClientPin => self.client_pin(body, now, rng).await,
            Command::CredentialManagement | Command::CredentialManagementPreview => {
                self.manage(body, session, now, rng)
            }
            Command::LargeBlobs => self.large_blobs(body, session, now, rng),
            Command::Reset => {
                empty(body)?;
                self.reset().await
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
                self.tokens.verified();
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

/// For commands that have no body.
fn empty(body: &[u8]) -> Result<(), Status> {
    if body.is_empty() { Ok(()) } else { Err(Status::INVALID_LENGTH) }
}

/// The proof of a token in a ceremony, if there is one. A protocol alone is none, but a phone has
/// announced no protocol.
fn proof<'a>(
    transport: Transport,
    param: &'a Option<Vec<u8>>,
    protocol: Option<u64>,
    message: &'a [u8],
) -> Option<Proof<'a>> {
    let lone = transport == Transport::Hybrid && protocol.is_some();
    let param = param.as_deref().or(lone.then_some(&[]))?;
    Some(Proof { protocol, param, message })
}

#[cfg(test)]
mod tests;
