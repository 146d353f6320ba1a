//! A laptop beside a bench: the library's client, over the simulated radio and the bench's tunnel service.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cabled::authenticator::Timestamp;
use cabled::authenticator::service::Sources;
use cabled::ble::Radio;
use cabled::channel::tls::Trust;
use cabled::channel::websocket::Connector;
use cabled::client::webauthn::{
    Assertion, CreationOptions, Progress, Registration, RegistrationResponse, RequestOptions,
};
use cabled::client::{Client, Config, TransactionHandle};
use cabled::ctap::GetInfo;
use cabled::hybrid::qr::Hint;
use cabled::testbed::Bench;
use serde_json::json;

const ORIGIN: &str = "https://passkeys.example";
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited for {what}"))
}

#[allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test of the whole reads the machine's clock and random source"
)]
pub(crate) fn sources() -> Sources {
    Sources {
        clock: Arc::new(|| Timestamp::from(SystemTime::now())),
        rng: Arc::new(|| Box::new(rand_core::OsRng)),
    }
}

/// A laptop that shows its code, and listens so long for the phone.
fn begin(bench: &Bench, hint: Hint, patience: Duration) -> TransactionHandle {
    let mut config = Config::new(Connector::new(Trust::Only(bench.authority().to_owned())));
    config.relay = Some(bench.relay().parse().unwrap());
    config.deadlines.advert = patience;
    let radio = Radio::open(&bench.air().parse().unwrap()).unwrap();
    let sources = sources();
    let client = Client::new(radio, config).unwrap();
    client.begin(hint, (sources.clock)().0, &mut (sources.rng)()).0
}

/// A registration as a site would ask for it; the phone `scanned` is shown the code.
pub(crate) async fn register(
    bench: &Bench,
    user: &str,
    patience: Duration,
    scanned: impl FnOnce(&str),
) -> Result<RegistrationResponse, Box<dyn Error>> {
    let options = json!({
        "rp": { "id": "passkeys.example", "name": "Passkeys" },
        "user": { "id": user, "name": user, "displayName": user },
        "challenge": "AAAAAAAAAAAAAAAAAAAAAA",
        "pubKeyCredParams": [{ "type": "public-key", "alg": -7 }],
        "authenticatorSelection": { "residentKey": "required" },
    });
    let options = CreationOptions::parse(options.to_string().as_bytes())?;
    let registration = Registration::prepare(options, &ORIGIN.parse()?)?;
    let mut handle = begin(bench, Hint::MakeCredential, patience);
    scanned(handle.qr_text().unwrap());
    let said = soon("the meeting", handle.ready()).await?;
    let pending = registration.request(&GetInfo::decode(&said.get_info.unwrap())?)?;
    let reply = soon("an answer", handle.call(pending.message())).await?;
    let response = pending.finish(&reply);
    // A phone that is gone cannot be told, and the answer is here.
    let _gone = soon("the end", handle.finish()).await;
    Ok(response?)
}

/// A sign-in with whatever passkey the phone offers; gives the account's handle.
pub(crate) async fn sign_in(
    bench: &Bench,
    scanned: impl FnOnce(&str),
) -> Result<String, Box<dyn Error>> {
    let options = json!({ "rpId": "passkeys.example", "challenge": "AAAAAAAAAAAAAAAAAAAAAA" });
    let options = RequestOptions::parse(options.to_string().as_bytes())?;
    let assertion = Assertion::prepare(options, &ORIGIN.parse()?)?;
    let mut handle = begin(bench, Hint::GetAssertion, PATIENCE);
    scanned(handle.qr_text().unwrap());
    let said = soon("the meeting", handle.ready()).await?;
    let mut pending = assertion.request(&GetInfo::decode(&said.get_info.unwrap())?)?;
    let reply = soon("an answer", handle.call(pending.message())).await?;
    let accepted = pending.accept(&reply);
    soon("the end", handle.finish()).await?;
    assert_eq!(accepted?, Progress::Complete, "the choice is made on the phone");
    let response = serde_json::to_value(pending.finish(0)?)?;
    Ok(response["response"]["userHandle"].as_str().unwrap().to_owned())
}
