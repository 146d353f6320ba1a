//! `cabled pam verify`: a login with a passkey on a phone, for pam_exec.
//!
//! pam_exec shows line by line what this prints, so the code appears wherever there is a login, and no virtual key
//! takes part. What the phone signs is checked here: it is root's process that lets somebody in, and neither the
//! daemon of whoever logs in nor the phone is believed.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::cli::enroll::{broken, random};
use crate::cli::failure::{Failure, Status};
use crate::cli::formats::pam_u2f::{Known, is_user, known};
use crate::cli::qr::QrStyle;
use crate::cli::ui::Ui;
use crate::cli::way::Way;
use crate::cli::{advice, conversation};
use crate::client::service::{About, Purpose};
use crate::client::webauthn::{Error, Refusal};
use crate::ctap::{
    AuthenticatorData, Flags, GetAssertionRequest, GetAssertionResponse, GetInfo, split_response,
};

/// Root's, for all users.
const MAPPING: &str = "/etc/u2f_mappings";
/// Knows users wherever they are kept.
const ID: &str = "/usr/bin/id";

/// Verifies with a phone who logs in: a command for pam_exec, which shows what this prints
#[derive(Args, Clone, Debug)]
pub(super) struct Verify {
    /// The mapping file of pam_u2f; root's or the user's, and writable for nobody else
    #[arg(long, value_name = "FILE", default_value = MAPPING)]
    mapping: PathBuf,
    /// The origin, as in pam_u2f's options [default: pam://HOSTNAME]
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// Also for logins from other machines: the code is then at the other end of the world, the phone has to be here
    #[arg(long)]
    remote: bool,
    /// How long the phone is waited for; then PAM goes on, to the password for instance
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    #[command(flatten)]
    way: Way,
}

impl Verify {
    pub(super) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        let user = who(|name| std::env::var(name).ok(), self.remote)?;
        // With pam_exec's usual rights `su` would run this as whoever asks, who could stop it and say "yes" in its place.
        if !rustix::process::geteuid().is_root() {
            let error = "only root can let somebody in";
            return Err(Failure::new(Status::Usage, error, "add seteuid to the line of pam_exec"));
        }
        let origin = super::origin(self.origin.as_ref())?;
        let uid = uid_of(&user)?;
        let keys = known(&self.mapping(uid)?, &user);
        if keys.is_empty() {
            let error = format!("{} has no passkey in {}", user, self.mapping.display());
            let hint = "make one with: cabled pam enroll";
            return Err(Failure::new(Status::Refused, error, hint));
        }
        let mut way = self.way.clone();
        way.of_user(uid);
        if way.qr == QrStyle::Terminal {
            way.qr = QrStyle::Lines;
        }
        let login = Login { origin: &origin, keys: &keys, challenge: random() };
        let about = About::new(Purpose::SignIn, &origin, &user);
        let about = (about, Duration::from_secs(self.timeout));
        conversation::carry(
            ui,
            &way,
            about,
            |info| Ok(login.message(info)),
            |reply| login.check(reply),
        )
        .await?;
        ui.step("verified", &format!("Verified: {user}."), json!({ "account": user }));
        Ok(())
    }

    /// What the file says, if nobody can have written it who must not.
    fn mapping(&self, uid: u32) -> Result<String, Failure> {
        let name = self.mapping.display();
        let unreadable = |error: std::io::Error| {
            let hint = "name a file with --mapping, and make one with: cabled pam enroll";
            Failure::new(Status::Storage, format!("cannot read {name}: {error}"), hint)
        };
        let file = File::open(&self.mapping).map_err(unreadable)?;
        let about = file.metadata().map_err(unreadable)?;
        if !about.is_file()
            || !(about.uid() == 0 || about.uid() == uid)
            || about.mode() & 0o022 != 0
        {
            let error = format!("others can write to {name}");
            let hint = "it has to be root's or the user's own, and writable for nobody else";
            return Err(Failure::new(Status::Storage, error, hint));
        }
        let mut text = String::new();
        file.take(super::MAX_FILE).read_to_string(&mut text).map_err(unreadable)?;
        Ok(text)
    }
}

/// Who logs in, if it is somebody before this machine.
fn who(variable: impl Fn(&str) -> Option<String>, remote: bool) -> Result<String, Failure> {
    let value = |name| variable(name).filter(|value| !value.is_empty());
    let usage = |error: String, hint: &str| Err(Failure::new(Status::Usage, error, hint));
    let hint = "this is a command for pam_exec in a line that begins with auth";
    let user = value("PAM_USER").unwrap_or_default();
    if !is_user(&user) || user.starts_with('-') {
        return usage(format!("{user:?} in PAM_USER is no name of a user"), hint);
    }
    if value("PAM_TYPE").is_some_and(|kind| kind != "auth") {
        return usage("PAM does not ask who is there".to_owned(), hint);
    }
    let local = |host: &String| ["localhost", "127.0.0.1", "::1"].contains(&host.as_str());
    match value("PAM_RHOST").filter(|host| !remote && !local(host)) {
        Some(_) => {
            let hint = "the phone has to be near this machine; --remote allows it nevertheless";
            usage("the login is from another machine".to_owned(), hint)
        }
        None => Ok(user),
    }
}

fn uid_of(user: &str) -> Result<u32, Failure> {
    let asked = Command::new(ID).args(["-u", "--", user]).env_clear().output();
    let told = asked.ok().filter(|told| told.status.success());
    let uid = told.and_then(|told| String::from_utf8(told.stdout).ok()?.trim().parse().ok());
    uid.ok_or_else(|| {
        let error = format!("this machine knows no user {user}");
        Failure::new(Status::Refused, error, "see what this says: id -u USER")
    })
}

/// One question, which no earlier answer answers.
struct Login<'a> {
    origin: &'a str,
    keys: &'a [Known],
    challenge: [u8; 32],
}

impl Login<'_> {
    fn message(&self, info: &GetInfo) -> Vec<u8> {
        let verification = self.keys.iter().any(|key| key.verification);
        let handles = self.keys.iter().map(|key| key.handle.clone());
        let (origin, challenge) = (self.origin, self.challenge);
        GetAssertionRequest::by_key(origin, challenge, handles, info, verification).encode()
    }

    /// Whether the reply is the signature of one of the keys for this question.
    fn check(&self, reply: &[u8]) -> Result<(), Failure> {
        let (status, body) = split_response(reply).map_err(|error| broken(&error.to_string()))?;
        if !status.is_ok() {
            return Err(advice::webauthn(&Error::from(Refusal { status })));
        }
        let answer =
            GetAssertionResponse::decode(body).map_err(|error| broken(&error.to_string()))?;
        let key = match (&answer.credential, self.keys) {
            (Some(named), keys) => keys.iter().find(|key| key.handle == named.id),
            // With one passkey in the list the answer may leave out which one it was.
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        let key = key.ok_or_else(|| wrong("another passkey than those in the mapping file"))?;
        let data = AuthenticatorData::decode(&answer.auth_data)
            .map_err(|error| broken(&error.to_string()))?;
        if !data.is_for(self.origin) {
            return Err(wrong("a signature for something else"));
        }
        if !key
            .public
            .verifies(&[&answer.auth_data[..], &self.challenge].concat(), &answer.signature)
        {
            return Err(wrong("a signature that is not right"));
        }
        if !data.flags.contains(Flags::USER_PRESENT) {
            return Err(wrong("a signature that nobody agreed to"));
        }
        if !data.is_verified_for(key.verification) {
            let error = "the phone did not verify who is there, as the mapping file wants";
            return Err(Failure::new(Status::Refused, error, "set up a screen lock on the phone"));
        }
        Ok(())
    }
}

fn wrong(what: &str) -> Failure {
    let hint =
        "use the phone that made the passkey; if it stays, make a new one: cabled pam enroll";
    Failure::new(Status::Rejected, format!("the phone gave {what}"), hint)
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::signature::Signer as _;
    use p256::ecdsa::{Signature, SigningKey};
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::ctap::{CredentialDescriptor, Es256PublicKey, Status as Ctap, respond};

    const ORIGIN: &str = "pam://here";

    fn key(seed: u8, verification: bool) -> (SigningKey, Known) {
        let secret = SigningKey::from_slice(&[seed; 32]).unwrap();
        let point = secret.verifying_key().to_encoded_point(false);
        let public = Es256PublicKey::from_sec1(point.as_bytes()).unwrap();
        (secret, Known { handle: vec![seed; 16], public, verification })
    }

    struct Answer<'a> {
        by: &'a SigningKey,
        named: Option<u8>,
        origin: &'a str,
        flags: Flags,
        challenge: [u8; 32],
    }

    impl Answer<'_> {
        fn reply(&self) -> Vec<u8> {
            let auth_data = AuthenticatorData {
                rp_id_hash: Sha256::digest(self.origin).into(),
                flags: self.flags,
                sign_count: 0,
                attested: None,
                extensions: None,
            }
            .encode();
            let signature: Signature = self.by.sign(&[&auth_data[..], &self.challenge].concat());
            let answer = GetAssertionResponse {
                credential: self.named.map(|seed| CredentialDescriptor::new(vec![seed; 16])),
                auth_data,
                signature: signature.to_der().as_bytes().to_vec(),
                user: None,
                number_of_credentials: None,
                user_selected: None,
                large_blob_key: None,
                unsigned_extension_outputs: None,
            };
            respond(Ok(answer.encode()))
        }
    }

    #[test]
    fn only_the_signature_of_a_known_key_for_this_question_lets_in() {
        let ((first, known_first), (second, known_second)) = (key(1, false), key(2, true));
        let keys = [known_first, known_second];
        let login = Login { origin: ORIGIN, keys: &keys, challenge: [7; 32] };
        let present = Flags::USER_PRESENT;
        let good = || Answer {
            by: &first,
            named: Some(1),
            origin: ORIGIN,
            flags: present,
            challenge: [7; 32],
        };
        login.check(&good().reply()).unwrap();
        let verified = present | Flags::USER_VERIFIED;
        let by_second = || Answer { by: &second, named: Some(2), flags: verified, ..good() };
        login.check(&by_second().reply()).unwrap();
        for (wrong, status) in [
            (Answer { by: &second, ..good() }, Status::Rejected),
            (Answer { named: Some(2), flags: verified, ..good() }, Status::Rejected),
            (Answer { named: Some(3), ..good() }, Status::Rejected),
            // Of two, which one?
            (Answer { named: None, ..good() }, Status::Rejected),
            (Answer { origin: "pam://there", ..good() }, Status::Rejected),
            (Answer { flags: Flags::default(), ..good() }, Status::Rejected),
            // An answer to an earlier question.
            (Answer { challenge: [8; 32], ..good() }, Status::Rejected),
            (Answer { flags: present, ..by_second() }, Status::Refused),
        ] {
            assert_eq!(login.check(&wrong.reply()).unwrap_err().status, status);
        }
        let one = Login { keys: &keys[..1], ..login };
        one.check(&Answer { named: None, ..good() }.reply()).unwrap();
        let unknown = one.check(&by_second().reply()).unwrap_err();
        assert_eq!(unknown.status, Status::Rejected);
        for broken in [vec![], vec![0], vec![0, 0xa0]] {
            assert_eq!(one.check(&broken).unwrap_err().status, Status::Protocol);
        }
        let denied = one.check(&[Ctap::OPERATION_DENIED.0]).unwrap_err();
        assert_eq!(denied.status, Status::Refused);
    }

    #[test]
    fn only_what_the_phone_can_do_is_asked() {
        let keys = [key(1, true).1, key(2, false).1];
        let login = Login { origin: ORIGIN, keys: &keys, challenge: [7; 32] };
        let mut info = GetInfo::default();
        let asked = |info: &GetInfo| {
            let request = GetAssertionRequest::decode(&login.message(info)[1..]).unwrap();
            assert_eq!((request.rp_id.as_str(), request.client_data_hash), (ORIGIN, [7; 32]));
            assert_eq!(request.allow_list.len(), 2);
            request.options.uv
        };
        assert_eq!(asked(&info), None);
        info.options.push(("uv".to_owned(), true));
        assert_eq!(asked(&info), Some(true));
    }

    #[test]
    fn only_somebody_before_this_machine_is_asked() {
        let of = |user: &'static str, kind: &'static str, host: &'static str, remote| {
            let variable = |name: &str| match name {
                "PAM_USER" => Some(user.to_owned()),
                "PAM_TYPE" => Some(kind.to_owned()),
                "PAM_RHOST" => Some(host.to_owned()),
                _ => None,
            };
            who(variable, remote).map_err(|failure| failure.status)
        };
        for host in ["", "localhost", "::1"] {
            assert_eq!(of("anna", "auth", host, false), Ok("anna".to_owned()));
        }
        assert_eq!(of("anna", "auth", "198.51.100.1", false), Err(Status::Usage));
        assert_eq!(of("anna", "auth", "198.51.100.1", true), Ok("anna".to_owned()));
        for (user, kind) in [("anna", "account"), ("", "auth"), ("a:b", "auth"), ("-u", "auth")] {
            assert_eq!(of(user, kind, "", false), Err(Status::Usage), "{user} {kind}");
        }
    }
}
