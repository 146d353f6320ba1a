//! The internet half: relays that are not there, refuse, are silent, stop or have limits; and
//! peers that break the protocol.

use std::time::Duration;

use cabled::authenticator::{self, State};
use cabled::ble::Advertiser as _;
use cabled::ble::Outgoing;
use cabled::channel::websocket::WebSocketChannel;
use cabled::channel::{DataChannel as _, Error as ChannelError, RedirectFault};
use cabled::client;
use cabled::ctap::GetInfo;
use cabled::hybrid::advert::{self, AdvertPlaintext, ConnectionNonce};
use cabled::hybrid::noise::{self, AuthenticatorSide};
use cabled::hybrid::qr::{Hint, QrContents};
use cabled::hybrid::tunnel::{ServiceUrl, TunnelServiceId};
use cabled::hybrid::{self, PrivateKey, Waiting};
use cabled::relay::Limits;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::world::{
    Answer, Service, Told, World, creation, options_for, register, request_for, rng, soon,
};

pub(crate) const SHORT: Duration = Duration::from_millis(40);

/// A port at which nobody listens.
pub(crate) async fn nobody() -> ServiceUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("ws://{}", listener.local_addr().unwrap()).parse().unwrap()
}

/// Answers one request with these bytes; with none it keeps silent until the client leaves.
pub(crate) async fn answering(answer: &str) -> ServiceUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = answer.to_owned();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = socket.read_u8().await else { return };
            head.push(byte);
        }
        let _client_left = socket.write_all(answer.as_bytes()).await;
        if answer.is_empty() {
            let _end = socket.read_u8().await;
        }
    });
    format!("ws://{address}").parse().unwrap()
}

/// What the laptop says when it cannot use its tunnel; the phone is at the real relay meanwhile.
async fn laptop_fails(mut world: World, url: ServiceUrl) -> ChannelError {
    world.laptop_url = url.clone();
    let (mut handle, _) = world.begin(Hint::MakeCredential);
    let mut phone = world.scan(handle.qr_text().unwrap());
    let error = soon("a failure", handle.ready()).await.unwrap_err();
    phone.tells(|told| *told == Told::Advertising).await;
    phone.cancel();
    let gone = phone.ends().await.unwrap_err();
    assert!(matches!(gone, authenticator::Error::Protocol(hybrid::Error::Cancelled)), "{gone:?}");
    assert!(world.passkeys().is_empty());
    world.leaves_nothing().await;
    match error {
        client::Error::Tunnel { service, source } => {
            assert_eq!(*service, url);
            *source
        }
        other => panic!("{other:?}"),
    }
}

/// The same for the phone; the laptop hears nothing and gives up.
async fn phone_fails(mut world: World, url: ServiceUrl) -> ChannelError {
    world.phone_url = url.clone();
    let (handle, _) = world.begin(Hint::MakeCredential);
    let error = world.scan(handle.qr_text().unwrap()).ends().await.unwrap_err();
    handle.cancel().await;
    assert!(world.passkeys().is_empty());
    world.leaves_nothing().await;
    match error {
        authenticator::Error::Tunnel { service, source } => {
            assert_eq!(*service, url);
            *source
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_named() {
    let error = laptop_fails(World::new(&[]).await, nobody().await).await;
    assert!(matches!(error, ChannelError::Connect { .. }), "{error:?}");
    let error = phone_fails(World::new(&[]).await, nobody().await).await;
    assert!(matches!(error, ChannelError::Connect { .. }), "{error:?}");
}

#[tokio::test]
async fn a_relay_that_refuses_is_quoted() {
    for status in [400, 404, 409, 410, 429, 500, 503, 200] {
        let answer = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>"
        );
        let error = laptop_fails(World::new(&[]).await, answering(&answer).await).await;
        assert!(matches!(error, ChannelError::Status { status: s } if s == status), "{error:?}");
        let error = phone_fails(World::new(&[]).await, answering(&answer).await).await;
        assert!(matches!(error, ChannelError::Status { status: s } if s == status), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_no_relay_is_found_out() {
    type Fits = fn(&ChannelError) -> bool;
    let cases: [(&str, Fits); 4] = [
        ("SSH-2.0-OpenSSH_9.2\r\n", |e| matches!(e, ChannelError::Upgrade)),
        ("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", |e| {
            matches!(e, ChannelError::Upgrade)
        }),
        ("HTTP/1.1 302 X\r\nLocation: http://\r\n\r\n", |e| {
            matches!(e, ChannelError::Redirect(RedirectFault::Target))
        }),
        ("HTTP/1.1 200 OK", |e| matches!(e, ChannelError::Lost(_))),
    ];
    for (answer, fits) in cases {
        let error = laptop_fails(World::new(&[]).await, answering(answer).await).await;
        assert!(fits(&error), "{answer}: {error:?}");
        let error = phone_fails(World::new(&[]).await, answering(answer).await).await;
        assert!(fits(&error), "{answer}: {error:?}");
    }
}

#[tokio::test]
async fn a_silent_relay_has_a_deadline() {
    let mut world = World::new(&[]).await;
    world.laptop_deadlines.channel = SHORT;
    let error = laptop_fails(world, answering("").await).await;
    assert!(matches!(error, ChannelError::TimedOut), "{error:?}");
    let mut world = World::new(&[]).await;
    world.phone_deadlines.tunnel = SHORT;
    let error = phone_fails(world, answering("").await).await;
    assert!(matches!(error, ChannelError::TimedOut), "{error:?}");
}

#[tokio::test]
async fn a_second_phone_finds_the_tunnel_taken() {
    let world = World::new(&[Answer::Think]).await;
    let (mut handle, _) = world.begin(Hint::MakeCredential);
    let text = handle.qr_text().unwrap().to_owned();
    let mut first = world.scan(&text);
    first.tells(|told| *told == Told::Advertising).await;
    let second = world.scan(&text).ends().await.unwrap_err();
    let taken = |error: &authenticator::Error| match error {
        authenticator::Error::Tunnel { source, .. } => {
            matches!(**source, ChannelError::Status { status: 409 })
        }
        _ => false,
    };
    assert!(taken(&second), "{second:?}");
    // The first one is not disturbed.
    soon("the meeting", handle.ready()).await.unwrap();
    handle.finish().await.unwrap();
    first.ends().await.unwrap();
    world.leaves_nothing().await;
}

#[tokio::test]
async fn a_relay_that_stops_ends_both_sides_and_the_question() {
    let mut world = World::new(&[Answer::Think]).await;
    let (handle, info, phone) = world.meet(Hint::MakeCredential).await;
    let asking = tokio::spawn(async move {
        register(handle, &info, &options_for("anna", json!({}))).await.unwrap_err().transaction()
    });
    world.user.is_asked().await;
    world.relay.stop();
    let laptop = soon("the laptop's end", asking).await.unwrap();
    assert!(gone_away(&laptop), "{laptop:?}");
    let phone = phone.ends().await.unwrap_err();
    assert!(
        matches!(
            &phone,
            authenticator::Error::Broken { waiting: Waiting::Response, source, .. }
                if matches!(**source, ChannelError::Closed { code: Some(1001) })
        ),
        "{phone:?}"
    );
    assert_eq!(world.user.withdrawn(), 1);
    assert!(world.passkeys().is_empty());
    world.leaves_nothing().await;
}

pub(crate) fn gone_away(error: &client::Error) -> bool {
    matches!(
        error,
        client::Error::Broken { waiting: Waiting::Response, source, .. }
            if matches!(**source, ChannelError::Closed { code: Some(1001) })
    )
}

#[tokio::test]
async fn messages_beyond_the_relays_limit_are_told_of() {
    let limits = Limits { message_len: 1000, ..Limits::default() };
    let world = World::with(&[], Service::start(limits).await);
    let (handle, info, phone) = world.meet(Hint::GetAssertion).await;
    let ids: Vec<_> = (0..40).map(|n: u8| [n; 32]).collect();
    let ids: Vec<&[u8]> = ids.iter().map(|id| &id[..]).collect();
    let options = request_for(&ids, json!({}));
    let error = crate::world::sign_in(handle, &info, &options, 0).await.unwrap_err().transaction();
    assert!(
        matches!(
            &error,
            client::Error::Broken { waiting: Waiting::Response, source, .. }
                if matches!(**source, ChannelError::Closed { code: Some(1009) })
        ),
        "{error:?}"
    );
    let error = phone.ends().await.unwrap_err();
    assert!(
        matches!(
            &error,
            authenticator::Error::Broken { waiting: Waiting::Request, source, .. }
                if matches!(**source, ChannelError::Closed { code: Some(1008) })
        ),
        "{error:?}"
    );
    assert!(world.user.asked().is_empty());
    world.leaves_nothing().await;
}

#[tokio::test]
async fn a_tunnels_time_is_told_of() {
    let limits = Limits { life: Duration::from_millis(500), ..Limits::default() };
    let world = World::with(&[Answer::Think], Service::start(limits).await);
    let (mut handle, _) = world.begin(Hint::MakeCredential);
    let phone = world.scan(handle.qr_text().unwrap());
    let laptop = async {
        let said = handle.ready().await?;
        let info = GetInfo::decode(&said.get_info.unwrap()).unwrap();
        register(handle, &info, &options_for("anna", json!({}))).await
    };
    // On a slow machine the time is over before the question.
    let error = soon("the laptop's end", laptop).await.unwrap_err().transaction();
    let limit = |source: &ChannelError| matches!(source, ChannelError::Closed { code: Some(1008) });
    assert!(matches!(&error, client::Error::Broken { source, .. } if limit(source)), "{error:?}");
    let error = phone.ends().await.unwrap_err();
    assert!(
        matches!(&error, authenticator::Error::Broken { source, .. } if limit(source)),
        "{error:?}"
    );
    assert!(world.passkeys().is_empty());
    world.leaves_nothing().await;
}

#[tokio::test]
async fn nobody_comes_to_the_phone() {
    let mut world = World::new(&[]).await;
    world.phone_deadlines.client = SHORT;
    let offer = hybrid::client::QrOffer::new(&mut rng(9), Hint::GetAssertion, 0, false, false);
    let error = world.scan(&offer.contents.encode()).ends().await.unwrap_err();
    assert!(timed_out(&error, Waiting::Client), "{error:?}");
    world.leaves_nothing_running().await;
}

fn timed_out(error: &authenticator::Error, waiting: Waiting) -> bool {
    match error {
        authenticator::Error::Protocol(hybrid::Error::TimedOut(w)) => *w == waiting,
        _ => false,
    }
}

#[tokio::test]
async fn a_laptop_that_asks_nothing_is_left() {
    let mut world = World::new(&[]).await;
    world.phone_deadlines.request = SHORT;
    let (mut handle, info, phone) = world.meet(Hint::MakeCredential).await;
    let error = phone.ends().await.unwrap_err();
    assert!(timed_out(&error, Waiting::Request), "{error:?}");
    // The phone said goodbye, and the laptop says so to whoever asks now.
    let pending = creation(&options_for("anna", json!({}))).request(&info).unwrap();
    let error = soon("an end", handle.call(pending.message())).await.unwrap_err();
    assert!(
        matches!(error, client::Error::Protocol(hybrid::Error::PeerClosed(Waiting::Response))),
        "{error:?}"
    );
    let again = handle.call(pending.message()).await.unwrap_err();
    assert!(matches!(again, client::Error::Over), "{again:?}");
    drop(handle);
    world.leaves_nothing().await;
}

#[tokio::test]
async fn an_answer_that_nobody_acknowledges_leaves_a_mark() {
    let mut world = World::new(&[]).await;
    world.phone_deadlines.acknowledgement = SHORT;
    let (mut handle, info, phone) = world.meet(Hint::MakeCredential).await;
    let pending = creation(&options_for("anna", json!({}))).request(&info).unwrap();
    let reply = soon("an answer", handle.call(pending.message())).await.unwrap();
    match phone.ends().await.unwrap_err() {
        authenticator::Error::Unconfirmed { credential, source } => {
            assert_eq!(world.passkeys(), [(credential, State::Created)]);
            assert!(timed_out(&source, Waiting::Acknowledgement), "{source:?}");
        }
        other => panic!("{other:?}"),
    }
    // The laptop has it all the same, and the site will name it: that clears the mark.
    let made = pending.finish(&reply).unwrap();
    handle.finish().await.unwrap();
    world.phone_deadlines = Default::default();
    world.signed_in(&request_for(&[&made.id.0], json!({}))).await;
    assert_eq!(world.only_state(), State::Used);
    assert!(world.store.possibly_orphaned().unwrap().is_empty());
    assert!(world.store.list().unwrap()[0].delivered_at.is_some());
    world.leaves_nothing().await;
}

#[tokio::test]
async fn a_user_who_thinks_longer_than_the_laptop_waits_saves_nothing() {
    let mut world = World::new(&[Answer::Think]).await;
    world.laptop_deadlines.response = SHORT;
    let (handle, info, phone) = world.meet(Hint::MakeCredential).await;
    let options = options_for("anna", json!({}));
    let error = register(handle, &info, &options).await.unwrap_err().transaction();
    assert!(
        matches!(error, client::Error::Protocol(hybrid::Error::TimedOut(Waiting::Response))),
        "{error:?}"
    );
    let error = phone.ends().await.unwrap_err();
    assert!(
        matches!(
            error,
            authenticator::Error::Protocol(hybrid::Error::PeerClosed(Waiting::Response))
        ),
        "{error:?}"
    );
    // On a slow machine the request and its end reach the phone together.
    assert_eq!(world.user.withdrawn(), world.user.asked().len());
    assert!(world.passkeys().is_empty());
    world.leaves_nothing().await;
}

#[tokio::test]
async fn the_key_of_another_code_fails_the_handshake() {
    let world = World::new(&[]).await;
    let (mut handle, _) = world.begin(Hint::MakeCredential);
    let mut contents = QrContents::decode(handle.qr_text().unwrap()).unwrap();
    contents.identity = *PrivateKey::generate(&mut rng(5)).public();
    let phone = world.scan(&contents.encode());
    let error = soon("a failure", handle.ready()).await.unwrap_err();
    assert!(
        matches!(error, client::Error::Protocol(hybrid::Error::PeerClosed(Waiting::Handshake))),
        "{error:?}"
    );
    let error = phone.ends().await.unwrap_err();
    assert!(
        matches!(error, authenticator::Error::Protocol(hybrid::Error::Handshake(_))),
        "{error:?}"
    );
    world.leaves_nothing().await;
}

/// A phone made by hand: opens the tunnel, advertises, and has the laptop's first message.
async fn handmade(world: &World, contents: &QrContents) -> (WebSocketChannel, Vec<u8>, Handmade) {
    let connector = cabled::channel::websocket::Connector::new(world.trust.clone());
    let tunnel = contents.secret.tunnel_id();
    let (mut channel, routing) = connector.open_tunnel(&world.phone_url, tunnel).await.unwrap();
    let nonce = ConnectionNonce::random(&mut rng(6));
    let plaintext = AdvertPlaintext::new(nonce, routing, TunnelServiceId::GOOGLE);
    let data = advert::seal(&contents.secret.eid_key(), &plaintext);
    let radio = world.radio();
    let on_air = radio.advertise(Outgoing::new(&data)).await.unwrap();
    let first = soon("a handshake", channel.recv()).await.unwrap();
    drop(on_air);
    (channel, first, Handmade { plaintext })
}

struct Handmade {
    plaintext: AdvertPlaintext,
}

#[tokio::test]
async fn nonsense_of_a_phone_is_an_error_not_a_crash() {
    for (answer, what) in [
        (Some(vec![]), "handshake"),
        (Some(vec![4; 70]), "handshake"),
        (Some(vec![0; 81]), "handshake"),
        (None, "silence"),
    ] {
        let mut world = World::new(&[]).await;
        if answer.is_none() {
            world.laptop_deadlines.handshake = SHORT;
        }
        let (mut handle, _) = world.begin(Hint::MakeCredential);
        let contents = QrContents::decode(handle.qr_text().unwrap()).unwrap();
        let (mut channel, ..) = handmade(&world, &contents).await;
        if let Some(answer) = answer {
            channel.send(&answer).await.unwrap();
        }
        let error = soon("a failure", handle.ready()).await.unwrap_err();
        let fits = match &error {
            client::Error::Protocol(hybrid::Error::Handshake(_)) => what == "handshake",
            client::Error::Protocol(hybrid::Error::TimedOut(Waiting::Handshake)) => {
                what == "silence"
            }
            _ => false,
        };
        assert!(fits, "{error:?}");
        // The laptop hung up in order.
        let end = soon("a goodbye", channel.recv()).await.unwrap_err();
        assert!(matches!(end, ChannelError::Closed { code: Some(1000) }), "{end:?}");
        drop(channel);
        world.leaves_nothing().await;
    }
}

#[tokio::test]
async fn nonsense_after_the_handshake_is_an_error_too() {
    for (first, waiting) in [(Some(vec![]), None), (Some(vec![7; 15]), None), (None, Some(()))] {
        let mut world = World::new(&[]).await;
        if first.is_none() {
            world.laptop_deadlines.handshake = Duration::from_millis(1500);
        }
        let (mut handle, _) = world.begin(Hint::MakeCredential);
        let contents = QrContents::decode(handle.qr_text().unwrap()).unwrap();
        let (mut channel, message, made) = handmade(&world, &contents).await;
        let psk = contents.secret.psk(&made.plaintext);
        let ephemeral = PrivateKey::generate(&mut rng(7));
        let side = AuthenticatorSide::Qr(&contents.identity);
        let (answer, _) = noise::respond(side, &psk, &ephemeral, &message).unwrap();
        channel.send(&answer).await.unwrap();
        if let Some(first) = first {
            channel.send(&first).await.unwrap();
        }
        let error = soon("a failure", handle.ready()).await.unwrap_err();
        let fits = match &error {
            client::Error::Protocol(hybrid::Error::Frame(_)) => waiting.is_none(),
            client::Error::Protocol(hybrid::Error::TimedOut(Waiting::PostHandshake)) => {
                waiting.is_some()
            }
            _ => false,
        };
        assert!(fits, "{error:?}");
        drop(channel);
        world.leaves_nothing().await;
    }
}
