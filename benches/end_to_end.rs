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

#[allow(dead_code, reason = "the cluster's tests use more of it")]
#[path = "../tests/cluster/people.rs"]
mod people;

use std::time::Duration;

use cabled::authenticator::store::KdfCost;
use cabled::channel::DataChannel;
use cabled::channel::tls::Trust;
use cabled::channel::websocket::Connector;
use cabled::client::TransactionHandle;
use cabled::client::webauthn::{Assertion, RequestOptions};
use cabled::hybrid::qr::Hint;
use cabled::hybrid::tunnel::{ServiceUrl, TunnelId};
use cabled::relay::{self, Limits, Relay};
use criterion::{Criterion, criterion_group, criterion_main};
use rand_core::OsRng;
use tokio::runtime::Runtime;

use people::{
    Approves, Devices, Failure, NOW, People, REQUEST, info, origin, register, registration,
};

/// What a ceremony needs, set up once.
struct World {
    people: People<Approves>,
    url: ServiceUrl,
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
        Self { people: People::new(Devices::meet_at(&url, KdfCost::STANDARD), Approves), url }
    }

    /// From the QR to the answer and its acknowledgement; `drive` is the laptop's part.
    async fn ceremony<D>(&mut self, hint: Hint, drive: D)
    where
        D: AsyncFnOnce(TransactionHandle) -> Result<(), Failure>,
    {
        let (handle, _progress, contents) = self.people.begin(hint).await;
        let (never, rng) = (std::future::pending(), &mut OsRng);
        let phone = self.people.phone.answer(contents, never, || NOW, rng, |_| {});
        let (said, answered) = tokio::join!(drive(handle), phone);
        said.unwrap();
        answered.unwrap();
    }

    async fn register(&mut self, user: u32) {
        let registration = registration(user);
        let drive = async |handle| register(handle, registration).await;
        self.ceremony(Hint::MakeCredential, drive).await;
    }

    async fn sign_in(&mut self) {
        let options = RequestOptions::parse(REQUEST.as_bytes()).unwrap();
        let assertion = Assertion::prepare(options, &origin()).unwrap();
        let drive = async |mut handle: TransactionHandle| {
            let mut pending = assertion.request(&info(&mut handle).await?)?;
            let reply = handle.call(pending.message()).await?;
            pending.accept(&reply)?;
            pending.finish(0)?;
            Ok(handle.finish().await?)
        };
        self.ceremony(Hint::GetAssertion, drive).await;
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
