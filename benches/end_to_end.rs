//! A whole ceremony over real loopback sockets: relay, laptop and phone, each with its driver, the
//! simulated air, an unlocked store on disk, and a user who approves at once.
//!
//! The PIN's Argon2id is slow on purpose; the store is unlocked before the clock starts.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_types,
    reason = "a benchmark fails by panicking, and draws system randomness as a program would"
)]

use std::time::Duration;

use cabled::authenticator::store::KdfCost;
use cabled::authenticator::{
    Config as EngineConfig, Consent, ConsentRequest, Decision, Engine, Phone, PhoneConfig, Pin,
    Store, Timestamp, Verification,
};
use cabled::ble::Radio;
use cabled::channel::DataChannel;
use cabled::channel::tls::Trust;
use cabled::channel::websocket::Connector;
use cabled::client::webauthn::{Assertion, CreationOptions, Origin, Registration, RequestOptions};
use cabled::client::{Client, Config};
use cabled::ctap::GetInfo;
use cabled::hybrid::qr::{Hint, QrContents};
use cabled::hybrid::tunnel::{ServiceUrl, TunnelId, TunnelServiceId};
use cabled::relay::{self, Limits, Relay};
use criterion::{Criterion, criterion_group, criterion_main};
use rand_core::OsRng;
use tokio::runtime::Runtime;

struct Approves;

impl Consent for Approves {
    async fn ask(&self, _: ConsentRequest) -> Decision {
        Decision::Approved { account: 0, verification: Verification::standing_approval() }
    }
}

/// What a ceremony needs, set up once.
struct World {
    client: Client,
    phone: Phone<Store, Approves>,
    origin: Origin,
    url: ServiceUrl,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        // A benchmark opens more tunnels a second than one address may.
        let limits = Limits {
            tunnel_rate: u32::MAX,
            tunnel_rate_per_address: u32::MAX,
            ..Limits::default()
        };
        let config = relay::Config { limits, ..relay::Config::new(([127, 0, 0, 1], 0).into()) };
        let relay = Relay::bind(config).await.unwrap();
        let url: ServiceUrl = relay.url().parse().unwrap();
        tokio::spawn(relay.serve(std::future::pending()));
        let folder = tempfile::tempdir().unwrap();
        let air = format!("air:{}", folder.path().join("air").display());
        let radio = Radio::open(&air.parse().unwrap()).unwrap();
        let mut config = Config::new(Connector::new(Trust::System));
        config.relay = Some(url.clone());
        let client = Client::new(radio.clone(), config).unwrap();
        let store = folder.path().join("store");
        let pin = Pin::new("benchmark".to_owned()).unwrap();
        let cost = KdfCost::STANDARD;
        let store = Store::create_with_cost(&store, &pin, cost, &mut OsRng).unwrap();
        let engine = Engine::new(store, Approves, EngineConfig::default());
        let connector = Connector::new(Trust::System);
        let config = PhoneConfig::new(connector, url.clone(), TunnelServiceId::GOOGLE);
        let phone = Phone::new(radio, config, engine).unwrap();
        let origin = "https://passkeys.example".parse().unwrap();
        Self { client, phone, origin, url, _folder: folder }
    }

    /// From the QR to the answer and its acknowledgement; `drive` asks the phone.
    async fn ceremony<D>(&mut self, hint: Hint, drive: D)
    where
        D: AsyncFnOnce(&mut cabled::client::TransactionHandle, GetInfo),
    {
        let (mut handle, mut progress) = self.client.begin(hint, 1_800_000_000, &mut OsRng);
        progress.next().await.unwrap();
        let contents = QrContents::decode(handle.qr_text().unwrap()).unwrap();
        let clock = || Timestamp(1_800_000_000);
        let rng = &mut OsRng;
        let phone = self.phone.answer(contents, std::future::pending(), clock, rng, |_| {});
        let laptop = async {
            let said = handle.ready().await.unwrap();
            let info = GetInfo::decode(said.get_info.as_deref().unwrap()).unwrap();
            drive(&mut handle, info).await;
            handle.finish().await.unwrap();
        };
        let ((), answered) = tokio::join!(laptop, phone);
        answered.unwrap();
    }

    async fn register(&mut self, user: u32) {
        let options = format!(
            r#"{{"rp":{{"id":"passkeys.example","name":"Passkeys"}},
            "user":{{"id":"{user:016}","name":"anna","displayName":"Anna"}},
            "challenge":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "pubKeyCredParams":[{{"type":"public-key","alg":-7}}],
            "authenticatorSelection":{{"residentKey":"required"}}}}"#
        );
        let options = CreationOptions::parse(options.as_bytes()).unwrap();
        let registration = Registration::prepare(options, &self.origin).unwrap();
        self.ceremony(Hint::MakeCredential, async |handle, info| {
            let pending = registration.request(&info).unwrap();
            let reply = handle.call(pending.message()).await.unwrap();
            pending.finish(&reply).unwrap();
        })
        .await;
    }

    async fn sign_in(&mut self) {
        let options = br#"{"rpId":"passkeys.example",
            "challenge":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
        let options = RequestOptions::parse(options).unwrap();
        let assertion = Assertion::prepare(options, &self.origin).unwrap();
        self.ceremony(Hint::GetAssertion, async |handle, info| {
            let mut pending = assertion.request(&info).unwrap();
            let reply = handle.call(pending.message()).await.unwrap();
            pending.accept(&reply).unwrap();
            pending.finish(0).unwrap();
        })
        .await;
    }

    /// What the sockets alone cost: two WebSockets through the relay and the same six messages.
    async fn sockets(&self, tunnel: u64) {
        let connector = Connector::new(Trust::System);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&tunnel.to_le_bytes());
        let id = TunnelId::new(id);
        let (mut phone, routing) = connector.open_tunnel(&self.url, id).await.unwrap();
        let mut laptop = connector.join_tunnel(&self.url, routing, id).await.unwrap();
        for (from_laptop, len) in
            [(true, 81), (false, 81), (false, 240), (true, 240), (false, 300), (true, 48)]
        {
            let message = vec![0; len];
            match from_laptop {
                true => {
                    laptop.send(&message).await.unwrap();
                    phone.recv().await.unwrap();
                }
                false => {
                    phone.send(&message).await.unwrap();
                    laptop.recv().await.unwrap();
                }
            }
        }
        phone.close().await;
        laptop.close().await;
    }
}

fn end_to_end(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut world = runtime.block_on(World::new());
    let mut group = c.benchmark_group("end to end over loopback");
    group.measurement_time(Duration::from_secs(8)).sample_size(50);
    let mut user = 0;
    runtime.block_on(world.register(user));
    group.bench_function("ours, sign-in", |b| b.iter(|| runtime.block_on(world.sign_in())));
    let mut tunnel = 0;
    group.bench_function("floor, sockets through the relay", |b| {
        b.iter(|| {
            tunnel += 1;
            runtime.block_on(world.sockets(tunnel));
        });
    });
    group.bench_function("ours, registration", |b| {
        b.iter(|| {
            // The same few accounts again and again, as a store that is used for long would see.
            user = (user + 1) % 16;
            runtime.block_on(world.register(user));
        });
    });
    group.finish();
}

criterion_group!(benches, end_to_end);
criterion_main!(benches);
