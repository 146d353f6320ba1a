//! Ceremonies as a user has them, and how each comes out on the page, on the phone and in the store.

use crate::desk::Desk;
use crate::my_turn;
use crate::phone::{InProcess, Will, program, scan_screen};

/// Opens an account on the page.
pub(crate) async fn enter(desk: &mut Desk, name: &str) {
    desk.page.fill("#name", name).await;
    desk.page.click("#enter").await;
    desk.page.shows("#signed-in").await;
}

pub(crate) async fn leave(desk: &mut Desk) {
    desk.page.click("#leave").await;
    desk.page.shows("#signed-out").await;
}

/// Goes through the page's steps until the browser has the word.
pub(crate) async fn add_passkey(desk: &mut Desk) {
    desk.page.click("#add").await;
    desk.page.click("#create").await;
    browser_has_the_word(desk).await;
}

/// Waits until the page has called the browser.
async fn browser_has_the_word(desk: &mut Desk) {
    let [waiting, message] = ["#waiting", "#message"]
        .map(|part| format!("document.querySelector('{part}').checkVisibility()"));
    desk.page.until(&format!("{waiting} || {message}")).await;
    let words = format!("{message} && document.querySelector('#message').textContent");
    assert_eq!(desk.page.value(&words).await, false);
}

/// What the page says in the end.
pub(crate) async fn said(desk: &mut Desk) -> String {
    desk.page.shows("#message").await;
    desk.page.text("#message-title").await
}

/// Takes the name that the page proposes.
pub(crate) async fn name_it(desk: &mut Desk) {
    desk.page.click("#named-it").await;
    desk.page.until("!document.querySelector('#naming').open").await;
}

/// A registration that has to succeed, with the phone in this process.
pub(crate) async fn register(desk: &mut Desk, phone: &mut InProcess) {
    add_passkey(desk).await;
    let answered = phone.scan().await;
    assert!(answered.result.is_ok() && answered.acknowledged, "{answered:?}");
    assert_eq!(said(desk).await, "Passkey saved");
    name_it(desk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_user_registers_signs_in_and_deletes() {
    let _turn = my_turn().await;
    let mut desk = Desk::new("user").await;
    desk.keep_page("start").await;
    enter(&mut desk, "anna@example.com").await;
    add_passkey(&mut desk).await;
    // Over Bluetooth, as far as this program can tell.
    let phone = tokio::spawn(scan_screen(&desk, &[]));
    let ran = phone.await.unwrap().succeeded();
    assert_eq!(ran.event("result")["outcome"], "registered");
    assert_eq!(said(&mut desk).await, "Passkey saved");
    desk.keep_screen("saved");
    desk.page.fill("#method-name", "Blue phone").await;
    name_it(&mut desk).await;
    assert!(desk.page.text("#methods").await.contains("Blue phone"));
    desk.keep_page("methods").await;
    leave(&mut desk).await;
}
