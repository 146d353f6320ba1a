//! Ceremonies as a user has them, and how each comes out on the page, on the phone and in the store.

use cabled::authenticator::{ConsentRequest, State};
use image::Rgb;
use serde_json::Value;

use crate::desk::Desk;
use crate::my_turn;
use crate::phone::{InProcess, Will, code_on, passkeys, scan_screen};

const ANNA: &str = "anna@example.com";

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

pub(crate) async fn sign_in(desk: &mut Desk, account: Option<&str>) {
    match account {
        None => desk.page.click("#sign-in").await,
        Some(name) => {
            desk.page.fill("#name", name).await;
            desk.page.click("#sign-in-as").await;
        }
    }
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
    assert_eq!(answered.outcomes, ["saved"]);
    assert_eq!(said(desk).await, "Passkey saved");
    name_it(desk).await;
}

/// A sign-in that has to succeed; gives what the page says about it.
pub(crate) async fn signs_in(
    desk: &mut Desk,
    phone: &mut InProcess,
    account: Option<&str>,
) -> String {
    sign_in(desk, account).await;
    let answered = phone.scan().await;
    assert!(answered.result.is_ok() && answered.acknowledged, "{answered:?}");
    assert_eq!(answered.outcomes, ["signed in"]);
    assert_eq!(said(desk).await, "You are signed in");
    desk.page.text("#message-text").await
}

/// The whole of what the issue calls "as a new user would", with the program and over Bluetooth.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_user_registers_signs_in_and_deletes() {
    let _turn = my_turn().await;
    let mut desk = Desk::new("user").await;
    desk.keep_page("start").await;
    enter(&mut desk, ANNA).await;
    desk.page.click("#add").await;
    desk.keep_screen("add");
    desk.page.click("#create").await;
    code_on(&desk.display).await;
    desk.keep_screen("code");
    let ran = scan_screen(&desk, &[]).await.succeeded();
    assert_eq!(ran.event("result")["outcome"], "registered");
    assert_eq!(said(&mut desk).await, "Passkey saved");
    desk.keep_screen("saved");
    desk.page.fill("#method-name", "Blue phone").await;
    name_it(&mut desk).await;
    desk.page.until("document.querySelector('#methods .name')?.textContent === 'Blue phone'").await;
    desk.keep_page("methods").await;

    leave(&mut desk).await;
    sign_in(&mut desk, None).await;
    let ran = scan_screen(&desk, &[]).await.succeeded();
    assert_eq!(ran.event("result")["outcome"], "signed-in");
    assert_eq!(said(&mut desk).await, "You are signed in");
    let words = desk.page.text("#message-text").await;
    assert_eq!(words, format!("{ANNA}, with the passkey \"Blue phone\"."));
    desk.keep_page("signed-in").await;

    desk.page.click(".method .delete").await;
    desk.keep_screen("delete");
    let command = desk.page.text("#deleting-command").await;
    desk.page.click("#delete").await;
    assert_eq!(said(&mut desk).await, "Deleted here");
    desk.page.shows("#no-methods").await;
    desk.keep_page("deleted").await;
    // One without the other leaves a dead entry: the phone still offers the passkey.
    leave(&mut desk).await;
    sign_in(&mut desk, None).await;
    scan_screen(&desk, &[]).await.succeeded();
    assert_eq!(said(&mut desk).await, "This site does not know that passkey");
    assert!(desk.page.text("#message-steps").await.contains(&command));
    desk.keep_page("dead-entry").await;
    obey(&desk, &command).await;
    let left = passkeys(&desk, &["list"]).await.succeeded();
    assert_eq!(left.event("passkeys")["passkeys"], Value::Array(vec![]));
}

/// Does what the page told the phone's owner to do.
pub(crate) async fn obey(desk: &Desk, command: &str) {
    let words = command.strip_prefix("cabled phone passkeys ").unwrap();
    let words = words.split(' ').chain(["--yes"]).collect::<Vec<_>>();
    passkeys(desk, &words).await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_kinds_of_sign_in_and_a_phone_that_is_known_already() {
    let _turn = my_turn().await;
    let mut desk = Desk::new("signin").await;
    let mut phone = InProcess::new(&desk);
    enter(&mut desk, ANNA).await;
    register(&mut desk, &mut phone).await;
    assert_eq!(phone.store.list().unwrap()[0].state(), State::Delivered);
    for account in [None, Some(ANNA)] {
        leave(&mut desk).await;
        let words = signs_in(&mut desk, &mut phone, account).await;
        assert_eq!(words, format!("{ANNA}, with the passkey \"My phone\"."));
    }
    assert_eq!(phone.store.list().unwrap()[0].state(), State::Used);
    phone.asked();

    // The page names the passkeys that it knows, and the phone is one of them.
    add_passkey(&mut desk).await;
    let answered = phone.scan().await;
    assert_eq!(answered.outcomes, ["CREDENTIAL_EXCLUDED"], "{answered:?}");
    assert!(matches!(&phone.asked()[..], [ConsentRequest::AlreadyRegistered { .. }]));
    assert_eq!(said(&mut desk).await, "This phone already has a passkey for this account");
    let cause = desk.page.value("document.querySelector('#message-cause').textContent").await;
    assert!(cause.as_str().unwrap().starts_with("InvalidStateError"), "{cause}");
    desk.keep_screen("known-already");
    assert_eq!(phone.store.list().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_accounts_the_user_chooses_on_either_device() {
    let _turn = my_turn().await;
    let mut desk = Desk::new("accounts").await;
    let mut phone = InProcess::new(&desk);
    let bert = "bert@example.com";
    for name in [ANNA, bert] {
        enter(&mut desk, name).await;
        register(&mut desk, &mut phone).await;
        leave(&mut desk).await;
    }
    for name in [bert, ANNA] {
        phone.will(&[Will::Choose(name)]);
        let words = signs_in(&mut desk, &mut phone, None).await;
        assert!(words.starts_with(name), "{words}");
        leave(&mut desk).await;
    }

    // The phone gives all of them, and Chromium shows them in a window of its own.
    let mut phone = phone.that_lists_accounts(&desk);
    // The newest first. Two of one second keep the store's order.
    let mut passkeys = phone.store.list().unwrap();
    passkeys.sort_by_key(|passkey| std::cmp::Reverse(passkey.created_at));
    let second = passkeys[1].user.name.clone().unwrap();
    sign_in(&mut desk, None).await;
    let (answered, ()) = tokio::join!(phone.scan(), async {
        // The list has white where the code before it has black, and nothing behind it is as white.
        let ((x, y), second_row) = ((697, 258), (600, 400));
        desk.until_screen(|screen| *screen.get_pixel(x, y) == Rgb([255; 3])).await;
        desk.keep_screen("chromiums-list");
        desk.insists_on_clicking(second_row).await;
    });
    assert_eq!(answered.outcomes, ["offered", "offered"], "{answered:?}");
    assert!(answered.result.is_ok(), "{answered:?}");
    assert_eq!(said(&mut desk).await, "You are signed in");
    assert!(desk.page.text("#message-text").await.starts_with(&second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prf_gives_the_same_secret_each_time_and_it_stays_in_the_browser() {
    let _turn = my_turn().await;
    let mut desk = Desk::new("prf").await;
    let mut phone = InProcess::new(&desk);
    desk.page.click("#prf").await;
    enter(&mut desk, ANNA).await;
    add_passkey(&mut desk).await;
    let answered = phone.scan().await;
    assert!(answered.result.is_ok(), "{answered:?}");
    assert_eq!(said(&mut desk).await, "Passkey saved");
    let at_registration = prf(&desk.page.text("#message-text").await);
    name_it(&mut desk).await;
    for account in [None, Some(ANNA)] {
        leave(&mut desk).await;
        let words = signs_in(&mut desk, &mut phone, account).await;
        assert_eq!(prf(&words), at_registration);
    }
    desk.keep_page("same-output").await;
    // Another passkey has another secret.
    leave(&mut desk).await;
    enter(&mut desk, "bert@example.com").await;
    add_passkey(&mut desk).await;
    phone.scan().await.result.unwrap();
    assert_eq!(said(&mut desk).await, "Passkey saved");
    assert_ne!(prf(&desk.page.text("#message-text").await), at_registration);
}

/// The 32 bytes that the page shows, in hexadecimal digits.
fn prf(words: &str) -> String {
    let (_, output) = words.split_once("Its prf output is ").expect(words);
    let output = output.trim_end_matches('.');
    assert!(output.len() == 64 && output.chars().all(|c| c.is_ascii_hexdigit()), "{output}");
    output.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_declines_is_understood() {
    let _turn = my_turn().await;
    let mut desk = Desk::new("declined").await;
    let mut phone = InProcess::new(&desk);
    enter(&mut desk, ANNA).await;
    phone.will(&[Will::Decline]);
    add_passkey(&mut desk).await;
    let answered = phone.scan().await;
    assert_eq!(answered.outcomes, ["OPERATION_DENIED"], "{answered:?}");
    desk.keep_screen("chromium");
    desk.gives_up().await;
    assert_eq!(said(&mut desk).await, "No passkey was registered");
    desk.keep_page("registration").await;
    assert!(phone.store.list().unwrap().is_empty());

    register(&mut desk, &mut phone).await;
    leave(&mut desk).await;
    phone.will(&[Will::Decline]);
    sign_in(&mut desk, Some(ANNA)).await;
    let answered = phone.scan().await;
    assert_eq!(answered.outcomes, ["OPERATION_DENIED"], "{answered:?}");
    desk.gives_up().await;
    assert_eq!(said(&mut desk).await, "You are not signed in");
    desk.keep_page("sign-in").await;
    // Nothing is lost by it.
    signs_in(&mut desk, &mut phone, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_walks_away_leaves_no_riddle() {
    let _turn = my_turn().await;
    let mut desk = Desk::new("gone").await;
    let mut phone = InProcess::new(&desk);
    enter(&mut desk, ANNA).await;
    add_passkey(&mut desk).await;
    let answered = phone.walk_away_when_asked().await;
    assert!(answered.outcomes.is_empty(), "{answered:?}");
    desk.keep_screen("before-an-answer");
    desk.gives_up().await;
    assert_eq!(said(&mut desk).await, "No passkey was registered");
    assert!(phone.store.list().unwrap().is_empty());

    // Between the save and the answer: the passkey is on the phone, and nobody knows it.
    add_passkey(&mut desk).await;
    let mut phone = phone.dies_after_saving(&desk).await;
    desk.gives_up().await;
    assert_eq!(said(&mut desk).await, "No passkey was registered");
    assert!(desk.page.text("#message-steps").await.contains("cabled phone passkeys prune"));
    desk.keep_page("orphan").await;
    assert_eq!(phone.store.possibly_orphaned().unwrap().len(), 1);
    // The next try is not refused, and clears the orphan once it is known to have arrived.
    register(&mut desk, &mut phone).await;
    let left = phone.store.list().unwrap();
    assert_eq!((left.len(), left[0].state()), (1, State::Delivered));
}
