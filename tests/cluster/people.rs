//! A laptop and a phone at one air, for the cluster's tests and the benchmark of whole ceremonies, which includes this
//! file.

use cabled::authenticator::store::KdfCost;
use cabled::authenticator::{
    Config as EngineConfig, Consent, ConsentRequest, Decision, Engine, Phone, PhoneConfig, Pin,
    Store, Timestamp, Verification,
};
use cabled::ble::Radio;
use cabled::channel::tls::Trust;
use cabled::channel::websocket::Connector;
use cabled::client::webauthn::{CreationOptions, Origin, Registration};
use cabled::client::{Client, Config, ProgressStream, TransactionHandle};
use cabled::ctap::GetInfo;
use cabled::hybrid::qr::{Hint, QrContents};
use cabled::hybrid::tunnel::{ServiceUrl, TunnelServiceId};
use rand_core::OsRng;

/// What both devices take the time to be.
pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000);

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A user who approves at once.
pub(crate) struct Approves;

impl Consent for Approves {
    async fn ask(&self, _: ConsentRequest) -> Decision {
        Decision::Approved { account: 0, verification: Verification::standing_approval() }
    }
}

/// What the two are made of.
pub(crate) struct Devices {
    pub(crate) client: Client,
    pub(crate) store: Store,
    pub(crate) phone: PhoneConfig,
    pub(crate) radio: Radio,
    pub(crate) folder: tempfile::TempDir,
}

impl Devices {
    /// Both use the tunnel service at this URL; the phone's PIN costs that much, once, here.
    pub(crate) fn meet_at(url: &ServiceUrl, cost: KdfCost) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let air = format!("air:{}", folder.path().join("air").display());
        let radio = Radio::open(&air.parse().unwrap()).unwrap();
        let mut config = Config::new(Connector::new(Trust::System));
        config.relay = Some(url.clone());
        let client = Client::new(radio.clone(), config).unwrap();
        let pin = Pin::new("a test's PIN".to_owned()).unwrap();
        let store = folder.path().join("store");
        let store = Store::create_with_cost(&store, &pin, cost, &mut OsRng).unwrap();
        let connector = Connector::new(Trust::System);
        let phone = PhoneConfig::new(connector, url.clone(), TunnelServiceId::GOOGLE);
        Self { client, store, phone, radio, folder }
    }
}

/// Where the passkeys are for.
pub(crate) fn origin() -> Origin {
    "https://passkeys.example".parse().unwrap()
}

/// What a web site asks for an account of that number.
pub(crate) fn options_for(user: u32) -> String {
    format!(
        r#"{{"rp":{{"id":"passkeys.example","name":"Passkeys"}},
        "user":{{"id":"{user:016}","name":"anna","displayName":"Anna"}},
        "challenge":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "pubKeyCredParams":[{{"type":"public-key","alg":-7}}],
        "authenticatorSelection":{{"residentKey":"required"}}}}"#
    )
}

/// What it asks of whoever comes back.
pub(crate) const REQUEST: &str = r#"{"rpId":"passkeys.example",
    "challenge":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;

/// A laptop that shows codes, and the phone that scans them.
pub(crate) struct People<C> {
    pub(crate) client: Client,
    pub(crate) phone: Phone<Store, C>,
    pub(crate) radio: Radio,
    _folder: tempfile::TempDir,
}

impl<C: Consent + Send + Sync> People<C> {
    pub(crate) fn new(devices: Devices, user: C) -> Self {
        let Devices { client, store, phone, radio, folder } = devices;
        let engine = Engine::new(store, user, EngineConfig::default());
        let phone = Phone::new(radio.clone(), phone, engine).unwrap();
        Self { client, phone, radio, _folder: folder }
    }

    /// The laptop listens, and shows this.
    pub(crate) async fn begin(
        &self,
        hint: Hint,
    ) -> (TransactionHandle, ProgressStream, QrContents) {
        let (handle, mut progress) = self.client.begin(hint, NOW.0, &mut OsRng);
        progress.next().await.unwrap();
        let contents = QrContents::decode(handle.qr_text().unwrap()).unwrap();
        (handle, progress, contents)
    }
}

pub(crate) fn registration(user: u32) -> Registration {
    let options = CreationOptions::parse(options_for(user).as_bytes()).unwrap();
    Registration::prepare(options, &origin()).unwrap()
}

/// What the phone says that it can.
pub(crate) async fn info(handle: &mut TransactionHandle) -> Result<GetInfo, Failure> {
    let said = handle.ready().await?;
    Ok(GetInfo::decode(said.get_info.as_deref().ok_or("no getInfo")?)?)
}

/// The laptop's part of a registration, checked as a web site would.
pub(crate) async fn register(
    mut handle: TransactionHandle,
    registration: Registration,
) -> Result<(), Failure> {
    let pending = registration.request(&info(&mut handle).await?)?;
    let reply = handle.call(pending.message()).await?;
    pending.finish(&reply)?;
    Ok(handle.finish().await?)
}
