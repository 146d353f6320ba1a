//! `cabled register` and `cabled sign-in`: the laptop.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use rand_core::RngCore;
use serde_json::{Value, json};

use super::args::{Link, read_input};
use super::failure::{Failure, Status};
use super::qr::QrStyle;
use super::ui::{Ui, print};
use super::{advice, system};
use crate::client::webauthn::{
    Assertion, CreationOptions, Note, Origin, PendingAssertion, Progress as Accepted, Registration,
    RequestOptions,
};
use crate::client::{Client, Config, Progress, ProgressStream, TransactionHandle};
use crate::ctap::{Command, GetInfo};
use crate::hybrid::post_handshake::PostHandshake;
use crate::hybrid::qr::Hint;

/// Longest options taken, in bytes.
const MAX_OPTIONS: u64 = 1 << 20;

/// What both ceremonies take.
#[derive(Args, Clone, Debug)]
pub(crate) struct Ceremony {
    /// The relying party's options as JSON: a file, or - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "rp_id", required_unless_present = "rp_id")]
    options: Option<PathBuf>,
    /// The web site's origin, such as https://contoso.com; with --rp-id https://RP_ID is assumed
    #[arg(long, value_name = "ORIGIN", required_unless_present = "rp_id")]
    origin: Option<String>,
    /// The relying party's domain, in place of --options
    #[arg(long, value_name = "DOMAIN")]
    rp_id: Option<String>,
    /// The challenge in base64url, in place of a random one
    #[arg(long, value_name = "BASE64URL", requires = "rp_id")]
    challenge: Option<String>,
    /// Where to show the code: terminal, url, png:FILE, svg:FILE or none
    #[arg(long, value_name = "HOW", default_value = "terminal")]
    qr: QrStyle,
    #[command(flatten)]
    link: Link,
}

/// Registers a passkey that will be on a phone
#[derive(Args, Clone, Debug)]
pub(crate) struct Register {
    #[command(flatten)]
    ceremony: Ceremony,
    /// The account's name at the relying party
    #[arg(long, value_name = "NAME", requires = "rp_id")]
    user: Option<String>,
    /// The person's name
    #[arg(long, value_name = "NAME", requires = "rp_id")]
    display_name: Option<String>,
    /// The account's handle in base64url, in place of a random one
    #[arg(long, value_name = "BASE64URL", requires = "rp_id")]
    user_id: Option<String>,
    /// The relying party's name for people
    #[arg(long, value_name = "NAME", requires = "rp_id")]
    rp_name: Option<String>,
}

/// Signs in with a passkey that is on a phone
#[derive(Args, Clone, Debug)]
pub(crate) struct SignIn {
    #[command(flatten)]
    ceremony: Ceremony,
    /// A passkey that may be used, its ID in base64url; repeat for more, leave out for any
    #[arg(long, value_name = "BASE64URL", requires = "rp_id")]
    credential: Vec<String>,
    /// Which account to use when the phone offers several: a user name
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
}

impl Ceremony {
    fn origin(&self) -> Result<Origin, Failure> {
        let text = match (&self.origin, &self.rp_id) {
            (Some(origin), _) => origin.clone(),
            (None, Some(rp_id)) => format!("https://{rp_id}"),
            // The parser of the command line demands one of them.
            (None, None) => String::new(),
        };
        text.parse()
            .map_err(|error| advice::webauthn(&crate::client::webauthn::Error::Origin(error)))
    }

    /// The options: what the relying party sent, or what the flags put together.
    fn options(&self, from_flags: impl FnOnce(&str, &str) -> Value) -> Result<Vec<u8>, Failure> {
        match (&self.options, &self.rp_id) {
            (Some(file), _) => read_input(file, MAX_OPTIONS),
            (None, rp_id) => {
                let challenge = self.challenge.clone().unwrap_or_else(random_base64);
                let rp_id = rp_id.as_deref().unwrap_or_default();
                Ok(from_flags(rp_id, &challenge).to_string().into_bytes())
            }
        }
    }

    fn client(&self, timeout: Duration) -> Result<Client, Failure> {
        let mut config = Config::new(self.link.connector());
        config.relay = self.link.relay().cloned();
        config.simulated_with_public = self.link.simulated_with_public;
        config.deadlines.advert = config.deadlines.advert.min(timeout);
        Client::new(self.link.radio()?, config).map_err(|error| advice::client(&error))
    }
}

fn random_base64() -> String {
    let mut bytes = [0; 32];
    system::random().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Register {
    pub(crate) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        let origin = self.ceremony.origin()?;
        let options =
            self.ceremony.options(|rp_id, challenge| self.as_options(rp_id, challenge))?;
        let options = CreationOptions::parse(&options).map_err(|e| advice::webauthn(&e.into()))?;
        let registration =
            Registration::prepare(options, &origin).map_err(|e| advice::webauthn(&e))?;
        let rp_id = registration.rp_id().as_str().to_owned();
        let client = self.ceremony.client(registration.timeout())?;
        let response = register(ui, &client, &self.ceremony.qr, registration).await?;
        ui.step("registered", "Passkey saved.", json!({ "rpId": rp_id }));
        print(&to_json(&response))
    }

    fn as_options(&self, rp_id: &str, challenge: &str) -> Value {
        let user = self.user.as_deref().unwrap_or("user");
        json!({
            "rp": { "id": rp_id, "name": self.rp_name.as_deref().unwrap_or(rp_id) },
            "user": {
                "id": self.user_id.clone().unwrap_or_else(random_base64),
                "name": user,
                "displayName": self.display_name.as_deref().unwrap_or(user),
            },
            "challenge": challenge,
            "pubKeyCredParams": [{ "type": "public-key", "alg": -7 }],
            "authenticatorSelection": {
                "residentKey": "required",
                "requireResidentKey": true,
                "userVerification": "required",
            },
        })
    }
}

impl SignIn {
    pub(crate) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        let origin = self.ceremony.origin()?;
        let options =
            self.ceremony.options(|rp_id, challenge| self.as_options(rp_id, challenge))?;
        let options = RequestOptions::parse(&options).map_err(|e| advice::webauthn(&e.into()))?;
        let assertion = Assertion::prepare(options, &origin).map_err(|e| advice::webauthn(&e))?;
        let rp_id = assertion.rp_id().as_str().to_owned();
        let client = self.ceremony.client(assertion.timeout())?;
        let account = self.account.as_deref();
        let response = sign_in(ui, &client, &self.ceremony.qr, assertion, account).await?;
        ui.step("signed-in", "Signed in.", json!({ "rpId": rp_id }));
        print(&to_json(&response))
    }

    fn as_options(&self, rp_id: &str, challenge: &str) -> Value {
        let allowed = |id: &String| json!({ "type": "public-key", "id": id });
        json!({
            "rpId": rp_id,
            "challenge": challenge,
            "userVerification": "required",
            "allowCredentials": self.credential.iter().map(allowed).collect::<Vec<_>>(),
        })
    }
}

fn to_json(response: &impl serde::Serialize) -> String {
    // Made of strings, booleans and maps with string keys only, so there is nothing to fail.
    serde_json::to_string(response).unwrap_or_default()
}

/// A whole registration, from QR to the relying party's answer.
pub(super) async fn register(
    ui: Ui,
    client: &Client,
    qr: &QrStyle,
    registration: Registration,
) -> Result<crate::client::webauthn::RegistrationResponse, Failure> {
    let timeout = registration.timeout();
    notes(ui, registration.notes());
    with_phone(ui, client, qr, Hint::MakeCredential, timeout, async |handle, info| {
        let known = registration.notes().len();
        let pending = registration.request(info).map_err(|e| advice::webauthn(&e))?;
        notes(ui, pending.notes().get(known..).unwrap_or_default());
        let reply = handle.call(pending.message()).await.map_err(|e| advice::client(&e))?;
        pending.finish(&reply).map_err(|e| advice::webauthn(&e))
    })
    .await
}

/// A whole sign-in, from QR to the relying party's answer.
pub(super) async fn sign_in(
    ui: Ui,
    client: &Client,
    qr: &QrStyle,
    assertion: Assertion,
    account: Option<&str>,
) -> Result<crate::client::webauthn::AuthenticationResponse, Failure> {
    let timeout = assertion.timeout();
    notes(ui, assertion.notes());
    with_phone(ui, client, qr, Hint::GetAssertion, timeout, async |handle, info| {
        let known = assertion.notes().len();
        let mut pending = assertion.request(info).map_err(|e| advice::webauthn(&e))?;
        notes(ui, pending.notes().get(known..).unwrap_or_default());
        let mut message = pending.message();
        loop {
            let reply = handle.call(message).await.map_err(|e| advice::client(&e))?;
            match pending.accept(&reply).map_err(|e| advice::webauthn(&e))? {
                Accepted::Complete => break,
                Accepted::More => message = vec![Command::GetNextAssertion as u8],
            }
        }
        let choice = choose(&pending, account)?;
        pending.finish(choice).map_err(|e| advice::webauthn(&e))
    })
    .await
}

/// The account to use, when the phone left the choice to this side.
fn choose(pending: &PendingAssertion, wanted: Option<&str>) -> Result<usize, Failure> {
    let names: Vec<_> = pending.accounts().map(|a| a.name.clone().unwrap_or_default()).collect();
    let several = |error: String| {
        let hint = format!("name one with --account: {}", names.join(", "));
        Failure::new(Status::Usage, error, hint)
    };
    match wanted {
        None if names.len() == 1 => Ok(0),
        None => Err(several(format!("the phone offers {} accounts", names.len()))),
        Some(wanted) if names.len() > 1 => names
            .iter()
            .position(|name| name == wanted)
            .ok_or_else(|| several(format!("the phone does not offer the account {wanted}"))),
        Some(_) => Ok(0),
    }
}

fn notes(ui: Ui, notes: &[Note]) {
    notes.iter().for_each(|note| ui.note(&note.to_string()));
}

/// Shows the QR, waits for the phone, lets `drive` talk to it, and takes leave of it; within
/// `timeout`, and until the user presses Ctrl-C.
async fn with_phone<T>(
    ui: Ui,
    client: &Client,
    qr: &QrStyle,
    hint: Hint,
    timeout: Duration,
    drive: impl AsyncFnOnce(&mut TransactionHandle, &GetInfo) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (mut handle, progress) = client.begin(hint, system::unix_time(), &mut system::random());
    let text = handle.qr_text().unwrap_or_default().to_owned();
    let result = tokio::select! {
        result = talk(&mut handle, drive) => result,
        failure = tell(ui, progress, &text, qr) => Err(failure),
        () = system::interrupted() => Err(advice::client(&crate::hybrid::Error::Cancelled.into())),
        () = tokio::time::sleep(timeout) => Err(too_late(timeout)),
    };
    match result {
        // The answer is here; a phone that is slow to hang up changes nothing about it.
        Ok(value) => {
            let _gone_already = handle.finish().await;
            Ok(value)
        }
        Err(failure) => {
            handle.cancel().await;
            Err(failure)
        }
    }
}

fn too_late(timeout: Duration) -> Failure {
    let error = format!("the relying party's time of {} s is over", timeout.as_secs());
    Failure::new(Status::NotHeard, error, "ask the site for a new request and be quicker")
}

async fn talk<T>(
    handle: &mut TransactionHandle,
    drive: impl AsyncFnOnce(&mut TransactionHandle, &GetInfo) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let said = handle.ready().await.map_err(|error| advice::client(&error))?;
    let info = get_info(&said)?;
    drive(handle, &info).await
}

fn get_info(said: &PostHandshake) -> Result<GetInfo, Failure> {
    let info = said.get_info.as_deref().map(GetInfo::decode);
    match info {
        Some(Ok(info)) => Ok(info),
        Some(Err(_)) => Err(Failure::new(
            Status::Protocol,
            "the phone's description of itself makes no sense",
            "try again; if it stays, the phone's software is to blame",
        )),
        None => Err(advice::client(&crate::hybrid::Error::NotOffered.into())),
    }
}

/// Tells the user how it goes; ends only with a failure.
async fn tell(ui: Ui, mut progress: ProgressStream, text: &str, qr: &QrStyle) -> Failure {
    while let Some(step) = progress.next().await {
        match step {
            Progress::Listening => {
                if let Err(failure) = ui.qr(text, qr) {
                    return failure;
                }
                let words = "Scan this code with your phone's camera. Bluetooth and internet are \
                             needed on both devices.";
                ui.step("listening", words, json!({}));
            }
            Progress::AdvertSeen => {
                ui.step("advert-seen", "Connecting to your phone...", json!({}))
            }
            Progress::Connected => ui.step("connected", "Connected to your phone.", json!({})),
            Progress::WaitingForUser => {
                ui.step("waiting-for-user", "Follow the steps on your phone.", json!({}));
            }
        }
    }
    // The transaction is over; whoever talks to it has its outcome.
    std::future::pending().await
}
