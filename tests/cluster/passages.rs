//! What passes from node to node: frames in order, goodbyes, refusals, rings.

use cabled::channel::{DataChannel, Error};
use cabled::hybrid::PrivateKey;
use cabled::hybrid::linking::{ClientPayload, LinkId};
use cabled::hybrid::listen::{Answer, ListenKey, Verdict};
use cabled::hybrid::qr::Hint;
use cabled::hybrid::tunnel::{ContactId, RoutingId, ServiceUrl};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::world::{Cluster, end_of, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_laptop_that_lands_elsewhere_is_joined_and_the_rest_is_as_ever() {
    let cluster = Cluster::start().await;
    let mut pair = cluster.pair(0, 1, 1).await;
    for length in [0, 1, 125, 126, 300, 65_536, 1 << 20] {
        pair.talk(length).await;
    }
    // Many at once, into a laptop that does not read yet: nothing is lost, none out of turn.
    let sending = async {
        for number in 0..100_u32 {
            pair.phone.send(&number.to_be_bytes().repeat(10_000)).await.unwrap();
        }
    };
    let reading = async {
        for number in 0..100_u32 {
            let message = pair.laptop.recv().await.unwrap();
            assert!(message == number.to_be_bytes().repeat(10_000), "message {number}");
        }
    };
    tokio::join!(sending, reading);
    assert_eq!(cluster.nodes[1].count("passages"), 1);
    assert_eq!(cluster.nodes[0].count("links"), 1);
    pair.phone.close().await;
    assert!(matches!(end_of(&mut pair.laptop).await, Error::Closed { code: Some(1000) }));
    drop(pair);
    until("nothing is left", || cluster.count("passages") + cluster.count("links") == 0).await;

    // The other way round, and what breaks the rules is told so across nodes too.
    let mut pair = cluster.pair(2, 1, 2).await;
    pair.talk(10).await;
    for _ in 0..1024 {
        // Once too many; the last ones may find the connection closed.
        let _ = pair.laptop.send(b"!").await;
    }
    assert!(matches!(end_of(&mut pair.laptop).await, Error::Closed { code: Some(1008) }));
    for _ in 1..1024 {
        assert_eq!(pair.phone.recv().await.unwrap(), b"!");
    }
    assert!(matches!(end_of(&mut pair.phone).await, Error::Closed { code: Some(1008) }));

    // Last words of one who hangs up.
    let mut pair = cluster.pair(0, 2, 3).await;
    pair.laptop.send(b"last words").await.unwrap();
    drop(pair.laptop);
    assert_eq!(pair.phone.recv().await.unwrap(), b"last words");
    assert!(matches!(end_of(&mut pair.phone).await, Error::Closed { code: Some(1001) }));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_there_is_not_found() {
    let cluster = Cluster::start().await;
    let (_phone, routing) = cluster.phone(0, 1).await.unwrap();
    // No such tunnel at that node, no such node, and a tunnel that has its laptop.
    for (routing, id) in [(routing, 2), (RoutingId::new([0, 0, 0]), 1)] {
        let refused = cluster.laptop(1, routing, id).await.map(drop);
        assert!(matches!(refused, Err(Error::Status { status: 404 })), "{refused:?}");
    }
    let _laptop = cluster.laptop(1, routing, 1).await.unwrap();
    let refused = cluster.laptop(2, routing, 1).await.map(drop);
    assert!(matches!(refused, Err(Error::Status { status: 404 })), "{refused:?}");
}

fn key(url: &ServiceUrl) -> ListenKey {
    let key = PrivateKey::generate(&mut ChaCha20Rng::seed_from_u64(1));
    ListenKey::new(key, &url.authority()).unwrap()
}

fn payload() -> ClientPayload {
    ClientPayload { link_id: LinkId([1; 8]), nonce: [7; 16].into(), hint: Hint::GetAssertion }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_rung_wherever_it_listens() {
    let mut cluster = Cluster::start().await;
    // One name for the phone, whichever node it is at.
    let key = key(&cluster.nodes[0].url);
    let contact: ContactId = key.contact_id();
    let mut bell = cluster.connector.listen(&cluster.nodes[0].url, &key).await.unwrap();
    until("the phone listens", || cluster.nodes[0].count("listeners") == 1).await;

    let ring_through = async |cluster: &Cluster,
                              bell: &mut cabled::channel::websocket::Bell,
                              at: usize,
                              via: usize| {
        let ringing = async {
            // The subject may not be known to NATS yet.
            loop {
                match cluster.connector.ring(&cluster.nodes[at].url, &contact, &payload()).await {
                    Err(Error::Status { status: 404 }) => tokio::task::yield_now().await,
                    rung => return rung.unwrap(),
                }
            }
        };
        let answering = async {
            let ring = bell.next().await.unwrap();
            bell.answer(Answer { number: ring.number, verdict: Verdict::Coming }).await.unwrap();
            let url = &cluster.nodes[via].url;
            cluster.connector.join_tunnel(url, ring.routing, ring.tunnel).await.unwrap()
        };
        let (mut laptop, mut phone) = tokio::join!(ringing, answering);
        laptop.send(b"hello").await.unwrap();
        assert_eq!(phone.recv().await.unwrap(), b"hello");
    };
    // The laptop elsewhere; the phone comes by the node of the laptop, its own, and a third.
    for via in [1, 0, 2] {
        ring_through(&cluster, &mut bell, 1, via).await;
    }

    // It listens at another node, and the older connection is let go.
    let mut newer = cluster.connector.listen(&cluster.nodes[2].url, &key).await.unwrap();
    let gone = bell.next().await.map(drop);
    assert!(matches!(gone, Err(Error::Closed { code: Some(1008) })), "{gone:?}");
    ring_through(&cluster, &mut newer, 1, 1).await;

    // That node dies; the phone listens again, and can be rung.
    cluster.nodes[2].program.kill();
    let died = std::time::Instant::now();
    assert!(newer.next().await.is_err());
    let mut again = cluster.connector.listen(&cluster.nodes[0].url, &key).await.unwrap();
    ring_through(&cluster, &mut again, 1, 1).await;
    println!("a phone of a node that was killed was rung again after {:?}", died.elapsed());

    // What the phone says is what the laptop is told.
    let payload = payload();
    let ringing = cluster.connector.ring(&cluster.nodes[1].url, &contact, &payload);
    let answering = async {
        let ring = again.next().await.unwrap();
        again.answer(Answer { number: ring.number, verdict: Verdict::NoSuchLink }).await.unwrap();
    };
    let (rung, ()) = tokio::join!(ringing, answering);
    assert!(matches!(rung.map(drop), Err(Error::Status { status: 410 })));
}
