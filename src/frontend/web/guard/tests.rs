//! Whose requests are let through, and that the link works once.

use std::net::Ipv4Addr;

use axum::body::Body;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::*;

const FACE: Face = Face {
    session: "cabled-test",
    closed: "Not without a link.\n",
    lifetime: Some(Duration::from_secs(120)),
};

fn door() -> Door {
    Door::new(FACE, (Ipv4Addr::LOCALHOST, 4711).into(), &mut ChaCha20Rng::seed_from_u64(1))
}

fn request(method: Method, path: &str, headers: &[(HeaderName, &str)]) -> Request {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request.body(Body::empty()).unwrap()
}

const HERE: (HeaderName, &str) = (HOST, "127.0.0.1:4711");

fn cookie(door: &Door) -> String {
    format!("other=1; {}={}", FACE.session, hex::lower(door.session.expose()))
}

fn status(door: &Door, request: &Request) -> Option<u16> {
    door.answer(request, Instant::now()).map(|response| response.status().as_u16())
}

#[test]
fn a_link_works_once_and_stays_harmless() {
    let door = door();
    let link = door.link(Instant::now(), &mut ChaCha20Rng::seed_from_u64(2));
    let path = link.strip_prefix("http://127.0.0.1:4711").unwrap();
    let wrong = format!("{}0", &path[..path.len() - 1]);
    let other = if wrong == path { format!("{}1", &path[..path.len() - 1]) } else { wrong };
    assert_eq!(status(&door, &request(Method::GET, &other, &[HERE])), Some(401));
    let entered = door.answer(&request(Method::GET, path, &[HERE]), Instant::now()).unwrap();
    assert_eq!(entered.status(), StatusCode::SEE_OTHER);
    let set = entered.headers()[SET_COOKIE].to_str().unwrap();
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict"));
    let session = set.split(';').next().unwrap();
    assert_eq!(status(&door, &request(Method::GET, "/", &[HERE, (COOKIE, session)])), None);
    assert_eq!(status(&door, &request(Method::GET, path, &[HERE])), Some(401));
    // The browser that it let in may follow it again.
    let again = request(Method::GET, path, &[HERE, (COOKIE, session)]);
    assert_eq!(status(&door, &again), Some(303));
    assert!(!session.contains(path.strip_prefix(ENTER).unwrap()), "the token is no session");
}

#[test]
fn links_wait_for_a_while_and_not_in_any_number() {
    let door = door();
    let (rng, start) = (&mut ChaCha20Rng::seed_from_u64(3), Instant::now());
    let token = |link: String| link.rsplit('/').next().unwrap().to_owned();
    let late = token(door.link(start, rng));
    let in_time = token(door.link(start + Duration::from_secs(1), rng));
    assert_ne!(late, in_time);
    let now = start + Duration::from_secs(120);
    assert!(!door.admits(&late, now), "its time is over");
    assert!(door.admits(&in_time, now));
    assert!(!door.admits(&in_time, now), "it was followed");
    let many: Vec<_> = (0..=MAX_LINKS).map(|_| token(door.link(now, rng))).collect();
    assert!(!door.admits(&many[0], now), "it made room");
    assert!(many[1..].iter().all(|token| door.admits(token, now)));
    assert!(door.links.lock().unwrap().is_empty());
    // One that may wait for ever does.
    let door = Door::new(Face { lifetime: None, ..FACE }, (Ipv4Addr::LOCALHOST, 4711).into(), rng);
    let link = token(door.link(start, rng));
    assert!(door.admits(&link, start + Duration::from_secs(1_000_000)));
}

#[test]
fn without_a_session_there_is_nothing() {
    let door = door();
    for path in ["/", "/app.js", "/api/state", "/api/news", "/enter/", "/enter/abc"] {
        assert_eq!(status(&door, &request(Method::GET, path, &[HERE])), Some(401), "{path}");
    }
    let mut guessed = cookie(&door);
    let last = if guessed.ends_with('0') { '1' } else { '0' };
    guessed.pop();
    guessed.push(last);
    assert_eq!(status(&door, &request(Method::GET, "/", &[HERE, (COOKIE, &guessed)])), Some(401));
}

#[test]
fn names_of_others_that_lead_here_are_refused() {
    let door = door();
    let cookie = cookie(&door);
    for host in ["evil.example:4711", "localhost:4711", "127.0.0.1", "127.0.0.1:4712", ""] {
        let asked = request(Method::GET, "/", &[(HOST, host), (COOKIE, &cookie)]);
        assert_eq!(status(&door, &asked), Some(403), "{host}");
    }
    let nameless = request(Method::GET, "/", &[(COOKIE, &cookie)]);
    assert_eq!(status(&door, &nameless), Some(403));
}

#[test]
fn only_this_page_changes_anything() {
    let door = door();
    let cookie = cookie(&door);
    let json = (CONTENT_TYPE, "application/json");
    let own = (ORIGIN, "http://127.0.0.1:4711");
    let knows = (COOKIE, cookie.as_str());
    let changes = [Method::POST, Method::PATCH, Method::DELETE, Method::PUT];
    for method in changes {
        let asked = |headers: &[_]| {
            let headers = [&[HERE, knows.clone()], headers].concat();
            status(&door, &request(method.clone(), "/api/lock", &headers))
        };
        assert_eq!(asked(&[json.clone(), own.clone()]), None);
        assert_eq!(asked(std::slice::from_ref(&json)), Some(403), "no origin");
        for origin in
            ["http://evil.example", "null", "http://127.0.0.1:4712", "https://127.0.0.1:4711"]
        {
            assert_eq!(asked(&[json.clone(), (ORIGIN, origin)]), Some(403), "{origin}");
        }
        assert_eq!(asked(std::slice::from_ref(&own)), Some(403), "no type");
        let form = (CONTENT_TYPE, "application/x-www-form-urlencoded");
        assert_eq!(asked(&[form, own.clone()]), Some(403), "a form");
    }
}
