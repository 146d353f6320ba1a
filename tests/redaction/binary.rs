//! The real binaries at their loudest: what they log is this crate's own, and holds no secret.
//!
//! The code is taken from a picture, so that standard error has no reason to hold it; on the phone
//! it is read from there too.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use std::io::{BufRead, BufReader, Read};

use cabled::hybrid::qr::QrContents;

use crate::search::{Needle, found};

const PIN: &str = "Zx9_gT5!rr 40qLe";

fn cabled(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cabled"));
    // Whatever the environment asks for, other crates' logs stay off.
    command.env("RUST_LOG", "trace").args(arguments).arg("-vv");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn end(child: Child) -> Output {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    output
}

/// Each byte becomes the character of its number, so that none is lost.
fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

struct Loud {
    folder: tempfile::TempDir,
    relay: Child,
    url: String,
}

impl Drop for Loud {
    fn drop(&mut self) {
        let _ended_already = self.relay.kill();
        let _reaped_already = self.relay.wait();
    }
}

impl Loud {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pin = folder.path().join("pin");
        std::fs::write(&pin, PIN).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&pin, private).unwrap();
        let mut relay = cabled(&["relay"]);
        let mut line = String::new();
        BufReader::new(relay.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { folder, relay, url }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A ceremony; gives the contents of its code and what both sides said on standard error.
    fn ceremony(&self, command: &str, json: bool) -> (QrContents, String) {
        let (air, qr, store, pin) = (
            format!("air:{}", self.path("air")),
            self.path("qr.png"),
            self.path("store"),
            self.path("pin"),
        );
        let shown = format!("png:{qr}");
        let mut arguments = vec![command, "--rp-id", "a.example", "--qr", &shown];
        arguments.extend(["--radio", &air, "--relay", &self.url]);
        let mut laptop = cabled(&arguments);
        let mut lines = BufReader::new(laptop.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("The QR code is in") {
            assert!(lines.read_line(&mut said).unwrap() > 0, "{said}");
        }
        let text_of_code = cabled::cli::image::read_file(Path::new(&qr)).unwrap();
        let code = QrContents::decode(&text_of_code).unwrap();
        let mut arguments =
            vec!["phone", "scan", "--image", &qr, "--auto-approve", "--radio", &air];
        arguments.extend(["--relay", &self.url, "--store", &store, "--pin-file", &pin]);
        arguments.extend(json.then_some("--json"));
        let phone = end(cabled(&arguments));
        let mut rest = Vec::new();
        lines.read_to_end(&mut rest).unwrap();
        end(laptop);
        said.extend([&rest, &phone.stderr, &phone.stdout].map(|bytes| text(bytes)));
        (code, said)
    }
}

fn needles(contents: &QrContents) -> Vec<Needle> {
    let secret = &contents.secret;
    let text = contents.encode();
    let digits = text.strip_prefix("FIDO:/").unwrap().as_bytes();
    let parts = digits.chunks_exact(10).map(|part| std::str::from_utf8(part).unwrap());
    let mut needles: Vec<_> = parts.map(|part| Needle::digits("QR digits", part)).collect();
    needles.extend([
        Needle::new("QR contents", &contents.encode_cbor()[..40]),
        Needle::new("QR secret", secret.expose()),
        Needle::new("EID key", secret.eid_key().expose()),
        Needle::new("tunnel id", secret.tunnel_id().expose()),
        Needle::text("PIN", PIN),
    ]);
    needles
}

#[test]
fn the_binaries_log_loudly_and_no_secret() {
    let mut loud = Loud::new();
    let (first, made) = loud.ceremony("register", false);
    let (second, used) = loud.ceremony("sign-in", true);
    let needles: Vec<_> = [&first, &second].into_iter().flat_map(needles).collect();
    loud.relay.kill().unwrap();
    let mut served = Vec::new();
    loud.relay.stderr.as_mut().unwrap().read_to_end(&mut served).unwrap();
    let said = [made, used, text(&served)].concat();
    // It did log, at both levels, and only this crate did.
    assert!(said.contains("DEBUG") && said.contains("AdvertSeen"), "{said}");
    for other in ["tungstenite", "rustls", "mio::", "tokio"] {
        assert!(!said.contains(other), "{other} in {said}");
    }
    assert_eq!(found(&needles, &said), [""; 0], "{said}");
    let leaked = format!("{said} {}", first.encode());
    assert!(found(&needles, &leaked).contains(&"QR digits"));
}

#[test]
fn the_demo_logs_no_secret_on_standard_error() {
    let demo = end(cabled(&["demo", "--json"]));
    let said = text(&demo.stderr);
    assert!(said.contains("AdvertSeen"), "{said}");
    // What its code says is drawn at random and not told, so look for what a code looks like.
    for text in [said, text(&demo.stdout)] {
        let digits = |word: &str| word.len() > 40 && word.bytes().all(|b| b.is_ascii_digit());
        assert!(!text.contains("FIDO:/"), "{text}");
        let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
        assert!(!words.any(|word| digits(word) || is_key(word)), "{text}");
    }
}

/// Sixteen bytes or more in hexadecimal.
fn is_key(word: &str) -> bool {
    word.len() >= 32 && word.bytes().all(|b| b.is_ascii_hexdigit())
}
