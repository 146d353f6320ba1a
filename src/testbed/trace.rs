//! What the test bed saw of one ceremony beside the phone's own events: requests, frames at the relay, faults.
//!
//! Shared by whoever watches and whoever tells; all lists are bounded. Nothing in it is secret.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::gate::{Fault, Harm, Side};
use crate::ctap::{Command, GetAssertionRequest, MakeCredentialRequest, Options};

/// Requests that are kept of one ceremony.
const KEPT_REQUESTS: usize = 64;

/// A CTAP2 request as the phone received it, without what it is to sign and without inputs of extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// Such as `makeCredential`; `unknown` for what is no command.
    pub command: &'static str,
    /// The site.
    pub rp_id: Option<String>,
    /// The account's name, of a registration.
    pub account: Option<String>,
    /// Algorithms that the site takes, of a registration.
    pub algorithms: Vec<i64>,
    /// Passkeys that may answer.
    pub allow_list: usize,
    /// Passkeys that must not be there already.
    pub exclude_list: usize,
    /// What is asked of the phone.
    pub options: Options,
    /// Names of the extensions.
    pub extensions: Vec<String>,
    /// What the phone makes of it cannot be read, so that it will be refused.
    pub malformed: bool,
}

impl Request {
    /// Reads a message: command byte and CBOR.
    #[must_use]
    pub fn read(message: &[u8]) -> Self {
        let Ok((command, body)) = Command::split(message) else {
            return Self { command: "unknown", malformed: true, ..Self::default() };
        };
        let named = Self { command: name(command), ..Self::default() };
        let malformed = || Self { malformed: true, ..named.clone() };
        match command {
            Command::MakeCredential => MakeCredentialRequest::decode(body)
                .map_or_else(|_| malformed(), |request| named.clone().registration(request)),
            Command::GetAssertion => GetAssertionRequest::decode(body)
                .map_or_else(|_| malformed(), |request| named.clone().sign_in(request)),
            _ => named,
        }
    }

    fn registration(self, request: MakeCredentialRequest) -> Self {
        Self {
            rp_id: Some(request.rp.id),
            account: request.user.name,
            algorithms: request.pub_key_cred_params.iter().map(|params| params.alg).collect(),
            exclude_list: request.exclude_list.len(),
            options: request.options,
            extensions: names(request.extensions),
            ..self
        }
    }

    fn sign_in(self, request: GetAssertionRequest) -> Self {
        Self {
            rp_id: Some(request.rp_id),
            allow_list: request.allow_list.len(),
            options: request.options,
            extensions: names(request.extensions),
            ..self
        }
    }
}

/// Without the inputs.
fn names<T>(extensions: Vec<(String, T)>) -> Vec<String> {
    extensions.into_iter().map(|(name, _)| name).collect()
}

fn name(command: Command) -> &'static str {
    match command {
        Command::MakeCredential => "makeCredential",
        Command::GetAssertion => "getAssertion",
        Command::GetNextAssertion => "getNextAssertion",
        Command::GetInfo => "getInfo",
        Command::Selection => "selection",
        _ => "other",
    }
}

/// What came through the test bed's relay for one ceremony.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Connections that were asked for.
    pub connections: u32,
    /// Data frames that this side sent, dropped ones included.
    pub frames: u32,
}

/// What was seen of one ceremony.
#[derive(Default)]
pub struct Trace {
    faults: Vec<Fault>,
    /// Decides which bit is corrupted.
    seed: u64,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Vec<Request>,
    laptop: Traffic,
    phone: Traffic,
    hits: Vec<u32>,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("faults", &self.faults).finish_non_exhaustive()
    }
}

impl Trace {
    pub(super) fn new(faults: Vec<Fault>, seed: u64) -> Self {
        let seen = Seen { hits: vec![0; faults.len()], ..Seen::default() };
        Self { faults, seed, seen: Mutex::new(seen) }
    }

    /// Nothing panics while it is held.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The requests that the phone received, the first 64.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.seen().requests.clone()
    }

    /// What came from one side.
    #[must_use]
    pub fn traffic(&self, side: Side) -> Traffic {
        *self.seen().of(side)
    }

    /// The relay's faults, each with how often it struck.
    #[must_use]
    pub fn faults(&self) -> Vec<(Fault, u32)> {
        self.faults.iter().cloned().zip(self.seen().hits.iter().copied()).collect()
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn request(&self, message: &[u8]) {
        let mut seen = self.seen();
        if seen.requests.len() < KEPT_REQUESTS {
            seen.requests.push(Request::read(message));
        }
    }

    /// A connection is asked for; gives the status it is refused with, if it is.
    pub(super) fn connection(&self, side: Side) -> Option<u16> {
        let mut seen = self.seen();
        seen.of(side).connections += 1;
        self.strike(&mut seen, |fault| match fault {
            Fault::Refuse { side: whom, status } if *whom == side => Some(*status),
            _ => None,
        })
    }

    /// A data frame came; gives what happens to it.
    pub(super) fn frame(&self, side: Side) -> Option<Harm> {
        let mut seen = self.seen();
        seen.of(side).frames += 1;
        let number = seen.of(side).frames;
        self.strike(&mut seen, |fault| match fault {
            Fault::Frame { from, number: which, harm } if (*from, *which) == (side, number) => {
                Some(*harm)
            }
            _ => None,
        })
    }

    /// The first fault that applies, counted.
    fn strike<T>(&self, seen: &mut Seen, applies: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let mut found = self.faults.iter().zip(&mut seen.hits);
        found.find_map(|(fault, hits)| {
            let harm = applies(fault)?;
            *hits += 1;
            Some(harm)
        })
    }
}

impl Seen {
    fn of(&mut self, side: Side) -> &mut Traffic {
        match side {
            Side::Laptop => &mut self.laptop,
            Side::Phone => &mut self.phone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctap::{CredentialDescriptor, CredentialParameters, ES256, RpEntity, UserEntity};

    #[test]
    fn a_request_is_told_without_what_is_signed() {
        let request = MakeCredentialRequest {
            client_data_hash: [7; 32],
            rp: RpEntity { id: "a.example".to_owned(), name: None },
            user: UserEntity { id: vec![9], name: Some("anna".to_owned()), display_name: None },
            pub_key_cred_params: vec![CredentialParameters::new(ES256)],
            exclude_list: vec![CredentialDescriptor::new(vec![1; 32]); 2],
            extensions: Vec::new(),
            options: Options { rk: Some(true), up: None, uv: Some(true) },
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
            enterprise_attestation: None,
        };
        let told = Request::read(&request.encode());
        assert_eq!((told.command, told.exclude_list, told.malformed), ("makeCredential", 2, false));
        assert_eq!(
            (told.rp_id.as_deref(), told.account.as_deref()),
            (Some("a.example"), Some("anna"))
        );
        assert_eq!(told.algorithms, [-7]);
        assert!(told.options.uv == Some(true) && !format!("{told:?}").contains("[7, 7"));
        assert!(Request::read(&[1, 0xff]).malformed && Request::read(&[]).malformed);
    }

    #[test]
    fn faults_strike_where_they_are_meant_and_are_counted() {
        let drop = Fault::Frame { from: Side::Phone, number: 2, harm: Harm::Drop };
        let refuse = Fault::Refuse { side: Side::Laptop, status: 503 };
        let trace = Trace::new(vec![drop, refuse], 0);
        assert_eq!(
            [Side::Phone, Side::Laptop].map(|side| trace.connection(side)),
            [None, Some(503)]
        );
        assert_eq!(trace.frame(Side::Laptop), None);
        let harms = [(); 3].map(|()| trace.frame(Side::Phone));
        assert_eq!(harms, [None, Some(Harm::Drop), None]);
        assert_eq!(trace.traffic(Side::Phone), Traffic { connections: 1, frames: 3 });
        assert_eq!(trace.faults().iter().map(|(_, hits)| *hits).collect::<Vec<_>>(), [1, 1]);
    }
}
