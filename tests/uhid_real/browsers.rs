//! Debian's browsers, unmodified and without a window, on a web site of this machine's: the example.
//!
//! No setting of theirs that has to do with passkeys is touched, and nothing but the page and the key's
//! owner is asked to do anything.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::program::Program;
use crate::world::{Key, RINGS_REST, THOUGHT, forgets, is_full};
use crate::{bidi, devtools};

const ANNA: &str = "anna@example.com";

/// What both browsers' own protocols can do with a page.
trait Page {
    /// Whether the page is told when the key has gone; otherwise the browser waits for another one.
    const TELLS_OF_A_LOST_KEY: bool;

    async fn value(&mut self, expression: &str) -> Value;
    async fn picture(&mut self) -> Vec<u8>;
}

impl Page for devtools::Page {
    const TELLS_OF_A_LOST_KEY: bool = false;

    async fn value(&mut self, expression: &str) -> Value {
        self.value(expression).await
    }

    async fn picture(&mut self) -> Vec<u8> {
        self.picture().await
    }
}

impl Page for bidi::Page {
    const TELLS_OF_A_LOST_KEY: bool = true;

    async fn value(&mut self, expression: &str) -> Value {
        self.value(expression).await
    }

    async fn picture(&mut self) -> Vec<u8> {
        self.picture().await
    }
}

/// A key whose owner is asked, and a browser that shows the web site.
struct Desk<P> {
    key: Key,
    page: P,
    name: String,
    /// A refusal is told by the browser itself, and the page hears of it only once that is closed: what
    /// Chromium does with a key that has no tokens. Without a window there is nothing to close.
    sheet: bool,
    pictures: u32,
    questions: u64,
    _browser: Program,
    _site: Program,
}

impl<P: Page> Desk<P> {
    /// Keeps what the page looks like, for people to look at.
    async fn keep_picture(&mut self, what: &str) {
        let Some(album) = std::env::var_os("CABLED_PICTURES") else { return };
        self.pictures += 1;
        let file = format!("{}-{}-{what}.png", self.name, self.pictures);
        std::fs::write(PathBuf::from(album).join(file), self.page.picture().await).unwrap();
    }

    async fn until(&mut self, expression: &str) {
        let waiting = format!(
            "new Promise((done) => {{
                const look = () => {{ if ({expression}) {{ observer.disconnect(); done(true); }} }};
                const observer = new MutationObserver(look);
                observer.observe(document, {{ subtree: true, childList: true, attributes: true }});
                look();
            }})"
        );
        assert_eq!(self.page.value(&waiting).await, true);
    }

    async fn clicks(&mut self, selector: &str) {
        self.until(&format!("document.querySelector('{selector}')?.checkVisibility()")).await;
        self.page.value(&format!("void document.querySelector('{selector}').click()")).await;
    }

    /// What the page says in the end.
    async fn says(&mut self) -> Value {
        self.until("!document.querySelector('#message').hidden").await;
        self.page.value("document.querySelector('#message-title').textContent").await
    }

    /// The next question, and no other since the last one.
    async fn asks(&mut self) -> String {
        self.questions += 1;
        self.keep_picture("asks").await;
        self.key.is_asked();
        assert_eq!(self.key.asks(), self.questions);
        self.questions.to_string()
    }

    async fn owner(&mut self, answer: &str) {
        let question = self.asks().await;
        self.key.owner(&[answer, &question]).succeeded();
    }

    async fn enters(&mut self) {
        self.until("document.querySelector('#signed-out').checkVisibility()").await;
        self.page.value(&format!("void (document.querySelector('#name').value = '{ANNA}')")).await;
    }

    async fn leaves(&mut self) {
        self.clicks("#leave").await;
        self.enters().await;
    }

    async fn begins_to_register(&mut self) {
        self.enters().await;
        self.clicks("#enter").await;
        self.clicks("#add").await;
        self.clicks("#create").await;
    }

    /// Registers and signs in, with a phone that answers by itself.
    async fn follows_a_script(mut self) {
        self.begins_to_register().await;
        assert_eq!(self.says().await, "Passkey saved");
        self.clicks("#named-it").await;
        self.key.bench_says("registered");
        self.leaves().await;
        self.clicks("#sign-in").await;
        assert_eq!(self.says().await, "You are signed in");
        self.key.bench_says("signed-in");
        self.keep_picture("signed-in").await;
        self.key.interrupts();
    }

    /// Everything that a person does there.
    async fn registers_and_signs_in(mut self) {
        self.begins_to_register().await;
        let question = self.asks().await;
        self.keep_picture("waits").await;
        if is_full() {
            self.key.is_busy_for_another();
            // The thinking itself is what the browser and the page have to bear.
            tokio::time::sleep(THOUGHT).await;
        }
        self.key.owner(&["approve", &question]).succeeded();
        assert_eq!(self.says().await, "Passkey saved");
        self.clicks("#named-it").await;
        self.key.has_saved();
        // Without saying who it is.
        self.leaves().await;
        self.clicks("#sign-in").await;
        self.owner("approve").await;
        assert_eq!(self.says().await, "You are signed in");
        self.key.has_signed();
        self.keep_picture("signed-in").await;
        // The owner does not want to.
        self.leaves().await;
        self.clicks("#sign-in-as").await;
        self.owner("decline").await;
        if self.sheet {
            self.clicks("#waiting-cancel").await;
            assert_eq!(self.says().await, "That did not work");
        } else {
            assert_eq!(self.says().await, "You are not signed in");
        }
        self.keep_picture("declined").await;
        // The page does not want to any more.
        self.clicks("#sign-in-as").await;
        let question = self.asks().await;
        self.clicks("#waiting-cancel").await;
        self.key.tells(&format!("Question {question}: withdrawn"));
        assert_eq!(self.says().await, "That did not work");
        // And at last, with the account's own passkeys named; with time, as if another laptop had made them.
        if self.key.is_nearby() && is_full() {
            self.key.script(&forgets("localhost"));
        }
        self.signs_in_by_name().await;
        if self.key.is_nearby() && is_full() {
            self.loses_the_daemon().await;
        }
        self.key.keeps(1);
    }

    async fn signs_in_by_name(&mut self) {
        self.clicks("#sign-in-as").await;
        self.owner("approve").await;
        assert_eq!(self.says().await, "You are signed in");
        self.key.has_signed();
    }

    /// The key is gone while the page waits, as one that is pulled out. It is there again, and all is as before.
    async fn loses_the_daemon(&mut self) {
        self.leaves().await;
        self.clicks("#sign-in-as").await;
        let question = self.asks().await;
        self.key.dies();
        self.key.tells(&format!("Question {question}: withdrawn"));
        if P::TELLS_OF_A_LOST_KEY {
            assert_eq!(self.says().await, "You are not signed in");
        } else {
            self.clicks("#waiting-cancel").await;
            assert_eq!(self.says().await, "That did not work");
        }
        self.keep_picture("lost").await;
        self.key.lives_again().await;
        // The phone was rung three times in vain by now: on a quick machine it would not hear of the fourth.
        tokio::time::sleep(RINGS_REST).await;
        self.signs_in_by_name().await;
    }
}

/// The web site, which `tests/run` has built; and its address.
fn site() -> (Program, String) {
    let mut example = std::env::current_exe().unwrap();
    example.pop();
    example.pop();
    example.push("examples/relying_party");
    let mut command = Command::new(example);
    command.args(["--port", "0"]);
    let mut site = Program::of(command);
    let line = site.says(|line| line.starts_with("listening on "));
    (site, line.trim_start_matches("listening on ").to_owned())
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn chromium_registers_and_signs_in() {
    chromium(Key::asking().await, "chromium".to_owned(), false).await;
}

pub(crate) async fn chromium(key: Key, name: String, sheet: bool) {
    let (site, address) = site();
    let mut browser = key.begin(
        "exec chromium --headless=new --no-sandbox --disable-gpu --disable-quic --lang=en-GB \
            --no-first-run --no-default-browser-check --disable-background-networking \
            --disable-component-update --disable-sync --disable-extensions \
            --user-data-dir=\"$HOME/chromium\" --remote-debugging-port=0 about:blank",
    );
    let line = browser.begins("DevTools listening on ");
    let mut page = devtools::Page::attach(line.trim_start_matches("DevTools listening on ")).await;
    page.go_to(&address).await;
    let (_browser, _site) = (browser, site);
    let questions = key.before() as u64;
    let desk = Desk { key, page, name, sheet, pictures: 0, questions, _browser, _site };
    desk.registers_and_signs_in().await;
}

/// What keeps Firefox from calling home and from showing pages of its own at its first start.
const FIRST_START: &str = r#"
    mkdir firefox
    cat >firefox/user.js <<END
    user_pref("app.normandy.enabled", false);
    user_pref("app.update.enabled", false);
    user_pref("browser.aboutwelcome.enabled", false);
    user_pref("browser.shell.checkDefaultBrowser", false);
    user_pref("datareporting.policy.dataSubmissionEnabled", false);
    user_pref("network.captive-portal-service.enabled", false);
    user_pref("network.connectivity-service.enabled", false);
    user_pref("services.settings.server", "data:,");
    user_pref("toolkit.telemetry.server", "data:,");
END
"#;

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn firefox_registers_and_signs_in() {
    firefox(Key::asking().await, "firefox".to_owned()).await;
}

pub(crate) async fn firefox(key: Key, name: String) {
    desk_with_firefox(key, name).await.registers_and_signs_in().await;
}

/// Beside a test bed, whose phone needs nobody.
pub(crate) async fn firefox_beside_a_bench(key: Key) {
    desk_with_firefox(key, "firefox-bench".to_owned()).await.follows_a_script().await;
}

async fn desk_with_firefox(key: Key, name: String) -> Desk<bidi::Page> {
    let (site, address) = site();
    let mut browser = key.begin(&format!(
        "{FIRST_START}
        exec firefox-esr --headless --no-remote --profile firefox --remote-debugging-port 0 {address}"
    ));
    let line = browser.begins("WebDriver BiDi listening on ");
    let url = line.trim_start_matches("WebDriver BiDi listening on ");
    let page = bidi::Page::attach(url, &address).await;
    let (sheet, _browser, _site) = (false, browser, site);
    let questions = key.before() as u64;
    Desk { key, page, name, sheet, pictures: 0, questions, _browser, _site }
}
