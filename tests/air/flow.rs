//! What goes well, and what the phone declines in order.

use cabled::authenticator::engine::SeveralAccounts;
use cabled::authenticator::{ConsentRequest, Decision, State};
use cabled::cli::relying_party::Account;
use cabled::ctap::Status;
use cabled::hybrid::qr::Hint;
use serde_json::{Value, json};

use crate::world::{
    Answer, Told, World, base64, inner, options_for, register, request_for, sign_in, site, soon,
};

fn to_json(response: &impl serde::Serialize) -> String {
    serde_json::to_string(response).unwrap()
}

#[tokio::test]
async fn a_passkey_is_made_used_and_used_by_name() {
    let world = World::new(&[]).await;
    let mut site = site("anna");

    let (options, ceremony) = site.begin_registration().unwrap();
    let (mut handle, info, mut phone) = world.meet(Hint::MakeCredential).await;
    let pending = crate::world::creation(&inner(&options)).request(&info).unwrap();
    let reply = soon("an answer", handle.call(pending.message())).await.unwrap();
    // The laptop has the answer, the phone does not know it yet.
    assert_eq!(world.only_state(), State::Created);
    assert_eq!(world.store.possibly_orphaned().unwrap().len(), 1);
    handle.finish().await.unwrap();
    phone.tells(|told| *told == Told::Acknowledged).await;
    phone.ends().await.unwrap();
    assert_eq!(world.only_state(), State::Delivered);
    let response = pending.finish(&reply).unwrap();
    let verified = site.finish_registration(ceremony, &to_json(&response)).unwrap();
    assert!(verified.user_verified);

    for account in [Account::FromPasskey, Account::Known] {
        let (options, ceremony) = site.begin_sign_in(account).unwrap();
        let response = world.signed_in(&inner(&options)).await;
        let verified = site.finish_sign_in(ceremony, &to_json(&response)).unwrap();
        assert_eq!(verified.credential_id, world.passkeys()[0].0.as_bytes());
        assert_eq!(world.only_state(), State::Used);
    }
    assert_eq!(world.user.asked().len(), 3);
    world.leaves_nothing().await;
}

#[tokio::test]
async fn the_next_command_acknowledges_as_well_as_shutdown() {
    let world = World::new(&[]).await;
    let (mut handle, info, phone) = world.meet(Hint::MakeCredential).await;
    let pending = crate::world::creation(&options_for("anna", json!({}))).request(&info).unwrap();
    soon("an answer", handle.call(pending.message())).await.unwrap();
    assert_eq!(world.only_state(), State::Created);
    let get_info = soon("an answer", handle.call(vec![4])).await.unwrap();
    assert_eq!(get_info[0], 0);
    assert_eq!(world.only_state(), State::Delivered);
    handle.finish().await.unwrap();
    phone.ends().await.unwrap();
    world.leaves_nothing().await;
}

#[tokio::test]
async fn a_registered_phone_says_so() {
    let world = World::new(&[]).await;
    let first = world.registered(&options_for("anna", json!({}))).await;
    let known = json!({ "excludeCredentials": [{ "type": "public-key", "id": first.id }] });
    let (handle, info, phone) = world.meet(Hint::MakeCredential).await;
    let refused = register(handle, &info, &options_for("anna", known)).await.unwrap_err();
    assert_eq!(refused.refusal(), Status::CREDENTIAL_EXCLUDED);
    phone.ends().await.unwrap();
    assert!(matches!(&world.user.asked()[1], ConsentRequest::AlreadyRegistered { .. }));
    assert_eq!(world.only_state(), State::Delivered);
    world.leaves_nothing().await;
}

#[tokio::test]
async fn the_user_picks_among_accounts_on_the_phone() {
    let world = World::new(&[Answer::Account(0), Answer::Account(0), Answer::Account(1)]).await;
    world.registered(&options_for("anna", json!({}))).await;
    world.registered(&options_for("bert", json!({}))).await;
    let response = world.signed_in(&request_for(&[], json!({}))).await;
    let asked = world.user.asked();
    let Some(ConsentRequest::SignIn { accounts, pick: true, .. }) = asked.last() else {
        panic!("{asked:?}");
    };
    assert_eq!(accounts.len(), 2);
    let handle = response.response.user_handle.unwrap();
    assert_eq!(handle.0, accounts[1].name.as_bytes());
    let used = world.passkeys().into_iter().find(|(_, state)| *state == State::Used).unwrap();
    assert_eq!(used.0, accounts[1].id);
    world.leaves_nothing().await;
}

#[tokio::test]
async fn the_laptop_picks_among_accounts_if_the_phone_leaves_it_to_it() {
    let mut world = World::new(&[]).await;
    world.engine.several_accounts = SeveralAccounts::AskClient;
    for name in ["anna", "bert", "cleo"] {
        world.registered(&options_for(name, json!({}))).await;
    }
    let mut seen = Vec::new();
    for account in 0..3 {
        let (handle, info, phone) = world.meet(Hint::GetAssertion).await;
        let options = request_for(&[], json!({}));
        let response = sign_in(handle, &info, &options, account).await.unwrap();
        phone.ends().await.unwrap();
        seen.push(response.response.user_handle.unwrap().0.clone());
    }
    seen.sort();
    assert_eq!(seen, [b"anna", b"bert", b"cleo"]);
    world.leaves_nothing().await;
}

#[tokio::test]
async fn prf_gives_the_same_secrets_again() {
    let world = World::new(&[]).await;
    let (salt, other) = (base64(&[1; 32]), base64(&[2; 32]));
    let eval = json!({ "extensions": { "prf": { "eval": { "first": salt, "second": other } } } });
    let made = world.registered(&options_for("anna", eval.clone())).await;
    assert_eq!(made.client_extension_results.prf.clone().unwrap().enabled, Some(true));
    let results = |response: &str| -> Value {
        let value: Value = serde_json::from_str(response).unwrap();
        value["clientExtensionResults"]["prf"]["results"].clone()
    };
    let once = results(&to_json(&world.signed_in(&request_for(&[], eval.clone())).await));
    let twice = results(&to_json(&world.signed_in(&request_for(&[&made.id.0], eval)).await));
    assert_eq!(once, twice);
    assert_eq!(once, results(&to_json(&made)));
    assert!(once["first"].is_string() && once["first"] != once["second"]);
    world.leaves_nothing().await;
}

#[tokio::test]
async fn what_the_phone_refuses_is_told_by_its_status() {
    for (decision, status) in [
        (Decision::Declined, Status::OPERATION_DENIED),
        (Decision::TimedOut, Status::USER_ACTION_TIMEOUT),
        (Decision::Cancelled, Status::KEEPALIVE_CANCEL),
        (Decision::NotVerified, Status::UV_INVALID),
        (Decision::LockedOut, Status::UV_BLOCKED),
    ] {
        let world = World::new(&[Answer::Say(decision)]).await;
        let (handle, info, phone) = world.meet(Hint::MakeCredential).await;
        let refused = register(handle, &info, &options_for("anna", json!({}))).await.unwrap_err();
        assert_eq!(refused.refusal(), status);
        phone.ends().await.unwrap();
        assert!(world.passkeys().is_empty());
        world.leaves_nothing().await;
    }
}

#[tokio::test]
async fn a_sign_in_without_a_passkey_is_told_after_the_user_saw_it() {
    let world = World::new(&[]).await;
    for options in [request_for(&[], json!({})), request_for(&[&[9; 32]], json!({}))] {
        let (handle, info, phone) = world.meet(Hint::GetAssertion).await;
        let refused = sign_in(handle, &info, &options, 0).await.unwrap_err();
        assert_eq!(refused.refusal(), Status::NO_CREDENTIALS);
        phone.ends().await.unwrap();
    }
    let asked = world.user.asked();
    assert!(asked.iter().all(|q| matches!(q, ConsentRequest::NothingFound { .. })), "{asked:?}");
    assert_eq!(asked.len(), 2);
    world.leaves_nothing().await;
}

#[tokio::test]
async fn the_user_runs_out_of_time() {
    let mut world = World::new(&[Answer::Think]).await;
    world.engine.user_timeout = std::time::Duration::from_millis(20);
    let (handle, info, phone) = world.meet(Hint::MakeCredential).await;
    let refused = register(handle, &info, &options_for("anna", json!({}))).await.unwrap_err();
    assert_eq!(refused.refusal(), Status::USER_ACTION_TIMEOUT);
    phone.ends().await.unwrap();
    assert_eq!(world.user.withdrawn(), 1);
    assert!(world.passkeys().is_empty());
    world.leaves_nothing().await;
}
