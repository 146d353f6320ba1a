//! The flow with all ears open: a registration and a sign-in with `prf`, a refusal, failures on
//! both sides, wrong PINs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use cabled::authenticator::store::KdfCost;
use cabled::authenticator::{
    self, Consent, ConsentRequest, Decision, Engine, PasskeyStore as _, Phone, PhoneConfig, Pin,
    Store, Timestamp,
};
use cabled::ble::air::AirRadio;
use cabled::ble::{Conditions, Radio};
use cabled::channel::tls::Trust;
use cabled::channel::websocket::Connector;
use cabled::client::webauthn::{Assertion, CreationOptions, Registration, RequestOptions};
use cabled::client::{self, Client, TransactionHandle};
use cabled::ctap::GetInfo;
use cabled::hybrid::qr::{Hint, QrContents};
use cabled::hybrid::tunnel::{ServiceUrl, TunnelServiceId};
use cabled::relay::{self, Relay};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::capture::Tape;
use crate::search::{Needle, found};
use crate::secrets::{ROUTING, of_transaction, rng};
use crate::shared;

const NOW: u64 = 1_800_000_000;
const PIN: &str = "kq7-Wm2xZ 91vR";
const WRONG_PIN: &str = "Yt4=pLw8 zzQ3e";
const NEW_PIN: &str = "Hh2+uNx0 vBc6K";
const SALT: [u8; 32] = [0xc3; 32];

/// Approves with a PIN, as a terminal would, unless told to decline.
struct Owner {
    store: Store,
    declines: AtomicBool,
    tape: Tape,
}

struct Asks(Arc<Owner>);

impl std::fmt::Debug for Asks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asks")
    }
}

impl Consent for Asks {
    async fn ask(&self, request: ConsentRequest) -> Decision {
        self.0.tape.debug(&request);
        if self.0.declines.load(Ordering::Relaxed) {
            return Decision::Declined;
        }
        let pin = Pin::new(PIN.to_owned()).unwrap();
        let verification = self.0.store.verify_pin(&pin, Timestamp(NOW)).unwrap();
        let decision = Decision::Approved { account: 0, verification };
        self.0.tape.debug(&decision);
        decision
    }
}

struct Stage {
    tape: Tape,
    radio: Radio,
    /// Another machine's, for a while.
    laptop_radio: Radio,
    relay: ServiceUrl,
    owner: Arc<Owner>,
    needles: Vec<Needle>,
    seed: u64,
}

impl Stage {
    fn laptop(&self, relay: &ServiceUrl) -> Client {
        let mut config = client::Config::new(Connector::new(Trust::System));
        config.relay = Some(relay.clone());
        let client = Client::new(self.laptop_radio.clone(), config.clone()).unwrap();
        self.tape.debug(&config);
        self.tape.debug(&client);
        client
    }

    fn phone(&self, relay: &ServiceUrl) -> Phone<Store, Asks> {
        let connector = Connector::new(Trust::System);
        let config = PhoneConfig::new(connector, relay.clone(), TunnelServiceId::GOOGLE);
        self.tape.debug(&config);
        let engine = Engine::new(
            self.owner.store.clone(),
            Asks(self.owner.clone()),
            authenticator::Config::default(),
        );
        self.tape.debug(&engine);
        Phone::new(self.radio.clone(), config, engine).unwrap()
    }

    /// One transaction with known keys; what the laptop does is given, what the phone does follows.
    async fn transaction<T>(
        &mut self,
        hint: Hint,
        relays: [&ServiceUrl; 2],
        laptop: impl AsyncFnOnce(&mut TransactionHandle, &Tape) -> Result<T, client::Error>,
    ) -> Option<T> {
        self.seed += 2;
        let (laptop_seed, phone_seed) = (self.seed, self.seed + 1);
        self.needles.extend(of_transaction(laptop_seed, phone_seed, hint, NOW));
        let (mut handle, progress) = self.laptop(relays[0]).begin(hint, NOW, &mut rng(laptop_seed));
        let text = handle.qr_text().unwrap().to_owned();
        assert!(found(&self.needles, &text).contains(&"QR digits"));
        let contents = QrContents::decode(&text).unwrap();
        self.tape.debug(&contents);
        let mut phone = self.phone(relays[1]);
        let tape = self.tape.clone();
        let (end, ended) = oneshot::channel::<()>();
        let scanning = tokio::spawn(async move {
            let cancelled = async {
                let _laptop_is_done = ended.await;
            };
            let tell = |progress: authenticator::Progress<'_>| tape.debug(&progress);
            let clock = || Timestamp(NOW);
            let result = phone.answer(contents, cancelled, clock, &mut rng(phone_seed), tell).await;
            if let Err(error) = result {
                tape.error(&error);
            }
            tape.debug(&phone);
        });
        let done = laptop(&mut handle, &self.tape).await;
        self.tape.debug(&handle);
        self.tape.debug(&progress);
        let done = match done {
            Ok(value) => {
                handle.finish().await.unwrap();
                Some(value)
            }
            Err(error) => {
                self.tape.error(&error);
                handle.cancel().await;
                None
            }
        };
        if done.is_none() {
            let _over_already = end.send(());
            scanning.await.unwrap();
        } else {
            scanning.await.unwrap();
        }
        done
    }
}

fn options(extra: Value) -> CreationOptions {
    let mut options = json!({
        "rp": { "id": "passkeys.example", "name": "Passkeys" },
        "user": { "id": "YW5uYQ", "name": "anna", "displayName": "Anna" },
        "challenge": "AAECAwQFBgcICQoLDA0ODw",
        "pubKeyCredParams": [{ "type": "public-key", "alg": -7 }],
        "authenticatorSelection": { "residentKey": "required", "userVerification": "required" },
    });
    options.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    CreationOptions::parse(options.to_string().as_bytes()).unwrap()
}

fn prf() -> Value {
    let salt = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(SALT);
    json!({ "prf": { "eval": { "first": salt } } })
}

async fn info(handle: &mut TransactionHandle, tape: &Tape) -> Result<GetInfo, client::Error> {
    let said = handle.ready().await?;
    tape.debug(&said);
    let info = GetInfo::decode(&said.get_info.unwrap()).unwrap();
    tape.debug(&info);
    Ok(info)
}

fn registration(extra: Value) -> Registration {
    Registration::prepare(options(extra), &"https://passkeys.example".parse().unwrap()).unwrap()
}

async fn register(
    handle: &mut TransactionHandle,
    tape: &Tape,
    extra: Value,
) -> Result<Option<String>, client::Error> {
    let registration = registration(extra);
    tape.debug(&registration);
    let info = info(handle, tape).await?;
    let pending = registration.request(&info).unwrap();
    tape.debug(&pending);
    let reply = handle.call(pending.message()).await?;
    match pending.finish(&reply) {
        Ok(response) => Ok(Some(serde_json::to_string(&response).unwrap())),
        Err(error) => {
            tape.error(&error);
            Ok(None)
        }
    }
}

async fn sign_in(handle: &mut TransactionHandle, tape: &Tape) -> Result<String, client::Error> {
    let options = json!({
        "rpId": "passkeys.example", "challenge": "AAECAwQFBgcICQoLDA0ODw",
        "userVerification": "required", "extensions": prf(),
    });
    let options = RequestOptions::parse(options.to_string().as_bytes()).unwrap();
    let assertion =
        Assertion::prepare(options, &"https://passkeys.example".parse().unwrap()).unwrap();
    tape.debug(&assertion);
    let info = info(handle, tape).await?;
    let mut pending = assertion.request(&info).unwrap();
    tape.debug(&pending);
    let reply = handle.call(pending.message()).await?;
    tape.debug(&pending.accept(&reply).unwrap());
    tape.debug(&pending);
    Ok(serde_json::to_string(&pending.finish(0).unwrap()).unwrap())
}

/// The secret that came of the salt.
fn prf_output(response: &str) -> Vec<u8> {
    let response: Value = serde_json::from_str(response).unwrap();
    let text = response["clientExtensionResults"]["prf"]["results"]["first"].as_str().unwrap();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

async fn stage(tape: &Tape, folder: &std::path::Path) -> (Stage, oneshot::Sender<()>) {
    let listen = "127.0.0.1:0".parse().unwrap();
    let config = relay::Config { routing_id: Some(ROUTING), ..relay::Config::new(listen) };
    tape.debug(&config);
    let relay = Relay::bind(config).await.unwrap();
    tape.debug(&relay);
    let url = relay.url().parse().unwrap();
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(relay.serve(async {
        let _stopped = stopped.await;
    }));
    let pin = Pin::new(PIN.to_owned()).unwrap();
    tape.debug(&pin);
    let cost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
    let store = Store::create_with_cost(&folder.join("store"), &pin, cost, &mut rng(1)).unwrap();
    tape.debug(&store);
    // The data key is the first thing that a new store draws.
    let data_key = cabled::secret::Secret::<32>::random(&mut rng(1));
    tape.debug(&data_key);
    let needles = vec![
        Needle::new("store's data key", data_key.expose()),
        Needle::text("PIN", PIN),
        Needle::text("wrong PIN", WRONG_PIN),
        Needle::text("new PIN", NEW_PIN),
        Needle::new("prf salt", &SALT),
    ];
    let radio = AirRadio::new(folder.join("air"), Conditions::default()).unwrap();
    let declines = AtomicBool::new(false);
    let owner = Arc::new(Owner { store, declines, tape: tape.clone() });
    let (radio, laptop_radio) = (Radio::Air(radio.clone()), Radio::Air(radio));
    let tape = tape.clone();
    let stage = Stage { tape, radio, laptop_radio, relay: url, owner, needles, seed: 100 };
    (stage, stop)
}

#[tokio::test]
async fn no_log_and_no_debug_output_holds_a_secret() {
    let tape = Tape::default();
    tape.record_logs();
    let folder = tempfile::tempdir().unwrap();
    let (mut stage, stop) = stage(&tape, folder.path()).await;
    let relay = stage.relay.clone();
    let nowhere: ServiceUrl = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("ws://{}", listener.local_addr().unwrap()).parse().unwrap()
    };

    // What goes well.
    let made = stage.transaction(Hint::MakeCredential, [&relay; 2], async |handle, tape| {
        register(handle, tape, json!({ "extensions": prf() })).await
    });
    let made = made.await.unwrap().unwrap();
    let used = stage.transaction(Hint::GetAssertion, [&relay; 2], async |handle, tape| {
        sign_in(handle, tape).await
    });
    let used = used.await.unwrap();
    assert_eq!(prf_output(&made), prf_output(&used));

    // Over the radio of another machine.
    let (radio, needles) = shared::shared(&tape, stage.radio.clone(), folder.path());
    let own = std::mem::replace(&mut stage.laptop_radio, radio);
    stage.needles.extend(needles);
    let used = stage.transaction(Hint::GetAssertion, [&relay; 2], async |handle, tape| {
        sign_in(handle, tape).await
    });
    let used = used.await.unwrap();
    assert_eq!(prf_output(&made), prf_output(&used));
    stage.laptop_radio = own;
    shared::types(&tape);

    // What is declined, and what fails on either side.
    stage.owner.declines.store(true, Ordering::Relaxed);
    let declined = stage.transaction(Hint::MakeCredential, [&relay; 2], async |handle, tape| {
        register(handle, tape, json!({})).await
    });
    assert_eq!(declined.await.unwrap(), None);
    let failed =
        stage.transaction(Hint::MakeCredential, [&nowhere, &relay], async |handle, tape| {
            register(handle, tape, json!({})).await
        });
    assert_eq!(failed.await, None);
    // The laptop gives up, or it would wait for an advert that never comes.
    let failed = stage.transaction(Hint::MakeCredential, [&relay, &nowhere], async |_, _| {
        Err::<(), _>(client::Error::Over)
    });
    assert_eq!(failed.await, None);
    let bad = stage.transaction(Hint::MakeCredential, [&relay; 2], async |handle, tape| {
        info(handle, tape).await?;
        handle.call(Vec::new()).await.map(drop)
    });
    assert_eq!(bad.await, None);
    wrong_pins(&stage);

    // What the store keeps.
    let passkeys = stage.owner.store.list().unwrap();
    tape.debug(&passkeys);
    for passkey in &passkeys {
        tape.debug(&stage.owner.store.find_by_id(&passkey.id));
        tape.debug(&passkey.private_key);
        stage.needles.push(Needle::new("passkey", passkey.private_key.expose()));
        stage.needles.push(Needle::new("prf seed", passkey.prf_seeds.verified.expose()));
        stage.needles.push(Needle::new("other prf seed", passkey.prf_seeds.unverified.expose()));
    }
    assert_eq!(passkeys.len(), 1);
    stage.needles.push(Needle::new("prf output", &prf_output(&used)));
    pure_types(&stage);
    drop(stop);

    let text = tape.text();
    assert!(heard_everybody(&text), "{} bytes", text.len());
    assert_eq!(found(&stage.needles, &text), [""; 0]);
    // The same search does find each of them once it is there.
    assert_eq!(missed(&stage.needles), [""; 0]);
}

/// The tape holds this crate's own lines, those of the WebSocket crate, and printed types.
fn heard_everybody(text: &str) -> bool {
    [
        "cabled::client",
        "cabled::authenticator",
        "cabled::relay",
        "LOG tungstenite",
        "Passkey",
        "Pin(",
        "Listening",
        "RemoteRadio",
    ]
    .iter()
    .all(|name| text.contains(name))
}

fn missed(needles: &[Needle]) -> Vec<&'static str> {
    let fails = |needle: &&Needle| {
        let leak = format!("a line with {} in it", needle.a_form());
        found(std::slice::from_ref(*needle), &leak).is_empty()
    };
    needles.iter().filter(fails).map(|needle| needle.name).collect()
}

fn wrong_pins(stage: &Stage) {
    let store = &stage.owner.store;
    let (right, wrong) =
        (Pin::new(PIN.to_owned()).unwrap(), Pin::new(WRONG_PIN.to_owned()).unwrap());
    let error = store.verify_pin(&wrong, Timestamp(NOW)).unwrap_err();
    stage.tape.error(&error);
    let new = Pin::new(NEW_PIN.to_owned()).unwrap();
    stage.tape.error(&store.change_pin(&wrong, &new, Timestamp(NOW), &mut rng(3)).unwrap_err());
    store.change_pin(&right, &new, Timestamp(NOW), &mut rng(3)).unwrap();
    stage.tape.error(&store.verify_pin(&right, Timestamp(NOW)).unwrap_err());
    stage.tape.error(&Pin::new("abc".to_owned()).unwrap_err());
}

/// The pure machines and types, in states that the drivers do not show.
fn pure_types(stage: &Stage) {
    use cabled::hybrid::{advert, authenticator, client, keys, noise, tunnel};
    let tape = &stage.tape;
    let offer = client::QrOffer::new(&mut rng(102), Hint::MakeCredential, NOW, false, false);
    tape.debug(&offer);
    let secret = offer.contents.secret.clone();
    let nonce = advert::ConnectionNonce::random(&mut rng(8));
    let plaintext = advert::AdvertPlaintext::new(nonce, ROUTING, TunnelServiceId::GOOGLE);
    tape.debug(&secret);
    tape.debug(&secret.eid_key());
    tape.debug(&secret.tunnel_id());
    tape.debug(&secret.psk(&plaintext));
    tape.debug(&plaintext);
    tape.debug(&keys::LinkSecret::new([1; 32]));
    let service = TunnelServiceId::GOOGLE;
    let target = client::Target::Tunnel { service, routing: ROUTING, tunnel: secret.tunnel_id() };
    tape.debug(&client::Output::OpenChannel(target));
    let endpoint = tunnel::Endpoint::New(secret.tunnel_id());
    tape.debug(&endpoint);
    tape.debug(&stage.relay.endpoint(&endpoint));
    let sealed = advert::seal(&secret.eid_key(), &plaintext);
    tape.debug(&authenticator::Output::OpenTunnel(authenticator::Tunnel::New(secret.tunnel_id())));
    tape.debug(&cabled::ble::Outgoing::new(&sealed));
    let psk = secret.psk(&plaintext);
    let side = noise::ClientSide::Qr(&offer.identity);
    let (first, waiting) = noise::initiate(side, &psk, &offer.ephemeral).unwrap();
    let phone = cabled::hybrid::PrivateKey::generate(&mut rng(9));
    let side = noise::AuthenticatorSide::Qr(&offer.contents.identity);
    let (second, at_phone) = noise::respond(side, &psk, &phone, &first).unwrap();
    tape.debug(&at_phone);
    tape.debug(&waiting.finish(&second).unwrap());
    #[allow(clippy::disallowed_methods, reason = "the machine wants some instant")]
    let now = std::time::Instant::now();
    let transaction = client::Transaction::qr(offer, client::Deadlines::default(), now);
    tape.debug(&transaction);
}
