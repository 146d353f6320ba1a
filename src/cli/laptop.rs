//! `cabled register` and `cabled sign-in`: the laptop.

use std::path::PathBuf;
use std::pin::pin;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use rand_core::RngCore;
use serde_json::{Value, json};

use super::args::read_input;
use super::ceremony::Audience;
use super::failure::Failure;
use super::qr::QrStyle;
use super::ui::{Ui, print};
use super::way::Way;
use super::{advice, ceremony, daemon, places, system};
use crate::ble::Proximity;
use crate::client::ceremony::Ceremony as Wanted;
use crate::client::receipts::Receipts;
use crate::client::webauthn::{Error, Origin};
use crate::frontend::control;
use crate::frontend::control::v1::BeginRequest;
use crate::frontend::control::v1::begin_request::What;
use crate::hybrid::qr::ChannelKind;

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
    #[command(flatten)]
    way: Way,
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

    /// Performs it, and prints the answer; `done` is the last step and its words.
    async fn perform(&self, ui: Ui, asked: Asked, done: (&str, &str)) -> Result<(), Failure> {
        let mut interrupt = pin!(system::interrupted());
        // What is wrong with the options is found here, whoever performs it.
        let wanted = asked.wanted().map_err(|error| advice::webauthn(&error))?;
        let fields = json!({ "rpId": wanted.rp_id() });
        let mut terminal = Terminal { ui, qr: &self.way.qr };
        let deliver = |answer: &str| {
            ui.step(done.0, done.1, fields);
            print(answer)
        };
        if let Some(mut client) = self.way.daemon().await? {
            let (phone, remember) = self.way.there();
            let request = BeginRequest { phone, remember, ..asked.request() };
            let interrupt = interrupt.as_mut();
            return daemon::perform(&mut terminal, &mut client, request, interrupt, deliver).await;
        }
        let service = self.way.service()?;
        let (way, interrupt) = (self.way.here(&service).await?, interrupt.as_mut());
        ceremony::perform(&mut terminal, &service, way, wanted, interrupt, deliver).await
    }
}

/// Where receipts are kept; nowhere for somebody without a home.
pub(super) fn receipts() -> Option<Receipts> {
    Some(Receipts::at(places::state()?.join("receipts.redb")))
}

/// What is asked for, as the relying party's server sent it.
enum Asked {
    Register { options: Vec<u8>, origin: Origin },
    SignIn { options: Vec<u8>, origin: Origin, account: Option<String> },
}

impl Asked {
    fn wanted(&self) -> Result<Wanted, Error> {
        match self {
            Self::Register { options, origin } => Wanted::register(options, origin),
            Self::SignIn { options, origin, account } => {
                Wanted::sign_in(options, origin, account.clone())
            }
        }
    }

    fn request(self) -> BeginRequest {
        // It was parsed as JSON before, which is UTF-8.
        let text = |options: Vec<u8>| String::from_utf8(options).unwrap_or_default();
        let what = match self {
            Self::Register { options, origin } => What::Registration(control::v1::Registration {
                options: text(options),
                origin: origin.to_string(),
            }),
            Self::SignIn { options, origin, account } => What::SignIn(control::v1::SignIn {
                options: text(options),
                origin: origin.to_string(),
                account,
            }),
        };
        BeginRequest { what: Some(what), ..BeginRequest::default() }
    }
}

/// Whoever started the command, and where that person wants the code.
pub(super) struct Terminal<'a> {
    pub(super) ui: Ui,
    pub(super) qr: &'a QrStyle,
}

impl Audience for Terminal<'_> {
    fn qr(&mut self, text: &str) -> Result<(), Failure> {
        self.ui.qr(text, self.qr)
    }

    fn step(&mut self, event: &'static str, words: &str) {
        self.ui.step(event, words, json!({}));
    }

    fn listens(&mut self, event: &'static str, words: &str, proximity: Proximity) {
        self.ui.step(event, words, json!({ "proximity": proximity.name() }));
        if let Some(words) = ceremony::shared(proximity) {
            self.ui.note(words);
        }
    }

    fn connected(&mut self, via: ChannelKind) {
        let (how, via) = ceremony::by(via);
        let words = format!("Connected to your phone {how}.");
        self.ui.step("connected", &words, json!({ "via": via }));
    }

    fn note(&mut self, words: &str) {
        self.ui.note(words);
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
        let asked = Asked::Register { options, origin };
        self.ceremony.perform(ui, asked, ("registered", "Passkey saved.")).await
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
        let asked = Asked::SignIn { options, origin, account: self.account.clone() };
        self.ceremony.perform(ui, asked, ("signed-in", "Signed in.")).await
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
