//! The browser's page as its user has it, through the browser's own DevTools: where things are, clicks
//! and keys that the browser takes for real, and what is written there.
//!
//! Nothing here touches WebAuthn: DevTools' virtual authenticators stay off.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::soon;

/// The one page of a browser.
pub(crate) struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: String,
    next: u64,
    loaded: bool,
}

impl Page {
    /// Takes over the first page of the browser whose DevTools listen at `url`.
    pub(crate) async fn attach(url: &str) -> Self {
        let (socket, _) = soon("DevTools", connect_async(url)).await.unwrap();
        let mut page = Self { socket, session: String::new(), next: 0, loaded: false };
        let targets = page.call("Target.getTargets", json!({})).await;
        let targets = targets["targetInfos"].as_array().unwrap().iter();
        let target = targets.clone().find(|target| target["type"] == "page").unwrap();
        let asked = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = page.call("Target.attachToTarget", asked).await;
        page.session = attached["sessionId"].as_str().unwrap().to_owned();
        page.call("Page.enable", json!({})).await;
        page
    }

    /// One command and its answer.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let mut command = json!({ "id": self.next, "method": method, "params": params });
        if !self.session.is_empty() {
            command["sessionId"] = self.session.clone().into();
        }
        self.socket.send(Message::text(command.to_string())).await.unwrap();
        let what = format!("{method} {params}");
        loop {
            let answer = soon(&what, self.hear()).await;
            if answer["id"] == self.next {
                assert!(answer["error"].is_null(), "{what}: {}", answer["error"]);
                return answer["result"].clone();
            }
        }
    }

    /// The next answer or event; a document that was loaded is noted.
    async fn hear(&mut self) -> Value {
        loop {
            let message = self.socket.next().await.expect("the browser ended").unwrap();
            let Message::Text(text) = message else { continue };
            let heard: Value = serde_json::from_str(&text).unwrap();
            self.loaded |= heard["method"] == "Page.loadEventFired";
            return heard;
        }
    }

    /// Goes to an address and waits until the document is there.
    pub(crate) async fn go_to(&mut self, address: &str) {
        self.load("Page.navigate", json!({ "url": address })).await;
    }

    /// Loads the document anew.
    pub(crate) async fn reload(&mut self) {
        self.load("Page.reload", json!({})).await;
    }

    async fn load(&mut self, method: &str, params: Value) {
        self.loaded = false;
        self.call(method, params).await;
        while !self.loaded {
            soon("the document", self.hear()).await;
        }
    }

    /// The value of an expression, awaited if it is a promise.
    pub(crate) async fn value(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let result = self.call("Runtime.evaluate", asked).await;
        let thrown = &result["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown}");
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true; looks whenever the page changes.
    pub(crate) async fn until(&mut self, expression: &str) {
        let waiting = format!(
            "new Promise((done) => {{
                const look = () => {{ if ({expression}) {{ observer.disconnect(); done(true); }} }};
                const observer = new MutationObserver(look);
                observer.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});
                look();
            }})"
        );
        assert_eq!(self.value(&waiting).await, true);
    }

    /// Waits until something can be seen.
    pub(crate) async fn shows(&mut self, selector: &str) {
        self.until(&format!("document.querySelector({selector:?})?.checkVisibility()")).await;
    }

    pub(crate) async fn text(&mut self, selector: &str) -> String {
        let text = self.value(&format!("document.querySelector({selector:?}).innerText")).await;
        text.as_str().unwrap().to_owned()
    }

    /// Clicks in the middle of something, as a user does: it has to be there, and nothing over it.
    pub(crate) async fn click(&mut self, selector: &str) {
        self.shows(selector).await;
        let place = format!(
            "(() => {{
                const it = document.querySelector({selector:?});
                it.scrollIntoView({{ block: 'center', behavior: 'instant' }});
                const box = it.getBoundingClientRect();
                const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
                const top = document.elementFromPoint(x, y);
                return {{ x, y, free: it === top || it.contains(top) }};
            }})()"
        );
        let place = self.value(&place).await;
        assert_eq!(place["free"], true, "something is over {selector}");
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": place["x"], "y": place["y"], "button": "left",
                                "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Puts text into a field in place of what is there.
    pub(crate) async fn fill(&mut self, selector: &str, text: &str) {
        self.click(selector).await;
        self.value(&format!("document.querySelector({selector:?}).select()")).await;
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    /// Runs a script in each document from now on, before the document's own.
    pub(crate) async fn before_each_document(&mut self, source: &str) {
        self.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": source })).await;
    }

    /// A picture of the page alone, PNG.
    pub(crate) async fn picture(&mut self) -> Vec<u8> {
        let asked = json!({ "format": "png", "captureBeyondViewport": true });
        let picture = self.call("Page.captureScreenshot", asked).await;
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
    }
}

/// How long the browser may take for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
