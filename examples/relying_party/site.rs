//! What the site knows: accounts and their sign-in methods, who is signed in, what has begun.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use cabled::cli::relying_party::{
    Account, Policy, RegistrationCeremony, RelyingParty, RelyingPartyError, SignInCeremony,
    Verified,
};
use cabled::client::webauthn::Base64Url;
use rand_core::RngCore as _;
use serde_json::{Value, json};

use crate::bugs::{Bug, OwnKeys};

/// Nobody at a test site has more; a page that asks for ever must not fill the memory.
const MAX_ACCOUNTS: usize = 1000;
const MAX_SESSIONS: usize = 1000;
const MAX_PENDING: usize = 1000;

/// Why the site refuses, beside what WebAuthn says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("nobody is signed in")]
    SignedOut,
    #[error("there is no account of that name")]
    UnknownAccount,
    #[error("this account has passkeys")]
    Guarded,
    #[error("a name has 1 to 64 printable characters")]
    Name,
    #[error("no such sign-in method")]
    UnknownMethod,
    #[error("the ceremony is not known, or was finished already")]
    UnknownCeremony,
    #[error("there are too many accounts")]
    Full,
    /// The passkey that was refused, if there is one: it is on the phone all the same.
    #[error("the passkey library or the policy refused")]
    WebAuthn(#[source] RelyingPartyError, Option<String>),
}

impl From<RelyingPartyError> for Refusal {
    fn from(error: RelyingPartyError) -> Self {
        Self::WebAuthn(error, None)
    }
}

/// A sign-in method, beside the key material that the account keeps.
#[derive(Debug)]
struct Method {
    id: String,
    name: String,
    make: String,
    created_at: u64,
    used_at: Option<u64>,
}

struct Person {
    account: RelyingParty,
    methods: Vec<Method>,
}

enum Pending {
    Registration(String, RegistrationCeremony),
    SignIn(Option<String>, SignInCeremony),
}

pub(crate) struct Site {
    pub(crate) origin: String,
    people: HashMap<String, Person>,
    /// Session to account.
    sessions: HashMap<String, String>,
    pending: Vec<(String, Pending)>,
    policy: Policy,
    bug: Option<Bug>,
    own: OwnKeys,
}

#[allow(clippy::disallowed_methods, reason = "this is where time enters the example")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A name that nobody can guess.
#[allow(clippy::disallowed_types, reason = "this is where randomness enters the example")]
fn token() -> String {
    let mut bytes = vec![0; 24];
    rand_core::OsRng.fill_bytes(&mut bytes);
    Base64Url(bytes).encode()
}

impl Site {
    pub(crate) fn new(origin: &str, bug: Option<Bug>) -> Self {
        Self {
            origin: origin.to_owned(),
            people: HashMap::new(),
            sessions: HashMap::new(),
            pending: Vec::new(),
            policy: Policy::default(),
            bug,
            own: OwnKeys::default(),
        }
    }

    /// Who is signed in, the methods of that account, and the policy.
    pub(crate) fn state(&self, session: &str) -> Value {
        let account = self.sessions.get(session);
        let methods = account.and_then(|name| self.people.get(name)).map(|person| &person.methods);
        let methods: Vec<_> = methods.into_iter().flatten().map(Method::json).collect();
        let makes = self.policy.makes.as_ref();
        let makes = makes.map(|makes| makes.iter().map(ToString::to_string).collect::<Vec<_>>());
        let policy =
            json!({ "requireAttestation": self.policy.require_attestation, "makes": makes });
        json!({ "account": account, "methods": methods, "policy": policy })
    }

    /// Opens an account, or goes into one that has no passkey yet; gives the session.
    pub(crate) fn enter(&mut self, name: &str) -> Result<String, Refusal> {
        let name = checked(name)?;
        match self.people.get(&name) {
            Some(person) if !person.methods.is_empty() => return Err(Refusal::Guarded),
            Some(_) => {}
            None if self.people.len() >= MAX_ACCOUNTS => return Err(Refusal::Full),
            None => {
                let mut account = RelyingParty::new(&self.origin, &name, &name)?;
                account.demands_verification = self.bug != Some(Bug::IgnoreUv);
                // Says now, not at the first registration, whether the library takes the name.
                account.begin_registration()?;
                self.people.insert(name.clone(), Person { account, methods: Vec::new() });
            }
        }
        Ok(self.sign_in(name))
    }

    fn sign_in(&mut self, name: String) -> String {
        if self.sessions.len() >= MAX_SESSIONS {
            self.sessions.clear();
        }
        let session = token();
        self.sessions.insert(session.clone(), name);
        session
    }

    pub(crate) fn leave(&mut self, session: &str) {
        self.sessions.remove(session);
    }

    pub(crate) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    pub(crate) fn begin_registration(&mut self, session: &str) -> Result<Value, Refusal> {
        let name = self.signed_in(session)?;
        let policy = self.policy.clone();
        let person = self.person(&name)?;
        person.account.policy = policy;
        let (options, ceremony) = person.account.begin_registration()?;
        self.begun(&options, Pending::Registration(name, ceremony))
    }

    pub(crate) fn finish_registration(
        &mut self,
        session: &str,
        ceremony: &str,
        credential: &Value,
    ) -> Result<Value, Refusal> {
        let Pending::Registration(name, ceremony) = self.take(ceremony)? else {
            return Err(Refusal::UnknownCeremony);
        };
        if self.signed_in(session)? != name {
            return Err(Refusal::UnknownCeremony);
        }
        let bug = self.bug;
        let person = self.person(&name)?;
        let verified = person.account.finish_registration(ceremony, &credential.to_string());
        let verified = verified.map_err(|error| Refusal::WebAuthn(error, id_of(credential)))?;
        let method = Method::new(&verified, person.methods.len());
        let json = method.json();
        match bug {
            Some(Bug::LoseCredential) => {
                person.account.forget(&verified.credential_id);
                return Ok(json!({ "method": json }));
            }
            Some(Bug::SkipChallenge) => {
                // One that cannot be kept signs in by no way later.
                let _kept = self.own.keep(credential);
            }
            Some(Bug::IgnoreUv) | None => {}
        }
        self.person(&name)?.methods.push(method);
        Ok(json!({ "method": json }))
    }

    /// Begins a sign-in of a named account, or of whomever the passkey is for.
    pub(crate) fn begin_sign_in(&mut self, name: Option<&str>) -> Result<Value, Refusal> {
        let (options, ceremony, name) = match name {
            Some(name) => {
                let name = checked(name)?;
                let begun = self.person(&name)?.account.begin_sign_in(Account::Known)?;
                (begun.0, begun.1, Some(name))
            }
            None => {
                // The question is the same for all accounts, and also when there is none.
                let mut nobody = RelyingParty::new(&self.origin, "nobody", "nobody")?;
                nobody.demands_verification = self.bug != Some(Bug::IgnoreUv);
                let begun = nobody.begin_sign_in(Account::FromPasskey)?;
                (begun.0, begun.1, None)
            }
        };
        self.begun(&options, Pending::SignIn(name, ceremony))
    }

    /// Verifies a sign-in; gives the answer and the new session.
    pub(crate) fn finish_sign_in(
        &mut self,
        ceremony: &str,
        credential: &Value,
    ) -> Result<(Value, String), Refusal> {
        let Pending::SignIn(name, ceremony) = self.take(ceremony)? else {
            return Err(Refusal::UnknownCeremony);
        };
        let orphan = id_of(credential);
        let unknown = || Refusal::WebAuthn(RelyingPartyError::UnknownPasskey, orphan.clone());
        let name = name.or_else(|| self.named_by(credential)).ok_or_else(unknown)?;
        let person = self.people.get_mut(&name).ok_or(Refusal::UnknownAccount)?;
        let verified = match self.bug {
            Some(Bug::SkipChallenge) => self.own.verify(credential).ok_or_else(unknown)?,
            _ => {
                let verified = person.account.finish_sign_in(ceremony, &credential.to_string());
                let refused = |error| Refusal::WebAuthn(error, orphan.clone());
                verified.map_err(refused)?.credential_id
            }
        };
        let id = Base64Url(verified).encode();
        let mut methods = person.methods.iter_mut();
        let method = methods.find(|method| method.id == id).ok_or_else(unknown)?;
        method.used_at = Some(now());
        let json = json!({ "account": name, "method": method.json() });
        Ok((json, self.sign_in(name)))
    }

    /// The account whose user handle a passkey brought back.
    fn named_by(&self, credential: &Value) -> Option<String> {
        let handle = credential.pointer("/response/userHandle")?.as_str()?;
        let handle = Base64Url::decode(handle)?.0;
        let mut people = self.people.iter();
        let (name, _) = people.find(|(_, person)| person.account.user_handle() == handle)?;
        Some(name.clone())
    }

    pub(crate) fn rename(&mut self, session: &str, id: &str, name: &str) -> Result<Value, Refusal> {
        let new = checked(name)?;
        let account = self.signed_in(session)?;
        let mut methods = self.person(&account)?.methods.iter_mut();
        let method = methods.find(|method| method.id == id).ok_or(Refusal::UnknownMethod)?;
        method.name = new;
        Ok(json!({}))
    }

    pub(crate) fn delete(&mut self, session: &str, id: &str) -> Result<Value, Refusal> {
        let account = self.signed_in(session)?;
        let person = self.person(&account)?;
        let credential = Base64Url::decode(id).ok_or(Refusal::UnknownMethod)?;
        if !person.account.forget(&credential.0) {
            return Err(Refusal::UnknownMethod);
        }
        person.methods.retain(|method| method.id != id);
        Ok(json!({}))
    }

    fn signed_in(&self, session: &str) -> Result<String, Refusal> {
        self.sessions.get(session).cloned().ok_or(Refusal::SignedOut)
    }

    fn person(&mut self, name: &str) -> Result<&mut Person, Refusal> {
        self.people.get_mut(name).ok_or(Refusal::UnknownAccount)
    }

    fn begun(&mut self, options: &str, pending: Pending) -> Result<Value, Refusal> {
        let options: Value = serde_json::from_str(options).map_err(RelyingPartyError::from)?;
        if self.pending.len() >= MAX_PENDING {
            self.pending.remove(0);
        }
        let id = token();
        self.pending.push((id.clone(), pending));
        Ok(json!({ "ceremony": id, "publicKey": options }))
    }

    fn take(&mut self, ceremony: &str) -> Result<Pending, Refusal> {
        let position = self.pending.iter().position(|(id, _)| id == ceremony);
        Ok(self.pending.remove(position.ok_or(Refusal::UnknownCeremony)?).1)
    }
}

impl Method {
    fn new(verified: &Verified, others: usize) -> Self {
        let name = match others {
            0 => "My phone".to_owned(),
            others => format!("My phone {}", others + 1),
        };
        let id = Base64Url(verified.credential_id.clone()).encode();
        let make = verified.aaguid.to_string();
        Self { id, name, make, created_at: now(), used_at: None }
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "make": self.make,
            "createdAt": self.created_at,
            "usedAt": self.used_at,
            "command": crate::explain::delete_command(&self.id),
        })
    }
}

/// The passkey that an answer of the browser is about.
fn id_of(credential: &Value) -> Option<String> {
    credential.get("id")?.as_str().map(ToOwned::to_owned)
}

fn checked(name: &str) -> Result<String, Refusal> {
    let name = name.trim();
    let fits = (1..=64).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits { Ok(name.to_owned()) } else { Err(Refusal::Name) }
}
