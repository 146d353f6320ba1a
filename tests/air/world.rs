//! What the tests share: relay, radio, phone and laptop, and the check that nothing is left.

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cabled::authenticator::store::KdfCost;
use cabled::authenticator::{
    self, Consent, ConsentRequest, CredentialId, Decision, Engine, Outcome, Passkey, Phone,
    PhoneConfig, Pin, State, Store, Timestamp, Verification,
};
use cabled::ble::air::AirRadio;
use cabled::ble::{Conditions, Radio};
use cabled::channel::l2cap::Framing;
use cabled::channel::proxy::Proxies;
use cabled::channel::tls::Trust;
use cabled::channel::websocket::Connector;
use cabled::cli::relying_party::RelyingParty;
use cabled::client::webauthn::{
    Assertion, AuthenticationResponse, CreationOptions, Error as WebAuthnError, Origin, Progress,
    Registration, RegistrationResponse, RequestOptions,
};
use cabled::client::{self, Client, ProgressStream, TransactionHandle};
use cabled::ctap::GetInfo;
use cabled::hybrid::qr::{ChannelKind, Hint, QrContents};
use cabled::hybrid::tunnel::{ServiceUrl, TunnelServiceId};
use cabled::relay::{self, Limits, Relay};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub(crate) const ORIGIN: &str = "https://passkeys.example";
pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000);
/// Far beyond what anything here takes: a test that hangs fails instead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Fails a test that hangs.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, future).await;
    done.unwrap_or_else(|_| panic!("{what} did not happen"))
}

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A relay that runs until its world is checked.
pub(crate) struct Service {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) url: ServiceUrl,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

impl Service {
    pub(crate) async fn start(limits: Limits) -> Self {
        let listen = "127.0.0.1:0".parse().unwrap();
        Self::with(relay::Config { limits, ..relay::Config::new(listen) }).await
    }

    pub(crate) async fn with(config: relay::Config) -> Self {
        let relay = Relay::bind(config).await.unwrap();
        let (address, url) = (relay.local_addr(), relay.url().parse().unwrap());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(relay.serve(async {
            let _ = stopped.await;
        }));
        Self { address, url, stop: Some(stop), served }
    }

    pub(crate) fn stop(&mut self) {
        let _stopped_before = self.stop.take().unwrap().send(());
    }
}

/// The user of the phone: does what the script says, then approves everything.
#[derive(Debug, Default)]
pub(crate) struct User {
    script: Mutex<Vec<Answer>>,
    asked: Mutex<Vec<ConsentRequest>>,
    withdrawn: Mutex<usize>,
    bell: tokio::sync::Notify,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Account(usize),
    Say(Decision),
    /// Looks at the question until it is withdrawn.
    Think,
}

impl User {
    pub(crate) fn will(script: &[Answer]) -> Arc<Self> {
        let script = Mutex::new(script.iter().rev().copied().collect());
        Arc::new(Self { script, ..Self::default() })
    }

    pub(crate) fn asked(&self) -> Vec<ConsentRequest> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn withdrawn(&self) -> usize {
        *self.withdrawn.lock().unwrap()
    }

    /// Waits until the phone shows a question.
    pub(crate) async fn is_asked(&self) {
        soon("a question", self.bell.notified()).await;
    }
}

struct Shown<'a>(&'a User, bool);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        *self.0.withdrawn.lock().unwrap() += usize::from(!self.1);
    }
}

/// A newtype, because the trait and `Arc` are both from elsewhere.
#[derive(Debug)]
pub(crate) struct AsksUser(pub(crate) Arc<User>);

impl Consent for AsksUser {
    async fn ask(&self, request: ConsentRequest) -> Decision {
        self.0.asked.lock().unwrap().push(request);
        let answer = self.0.script.lock().unwrap().pop();
        let mut shown = Shown(&self.0, false);
        self.0.bell.notify_one();
        let verification = Verification::standing_approval();
        let decision = match answer {
            None => Decision::Approved { account: 0, verification },
            Some(Answer::Account(account)) => Decision::Approved { account, verification },
            Some(Answer::Say(decision)) => decision,
            Some(Answer::Think) => std::future::pending().await,
        };
        shown.1 = true;
        decision
    }
}

/// What a phone tells while it answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    OpeningTunnel,
    Advertising,
    WithoutTunnel,
    Connected(ChannelKind),
    Saved(CredentialId),
    SignedIn(CredentialId),
    Other(String),
    Acknowledged,
}

fn told(progress: &authenticator::Progress<'_>) -> Told {
    use authenticator::Progress as P;
    match progress {
        P::OpeningTunnel => Told::OpeningTunnel,
        P::Advertising => Told::Advertising,
        P::WithoutTunnel(_) => Told::WithoutTunnel,
        P::Connected { via } => Told::Connected(*via),
        P::Answered(Outcome::Saved { credential }) => Told::Saved(credential.clone()),
        P::Answered(Outcome::SignedIn { credential, .. }) => Told::SignedIn(credential.clone()),
        P::Answered(other) => Told::Other(format!("{other:?}")),
        P::Acknowledged => Told::Acknowledged,
        other => panic!("{other:?}"),
    }
}

/// Of the store.
pub(crate) const PIN: &str = "a long enough PIN";

/// One test's world.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) relay: Service,
    pub(crate) store: Store,
    pub(crate) user: Arc<User>,
    pub(crate) engine: authenticator::Config,
    pub(crate) trust: Trust,
    pub(crate) proxies: Proxies,
    /// What the two sides are told to use; the relay itself unless a test puts something between.
    pub(crate) laptop_url: ServiceUrl,
    pub(crate) phone_url: ServiceUrl,
    pub(crate) laptop_deadlines: cabled::hybrid::client::Deadlines,
    pub(crate) phone_deadlines: cabled::hybrid::authenticator::Deadlines,
    pub(crate) service: TunnelServiceId,
    pub(crate) conditions: Conditions,
    /// Another folder to be the air than the world's own.
    pub(crate) air: Option<std::path::PathBuf>,
    /// Whether laptops offer to do without internet, and how.
    pub(crate) l2cap: Option<Framing>,
}

impl World {
    pub(crate) async fn new(script: &[Answer]) -> Self {
        Self::with(script, Service::start(Limits::default()).await)
    }

    pub(crate) fn with(script: &[Answer], relay: Service) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
        let pin = Pin::new(PIN.to_owned()).unwrap();
        let store =
            Store::create_with_cost(&folder.path().join("store"), &pin, cost, &mut rng(1)).unwrap();
        Self {
            laptop_url: relay.url.clone(),
            phone_url: relay.url.clone(),
            folder,
            relay,
            store,
            user: User::will(script),
            engine: authenticator::Config::default(),
            trust: Trust::System,
            proxies: Proxies::default(),
            laptop_deadlines: Default::default(),
            phone_deadlines: Default::default(),
            service: TunnelServiceId::GOOGLE,
            conditions: Conditions::default(),
            air: None,
            l2cap: None,
        }
    }

    pub(crate) fn radio(&self) -> Radio {
        let air = self.air.clone().unwrap_or_else(|| self.folder.path().join("air"));
        Radio::Air(AirRadio::new(air, self.conditions.clone()).unwrap())
    }

    fn connector(&self) -> Connector {
        Connector::new(self.trust.clone()).with_proxies(self.proxies.clone())
    }

    pub(crate) fn laptop(&self) -> Client {
        let mut config = client::Config::new(self.connector());
        config.relay = Some(self.laptop_url.clone());
        config.deadlines = self.laptop_deadlines;
        config.l2cap = self.l2cap;
        Client::new(self.radio(), config).unwrap()
    }

    pub(crate) fn phone(&self) -> Phone<Store, AsksUser> {
        self.phone_over(self.radio())
    }

    pub(crate) fn phone_over(&self, radio: Radio) -> Phone<Store, AsksUser> {
        self.try_phone(radio).unwrap()
    }

    pub(crate) fn phone_config(&self) -> PhoneConfig {
        let mut config = PhoneConfig::new(self.connector(), self.phone_url.clone(), self.service);
        config.deadlines = self.phone_deadlines;
        config
    }

    pub(crate) fn try_phone(
        &self,
        radio: Radio,
    ) -> Result<Phone<Store, AsksUser>, authenticator::Error> {
        let config = self.phone_config();
        let user = AsksUser(self.user.clone());
        let engine = Engine::new(self.store.clone(), user, self.engine.clone());
        Phone::new(radio, config, engine)
    }

    /// A phone that scans `text` at once.
    pub(crate) fn scan(&self, text: &str) -> Scanning {
        let contents = QrContents::decode(text).unwrap();
        let mut phone = self.phone();
        let (sender, told_so_far) = mpsc::unbounded_channel();
        let (cancel, cancelled) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let cancelled = async {
                // Not being cancelled is not being asked to.
                if cancelled.await.is_err() {
                    std::future::pending().await
                }
            };
            let tell = |progress: authenticator::Progress<'_>| {
                let _nobody_listens = sender.send(told(&progress));
            };
            phone.answer(contents, cancelled, || NOW, &mut rand_core_os(), tell).await
        });
        Scanning { task, cancel: Some(cancel), told: told_so_far }
    }

    pub(crate) fn begin(&self, hint: Hint) -> (TransactionHandle, ProgressStream) {
        self.laptop().begin(hint, NOW.0, &mut rand_core_os())
    }

    /// Both sides, up to the phone's description of itself.
    pub(crate) async fn meet(&self, hint: Hint) -> (TransactionHandle, GetInfo, Scanning) {
        let (mut handle, _) = self.begin(hint);
        let phone = self.scan(handle.qr_text().unwrap());
        let info = self.info(&mut handle).await;
        (handle, info, phone)
    }

    /// The phone's description of itself.
    pub(crate) async fn info(&self, handle: &mut TransactionHandle) -> GetInfo {
        let said = soon("the meeting", handle.ready()).await.unwrap();
        GetInfo::decode(&said.get_info.unwrap()).unwrap()
    }

    pub(crate) fn passkeys(&self) -> Vec<(CredentialId, State)> {
        let list = self.store.list().unwrap();
        list.iter().map(|passkey: &Passkey| (passkey.id.clone(), passkey.state())).collect()
    }

    pub(crate) fn only_state(&self) -> State {
        match &self.passkeys()[..] {
            [(_, state)] => *state,
            other => panic!("{other:?}"),
        }
    }

    /// A registration that goes well.
    pub(crate) async fn registered(&self, options: &str) -> RegistrationResponse {
        let (handle, info, phone) = self.meet(Hint::MakeCredential).await;
        let response = register(handle, &info, options).await.unwrap();
        phone.ends().await.unwrap();
        response
    }

    /// A sign-in that goes well, with the first account if several are listed.
    pub(crate) async fn signed_in(&self, options: &str) -> AuthenticationResponse {
        let (handle, info, phone) = self.meet(Hint::GetAssertion).await;
        let response = sign_in(handle, &info, options, 0).await.unwrap();
        phone.ends().await.unwrap();
        response
    }

    /// Waits until all that ran has ended, and checks that no scan is on the air: first all but
    /// the relay, whose connections end only with both sides' sockets, then the relay too.
    pub(crate) async fn leaves_nothing(self) {
        alive(1).await;
        let air = self.folder.path().join("air");
        assert_eq!((scans(&air), links(&air)), (0, 0));
        self.leaves_nothing_running().await;
    }

    /// The same where nobody used the simulated air.
    pub(crate) async fn leaves_nothing_running(mut self) {
        alive(1).await;
        if self.relay.stop.is_some() {
            self.relay.stop();
        }
        soon("the relay's end", &mut self.relay.served).await.unwrap();
        alive(0).await;
    }
}

/// Waits until no more than so many tasks are alive.
pub(crate) async fn alive(tasks: usize) {
    let metrics = tokio::runtime::Handle::current().metrics();
    let fewer = async {
        while metrics.num_alive_tasks() > tasks {
            tokio::task::yield_now().await;
        }
    };
    soon("the end of all tasks", fewer).await;
}

pub(crate) fn scans(air: &Path) -> usize {
    sockets(air, "scan")
}

/// Listeners for connections without internet.
pub(crate) fn links(air: &Path) -> usize {
    sockets(air, "l2cap")
}

fn sockets(air: &Path, kind: &str) -> usize {
    let entries = std::fs::read_dir(air).unwrap();
    entries.filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == kind)).count()
}

/// A phone at work.
pub(crate) struct Scanning {
    task: JoinHandle<Result<(), authenticator::Error>>,
    cancel: Option<oneshot::Sender<()>>,
    told: mpsc::UnboundedReceiver<Told>,
}

impl Scanning {
    pub(crate) async fn ends(self) -> Result<(), authenticator::Error> {
        soon("the phone's end", self.task).await.unwrap()
    }

    pub(crate) fn cancel(&mut self) {
        let _over_already = self.cancel.take().unwrap().send(());
    }

    /// Dies without a word, as a killed program does.
    pub(crate) async fn dies(self) {
        self.task.abort();
        assert!(soon("the phone's death", self.task).await.unwrap_err().is_cancelled());
    }

    /// Waits until the phone tells this; all that it tells before is passed over.
    pub(crate) async fn tells(&mut self, wanted: impl Fn(&Told) -> bool) -> Told {
        let next = async {
            loop {
                match self.told.recv().await {
                    Some(told) if wanted(&told) => return told,
                    Some(_) => {}
                    None => panic!("the phone ended without telling this"),
                }
            }
        };
        soon("news of the phone", next).await
    }
}

#[allow(clippy::disallowed_types, reason = "keys of tests may come from the system")]
pub(crate) fn rand_core_os() -> rand_core::OsRng {
    rand_core::OsRng
}

/// Why a ceremony of the laptop failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Transaction(client::Error),
    WebAuthn(WebAuthnError),
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        Self::Transaction(error)
    }
}

impl From<WebAuthnError> for Failure {
    fn from(error: WebAuthnError) -> Self {
        Self::WebAuthn(error)
    }
}

impl Failure {
    pub(crate) fn refusal(self) -> cabled::ctap::Status {
        match self {
            Self::WebAuthn(WebAuthnError::Refused(refusal)) => refusal.status,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn transaction(self) -> client::Error {
        match self {
            Self::Transaction(error) => error,
            other => panic!("{other:?}"),
        }
    }
}

fn origin() -> Origin {
    ORIGIN.parse().unwrap()
}

pub(crate) fn creation(options: &str) -> Registration {
    let options = CreationOptions::parse(options.as_bytes()).unwrap();
    Registration::prepare(options, &origin()).unwrap()
}

pub(crate) fn request(options: &str) -> Assertion {
    let options = RequestOptions::parse(options.as_bytes()).unwrap();
    Assertion::prepare(options, &origin()).unwrap()
}

/// The laptop's part of a registration once both have met.
pub(crate) async fn register(
    mut handle: TransactionHandle,
    info: &GetInfo,
    options: &str,
) -> Result<RegistrationResponse, Failure> {
    let pending = creation(options).request(info)?;
    let reply = soon("an answer", handle.call(pending.message())).await?;
    let response = pending.finish(&reply);
    soon("the end", handle.finish()).await?;
    Ok(response?)
}

/// The laptop's part of a sign-in once both have met.
pub(crate) async fn sign_in(
    mut handle: TransactionHandle,
    info: &GetInfo,
    options: &str,
    account: usize,
) -> Result<AuthenticationResponse, Failure> {
    let mut pending = request(options).request(info)?;
    loop {
        let reply = soon("an answer", handle.call(pending.message())).await?;
        match pending.accept(&reply) {
            Ok(Progress::Complete) => break,
            Ok(Progress::More) => {}
            Err(error) => {
                soon("the end", handle.finish()).await?;
                return Err(error.into());
            }
        }
    }
    soon("the end", handle.finish()).await?;
    Ok(pending.finish(account)?)
}

/// A web site with one account.
pub(crate) fn site(name: &str) -> RelyingParty {
    RelyingParty::new(ORIGIN, name, name).unwrap()
}

/// Creation options by hand, for what the relying party of the demo does not ask for.
pub(crate) fn options_for(user: &str, extra: serde_json::Value) -> String {
    let mut options = serde_json::json!({
        "rp": { "id": "passkeys.example", "name": "Passkeys" },
        "user": { "id": base64(user.as_bytes()), "name": user, "displayName": user },
        "challenge": base64(&[7; 32]),
        "pubKeyCredParams": [{ "type": "public-key", "alg": -7 }],
        "authenticatorSelection": { "residentKey": "required", "userVerification": "required" },
    });
    merge(&mut options, extra);
    options.to_string()
}

/// Request options by hand.
pub(crate) fn request_for(ids: &[&[u8]], extra: serde_json::Value) -> String {
    let named = |id: &&[u8]| serde_json::json!({ "type": "public-key", "id": base64(id) });
    let mut options = serde_json::json!({
        "rpId": "passkeys.example",
        "challenge": base64(&[8; 32]),
        "userVerification": "required",
        "allowCredentials": ids.iter().map(named).collect::<Vec<_>>(),
    });
    merge(&mut options, extra);
    options.to_string()
}

fn merge(options: &mut serde_json::Value, extra: serde_json::Value) {
    if let serde_json::Value::Object(extra) = extra {
        options.as_object_mut().unwrap().extend(extra);
    }
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Browsers pass on what is in `publicKey`.
pub(crate) fn inner(json: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    value.get("publicKey").unwrap_or(&value).to_string()
}
