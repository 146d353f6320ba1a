//! What the site refuses although the phone has saved it, and how that is cleared.

use serde_json::Value;

use crate::ceremonies::{add_passkey, enter, name_it, obey, said};
use crate::desk::Desk;
use crate::my_turn;
use crate::phone::{passkeys, scan_screen};

const MICROSOFTS: &str = "de1e552d-db1d-4423-a619-566b625cdc84";

async fn save_policy(desk: &mut Desk) {
    desk.page.click("#save-policy").await;
    desk.page.until("document.querySelector('#policy-saved').textContent === 'Saved.'").await;
}

/// A registration that the phone saves and the site refuses; gives the commands that the page names.
async fn refused(desk: &mut Desk) -> Vec<String> {
    add_passkey(desk).await;
    let ran = scan_screen(desk, &[]).await.succeeded();
    assert_eq!(ran.event("result")["outcome"], "registered");
    assert_eq!(said(desk).await, "Saved on the phone, but refused here");
    let steps = desk.page.text("#message-steps code").await;
    steps.lines().map(ToOwned::to_owned).collect()
}

async fn on_the_phone(desk: &Desk) -> Vec<Value> {
    let ran = passkeys(desk, &["list"]).await.succeeded();
    ran.event("passkeys")["passkeys"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_site_refuses_is_explained_and_can_be_cleared() {
    let _turn = my_turn().await;
    let mut desk = Desk::new("policy").await;
    enter(&mut desk, "anna@example.com").await;
    desk.page.click("#attestation").await;
    save_policy(&mut desk).await;
    let commands = refused(&mut desk).await;
    assert!(desk.page.text("#message").await.contains("requires attestation"));
    desk.keep_page("attestation").await;
    assert_eq!(on_the_phone(&desk).await[0]["state"], "delivered");
    // The command names this very passkey.
    obey(&desk, commands.last().unwrap()).await;
    assert!(on_the_phone(&desk).await.is_empty());

    desk.page.click("#attestation").await;
    desk.page.click("#makes-only").await;
    desk.page.fill("#makes", MICROSOFTS).await;
    save_policy(&mut desk).await;
    refused(&mut desk).await;
    assert!(desk.page.text("#message").await.contains("certain makes only"));
    desk.keep_page("make").await;
    // A laptop took it, so it is no orphan in the phone's eyes; but it was never used.
    assert_eq!(passkeys(&desk, &["prune", "--yes"]).await.succeeded().deleted(), 0);
    let pruned = passkeys(&desk, &["prune", "--unused", "--yes"]).await.succeeded();
    assert_eq!(pruned.deleted(), 1);
    assert!(on_the_phone(&desk).await.is_empty());

    // With its own make on the list it is welcome.
    let ours = cabled::cli::relying_party::Aaguid(cabled::authenticator::engine::AAGUID);
    desk.page.fill("#makes", &format!("{MICROSOFTS}\n{ours}")).await;
    save_policy(&mut desk).await;
    add_passkey(&mut desk).await;
    scan_screen(&desk, &[]).await.succeeded();
    assert_eq!(said(&mut desk).await, "Passkey saved");
    name_it(&mut desk).await;
    assert_eq!(desk.page.text("#methods .make").await, ours.to_string());
    desk.keep_page("welcome").await;
}
