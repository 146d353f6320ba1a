//! The page's server without a browser: who is let in, what is bounded, and that it ends.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::laptop::Laptop;
use crate::phone::{PIN, Phone};
use crate::soon;

struct Answer {
    status: u16,
    head: String,
    body: String,
}

/// A browser's part by hand; the connection is closed after the answer.
async fn send(
    link: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let host = link.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("an answer", stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

/// Follows the link; gives the cookie.
async fn enter(link: &str) -> String {
    let path = format!("/enter/{}", link.rsplit('/').next().unwrap());
    let answer = send(link, "GET", &path, &[], "").await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    let cookie = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_get_nothing_and_every_answer_is_guarded() {
    let phone = Phone::start().await;
    phone.has("contoso.com", "anna", true).await;
    for path in ["/", "/api/state", "/api/news", "/no-such"] {
        let answer = send(&phone.link, "GET", path, &[], "").await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(!answer.body.contains("contoso"));
        for header in [
            "content-security-policy: default-src 'none'",
            "cache-control: no-store",
            "referrer-policy: no-referrer",
            "x-content-type-options: nosniff",
        ] {
            assert!(answer.head.contains(header), "{path}: {header}: {}", answer.head);
        }
    }
    let cookie = enter(&phone.link).await;
    let state = send(&phone.link, "GET", "/api/state", &[("cookie", &cookie)], "").await;
    let state: Value = serde_json::from_str(&state.body).unwrap();
    assert_eq!(state["passkeys"][0]["rpId"], "contoso.com");
    assert_eq!(state["locked"], false);
    phone.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_change_nothing() {
    let phone = Phone::start().await;
    let id = phone.has("contoso.com", "anna", true).await;
    let cookie = enter(&phone.link).await;
    let origin = phone.link.split("/enter/").next().unwrap().to_owned();
    let own = [
        ("cookie", cookie.as_str()),
        ("origin", origin.as_str()),
        ("content-type", "application/json"),
    ];
    let cases = [
        ("POST", "/api/unlock", "{}", 422),
        ("POST", "/api/unlock", "not json", 400),
        ("POST", "/api/unlock", r#"{"pin":"abc"}"#, 422),
        ("POST", "/api/unlock", r#"{"pin":"not this one"}"#, 403),
        ("POST", "/api/questions/1/approve", r#"{"pin":"not this one"}"#, 410),
        ("POST", "/api/questions/x/decline", "{}", 400),
        ("DELETE", "/api/passkeys/AAAA", "{}", 404),
        ("DELETE", "/api/passkeys/!", "{}", 404),
        ("PATCH", "/api/passkeys/AAAA", r#"{"label":"x"}"#, 404),
        ("PUT", "/api/passkeys/AAAA", "{}", 405),
        ("GET", "/api/unlock", "", 405),
        ("GET", "/../../etc/passwd", "", 404),
        ("POST", "/api/prune", r#"{"ids":["!"]}"#, 404),
        ("POST", "/api/prune", r#"{"ids":[]}"#, 200),
        ("POST", "/api/export", r#"{"pin":"not this one","passphrase":"x"}"#, 403),
        ("POST", "/api/export", r#"{"pin":"a long enough PIN","passphrase":""}"#, 422),
        ("POST", "/api/export/7/kept", "{}", 410),
    ];
    for (method, path, body, status) in cases {
        let answer = send(&phone.link, method, path, &own, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
    }
    let large = json!({ "pin": "x".repeat(20_000) }).to_string();
    assert_eq!(send(&phone.link, "POST", "/api/unlock", &own, &large).await.status, 413);
    // Without the cookie a deletion that would do is refused.
    let path = format!("/api/passkeys/{}", base64_url(id.as_bytes()));
    assert_eq!(send(&phone.link, "DELETE", &path, &own[1..], "{}").await.status, 401);
    assert_eq!(phone.store.list().unwrap().len(), 1);
    assert_eq!(send(&phone.link, "DELETE", &path, &own, "{}").await.status, 200);
    assert!(phone.store.list().unwrap().is_empty());
    let right = json!({ "pin": PIN }).to_string();
    assert_eq!(send(&phone.link, "POST", "/api/lock", &own, "{}").await.status, 200);
    assert!(phone.service.vault().is_locked());
    assert_eq!(send(&phone.link, "POST", "/api/unlock", &own, &right).await.status, 200);
    assert!(!phone.service.vault().is_locked());
    phone.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_laptops_page_is_guarded_too_and_each_link_works_once() {
    let laptop = Laptop::start().await;
    let mut asking = laptop.registers("anna");
    let (link, id) = (laptop.link(), asking.id().0);
    let picture = format!("/api/transactions/{id}/code.svg");
    for path in ["/", "/app.js", "/words.js", "/api/state", "/api/news", "/api/orphans", &picture] {
        let answer = send(&link, "GET", path, &[], "").await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.body.contains("cabled page"), "the way in is told: {}", answer.body);
        assert!(answer.head.contains("content-security-policy: default-src 'none'"));
    }
    let cookie = enter(&link).await;
    assert!(cookie.starts_with("cabled-laptop="), "the phone's page on this machine has its own");
    let again = format!("/enter/{}", link.rsplit('/').next().unwrap());
    assert_eq!(send(&link, "GET", &again, &[], "").await.status, 401, "it was followed");
    assert_ne!(laptop.link(), link);

    let origin = link.split("/enter/").next().unwrap();
    let known = ("cookie", cookie.as_str());
    let json = ("content-type", "application/json");
    let own = [known, ("origin", origin), json];
    let drawn = send(&link, "GET", &picture, &[known], "").await;
    assert!(drawn.status == 200 && drawn.body.starts_with("<svg "), "{}", drawn.body);
    assert!(drawn.head.contains("content-type: image/svg+xml"));
    let cancel = format!("/api/transactions/{id}/cancel");
    let foreign = [known, ("origin", "http://evil.example"), json];
    assert_eq!(send(&link, "POST", &cancel, &foreign, "{}").await.status, 403);
    assert_eq!(send(&link, "POST", &cancel, &own[1..], "{}").await.status, 401);
    assert_eq!(laptop.service.running().len(), 1, "it runs still");
    for (method, path, status) in [
        ("POST", "/api/transactions/99/cancel", 410),
        ("POST", "/api/transactions/x/cancel", 400),
        ("POST", &format!("/api/transactions/{id}/clear"), 410),
        ("GET", "/api/transactions/99/code.svg", 410),
        ("POST", "/api/touch", 410),
        ("POST", "/api/orphans/7/forget", 410),
        ("GET", "/api/touch", 405),
        ("DELETE", &cancel, 405),
    ] {
        assert_eq!(send(&link, method, path, &own, "{}").await.status, status, "{method} {path}");
    }
    let large = "x".repeat(20_000);
    assert_eq!(send(&link, "POST", "/api/touch", &own, &large).await.status, 410, "it is not read");
    assert_eq!(send(&link, "POST", &cancel, &own, "{}").await.status, 200);
    soon("the end", asking.answer()).await.unwrap_err();
    assert_eq!(send(&link, "GET", &picture, &[known], "").await.status, 410, "its code is gone");
    laptop.end().await.stop().await.unwrap();
}

fn base64_url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_say_nothing_keep_nobody_out_for_long() {
    let phone = Phone::start().await;
    let host = phone.link.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(&host).await.unwrap());
    }
    // The last ones found no room and are hung up on; the first are, once their time is over.
    for mut stream in silent {
        let mut rest = Vec::new();
        let _reset = soon("the end", stream.read_to_end(&mut rest)).await;
    }
    enter(&phone.link).await;
    phone.end().await;
}
