//! The page as its user has it.

use std::path::PathBuf;
use std::time::Duration;

use cabled::authenticator::store::exchange::Opener;
use cabled::authenticator::{ConsentRequest, Decision, PasskeyStore as _};
use serde_json::json;
use zeroize::Zeroizing;

use crate::browser::Browser;
use crate::devtools::Page;
use crate::phone::{NOW, PIN, Phone, accounts};
use crate::soon;

pub(crate) async fn size(page: &mut Page, width: u32, dark: bool) {
    let metrics =
        json!({ "width": width, "height": 780, "deviceScaleFactor": 1, "mobile": width < 500 });
    page.call("Emulation.setDeviceMetricsOverride", metrics).await;
    let scheme = if dark { "dark" } else { "light" };
    let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    page.call("Emulation.setEmulatedMedia", media).await;
}

pub(crate) async fn picture(page: &mut Page, name: &str) {
    let folder =
        PathBuf::from(std::env::var("CABLED_PICTURES").unwrap_or_else(|_| "target/web".into()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.png")), page.picture().await).unwrap();
}

pub(crate) async fn key(page: &mut Page, name: &str) {
    let text = if name == "Enter" { "\r" } else { "" };
    let code = if name == "Enter" { 13 } else { 9 };
    for kind in ["keyDown", "keyUp"] {
        let event = json!({ "type": kind, "key": name, "code": name, "text": text,
                            "windowsVirtualKeyCode": code });
        page.call("Input.dispatchKeyEvent", event).await;
    }
}

async fn open(phone: &Phone, browser: &mut Browser) {
    let page = &mut browser.page;
    page.go_to(&phone.link).await;
    page.until("document.body.dataset.ready === 'yes'").await;
    assert_eq!(page.value("location.pathname").await, "/", "the token is not in the address");
}

fn save() -> ConsentRequest {
    ConsentRequest::Save {
        rp_id: "contoso.com".to_owned(),
        rp_name: Some("<b>Contoso</b>".to_owned()),
        account: Some("anna@contoso.com".to_owned()),
        replaces: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_are_answered_on_a_narrow_screen() {
    let phone = Phone::start().await;
    let mut browser = Browser::start().await;
    size(&mut browser.page, 360, false).await;
    open(&phone, &mut browser).await;
    let page = &mut browser.page;
    page.shows("#no-questions").await;
    picture(page, "empty-narrow").await;

    // By mouse: a wrong PIN first.
    let asked = phone.is_asked(save());
    page.shows("form.asks").await;
    let words = page.text("form.asks").await;
    assert!(words.contains("wants to save a passkey for contoso.com"), "{words}");
    assert!(words.contains("<b>Contoso</b>"), "a site's name is text, never markup: {words}");
    assert!(words.contains("Did you start this?"), "{words}");
    picture(page, "save-narrow").await;
    page.fill("form.asks input[name=pin]", "not this one").await;
    page.click("form.asks button.main").await;
    page.until("document.querySelector('form.asks .problem').textContent.includes('PIN is wrong')")
        .await;
    picture(page, "wrong-pin-narrow").await;
    page.fill("form.asks input[name=pin]", PIN).await;
    page.click("form.asks button.main").await;
    page.shows("#no-questions").await;
    assert!(matches!(asked.await.unwrap(), Decision::Approved { account: 0, .. }));

    // By keyboard alone: the second account of three. Focus is on the question when it comes.
    page.value("document.activeElement.blur()").await;
    let rp_id = "fabrikam.com".to_owned();
    let accounts = accounts(&["anna", "ben", "chris"]);
    let asked = phone.is_asked(ConsentRequest::SignIn { rp_id, accounts, pick: true });
    page.shows("form.asks fieldset").await;
    picture(page, "pick-narrow").await;
    page.until("document.activeElement.closest('form.asks')").await;
    key(page, "Tab").await;
    let radio = json!({ "type": "rawKeyDown", "key": "ArrowDown", "code": "ArrowDown",
                        "windowsVirtualKeyCode": 40 });
    page.call("Input.dispatchKeyEvent", radio).await;
    key(page, "Tab").await;
    page.call("Input.insertText", json!({ "text": PIN })).await;
    key(page, "Enter").await;
    page.shows("#no-questions").await;
    let decision = asked.await.unwrap();
    assert!(matches!(decision, Decision::Approved { account: 1, .. }), "{decision:?}");

    // Declined; and one that is withdrawn goes from the page.
    let asked = phone.is_asked(save());
    page.click("form.asks button.decline").await;
    assert_eq!(asked.await.unwrap(), Decision::Declined);
    let asked = phone.is_asked(save());
    page.shows("form.asks").await;
    asked.abort();
    page.shows("#no-questions").await;
    let wide = "document.documentElement.scrollWidth <= innerWidth";
    assert_eq!(page.value(wide).await, true, "nothing sticks out of a narrow screen");
    browser.end().await;
    phone.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passkeys_are_named_and_deleted_and_orphans_are_explained() {
    let phone = Phone::start().await;
    phone.has("contoso.com", "anna@contoso.com", true).await;
    phone.has("contoso.com", "ben@contoso.com", false).await;
    phone.has("a-very-long-name-of-a-web-site.with.many.parts.example.org", "chris", true).await;
    let mut browser = Browser::start().await;
    size(&mut browser.page, 360, true).await;
    open(&phone, &mut browser).await;
    let page = &mut browser.page;
    page.shows("#passkeys article").await;
    picture(page, "passkeys-narrow-dark").await;
    let wide = "document.documentElement.scrollWidth <= innerWidth";
    assert_eq!(page.value(wide).await, true, "nothing sticks out of a narrow screen");
    assert!(page.text("#orphans").await.contains("possibly orphaned"));
    size(page, 1100, false).await;
    picture(page, "passkeys-wide").await;

    page.click("button.rename[aria-label*=anna]").await;
    page.fill("#rename input", "Work <i>laptop</i>").await;
    picture(page, "rename-wide").await;
    page.click("#rename button.main").await;
    page.until("!document.querySelector('#rename').open").await;
    page.until("document.querySelector('#passkeys').innerText.includes('Work <i>laptop</i>')")
        .await;
    page.click("button.delete[aria-label*=ben]").await;
    assert!(page.text("#delete").await.contains("remove it in the site's settings too"));
    picture(page, "delete-wide").await;
    page.click("#delete button[value=no]").await;
    assert_eq!(phone.store.list().unwrap().len(), 3);
    page.click("button.delete[aria-label*=ben]").await;
    page.click("#delete button.danger").await;
    page.until("!document.querySelector('#delete').open").await;
    page.until("document.querySelector('#orphans').hidden").await;
    let left = phone.store.list().unwrap();
    assert_eq!(left.len(), 2);
    assert!(left.iter().any(|passkey| passkey.label.as_deref() == Some("Work <i>laptop</i>")));

    page.click("#lock").await;
    page.shows("#locked").await;
    assert_eq!(page.text("#passkeys").await, "", "nothing is left behind the lock");
    picture(page, "locked-wide").await;
    page.fill("#unlock input", PIN).await;
    page.click("#unlock button").await;
    page.shows("#passkeys article").await;
    browser.end().await;
    phone.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orphans_are_pruned_and_passkeys_copied_to_a_file() {
    let phone = Phone::start().await;
    phone.has("contoso.com", "anna@contoso.com", true).await;
    phone.has("contoso.com", "ben@contoso.com", false).await;
    phone.has("fabrikam.com", "chris", false).await;
    let mut browser = Browser::start().await;
    size(&mut browser.page, 360, false).await;
    open(&phone, &mut browser).await;
    let page = &mut browser.page;
    page.shows("#passkeys article").await;
    page.click("#prune-open").await;
    let words = page.text("#prune").await;
    assert!(words.contains("ben@contoso.com") && words.contains("fabrikam.com: chris"), "{words}");
    assert!(!words.contains("anna"), "{words}");
    picture(page, "prune-narrow").await;
    // One of them arrives after all while the user reads: it stays.
    let chris = phone.store.find_by_rp("fabrikam.com").unwrap().remove(0).id;
    phone.store.mark_delivered(&chris, NOW, &mut rand_core::OsRng).unwrap();
    page.click("#prune button.danger").await;
    page.until("!document.querySelector('#prune').open").await;
    page.until("document.querySelector('#orphans').hidden").await;
    assert_eq!(phone.store.list().unwrap().len(), 2);

    let downloads = tempfile::tempdir().unwrap();
    let allowed = json!({ "behavior": "allow", "downloadPath": downloads.path() });
    page.call("Browser.setDownloadBehavior", allowed).await;
    page.click("#export-open").await;
    size(page, 360, true).await;
    picture(page, "export-narrow-dark").await;
    page.fill("#export input[name=passphrase]", "correct horse battery").await;
    page.fill("#export input[name=again]", "correct horse").await;
    page.fill("#export input[name=pin]", "not this one").await;
    page.click("#export button.main").await;
    page.until("document.querySelector('#export .problem').textContent.includes('differ')").await;
    page.fill("#export input[name=again]", "correct horse battery").await;
    page.click("#export button.main").await;
    page.until("document.querySelector('#export .problem').textContent.includes('PIN is wrong')")
        .await;
    page.fill("#export input[name=pin]", PIN).await;
    page.click("#export button.main").await;
    page.until("document.querySelector('#exported').open").await;
    assert!(page.text("#exported").await.contains("2 passkeys are in passkeys-"));
    let marked = || phone.store.list().unwrap().iter().filter(|p| p.backup.backed_up).count();
    assert_eq!(marked(), 0, "nobody has said yet that the file is there");
    picture(page, "exported-narrow-dark").await;
    page.click("#exported button.main").await;
    page.until("!document.querySelector('#exported').open").await;
    assert_eq!(marked(), 2);
    let file = soon("the download", async {
        loop {
            let mut files = std::fs::read_dir(downloads.path()).unwrap().map(|f| f.unwrap().path());
            match files.find(|file| file.extension().is_some_and(|kind| kind == "age")) {
                Some(file) => break file,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
    let sealed = std::fs::read(file.await).unwrap();
    let opener = Opener::Passphrase(Zeroizing::new("correct horse battery".to_owned()));
    let document = opener.open(&sealed).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
    let text = document.to_string();
    assert!(
        text.contains("contoso.com") && text.contains("fabrikam.com") && !text.contains("ben@")
    );
    browser.end().await;
    phone.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_without_its_program_says_so_and_scripts_of_others_do_not_run() {
    let phone = Phone::start().await;
    let mut browser = Browser::start().await;
    open(&phone, &mut browser).await;
    let page = &mut browser.page;
    // What the policy forbids does not happen.
    let inline =
        "(() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';
                   document.body.append(s); return window.ran === undefined; })()";
    assert_eq!(page.value(inline).await, true);
    let elsewhere = "fetch('http://127.0.0.1:9/').then(() => false, () => true)";
    assert_eq!(page.value(elsewhere).await, true);
    soon("the end", phone.end()).await;
    page.shows("#offline").await;
    picture(page, "offline").await;
    browser.end().await;
}
