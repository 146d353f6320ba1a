//! `cabled phone scan --screen` under Wayland, with a portal that shows a code.

use std::collections::HashMap;
use std::process::Stdio;

use cabled::cli::qr;
use cabled::hybrid::PrivateKey;
use cabled::hybrid::keys::QrSecret;
use cabled::hybrid::qr::{Hint, QrContents};
use cabled::secret::Secret;
use cabled::testbed::PrivateBus;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use zbus::zvariant::Value;

use crate::fake::PATIENCE;
use crate::picture::{REQUEST, request, respond, server};

fn scan(bus: &PrivateBus) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cabled"));
    for name in ["DISPLAY", "CABLED_STORE", "CABLED_PIN_FILE", "CABLED_RADIO", "CABLED_RELAY"] {
        command.env_remove(name);
    }
    command.args(["phone", "scan", "--screen"]);
    command.env("WAYLAND_DISPLAY", "wayland-0").env("DBUS_SESSION_BUS_ADDRESS", bus.address());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.kill_on_drop(true).spawn().unwrap()
}

pub(crate) fn code() -> String {
    let key = PrivateKey::from_scalar(&Secret::new([1; 32])).unwrap();
    let contents = QrContents {
        identity: *key.public(),
        secret: QrSecret::new([2; 16]),
        known_services: 2,
        shown_at: None,
        wants_linking: None,
        hint: Some(Hint::GetAssertion),
        channels: None,
        grease: None,
    };
    contents.encode()
}

async fn error(child: Child) -> (Option<i32>, String) {
    let output = timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_code_on_a_wayland_screen_is_found() {
    let code = code();
    // Codes that differ in nothing but the picture: one for passkeys, and one for something else.
    for (text, wanted) in
        [(code.as_str(), "nobody can be asked"), ("https://a.example", "is not for passkeys")]
    {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("Screenshot.png");
        std::fs::write(&file, qr::png(text).unwrap()).unwrap();
        let bus = PrivateBus::start().await.unwrap();
        let fake = server(&bus).await;
        let program = scan(&bus);
        let call = fake.called("Screenshot", 1).await;
        respond(&fake, &call, 0, Some(&file)).await;
        let (status, text) = error(program).await;
        assert_eq!(status, Some(2), "{text}");
        // The code was read: what is missing is somebody to ask, or a code of the right kind.
        assert!(text.contains(wanted), "{text}");
        assert!(!file.exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desktop_without_a_portal_and_one_that_says_no() {
    let bus = PrivateBus::start().await.unwrap();
    let (status, text) = error(scan(&bus)).await;
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("xdg-desktop-portal"), "{text}");
    let fake = server(&bus).await;
    let program = scan(&bus);
    let call = fake.called("Screenshot", 1).await;
    let nothing = (1_u32, HashMap::<&str, Value<'_>>::new());
    fake.signal(&request(&call), REQUEST, "Response", &nothing).await;
    let (status, text) = error(program).await;
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("was not allowed to show its screen"), "{text}");
}
