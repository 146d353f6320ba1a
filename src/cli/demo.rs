//! `cabled demo`: the whole flow in one process, with nothing but this binary.
//!
//! Real are the protocol, the relay and its sockets, the phone's store and signatures, and the
//! relying party's verification. Simulated are the air between the two devices and the user's
//! nods.

mod phone;
mod stopwatch;

use clap::Args;
use rand_core::RngCore;
use serde_json::{Value, json};

use super::ceremony;
use super::failure::{Failure, Status};
use super::relying_party::{Account, RelyingParty, Verified};
use super::ui::Ui;
use super::{advice, system};
use crate::ble::Radio;
use crate::ble::memory::MemoryRadio;
use crate::channel::tls::Trust;
use crate::channel::websocket::Connector;
use crate::client::ceremony::Ceremony;
use crate::client::service::Way;
use crate::client::webauthn::Origin;
use crate::client::{Client, Config};
use crate::hybrid::tunnel::ServiceUrl;
use crate::relay;

use self::phone::DemoPhone;
use self::stopwatch::{Laptop, Stopwatch};

const ORIGIN: &str = "https://passkeys.example";

/// Runs a registration and a sign-in from QR to verified result, all on this machine
#[derive(Args, Clone, Debug)]
pub(crate) struct Demo {
    /// Leave out the drawing of the code
    #[arg(long)]
    no_qr: bool,
}

impl Demo {
    pub(crate) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        let interrupted = system::interrupted();
        let watch = Stopwatch::start(ui);
        watch.headline("One machine plays a web site, a laptop, a phone and a relay.");
        let result = tokio::select! {
            result = self.flow(&watch) => result,
            () = interrupted => Err(Failure::new(
                Status::Interrupted,
                "cancelled",
                "nothing was left behind; run it again when you are ready",
            )),
        };
        watch.verdict(&result)?;
        result
    }

    async fn flow(&self, watch: &Stopwatch) -> Result<(), Failure> {
        let relay = bind_relay().await?;
        let url: ServiceUrl = loopback_url(&relay)?;
        watch.step("relay", "listening", &format!("waits at {url}"));
        let radio = simulated_radio()?;
        let phone = DemoPhone::new(watch, &radio, &url).await?;
        let world = World { watch, url, radio, phone, qr: !self.no_qr };
        tokio::select! {
            () = relay.serve(std::future::pending()) => Err(relay_ended()),
            result = world.ceremonies() => result,
        }
    }
}

async fn bind_relay() -> Result<relay::Relay, Failure> {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    relay::Relay::bind(relay::Config::new(address)).await.map_err(|error| {
        Failure::because(Status::Network, &error, "check that this machine has a loopback network")
    })
}

fn relay_ended() -> Failure {
    Failure::new(Status::Network, "the relay ended by itself", "run it again with -v")
}

fn loopback_url(relay: &relay::Relay) -> Result<ServiceUrl, Failure> {
    format!("ws://{}", relay.local_addr()).parse().map_err(|error| {
        Failure::because(Status::Failure, &error, "check that this machine has a loopback network")
    })
}

fn simulated_radio() -> Result<Radio, Failure> {
    let radio = MemoryRadio::new(crate::ble::Conditions::default());
    radio.map(Radio::Memory).map_err(|error| advice::radio(&error))
}

/// The parts, once they stand.
struct World<'a> {
    watch: &'a Stopwatch,
    url: ServiceUrl,
    radio: Radio,
    phone: DemoPhone,
    qr: bool,
}

impl World<'_> {
    async fn ceremonies(mut self) -> Result<(), Failure> {
        let mut site = RelyingParty::new(ORIGIN, "anna", "Anna Demo").map_err(|e| rejected(&e))?;
        let origin: Origin = ORIGIN
            .parse()
            .map_err(|error| advice::webauthn(&crate::client::webauthn::Error::Origin(error)))?;
        self.registration(&mut site, &origin).await?;
        self.sign_in(&mut site, &origin).await
    }

    async fn registration(
        &mut self,
        site: &mut RelyingParty,
        origin: &Origin,
    ) -> Result<(), Failure> {
        self.watch.headline("Registration");
        let (options, ceremony) = site.begin_registration().map_err(|e| rejected(&e))?;
        self.watch.step("site", "asked", "asks the laptop for a passkey");
        let options = unwrap_public_key(&options);
        let wanted = Ceremony::register(options.as_bytes(), origin);
        let wanted = wanted.map_err(|error| advice::webauthn(&error))?;
        let json = self.perform(Laptop::new(self.watch, self.qr), wanted).await?;
        let verified = site.finish_registration(ceremony, &json).map_err(|e| rejected(&e))?;
        self.accepted("registration-verified", "verified the registration", &verified);
        Ok(())
    }

    async fn sign_in(&mut self, site: &mut RelyingParty, origin: &Origin) -> Result<(), Failure> {
        self.watch.headline("Sign-in");
        let (options, ceremony) =
            site.begin_sign_in(Account::FromPasskey).map_err(|e| rejected(&e))?;
        self.watch.step("site", "asked", "asks the laptop for any passkey of its own");
        let options = unwrap_public_key(&options);
        let wanted = Ceremony::sign_in(options.as_bytes(), origin, None);
        let wanted = wanted.map_err(|error| advice::webauthn(&error))?;
        // The code differs in its digits only; one drawing is enough.
        let json = self.perform(Laptop::new(self.watch, false), wanted).await?;
        let verified = site.finish_sign_in(ceremony, &json).map_err(|e| rejected(&e))?;
        self.accepted("sign-in-verified", "verified the sign-in", &verified);
        Ok(())
    }

    /// The laptop's and the phone's part at once; gives what the laptop hands to the site.
    async fn perform(
        &mut self,
        mut laptop: Laptop<'_>,
        wanted: Ceremony,
    ) -> Result<String, Failure> {
        let service = ceremony::here(self.client()?, None, None);
        let (scanned, mut json) = (laptop.camera(), String::new());
        let mut never = std::pin::pin!(std::future::pending());
        let deliver = |answer: &str| {
            answer.clone_into(&mut json);
            Ok(())
        };
        tokio::try_join!(
            ceremony::perform(&mut laptop, &service, Way::code(), wanted, never.as_mut(), deliver),
            self.phone.answer(self.watch, scanned),
        )?;
        Ok(json)
    }

    fn client(&self) -> Result<Client, Failure> {
        let mut config = Config::new(Connector::new(Trust::System));
        config.relay = Some(self.url.clone());
        Client::new(self.radio.clone(), config).map_err(|error| advice::client(&error))
    }

    fn accepted(&self, event: &'static str, what: &str, verified: &Verified) {
        let user = if verified.user_verified { ", user verified" } else { "" };
        self.watch.step("site", event, &format!("{what}: challenge, origin, signature{user}"));
    }
}

/// Some libraries wrap the options as a page would pass them on.
fn unwrap_public_key(json: &str) -> String {
    match serde_json::from_str::<Value>(json) {
        Ok(Value::Object(mut map)) => match map.remove("publicKey") {
            Some(inner) => inner.to_string(),
            None => json.to_owned(),
        },
        _ => json.to_owned(),
    }
}

fn rejected(error: &super::relying_party::RelyingPartyError) -> Failure {
    let hint = "this should not happen; please report it with the output of: cabled -vv demo";
    Failure::because(Status::Rejected, error, hint)
}

/// Hexadecimal digits that no other run has.
fn unique_name() -> String {
    format!("{:016x}", system::random().next_u64())
}

/// The verdict as machines get it.
fn verdict_json(passed: bool, milliseconds: u128) -> Value {
    json!({ "v": 1, "event": "verdict", "passed": passed, "ms": milliseconds })
}
