//! The laptop's page as its user has it: codes, progress, the end, and what may be an orphan.

use std::time::Duration;

use cabled::cli::image;
use cabled::testbed::{Answer, Choice, Script};
use serde_json::json;

use crate::browser::Browser;
use crate::devtools::Page;
use crate::laptop::Laptop;
use crate::page::{key, picture, size};
use crate::sharing::silent_radio;
use crate::soon;

async fn open(laptop: &Laptop, page: &mut Page) {
    page.go_to(&laptop.link()).await;
    page.until("document.body.dataset.ready === 'yes'").await;
    assert_eq!(page.value("location.pathname").await, "/", "the token is not in the address");
}

async fn fits(page: &mut Page) {
    let wide = "document.documentElement.scrollWidth <= innerWidth";
    assert_eq!(page.value(wide).await, true, "nothing sticks out of the screen");
}

async fn stands(page: &mut Page, selector: &str, words: &str) {
    page.until(&format!("document.querySelector({selector:?})?.innerText.includes({words:?})"))
        .await;
}

/// The picture of the code is there once it is drawn.
async fn code_is_drawn(page: &mut Page) {
    page.shows(".code img").await;
    page.value("document.querySelector('.code img').decode()").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_read_from_the_screen_and_the_page_follows_to_the_end() {
    let laptop = Laptop::start().await;
    let mut browser = Browser::start().await;
    let page = &mut browser.page;
    size(page, 360, false).await;
    open(&laptop, page).await;
    page.shows("#nothing").await;
    picture(page, "laptop-empty-narrow").await;

    let mut asking = laptop.registers("anna@passkeys.example");
    code_is_drawn(page).await;
    let words = page.text("#now article").await;
    for wanted in [
        "A program wants to save a passkey for passkeys.example, account anna@passkeys.example.",
        "Did you start this?",
        "Scan this code with your phone’s camera.",
        "Both devices need Bluetooth and internet.",
    ] {
        assert!(words.contains(wanted), "{wanted}: {words}");
    }
    let elsewhere = page.value("document.querySelector('.elsewhere')").await;
    assert_eq!(elsewhere, json!(null), "nothing about where, with a radio of this machine");
    let code = asking.code().to_owned();
    assert_eq!(page.value("document.querySelector('.code code').textContent").await, code);
    assert!(
        page.value("document.querySelector('.code img').alt").await.as_str().unwrap().len() > 9
    );
    // As a phone, or a test bed, sees it, in the usual sizes and in the dark.
    for (width, dark) in [(360, false), (360, true), (768, false), (1280, true), (1920, false)] {
        size(page, width, dark).await;
        fits(page).await;
        let shot = page.picture().await;
        assert_eq!(image::read(&shot).unwrap(), code, "{width} wide, dark: {dark}");
        let light = if dark { "dark" } else { "light" };
        picture(page, &format!("laptop-code-{width}-{light}")).await;
    }

    // The user of the phone thinks, until somebody presses "Cancel" on the page.
    let delay = Duration::from_secs(600);
    let mut script = Script::default();
    script.answers = vec![Answer { choice: Choice::default(), delay }];
    laptop.bench.scan("anna's", &code, script).unwrap();
    stands(page, "#now .status", "Follow the steps on your phone.").await;
    stands(page, "#now .steps .current", "You decide there").await;
    assert_eq!(page.value("document.querySelector('.code')").await, json!(null), "no code is left");
    stands(page, "#now .steps", "Connected over the internet").await;
    picture(page, "laptop-waiting-wide").await;
    size(page, 360, true).await;
    picture(page, "laptop-waiting-narrow-dark").await;
    page.click("#now .cancel").await;
    soon("the end", asking.answer()).await.unwrap_err();
    stands(page, "#earlier", "It came to nothing").await;
    stands(page, "#said", "It came to nothing").await;
    page.until("document.activeElement.closest('#earlier')").await;
    picture(page, "laptop-cancelled-narrow-dark").await;
    page.click("#earlier .close").await;
    page.until("document.querySelector('#earlier-part').hidden").await;

    // And one that comes to a good end; its program takes the answer.
    let mut asking = laptop.registers("ben");
    code_is_drawn(page).await;
    laptop.bench.scan("anna's", asking.code(), Script::default()).unwrap();
    soon("the answer", asking.answer()).await.unwrap();
    laptop.service.taken(asking.id()).await.unwrap();
    stands(page, "#earlier", "Done.").await;
    drop(asking);
    size(page, 360, false).await;
    picture(page, "laptop-done-narrow").await;
    fits(page).await;
    browser.end().await;
    laptop.end().await.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_another_machine_listens_for_says_where_the_phone_has_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let (radio, shares) = silent_radio(folder.path());
    let laptop = Laptop::with_radio(radio).await;
    let mut browser = Browser::start().await;
    let page = &mut browser.page;
    size(page, 360, false).await;
    open(&laptop, page).await;
    let mut asking = laptop.registers("anna");
    code_is_drawn(page).await;
    stands(page, "#now article .elsewhere", "near that one, not near this one").await;
    fits(page).await;
    picture(page, "laptop-shared-radio-narrow").await;
    laptop.service.cancel(asking.id()).unwrap();
    soon("the end", asking.answer()).await.unwrap_err();
    shares.abort();
    browser.end().await;
    laptop.end().await.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_at_once_are_told_apart_and_cancelled_by_keyboard() {
    let laptop = Laptop::start().await;
    let mut browser = Browser::start().await;
    let page = &mut browser.page;
    size(page, 1100, true).await;
    open(&laptop, page).await;
    let mut anna = laptop.registers("anna");
    page.shows("#now article:nth-child(1) .code img").await;
    let mut hostile = laptop.registers("<img src=x onerror=alert(1)>");
    page.shows("#now article:nth-child(2) .code img").await;
    assert_eq!(page.value("document.title").await, "(2) Passkeys on your phone");
    stands(page, "#now article:nth-child(2)", "account <img src=x onerror=alert(1)>.").await;
    picture(page, "laptop-two-wide-dark").await;
    // To the second one's button, and Enter.
    page.value("document.querySelectorAll('#now summary')[1].focus()").await;
    key(page, "Tab").await;
    page.until("document.activeElement.matches('#now article:nth-child(2) .cancel')").await;
    key(page, "Enter").await;
    soon("the end", hostile.answer()).await.unwrap_err();
    stands(page, "#earlier", "It came to nothing").await;
    assert_eq!(laptop.service.running(), [anna.id()]);
    // A page that is opened later has the same.
    let other = laptop.link();
    page.go_to(&other).await;
    page.shows("#now article .code img").await;
    stands(page, "#earlier", "It came to nothing").await;
    laptop.service.cancel(anna.id()).unwrap();
    soon("the end", anna.answer()).await.unwrap_err();
    page.shows("#nothing").await;
    browser.end().await;
    laptop.end().await.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passkey_that_was_not_taken_is_told_with_the_way_out() {
    let laptop = Laptop::start().await;
    let mut browser = Browser::start().await;
    let page = &mut browser.page;
    size(page, 360, false).await;
    open(&laptop, page).await;
    let mut asking = laptop.registers("anna");
    laptop.bench.scan("anna's", asking.code(), Script::default()).unwrap();
    soon("the answer", asking.answer()).await.unwrap();
    stands(page, "#earlier", "Done.").await;
    assert_eq!(page.value("document.querySelector('#orphans-part').hidden").await, true);
    // The program leaves without it.
    drop(asking);
    page.shows("#orphans-part").await;
    stands(page, "#orphans", "passkeys.example, account anna").await;
    stands(page, "#orphans-part", "delete it on the phone").await;
    stands(page, "#earlier", "may be an orphan on the phone now").await;
    picture(page, "laptop-orphan-narrow").await;
    size(page, 1100, true).await;
    picture(page, "laptop-orphan-wide-dark").await;
    page.click("#orphans .forget").await;
    page.until("document.querySelector('#orphans-part').hidden").await;
    assert!(laptop.service.receipts().await.unwrap().is_empty());
    browser.end().await;
    laptop.end().await.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rings_and_touches_need_no_code() {
    let (laptop, _silent) = Laptop::with_silent_relay().await;
    let mut browser = Browser::start().await;
    let page = &mut browser.page;
    size(page, 360, false).await;
    open(&laptop, page).await;
    let mut asking = laptop.rings("Anna's phone", "anna");
    stands(page, "#now .status", "Ringing Anna's phone. Follow the steps there.").await;
    assert_eq!(page.value("document.querySelector('.code')").await, json!(null));
    picture(page, "laptop-ringing-narrow").await;
    page.click("#now .cancel").await;
    soon("the end", asking.answer()).await.unwrap_err();

    let mut key = laptop.selects();
    key.select().await;
    stands(page, "#now article", "A program asks which security key is meant.").await;
    picture(page, "laptop-touch-narrow").await;
    page.click("#now .touch").await;
    assert_eq!(key.status().await, 0, "it is this one");
    stands(page, "#earlier", "The program knows now.").await;
    // The silent relay's laptop ends without its page's help; the page says so.
    let bench = laptop.end().await;
    page.shows("#offline").await;
    picture(page, "laptop-offline-narrow").await;
    browser.end().await;
    bench.stop().await.unwrap();
}
