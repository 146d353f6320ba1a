//! People who change their minds, and devices that vanish, at each stage.

use cabled::authenticator::{self, State};
use cabled::client;
use cabled::hybrid::qr::Hint;
use cabled::hybrid::{self, Waiting};
use serde_json::json;

use crate::failures::gone_away;
use crate::proxy::{Way, cutting};
use crate::world::{Answer, Told, World, creation, options_for, register, request_for, soon};

fn hung_up(error: &client::Error) -> bool {
    matches!(error, client::Error::Protocol(hybrid::Error::PeerClosed(Waiting::Response)))
}

fn withdrawn(error: &authenticator::Error) -> bool {
    matches!(error, authenticator::Error::Protocol(hybrid::Error::PeerClosed(Waiting::Response)))
}

fn cancelled(error: &authenticator::Error) -> bool {
    matches!(error, authenticator::Error::Protocol(hybrid::Error::Cancelled))
}

/// Cancelling and dropping are the same to everybody else.
async fn give_up(handle: client::TransactionHandle, drops: bool) {
    match drops {
        true => drop(handle),
        false => soon("the end", handle.cancel()).await,
    }
}

#[tokio::test]
async fn the_laptop_gives_up_before_anybody_scans() {
    for drops in [false, true] {
        let world = World::new(&[]).await;
        let (handle, mut progress) = world.begin(Hint::MakeCredential);
        progress.next().await.unwrap();
        assert_eq!(crate::world::scans(&world.folder.path().join("air")), 1);
        give_up(handle, drops).await;
        world.leaves_nothing().await;
    }
}

#[tokio::test]
async fn the_laptop_gives_up_while_the_tunnel_opens() {
    for drops in [false, true] {
        let mut world = World::new(&[]).await;
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        world.laptop_url = format!("ws://{}", silent.local_addr().unwrap()).parse().unwrap();
        let (handle, mut progress) = world.begin(Hint::MakeCredential);
        let mut phone = world.scan(handle.qr_text().unwrap());
        let (_socket, _) = soon("a connection", silent.accept()).await.unwrap();
        progress.next().await.unwrap();
        assert_eq!(progress.next().await, Some(client::Progress::AdvertSeen));
        give_up(handle, drops).await;
        assert_eq!(progress.next().await, None);
        phone.cancel();
        assert!(cancelled(&phone.ends().await.unwrap_err()));
        world.leaves_nothing().await;
    }
}

#[tokio::test]
async fn the_laptop_gives_up_before_it_asks() {
    for drops in [false, true] {
        let world = World::new(&[]).await;
        let (handle, _, phone) = world.meet(Hint::MakeCredential).await;
        give_up(handle, drops).await;
        // Shutdown without a request is an orderly end.
        phone.ends().await.unwrap();
        world.leaves_nothing().await;
    }
}

#[tokio::test]
async fn the_laptop_gives_up_while_the_user_thinks() {
    for drops in [false, true] {
        let world = World::new(&[Answer::Think]).await;
        let (mut handle, info, phone) = world.meet(Hint::MakeCredential).await;
        let pending = creation(&options_for("anna", json!({}))).request(&info).unwrap();
        {
            let mut call = std::pin::pin!(handle.call(pending.message()));
            tokio::select! {
                reply = &mut call => panic!("{reply:?}"),
                () = world.user.is_asked() => {}
            }
        }
        give_up(handle, drops).await;
        let error = phone.ends().await.unwrap_err();
        assert!(withdrawn(&error), "{error:?}");
        assert_eq!((world.user.withdrawn(), world.passkeys().len()), (1, 0));
        world.leaves_nothing().await;
    }
}

#[tokio::test]
async fn the_laptop_gives_up_with_the_answer_in_its_hands() {
    for drops in [false, true] {
        let world = World::new(&[]).await;
        let (mut handle, info, phone) = world.meet(Hint::MakeCredential).await;
        let pending = creation(&options_for("anna", json!({}))).request(&info).unwrap();
        soon("an answer", handle.call(pending.message())).await.unwrap();
        give_up(handle, drops).await;
        phone.ends().await.unwrap();
        assert_eq!(world.only_state(), State::Delivered);
        world.leaves_nothing().await;
    }
}

#[tokio::test]
async fn the_phone_gives_up_while_it_opens_the_tunnel() {
    let mut world = World::new(&[]).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.phone_url = format!("ws://{}", silent.local_addr().unwrap()).parse().unwrap();
    let (handle, _) = world.begin(Hint::MakeCredential);
    let mut phone = world.scan(handle.qr_text().unwrap());
    phone.tells(|told| *told == Told::OpeningTunnel).await;
    phone.cancel();
    assert!(cancelled(&phone.ends().await.unwrap_err()));
    handle.cancel().await;
    world.leaves_nothing().await;
}

#[tokio::test]
async fn the_phone_gives_up_before_the_laptop_comes() {
    let world = World::new(&[]).await;
    let offer = hybrid::client::QrOffer::new(
        &mut crate::world::rng(3),
        Hint::MakeCredential,
        0,
        false,
        false,
    );
    let mut phone = world.scan(&offer.contents.encode());
    phone.tells(|told| *told == Told::Advertising).await;
    phone.cancel();
    assert!(cancelled(&phone.ends().await.unwrap_err()));
    world.leaves_nothing().await;
}

#[tokio::test]
async fn the_phone_gives_up_before_it_is_asked() {
    let world = World::new(&[]).await;
    let (mut handle, info, mut phone) = world.meet(Hint::MakeCredential).await;
    phone.cancel();
    assert!(cancelled(&phone.ends().await.unwrap_err()));
    let pending = creation(&options_for("anna", json!({}))).request(&info).unwrap();
    let error = soon("an end", handle.call(pending.message())).await.unwrap_err();
    assert!(hung_up(&error), "{error:?}");
    drop(handle);
    world.leaves_nothing().await;
}

#[tokio::test]
async fn the_phone_closes_without_an_answer() {
    let world = World::new(&[Answer::Think]).await;
    let (handle, info, mut phone) = world.meet(Hint::MakeCredential).await;
    let options = options_for("anna", json!({}));
    let asking = tokio::spawn(async move { register(handle, &info, &options).await });
    world.user.is_asked().await;
    phone.cancel();
    assert!(cancelled(&phone.ends().await.unwrap_err()));
    let error = soon("the laptop's end", asking).await.unwrap().unwrap_err().transaction();
    assert!(hung_up(&error), "{error:?}");
    assert_eq!((world.user.withdrawn(), world.passkeys().len()), (1, 0));
    world.leaves_nothing().await;
}

#[tokio::test]
async fn the_phone_vanishes_while_its_user_thinks() {
    let world = World::new(&[Answer::Think]).await;
    let (handle, info, phone) = world.meet(Hint::MakeCredential).await;
    let options = options_for("anna", json!({}));
    let asking = tokio::spawn(async move { register(handle, &info, &options).await });
    world.user.is_asked().await;
    phone.dies().await;
    let error = soon("the laptop's end", asking).await.unwrap().unwrap_err().transaction();
    assert!(gone_away(&error), "{error:?}");
    assert!(world.passkeys().is_empty());
    world.leaves_nothing().await;
}

#[tokio::test]
async fn the_phone_vanishes_or_gives_up_after_its_answer() {
    for kill in [false, true] {
        let world = World::new(&[]).await;
        let (mut handle, info, mut phone) = world.meet(Hint::MakeCredential).await;
        let pending = creation(&options_for("anna", json!({}))).request(&info).unwrap();
        let reply = soon("an answer", handle.call(pending.message())).await.unwrap();
        if kill {
            phone.dies().await;
        } else {
            phone.cancel();
            match phone.ends().await.unwrap_err() {
                authenticator::Error::Unconfirmed { credential, source } => {
                    assert_eq!(world.passkeys(), [(credential, State::Created)]);
                    assert!(cancelled(&source), "{source:?}");
                }
                other => panic!("{other:?}"),
            }
        }
        let _the_answer_is_here = soon("the end", handle.finish()).await;
        assert_eq!(world.only_state(), State::Created);
        let made = pending.finish(&reply).unwrap();
        world.signed_in(&request_for(&[&made.id.0], json!({}))).await;
        assert!(world.store.possibly_orphaned().unwrap().is_empty());
        world.leaves_nothing().await;
    }
}

#[tokio::test]
async fn the_laptop_vanishes_while_the_user_thinks() {
    let mut world = World::new(&[Answer::Think]).await;
    world.laptop_url = cutting(world.relay.address, Way::ToRelay, 2).await;
    let (handle, info, phone) = world.meet(Hint::MakeCredential).await;
    let options = options_for("anna", json!({}));
    let laptop = register(handle, &info, &options).await.unwrap_err().transaction();
    assert!(
        matches!(&laptop, client::Error::Broken { waiting: Waiting::Response, source, .. }
            if matches!(**source, cabled::channel::Error::Lost(_))),
        "{laptop:?}"
    );
    let error = phone.ends().await.unwrap_err();
    assert!(
        matches!(&error, authenticator::Error::Broken { waiting: Waiting::Response, source, .. }
            if matches!(**source, cabled::channel::Error::Closed { code: Some(1001) })),
        "{error:?}"
    );
    assert!(world.passkeys().is_empty());
    assert_eq!(world.user.withdrawn(), world.user.asked().len());
    world.leaves_nothing().await;
}

#[tokio::test]
async fn asking_before_the_phone_is_there_ends_the_transaction_in_order() {
    let world = World::new(&[]).await;
    let (mut handle, _) = world.begin(Hint::MakeCredential);
    let error = soon("an end", handle.call(vec![4])).await.unwrap_err();
    assert!(matches!(error, client::Error::Protocol(hybrid::Error::Misuse)), "{error:?}");
    drop(handle);

    // With a phone there, it sees an orderly end.
    let (mut handle, _, phone) = world.meet(Hint::MakeCredential).await;
    let error = soon("an end", handle.call(Vec::new())).await.unwrap_err();
    assert!(matches!(error, client::Error::Protocol(hybrid::Error::Misuse)), "{error:?}");
    drop(handle);
    phone.ends().await.unwrap();
    world.leaves_nothing().await;
}
