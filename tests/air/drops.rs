//! The connection of either side breaks after any number of messages in either direction.

use std::collections::BTreeSet;

use cabled::authenticator::{self, State};
use cabled::client;
use cabled::hybrid::qr::Hint;
use serde_json::json;

use crate::proxy::{Way, cutting};
use crate::world::{Answer, World, options_for, register, request_for, soon};

#[derive(Clone, Copy, Debug)]
enum Victim {
    Laptop,
    Phone,
}

/// A registration whose tunnel is cut; says how it ended, and checks that the end makes sense.
async fn cut(victim: Victim, way: Way, messages: usize) -> &'static str {
    let case = format!("{victim:?} {way:?} {messages}");
    let mut world = World::new(&[]).await;
    let url = cutting(world.relay.address, way, messages).await;
    match victim {
        Victim::Laptop => world.laptop_url = url,
        Victim::Phone => world.phone_url = url,
    }
    // A phone that is cut off before it advertised would leave the laptop listening.
    world.laptop_deadlines.advert = std::time::Duration::from_secs(5);
    let (mut handle, _) = world.begin(Hint::MakeCredential);
    let phone = world.scan(handle.qr_text().unwrap());
    let laptop = async {
        let said = handle.ready().await?;
        let info = cabled::ctap::GetInfo::decode(&said.get_info.unwrap()).unwrap();
        register(handle, &info, &options_for("anna", json!({}))).await
    };
    let laptop = soon(&case, laptop).await;
    let phone = phone.ends().await;
    let outcome = match (&laptop, &phone, &world.passkeys()[..]) {
        (Ok(_), Ok(()), [(_, State::Delivered)]) => "delivered",
        // The Shutdown is on its way: whatever became of the laptop's line, its user has the passkey.
        (Err(_), Ok(()), [(_, State::Delivered)]) => "delivered, laptop unsure",
        (
            _,
            Err(authenticator::Error::Unconfirmed { credential, source }),
            [(id, State::Created)],
        ) => {
            assert_eq!(credential, id);
            assert!(is_break(source), "{case}: {source:?}");
            if laptop.is_ok() { "created, laptop sure" } else { "created" }
        }
        (Err(_), Err(error), []) => {
            assert!(is_break(error), "{case}: {error:?}");
            "nothing"
        }
        // The laptop closed in order before it asked anything.
        (Err(_), Ok(()), []) => "nothing asked",
        other => panic!("{case}: {other:?}"),
    };
    if let Err(error) = laptop.map_err(crate::world::Failure::transaction) {
        assert!(is_named(&error), "{case}: {error:?}");
    }
    if let Ok(made) = world.passkeys_made() {
        mended(&mut world, &made).await;
    }
    world.leaves_nothing().await;
    outcome
}

fn is_break(error: &authenticator::Error) -> bool {
    matches!(error, authenticator::Error::Broken { .. } | authenticator::Error::Protocol(_))
}

fn is_named(error: &client::Error) -> bool {
    use cabled::hybrid::Error as E;
    match error {
        client::Error::Broken { .. } => true,
        client::Error::Tunnel { source, .. } => matches!(
            **source,
            // The phone was gone when the laptop came.
            cabled::channel::Error::Status { status: 404 } | cabled::channel::Error::Lost(_)
        ),
        client::Error::Protocol(E::NoAdvert(_) | E::PeerClosed(_)) => true,
        _ => false,
    }
}

/// A site that knows the passkey signs in with it, which clears every doubt.
async fn mended(world: &mut World, id: &[u8]) {
    world.laptop_url = world.relay.url.clone();
    world.phone_url = world.relay.url.clone();
    world.laptop_deadlines = Default::default();
    world.signed_in(&request_for(&[id], json!({}))).await;
    assert_eq!(world.only_state(), State::Used);
    assert!(world.store.possibly_orphaned().unwrap().is_empty());
}

impl World {
    fn passkeys_made(&self) -> Result<Vec<u8>, ()> {
        self.passkeys().first().map(|(id, _)| id.as_bytes().to_vec()).ok_or(())
    }
}

async fn all(victim: Victim) {
    let mut seen = BTreeSet::new();
    for way in [Way::ToRelay, Way::FromRelay] {
        for messages in 0..=6 {
            seen.insert(cut(victim, way, messages).await);
        }
    }
    // Early cuts leave nothing, late ones everything; what is between depends on who is faster.
    assert!(seen.contains("nothing") && seen.contains("delivered"), "{seen:?}");
}

#[tokio::test]
async fn the_laptops_line_may_break_at_any_message() {
    all(Victim::Laptop).await;
}

#[tokio::test]
async fn the_phones_line_may_break_at_any_message() {
    all(Victim::Phone).await;
}

/// The phone's answer passes, the Shutdown after it does not.
#[tokio::test]
async fn a_lost_shutdown_leaves_a_mark() {
    let mut world = World::new(&[]).await;
    world.phone_url = cutting(world.relay.address, Way::FromRelay, 2).await;
    let (handle, info, phone) = world.meet(Hint::MakeCredential).await;
    let laptop = register(handle, &info, &options_for("anna", json!({}))).await;
    match phone.ends().await {
        Err(authenticator::Error::Unconfirmed { credential, .. }) => {
            assert_eq!(world.passkeys(), [(credential.clone(), State::Created)]);
            mended(&mut world, credential.as_bytes()).await;
        }
        // Cut before the user was even asked: the request and the cut came together.
        Err(authenticator::Error::Broken { .. }) => {
            assert!(laptop.is_err() && world.passkeys().is_empty());
        }
        other => panic!("{other:?}"),
    }
    world.leaves_nothing().await;
}

/// A cut while the user reads the question withdraws it, whichever line it is.
#[tokio::test]
async fn a_cut_withdraws_the_question() {
    let mut world = World::new(&[Answer::Think]).await;
    world.phone_url = cutting(world.relay.address, Way::FromRelay, 2).await;
    let (handle, info, phone) = world.meet(Hint::MakeCredential).await;
    let laptop = register(handle, &info, &options_for("anna", json!({}))).await;
    assert!(crate::failures::gone_away(&laptop.unwrap_err().transaction()));
    assert!(matches!(phone.ends().await, Err(authenticator::Error::Broken { .. })));
    assert_eq!(world.user.withdrawn(), world.user.asked().len());
    assert!(world.passkeys().is_empty());
    world.leaves_nothing().await;
}
