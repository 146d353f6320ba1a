//! Phones that listen, and laptops that ring them.

use cabled::channel::websocket::Bell;
use cabled::hybrid::PrivateKey;
use cabled::hybrid::linking::{ClientPayload, LinkId};
use cabled::hybrid::listen::{Answer, Challenge, ListenKey, Ring, Verdict};
use cabled::hybrid::qr::Hint;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;

fn key(service: &Service, seed: u64) -> ListenKey {
    let key = PrivateKey::generate(&mut ChaCha20Rng::seed_from_u64(seed));
    ListenKey::new(key, &service.url.authority()).unwrap()
}

fn payload(link: u8) -> ClientPayload {
    let (link_id, hint) = (LinkId([link; 8]), Hint::GetAssertion);
    ClientPayload { link_id, nonce: [7; 16].into(), hint }
}

impl Service {
    /// A phone that listens, once the relay knows it.
    async fn listener(&self, seed: u64, before: usize) -> Bell {
        let bell = self.connector.listen(&self.url, &key(self, seed)).await.unwrap();
        self.counts(&format!("listeners {}", before + 1)).await;
        bell
    }

    async fn ring(&self, seed: u64, link: u8) -> Result<WebSocketChannel, Error> {
        let contact = key(self, seed).contact_id();
        self.connector.ring(&self.url, &contact, &payload(link)).await
    }
}

/// Hears one ring and says this to it.
async fn heard(bell: &mut Bell, verdict: Verdict) -> Ring {
    let ring = timeout(PATIENCE, bell.next()).await.unwrap().unwrap();
    bell.answer(Answer { number: ring.number, verdict }).await.unwrap();
    ring
}

/// Rings until the phone itself says that it does not know the link.
async fn rung_until_it_says_no(service: &Service, bell: &mut Bell) {
    let ringing = eventually(
        || service.ring(1, 1),
        |rung| matches!(rung, Err(Error::Status { status: 410 })),
    );
    let answering = async {
        loop {
            heard(bell, Verdict::NoSuchLink).await;
        }
    };
    tokio::select! {
        _ = ringing => {}
        () = answering => {}
    }
}

#[tokio::test]
async fn a_phone_that_is_rung_meets_its_laptop() {
    let service = plain().await;
    let mut bell = service.listener(1, 0).await;
    // Again and again, over one connection of the phone.
    for link in 0..3 {
        let answering = async {
            let ring = heard(&mut bell, Verdict::Coming).await;
            assert_eq!((ring.payload, ring.routing), (payload(link), HERE));
            service.connector.join_tunnel(&service.url, ring.routing, ring.tunnel).await.unwrap()
        };
        let (laptop, mut phone) = tokio::join!(service.ring(1, link), answering);
        let mut laptop = laptop.unwrap();
        laptop.send(b"hello").await.unwrap();
        assert_eq!(phone.recv().await.unwrap(), b"hello");
        phone.send(b"world").await.unwrap();
        assert_eq!(laptop.recv().await.unwrap(), b"world");
        phone.close().await;
        assert_eq!(close_code(&mut laptop).await, Some(1000));
    }
    service.counts("rings_total 3").await;
    bell.close().await;
    service.counts("listeners 0").await;
    service.counts("listeners_ended_total{reason=\"goodbye\"} 1").await;
}

#[tokio::test]
async fn what_a_phone_says_is_the_laptops_status() {
    let service = plain().await;
    assert_eq!(status_of(service.ring(1, 0).await), 404);
    let mut bell = service.listener(1, 0).await;
    assert_eq!(status_of(service.ring(2, 0).await), 404);
    for (verdict, status) in [(Verdict::NoSuchLink, 410), (Verdict::Busy, 429)] {
        let (rung, _) = tokio::join!(service.ring(1, 0), heard(&mut bell, verdict));
        assert_eq!(status_of(rung), status);
    }
    service.counts("requests_refused_total{status=\"410\",reason=\"no_link\"} 1").await;
    // Nothing is left of tunnels in which nobody waits.
    service.counts("tunnels{state=\"waiting\"} 0").await;
}

#[tokio::test]
async fn a_phone_that_says_nothing_is_given_up() {
    let limits = Limits { ring_deadline: Duration::from_millis(20), ..Limits::default() };
    let service = with(limits).await;
    let mut bell = service.listener(1, 0).await;
    assert_eq!(status_of(service.ring(1, 0).await), 504);
    // An answer that comes too late is nobody's, and the phone can be rung again.
    heard(&mut bell, Verdict::Coming).await;
    rung_until_it_says_no(&service, &mut bell).await;
}

#[tokio::test]
async fn a_phone_that_was_rung_in_vain_again_and_again_can_be_rung_all_the_same() {
    let limits = Limits { ring_deadline: Duration::from_millis(20), ..Limits::default() };
    let service = with(limits).await;
    let mut bell = service.listener(1, 0).await;
    for _ in 0..4 {
        assert_eq!(status_of(service.ring(1, 0).await), 504);
    }
    // The phone wakes up, and says nothing about what is over.
    for _ in 0..4 {
        timeout(PATIENCE, bell.next()).await.unwrap().unwrap();
    }
    rung_until_it_says_no(&service, &mut bell).await;
}

#[tokio::test]
async fn the_newest_connection_of_a_phone_is_the_one_that_is_rung() {
    let service = plain().await;
    let mut old = service.listener(1, 0).await;
    let mut new = service.connector.listen(&service.url, &key(&service, 1)).await.unwrap();
    let gone = timeout(PATIENCE, old.next()).await.unwrap();
    assert!(matches!(gone, Err(Error::Closed { code: Some(1008) })), "{gone:?}");
    let (rung, _) = tokio::join!(service.ring(1, 0), heard(&mut new, Verdict::NoSuchLink));
    assert_eq!(status_of(rung), 410);
    service.counts("listeners 1").await;
    service.counts("listeners_ended_total{reason=\"replaced\"} 1").await;
}

#[tokio::test]
async fn nobody_listens_for_another() {
    let service = plain().await;
    let (mine, other) = (key(&service, 1), key(&service, 2));
    let path = cabled::hybrid::tunnel::Endpoint::Listen(other.contact_id()).path();
    let mut socket = service.raw(&path).await;
    let Some(Ok(Message::Binary(challenge))) = socket.next().await else { panic!("no challenge") };
    let proof = mine.prove(&challenge).unwrap();
    socket.send(Message::Binary(proof.into())).await.unwrap();
    assert_eq!(raw_close_code(&mut socket).await, 1008);
    service.counts("listeners_ended_total{reason=\"unproven\"} 1").await;
    service.counts("listeners 0").await;
}

#[tokio::test]
async fn a_listener_that_never_proves_anything_is_let_go() {
    let limits = Limits { head_deadline: Duration::from_millis(50), ..Limits::default() };
    let service = with(limits).await;
    let path = cabled::hybrid::tunnel::Endpoint::Listen(key(&service, 1).contact_id()).path();
    let mut socket = service.raw(&path).await;
    assert!(matches!(socket.next().await, Some(Ok(Message::Binary(_)))));
    assert_eq!(raw_close_code(&mut socket).await, 1008);
}

#[tokio::test]
async fn a_listener_is_alive_or_let_go_and_may_not_chatter() {
    let limits = Limits { listen_idle: Duration::from_millis(100), ..Limits::default() };
    let service = with(limits).await;
    let mut bell = service.listener(1, 0).await;
    let gone = timeout(PATIENCE, bell.next()).await.unwrap();
    assert!(matches!(gone, Err(Error::Closed { code: Some(1008) })), "{gone:?}");

    let service = plain().await;
    let mut bell = service.listener(1, 0).await;
    let chatter = async {
        // The answers are to no rings, and so many a second nobody needs.
        while bell.answer(Answer { number: 9, verdict: Verdict::Busy }).await.is_ok() {}
    };
    timeout(PATIENCE, chatter).await.unwrap();
    service.counts("listeners_ended_total{reason=\"quota\"} 1").await;
}

#[tokio::test]
async fn listeners_are_counted_and_bounded() {
    let service = with(Limits { listeners: 1, ..Limits::default() }).await;
    let _bell = service.listener(1, 0).await;
    let refused = service.connector.listen(&service.url, &key(&service, 2)).await;
    assert_eq!(status_of(refused), 503);
    service.counts("requests_refused_total{status=\"503\",reason=\"listeners\"} 1").await;
}

#[tokio::test]
async fn rings_count_as_new_tunnels_of_their_address() {
    let limits = Limits { tunnel_rate_per_address: 1, ..Limits::default() };
    let service = with(limits).await;
    let mut bell = service.listener(1, 0).await;
    let answering = async {
        loop {
            heard(&mut bell, Verdict::NoSuchLink).await;
        }
    };
    let asking = async {
        for _ in 0..100 {
            if status_of(service.ring(1, 0).await) == 429 {
                return;
            }
        }
        panic!("a hundred rings in a row");
    };
    tokio::select! {
        () = asking => {}
        () = answering => {}
    }
    service.counts("requests_refused_total{status=\"429\",reason=\"rate_per_address\"} 1").await;
}

#[tokio::test]
async fn a_browser_is_told_when_the_phone_is_there() {
    let service = plain().await;
    let mut bell = service.listener(1, 0).await;
    let path = cabled::hybrid::tunnel::Endpoint::Contact(key(&service, 1).contact_id()).path();
    let ring = async {
        let url = format!("ws://{}{path}", service.address);
        let mut request = url.into_client_request().unwrap();
        let hex = cabled::hybrid::tunnel::encode_client_payload(&payload(0).encode());
        let headers = request.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", "fido.cable".parse().unwrap());
        headers.insert("X-caBLE-Client-Payload", hex.parse().unwrap());
        headers.insert("X-caBLE-Signal-Connection", "true".parse().unwrap());
        let socket = TcpStream::connect(service.address).await.unwrap();
        tokio_tungstenite::client_async(request, socket).await.unwrap()
    };
    let answering = heard(&mut bell, Verdict::Coming);
    let ((mut laptop, answer), rung) = tokio::join!(ring, answering);
    assert_eq!(answer.headers()["X-caBLE-Signal-Connection"], "true");
    let (here, tunnel) = (rung.routing, rung.tunnel);
    let mut phone = service.connector.join_tunnel(&service.url, here, tunnel).await.unwrap();
    phone.send(b"first").await.unwrap();
    for expected in [&[0][..], b"first"] {
        let Some(Ok(Message::Binary(message))) = laptop.next().await else { panic!("no message") };
        assert_eq!(message, expected);
    }
}

#[tokio::test]
async fn a_relay_that_stops_says_so_to_phones_that_listen() {
    let service = plain().await;
    let mut bell = service.listener(1, 0).await;
    service.stop.send(()).unwrap();
    let gone = timeout(PATIENCE, bell.next()).await.unwrap();
    assert!(matches!(gone, Err(Error::Closed { code: Some(1001) })), "{gone:?}");
    service.served.await.unwrap();
}

#[test]
fn a_challenge_is_for_one_connection() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    assert_ne!(Challenge::new(&mut rng).message(), Challenge::new(&mut rng).message());
}
