//! The control API, as a client in any language meets it: requests by hand over a socket.

use std::sync::Arc;

use cabled::testbed::Bench;
use cabled::testbed::control::{Control, Display};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::laptop::{PATIENCE, register, sign_in, soon, sources};

/// A bench with its control API, and who asks it.
pub(crate) struct Desk {
    pub(crate) bench: Arc<Bench>,
    address: String,
    pub(crate) grpc: String,
    pub(crate) token: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Desk {
    pub(crate) async fn new(display: Option<Display>) -> Self {
        let bench = Arc::new(soon("the bench", Bench::start(sources())).await.unwrap());
        let control = Control::bind(&mut *(sources().rng)()).await.unwrap();
        let address = control.url().strip_prefix("http://").unwrap().to_owned();
        let (grpc, token) = (control.grpc(), control.token());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(control.serve(Arc::clone(&bench), display, async {
            let _either = stopped.await;
        }));
        Self { bench, address, grpc, token, stop, serving }
    }

    async fn raw(&self, method: &str, path: &str, authorization: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{authorization}\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon("the answer", stream.read_to_string(&mut answer)).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let authorization = format!("Authorization: Bearer {}\r\n", self.token);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.raw(method, path, &authorization, &body).await
    }

    pub(crate) async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Everything that the control API held is free again, so that the bench can be stopped.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        soon("the end of the API", self.serving).await.unwrap();
        let bench = Arc::into_inner(self.bench).expect("nobody else holds it");
        soon("the end of the bench", bench.stop()).await.unwrap();
    }
}

#[tokio::test]
async fn a_whole_test_goes_over_it() {
    let desk = Desk::new(None).await;
    desk.done("POST", "/v1/phones", json!({ "name": "anna", "pin": "246810" })).await;
    assert_eq!(desk.done("GET", "/v1/phones", Value::Null).await, json!({ "phones": ["anna"] }));
    let mut code = String::new();
    let (shown, seen) = oneshot::channel();
    let laptop = register(&desk.bench, "anna", PATIENCE, |text| {
        shown.send(text.to_owned()).unwrap();
    });
    let phone = async {
        code = seen.await.unwrap();
        let answers = json!([{ "do": "approve", "delayMs": 20 }]);
        let body = json!({ "qr": code, "script": { "answers": answers } });
        let begun = desk.done("POST", "/v1/ceremonies", body).await;
        assert_eq!((&begun["over"], &begun["phone"]), (&false.into(), &"anna".into()));
        let path = format!("/v1/ceremonies/{}?waitMs=60000", begun["id"]);
        desk.done("GET", &path, Value::Null).await
    };
    let (made, told) = tokio::join!(laptop, phone);
    let id = serde_json::to_value(made.unwrap()).unwrap()["id"].clone();
    assert_eq!((&told["outcome"], &told["asScripted"]), (&"registered".into(), &true.into()));
    let events = told["events"].as_array().unwrap();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let wanted = [
        "scanned",
        "opening-tunnel",
        "advertising",
        "connected",
        "asked",
        "settled",
        "answered",
        "acknowledged",
        "ended",
    ];
    assert_eq!(names, wanted);
    let asked = &told["requests"][0];
    assert_eq!(
        (&asked["command"], &asked["rpId"]),
        (&"makeCredential".into(), &"passkeys.example".into())
    );
    assert_eq!((&asked["options"]["rk"], &asked["account"]), (&true.into(), &"anna".into()));
    assert_eq!(told["relay"]["phone"], json!({ "connections": 1, "frames": 3 }));
    assert_eq!((&events[4]["question"], &events[4]["account"]), (&"save".into(), &"anna".into()));
    assert_eq!(events[6]["credential"], id);
    // No code and no key is told.
    assert!(!told.to_string().contains(code.strip_prefix("FIDO:/").unwrap()));
    let passkeys = desk.done("GET", "/v1/phones/anna/passkeys", Value::Null).await;
    let passkey = &passkeys["passkeys"][0];
    assert_eq!((&passkey["id"], &passkey["state"]), (&id, &"delivered".into()));
    assert!(desk.bench.was_shown(&code));
    desk.stop().await;
}

#[tokio::test]
async fn a_code_is_picked_up_where_it_is_shown() {
    // What a display shows: a code that was used before, then nothing, then a new one.
    let screen = Arc::new(std::sync::Mutex::new(None::<String>));
    let seen = Arc::clone(&screen);
    let display = Display {
        look: Arc::new(move || Ok(seen.lock().unwrap().clone())),
        picture: Arc::new(|| Ok(b"a picture".to_vec())),
    };
    let desk = Desk::new(Some(display)).await;
    let (status, _) = desk.ask("GET", "/v1/screenshot", Value::Null).await;
    assert_eq!(status, 200);
    desk.done("POST", "/v1/phones", json!({ "name": "anna" })).await;
    let (status, answer) = desk.ask("POST", "/v1/scan", json!({ "waitMs": 10 })).await;
    assert_eq!((status, &answer["cause"]), (408, &"no-code".into()));
    let show = |text: &str| *screen.lock().unwrap() = Some(text.to_owned());
    let scan = |body| desk.done("POST", "/v1/scan", body);
    let (made, _) = tokio::join!(register(&desk.bench, "anna", PATIENCE, show), scan(json!({})));
    made.unwrap();
    let (status, _) = desk.ask("POST", "/v1/scan", json!({ "waitMs": 200 })).await;
    assert_eq!(status, 408, "the same code again is no new one");
    let script = json!({ "script": { "answers": [{ "do": "decline" }] } });
    let (refused, _) = tokio::join!(sign_in(&desk.bench, show), scan(script));
    refused.unwrap_err();
    let over = desk.done("GET", "/v1/ceremonies/2?waitMs=60000", Value::Null).await;
    assert_eq!(over["outcome"], "refused");
    let all = desk.done("GET", "/v1/ceremonies", Value::Null).await;
    assert_eq!(all["ceremonies"].as_array().unwrap().len(), 2);
    desk.stop().await;
}

#[tokio::test]
async fn nobody_gets_in_without_the_token_and_nonsense_is_refused() {
    let desk = Desk::new(None).await;
    for authorization in ["", "Authorization: Bearer \r\n", "Authorization: Bearer 00\r\n"] {
        let (status, answer) = desk.raw("GET", "/v1/bench", authorization, "").await;
        assert_eq!((status, &answer["cause"]), (401, &"token".into()), "{authorization}");
    }
    let bench = desk.done("GET", "/v1/bench", Value::Null).await;
    assert_eq!(bench["relay"], desk.bench.relay());
    desk.done("POST", "/v1/phones", json!({ "name": "anna" })).await;
    let cases = [
        ("POST", "/v1/phones", json!({ "name": "anna" }), 409, "phone-exists"),
        ("POST", "/v1/phones", json!({ "name": "" }), 422, "request"),
        ("POST", "/v1/phones", json!({ "name": "b", "pin": "1" }), 422, "request"),
        ("POST", "/v1/phones", json!({ "name": "b", "aaguid": "xyz" }), 422, "request"),
        ("POST", "/v1/phones", json!({ "name": "b", "colour": 1 }), 422, "request"),
        ("GET", "/v1/phones/ben/passkeys", Value::Null, 404, "no-such-phone"),
        ("POST", "/v1/ceremonies", json!({ "qr": "FIDO:/1" }), 422, "no-code"),
        ("POST", "/v1/ceremonies", json!({ "phone": "ben", "qr": "" }), 404, "no-such-phone"),
        ("GET", "/v1/ceremonies/9", Value::Null, 404, "no-such-ceremony"),
        ("GET", "/v1/ceremonies/9?wait=1", Value::Null, 422, "request"),
        ("POST", "/v1/scan", json!({}), 409, "no-display"),
        ("PUT", "/v1/crowd", json!({ "perSecond": 0, "senders": 1 }), 422, "request"),
        ("GET", "/v1/screenshot", Value::Null, 409, "no-display"),
        ("DELETE", "/v1/phones/ben", Value::Null, 404, "no-such-phone"),
        ("POST", "/v1/phones", json!({ "name": "b", "adverts": "late, lost" }), 422, "request"),
        (
            "POST",
            "/v1/phones",
            json!({ "name": "b", "adverts": "lost", "delayMs": 5 }),
            422,
            "request",
        ),
        ("POST", "/v1/phones/anna/passkeys", json!({ "rpId": "", "userId": "AA" }), 422, "request"),
        ("POST", "/v1/phones/anna/passkeys", json!({ "rpId": "a", "userId": "?" }), 422, "request"),
        ("DELETE", "/v1/phones/anna/passkeys/AAAA", Value::Null, 409, "no-such-passkey"),
        ("GET", "/v2/bench", Value::Null, 404, "path"),
    ];
    for (method, path, body, status, cause) in cases {
        let (got, answer) = desk.ask(method, path, body).await;
        assert_eq!((got, &answer["cause"]), (status, &cause.into()), "{method} {path}: {answer}");
        assert!(answer["error"].as_str().is_some_and(|error| !error.is_empty()));
    }
    let (status, _) = desk.ask("POST", "/v1/phones", json!({ "name": "x".repeat(20_000) })).await;
    assert_eq!(status, 413, "bodies are bounded");
    desk.done("PUT", "/v1/crowd", json!({ "perSecond": 100, "senders": 5 })).await;
    desk.done("DELETE", "/v1/crowd", Value::Null).await;
    desk.done("PUT", "/v1/bluetooth", json!({ "powered": false })).await;
    desk.stop().await;
}
