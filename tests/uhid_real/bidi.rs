//! A page of Firefox through WebDriver BiDi, which Firefox speaks by itself: no driver stands between.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::soon;

/// The one page of a browser.
pub(crate) struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    context: Value,
    next: u64,
}

impl Page {
    /// Takes over the page that the browser at `url` was started with, once that is at `address`.
    pub(crate) async fn attach(url: &str, address: &str) -> Self {
        let (socket, _) = soon("BiDi", connect_async(format!("{url}/session"))).await.unwrap();
        let mut page = Self { socket, context: Value::Null, next: 0 };
        page.call("session.new", json!({ "capabilities": {} })).await;
        let arriving = async {
            loop {
                let tree = page.call("browsingContext.getTree", json!({})).await;
                let first = &tree["contexts"][0];
                if first["url"].as_str().is_some_and(|url| url.starts_with(address)) {
                    break first["context"].clone();
                }
                sleep(Duration::from_millis(200)).await;
            }
        };
        page.context = soon("the page", arriving).await;
        page.ready().await;
        page
    }

    /// One command and its answer.
    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let command = json!({ "id": self.next, "method": method, "params": params });
        self.socket.send(Message::text(command.to_string())).await.unwrap();
        loop {
            let message =
                soon(method, self.socket.next()).await.expect("the browser ended").unwrap();
            let Message::Text(text) = message else { continue };
            let answer: Value = serde_json::from_str(&text).unwrap();
            if answer["id"] == self.next {
                assert_eq!(answer["type"], "success", "{method} {params}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// Waits until the document is there and has the keyboard: to a page without it Firefox gives no
    /// passkeys.
    async fn ready(&mut self) {
        let context = json!({ "context": self.context });
        self.call("browsingContext.activate", context).await;
        let ready = "document.readyState === 'complete' && document.hasFocus()";
        let waiting = async {
            while self.value(ready).await == false {
                sleep(Duration::from_millis(200)).await;
            }
        };
        soon("the keyboard", waiting).await;
    }

    /// The value of an expression, awaited if it is a promise.
    pub(crate) async fn value(&mut self, expression: &str) -> Value {
        let asked = json!({
            "expression": format!("(async () => JSON.stringify((await ({expression})) ?? null))()"),
            "target": { "context": self.context },
            "awaitPromise": true,
        });
        let told = self.call("script.evaluate", asked).await;
        let json = told["result"]["value"].as_str();
        serde_json::from_str(json.unwrap_or_else(|| panic!("{expression}: {told}"))).unwrap()
    }

    /// A picture of the page alone, PNG.
    pub(crate) async fn picture(&mut self) -> Vec<u8> {
        let asked = json!({ "context": self.context });
        let picture = self.call("browsingContext.captureScreenshot", asked).await;
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
    }
}
