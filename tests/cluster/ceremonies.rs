//! Whole ceremonies of our laptop and phone through HAProxy.

use std::time::{Duration, Instant};

use cabled::authenticator::store::KdfCost;
use cabled::authenticator::{
    Config as EngineConfig, Consent, ConsentRequest, Decision, Engine, Phone, PhoneConfig, Pin,
    Store, Timestamp, Verification,
};
use cabled::ble::Radio;
use cabled::channel::DataChannel;
use cabled::channel::tls::Trust;
use cabled::channel::websocket::Connector;
use cabled::client::webauthn::{CreationOptions, Origin, Registration};
use cabled::client::{Client, Config};
use cabled::ctap::GetInfo;
use cabled::hybrid::qr::{Hint, QrContents};
use cabled::hybrid::tunnel::{ServiceUrl, TunnelId, TunnelServiceId};
use rand_core::OsRng;

use crate::world::{Cluster, end_of, until};

struct Approves;

impl Consent for Approves {
    async fn ask(&self, _: ConsentRequest) -> Decision {
        Decision::Approved { account: 0, verification: Verification::standing_approval() }
    }
}

struct World {
    client: Client,
    phone: Phone<Store, Approves>,
    origin: Origin,
    _folder: tempfile::TempDir,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl World {
    #[allow(clippy::disallowed_types, reason = "draws system randomness as a program would")]
    fn new(url: &ServiceUrl) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let air = format!("air:{}", folder.path().join("air").display());
        let radio = Radio::open(&air.parse().unwrap()).unwrap();
        let mut config = Config::new(Connector::new(Trust::System));
        config.relay = Some(url.clone());
        let client = Client::new(radio.clone(), config).unwrap();
        let pin = Pin::new("a test's PIN".to_owned()).unwrap();
        let cost = KdfCost { memory_kib: 64, passes: 1, lanes: 1 };
        let store = folder.path().join("store");
        let store = Store::create_with_cost(&store, &pin, cost, &mut OsRng).unwrap();
        let engine = Engine::new(store, Approves, EngineConfig::default());
        let connector = Connector::new(Trust::System);
        let config = PhoneConfig::new(connector, url.clone(), TunnelServiceId::GOOGLE);
        let phone = Phone::new(radio, config, engine).unwrap();
        let origin = "https://passkeys.example".parse().unwrap();
        Self { client, phone, origin, _folder: folder }
    }

    /// A registration from the code to the acknowledgement, checked as a web site would.
    #[allow(clippy::disallowed_types, reason = "draws system randomness as a program would")]
    async fn ceremony(&mut self, user: u32) -> Result<(), Failure> {
        let options = format!(
            r#"{{"rp":{{"id":"passkeys.example","name":"Passkeys"}},
            "user":{{"id":"{:016}","name":"anna","displayName":"Anna"}},
            "challenge":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "pubKeyCredParams":[{{"type":"public-key","alg":-7}}],
            "authenticatorSelection":{{"residentKey":"required"}}}}"#,
            user % 4
        );
        let options = CreationOptions::parse(options.as_bytes())?;
        let registration = Registration::prepare(options, &self.origin)?;
        let (mut handle, mut progress) =
            self.client.begin(Hint::MakeCredential, 1_800_000_000, &mut OsRng);
        progress.next().await.ok_or("no code")?;
        let contents = QrContents::decode(handle.qr_text().ok_or("no code")?)?;
        let clock = || Timestamp(1_800_000_000);
        let rng = &mut OsRng;
        let phone = self.phone.answer(contents, std::future::pending(), clock, rng, |_| {});
        let laptop = async {
            let said = handle.ready().await?;
            let info = GetInfo::decode(said.get_info.as_deref().ok_or("no getInfo")?)?;
            let pending = registration.request(&info)?;
            let reply = handle.call(pending.message()).await?;
            pending.finish(&reply)?;
            handle.finish().await?;
            Ok::<(), Failure>(())
        };
        // Whoever fails first ends it: the other one would wait for a user.
        let (mut laptop, mut phone) = (std::pin::pin!(laptop), std::pin::pin!(phone));
        tokio::select! {
            said = &mut laptop => {
                said?;
                phone.await?;
            }
            said = &mut phone => {
                said?;
                laptop.await?;
            }
        }
        Ok(())
    }
}

fn ceremonies() -> u32 {
    if std::env::var_os("CABLED_FULL").is_some_and(|full| !full.is_empty()) { 1000 } else { 100 }
}

#[tokio::test(flavor = "multi_thread")]
async fn ceremonies_through_a_round_robin_and_a_node_is_killed_in_the_middle() {
    let mut cluster = Cluster::start().await;
    let url = cluster.balance("roundrobin").await;
    until("haproxy knows the nodes", || cluster.nodes.iter().all(|node| node.is_ready())).await;
    let count = ceremonies();
    let mut worlds: Vec<World> = (0..2).map(|_| World::new(&url)).collect();
    let (mut good, mut failed) = (0, Vec::new());
    let (mut killed, mut recovered) = (None, None);
    let started = Instant::now();
    for number in 0..count / 2 {
        if number == count / 4 {
            // Between two ceremonies; tunnels that are open are in the next test and in `faults`.
            cluster.nodes[0].program.kill();
            killed = Some(Instant::now());
        }
        let [one, other] = worlds.as_mut_slice() else { unreachable!() };
        let (one, other) = tokio::join!(one.ceremony(number), other.ceremony(number));
        for outcome in [one, other] {
            match outcome {
                Ok(()) => {
                    good += 1;
                    if let (Some(killed), None) = (killed, recovered) {
                        recovered = Some(Instant::now() - killed);
                    }
                }
                Err(error) => failed.push((number, error.to_string())),
            }
        }
    }
    println!("{good} of {count} ceremonies in {:?}; failed: {failed:?}", started.elapsed());
    println!("the first one after the kill had ended {:?} after it", recovered.unwrap());
    // HAProxy takes a dead node's requests to another.
    assert!(failed.len() <= 2, "{failed:?}");
    assert!(recovered.unwrap() < Duration::from_secs(30));
    let passed: u64 = [1, 2].map(|node| cluster.nodes[node].count("links_total")).iter().sum();
    println!("{passed} clients were taken in from another node by the two that live");
    assert!(passed > u64::from(count) / 4, "hardly a ceremony crossed nodes: {passed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_that_hashes_on_the_tunnel_avoids_the_hop() {
    let mut cluster = Cluster::start().await;
    let url = cluster.balance("as documented").await;
    let mut world = World::new(&url);
    for number in 0..5 {
        world.ceremony(number).await.unwrap();
    }
    let mut open = Vec::new();
    for id in 0..60 {
        let id = TunnelId::new([id; 16]);
        let (phone, routing) = cluster.connector.open_tunnel(&url, id).await.unwrap();
        let mut laptop = cluster.connector.join_tunnel(&url, routing, id).await.unwrap();
        laptop.send(b"hello").await.unwrap();
        open.push((phone, laptop));
    }
    assert_eq!((cluster.count("links_total"), cluster.count("passages")), (0, 0));
    let shares: Vec<u64> =
        cluster.nodes.iter().map(|node| node.count("tunnels{state=\"joined\"}")).collect();
    println!("60 tunnels stand at the nodes as {shares:?}");
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
    assert_eq!(shares.iter().sum::<u64>(), 60);

    // Of those that are open when a node is killed, that node's end and no others.
    cluster.nodes[0].program.kill();
    let mut lost = 0_u64;
    for (mut phone, mut laptop) in open {
        // What was said before may still be read; what is said now arrives only if the node lives.
        let said = laptop.send(b"again").await.is_ok();
        let mut heard = phone.recv().await;
        if heard.as_ref().is_ok_and(|message| message == b"hello") {
            heard = tokio::time::timeout(crate::world::PATIENCE, phone.recv()).await.unwrap();
        }
        match heard {
            Ok(message) => assert!(said && message == b"again"),
            Err(_) => {
                end_of(&mut laptop).await;
                lost += 1;
            }
        }
    }
    assert_eq!(lost, shares[0], "more or fewer were lost than the node had");
    println!("{lost} of 60 tunnels were lost with a node");
}
