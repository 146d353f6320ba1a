//! `cabled doctor` and proxies, as users meet them. Nothing here leaves the machine: what would go
//! out goes to a proxy of the test's own, which connects everything to one relay or refuses.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::program::{Ended, Program, binary, run};
use crate::three::relay;

/// Leaves Bluetooth out, which a test machine may have or not.
const AIR: [&str; 2] = ["--radio", "air:/nowhere"];

/// A proxy; its thread ends with the test program.
struct Proxy {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Connects everything to one relay, or answers everything with a status.
    fn start(answer: Result<SocketAddr, u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://Aladdin:sesame@{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let log = Arc::clone(&log);
                std::thread::spawn(move || serve(&socket.unwrap(), answer, &log));
            }
        });
        Self { url, asked }
    }

    /// The first lines of what was asked for, in order.
    fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked
    }
}

fn serve(mut inside: &TcpStream, answer: Result<SocketAddr, u16>, log: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if inside.read(&mut byte).unwrap() == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    log.lock().unwrap().push(head.lines().next().unwrap().to_owned());
    let outside = match answer {
        Err(status) => return write!(inside, "HTTP/1.1 {status} X\r\n\r\n").unwrap(),
        Ok(relay) => TcpStream::connect(relay).unwrap(),
    };
    inside.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| carry(inside, &outside));
        carry(&outside, inside);
    });
}

fn carry(mut from: &TcpStream, mut to: &TcpStream) {
    // Either end may be gone without a goodbye.
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// A relay with TLS, for these names, and the file of its authority.
struct Secure {
    _relay: Program,
    _folder: tempfile::TempDir,
    address: SocketAddr,
    ca: String,
}

impl Secure {
    fn start(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let file = |name: &str, text: String| {
            let path: PathBuf = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let ca = file("cert.pem", made.cert.pem());
        let key = file("key.pem", made.signing_key.serialize_pem());
        let (relay, url) = relay(&["--tls-cert", &ca, "--tls-key", &key]);
        let address = url.strip_prefix("wss://").unwrap().parse().unwrap();
        Self { _relay: relay, _folder: folder, address, ca }
    }
}

/// Runs the doctor; gives its findings too.
fn doctor(arguments: &[&str]) -> (Ended, Vec<Value>) {
    let all = [&["doctor", "--json"], &AIR[..], arguments].concat();
    let ended = run(&all);
    let lines = ended.out.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let findings = lines.filter(|line| line["event"] == "finding").collect();
    assert!(!format!("{ended:?}").contains("sesame"), "{ended:#?}");
    (ended, findings)
}

fn of<'a>(findings: &'a [Value], area: &str) -> Vec<&'a Value> {
    findings.iter().filter(|finding| finding["area"] == area).collect()
}

/// Severity and cause of each finding in an area.
fn said(findings: &[Value], area: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    of(findings, area).iter().map(|f| (text(&f["severity"]), text(&f["cause"]))).collect()
}

#[test]
fn all_is_well_where_the_public_services_answer() {
    let secure = Secure::start(&["cable.ua5v.com", "cable.auth.com"]);
    let proxy = Proxy::start(Ok(secure.address));
    let (ended, findings) = doctor(&["--proxy", &proxy.url, "--ca", &secure.ca]);
    assert!(ended.status.success(), "{ended:#?}");
    let tunnel = said(&findings, "tunnel");
    let ok = |cause: &str| ("ok".to_owned(), cause.to_owned());
    assert_eq!(
        tunnel,
        [
            ok("cable.ua5v.com (for Android phones) opens tunnels"),
            ok("cable.auth.com (for iPhones) opens tunnels")
        ]
    );
    let proven = "HTTP status 101 with a routing id";
    assert!(
        of(&findings, "tunnel").iter().all(|f| f["evidence"].as_str().unwrap().contains(proven))
    );
    let (_, through) = &said(&findings, "proxy")[0];
    assert!(through.contains("through the proxy http://127.0.0.1:"), "{through}");
    assert!(through.contains("with a user and a password"), "{through}");
    let asked = ["CONNECT cable.auth.com:443 HTTP/1.1", "CONNECT cable.ua5v.com:443 HTTP/1.1"];
    assert_eq!(proxy.asked(), asked);
    let summary: Value = serde_json::from_str(ended.out.last().unwrap()).unwrap();
    assert_eq!((&summary["event"], &summary["problems"]), (&"summary".into(), &0.into()));
}

#[test]
fn a_relay_of_ones_own_is_enough() {
    let (_relay, url) = relay(&[]);
    let proxy = Proxy::start(Err(403));
    // The relay on this machine is not asked for through the proxy.
    let (ended, findings) = doctor(&["--relay", &url, "--proxy", &proxy.url]);
    assert!(ended.status.success(), "{ended:#?}");
    let tunnel = said(&findings, "tunnel");
    assert_eq!(tunnel[0], ("ok".to_owned(), format!("{url} opens tunnels")));
    assert!(tunnel[1..].iter().all(|(severity, _)| severity == "note"), "{tunnel:?}");
    assert_eq!((tunnel.len(), proxy.asked().len()), (3, 2));
    let around = of(&findings, "proxy")[0]["evidence"].as_str().unwrap();
    assert_eq!(around, format!("--proxy says so; without it: {url}"));
    // A relay without TLS needs no certificates.
    let more = ["--relay", &url, "--proxy", &proxy.url, "--ca", "/nonexistent/ca.pem"];
    let (ended, findings) = doctor(&more);
    assert!(ended.status.success(), "{ended:#?}");
    assert_eq!(said(&findings, "certificates")[0].0, "note");
    assert_eq!(said(&findings, "tunnel")[0].0, "ok");
}

#[test]
fn problems_name_the_exit_status_for_people_and_machines() {
    let proxy = Proxy::start(Err(407));
    let arguments = [&["doctor"], &AIR[..], &["--proxy", &proxy.url]].concat();
    let ended = run(&arguments);
    assert_eq!(ended.status.code(), Some(5), "{ended:#?}");
    let [.., error, hint] = &ended.err[..] else { panic!("{ended:#?}") };
    assert!(error.starts_with("error: 2 problems were found, first of all: cable.ua5v.com"));
    assert!(hint.contains("http://USER:PASSWORD@HOST:PORT"), "{hint}");
    let text = ended.out.join("\n");
    let block = "Tunnel services\n  problem  cable.ua5v.com (for Android phones) is not reached \
                 through the proxy\n           seen: cannot get through the proxy http://127.0.0.1:";
    assert!(text.contains(block), "{text}");
    assert!(text.ends_with("Found 2 problems and no warnings."), "{text}");
    assert!(!text.contains('\x1b') && !text.contains("sesame"), "{text}");
    let (ended, _) = doctor(&["--proxy", &proxy.url]);
    let failed: Value = serde_json::from_str(ended.err.last().unwrap()).unwrap();
    assert_eq!((&failed["event"], &failed["status"]), (&"failed".into(), &5.into()));
}

#[test]
fn what_stops_the_probes_is_the_finding() {
    let (ended, findings) = doctor(&["--proxy", "socks5://Aladdin:sesame@proxy"]);
    assert_eq!(ended.status.code(), Some(5));
    assert_eq!(said(&findings, "proxy")[0].0, "problem");
    assert_eq!(said(&findings, "tunnel")[0].0, "note");
    let (ended, findings) = doctor(&["--proxy", "none", "--ca", "/nonexistent/ca.pem"]);
    assert_eq!(ended.status.code(), Some(5));
    let certificates = of(&findings, "certificates");
    assert!(certificates[0]["evidence"].as_str().unwrap().contains("/nonexistent/ca.pem"));
    assert_eq!(said(&findings, "tunnel")[0].0, "note");
    let (ended, findings) = doctor(&["--offline"]);
    assert!(ended.status.success());
    assert_eq!(said(&findings, "tunnel")[0].1, "the tunnel services were not asked");
}

#[test]
fn the_system_store_is_believed_too() {
    let secure = Secure::start(&["localhost"]);
    let url = format!("wss://localhost:{}", secure.address.port());
    let proxy = Proxy::start(Err(403));
    let look = |store: &str| {
        let mut command = binary();
        command.args(["doctor", "--json", "--relay", &url, "--proxy", &proxy.url]).args(AIR);
        Program::of(with_store(command, store)).end()
    };
    let ended = look(&secure.ca).succeeded();
    assert!(ended.out.iter().any(|line| line.contains(&format!("{url} opens tunnels"))));
    let stranger = Secure::start(&["localhost"]);
    let ended = look(&stranger.ca);
    assert_eq!(ended.status.code(), Some(5), "{ended:#?}");
    assert!(ended.err.last().unwrap().contains("--ca FILE"), "{ended:#?}");
}

/// The system's store is what these variables say.
fn with_store(mut command: Command, file: &str) -> Command {
    command.env("SSL_CERT_FILE", file).env_remove("SSL_CERT_DIR");
    command
}

#[test]
fn a_whole_ceremony_goes_through_the_proxy_of_the_environment() {
    let secure = Secure::start(&["relay.invalid"]);
    let proxy = Proxy::start(Ok(secure.address));
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("pin"), "314159\n").unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(path("pin"), private).unwrap();
    let (air, store, pin) = (format!("air:{}", path("air")), path("store"), path("pin"));
    let command = |arguments: &[&str]| {
        let mut command = binary();
        command.args(arguments).args(["-vv", "--radio", &air, "--relay", "wss://relay.invalid"]);
        command.env("https_proxy", &proxy.url).env("NO_PROXY", "other.invalid");
        Program::of(with_store(command, &secure.ca))
    };
    let mut laptop = command(&["register", "--rp-id", "a.example", "--qr", "url"]);
    let code = laptop.begins("FIDO:/");
    let phone = ["phone", "scan", &code, "--auto-approve", "--store", &store, "--pin-file", &pin];
    let ends = [command(&phone).end().succeeded(), laptop.end().succeeded()];
    assert!(!format!("{ends:?}").contains("sesame"));
    assert_eq!(proxy.asked(), ["CONNECT relay.invalid:443 HTTP/1.1"; 2]);
}

#[test]
fn a_proxy_that_does_not_serve_is_told_from_the_tunnel_service() {
    let fails = |proxy: &str, status, error: &str, hint: &str| {
        let mut command = binary();
        let code = crate::wrong::code(0);
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("pin"), "314159\n").unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(path("pin"), private).unwrap();
        command.args(["phone", "scan", &code, "--any-age", "--auto-approve", "-vv"]);
        command.args(["--store", &path("store"), "--pin-file", &path("pin")]);
        command.args(["--radio", &format!("air:{}", path("air"))]);
        command.args(["--relay", "wss://relay.invalid", "--proxy", proxy]);
        let ended = Program::of(command).end();
        assert!(!format!("{ended:?}").contains("sesame"), "{ended:#?}");
        let (said, advised) = ended.failed(status);
        assert!(said.contains(error) && advised.contains(hint), "{said} {advised}");
    };
    let refusing = |status| Proxy::start(Err(status)).url;
    fails(&refusing(407), 5, "HTTP status 407", "USER:PASSWORD");
    fails(&refusing(403), 5, "HTTP status 403", "allow CONNECT");
    fails(&refusing(502), 5, "HTTP status 502", "did not get through");
    fails("http://Aladdin:sesame@127.0.0.1:9", 5, "cannot connect to", "--proxy none");
    fails("socks5://Aladdin:sesame@proxy", 2, "--proxy names no proxy", "http://HOST:PORT");
}
