//! Pebble, relays, and clients that look at their certificates.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cabled::channel::tls::{Trust, client_config};
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;

/// For what takes seconds on a quiet machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Asks again and again until there is something.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A program that is killed with its owner.
pub(crate) struct Program(Child);

impl Program {
    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How Pebble is to behave.
pub(crate) struct Manner {
    /// How many of a hundred nonces it refuses without a reason.
    pub(crate) refused_nonces: u8,
    /// How long certificates are valid, in seconds.
    pub(crate) life: u64,
    /// Where it looks for proofs.
    pub(crate) http: u16,
}

impl Manner {
    pub(crate) fn at(http: u16) -> Self {
        Self { refused_nonces: 5, life: 90 * 24 * 60 * 60, http }
    }
}

/// Let's Encrypt's server for tests, with a new authority whenever it is started.
pub(crate) struct Pebble {
    pub(crate) folder: TempDir,
    listen: u16,
    management: u16,
    program: Program,
}

impl Pebble {
    pub(crate) fn start(manner: &Manner) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "for Pebble itself");
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = rcgen::Issuer::new(params, key);
        let key = rcgen::KeyPair::generate().unwrap();
        let own = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let own = own.signed_by(&key, &issuer).unwrap();
        fs::write(folder.path().join("own.pem"), own.pem()).unwrap();
        fs::write(folder.path().join("own.key"), key.serialize_pem()).unwrap();
        let (listen, management) = (free_port(), free_port());
        let program = Self::run(folder.path(), listen, management, manner);
        Self { folder, listen, management, program }
    }

    fn run(folder: &Path, listen: u16, management: u16, manner: &Manner) -> Program {
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{listen}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": folder.join("own.pem"),
            "privateKey": folder.join("own.key"),
            "httpPort": manner.http,
            "tlsPort": 1,
            "certificateValidityPeriod": manner.life,
        } });
        fs::write(folder.join("pebble.json"), config.to_string()).unwrap();
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let child = Command::new("pebble")
            .arg("-config")
            .arg(folder.join("pebble.json"))
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", manner.refused_nonces.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let program = Program(child);
        until("Pebble listens", || TcpStream::connect(("127.0.0.1", management)).ok());
        until("Pebble listens", || TcpStream::connect(("127.0.0.1", listen)).ok());
        program
    }

    pub(crate) fn stop(&mut self) {
        self.program.kill();
    }

    /// Again, at the same place: it has forgotten all.
    pub(crate) fn again(&mut self, manner: &Manner) {
        self.stop();
        self.program = Self::run(self.folder.path(), self.listen, self.management, manner);
    }

    pub(crate) fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.listen)
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// How often it was asked for a certificate.
    pub(crate) fn orders(&self) -> usize {
        self.log().lines().filter(|line| line.contains("POST /order-plz")).count()
    }

    /// A file with the root of the certificates that it gives.
    pub(crate) fn root(&self) -> PathBuf {
        let (_, page) = ask(self.management, &self.authority(), "/roots/0").unwrap();
        let (_, pem) = page.split_once("\r\n\r\n").unwrap();
        let path = self.folder.path().join("root.pem");
        fs::write(&path, pem).unwrap();
        path
    }
}

/// The certificate that a server at this port shows, and its answer to a request, if one trusts it.
pub(crate) fn ask(
    port: u16,
    authority: &Path,
    path: &str,
) -> Result<(CertificateDer<'static>, String), std::io::Error> {
    let config = client_config(&Trust::Only(authority.to_owned())).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let client = rustls::ClientConnection::new(config, name).unwrap();
    let socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = rustls::StreamOwned::new(client, socket);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        // Whether the end is said does not matter here.
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => return Err(error),
        _ => {}
    }
    let shown = stream.conn.peer_certificates().unwrap()[0].clone().into_owned();
    Ok((shown, answer))
}

/// A place for a relay: its ports and its folders, whether it runs or not.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) http: u16,
    tls: u16,
    pages: u16,
}

impl Place {
    pub(crate) fn new() -> Self {
        let [http, tls, pages] = [free_port(), free_port(), free_port()];
        Self { folder: tempfile::tempdir().unwrap(), http, tls, pages }
    }

    /// Where what is kept for a server is.
    pub(crate) fn kept(&self, pebble: &Pebble) -> PathBuf {
        self.folder.path().join(format!("acme/localhost_{}_dir", pebble.listen))
    }

    /// Puts a certificate there, as if it had been got so many seconds ago; gives its authority.
    pub(crate) fn plant(&self, pebble: &Pebble, age: u64, left: u64) -> PathBuf {
        let mut authority = rcgen::CertificateParams::default();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, "of old");
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let root = self.folder.path().join("old-root.pem");
        fs::write(&root, authority.self_signed(&authority_key).unwrap().pem()).unwrap();
        let mut leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let made: rcgen::CertificateParams = {
            leaf.not_before = (UNIX_EPOCH + Duration::from_secs(now() - age)).into();
            leaf.not_after = (UNIX_EPOCH + Duration::from_secs(now() + left)).into();
            leaf
        };
        let key = rcgen::KeyPair::generate().unwrap();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let made = made.signed_by(&key, &issuer).unwrap();
        let folder = self.kept(pebble);
        fs::create_dir_all(&folder).unwrap();
        for folder in [folder.parent().unwrap(), &folder] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let file = folder.join("certificate.pem");
        fs::write(&file, format!("{}\n{}", made.pem(), key.serialize_pem())).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        root
    }

    /// Takes away what is remembered of tries, as an hour does.
    pub(crate) fn an_hour_passes(&self, pebble: &Pebble) {
        fs::remove_file(self.kept(pebble).join("tries")).unwrap();
    }

    /// What a relay here is told.
    pub(crate) fn options(&self, pebble: &Pebble) -> Vec<String> {
        let address = |port| format!("127.0.0.1:{port}");
        [
            ("listen", address(self.tls)),
            ("redirect-listen", address(self.http)),
            ("metrics-listen", address(self.pages)),
            ("acme-domain", "localhost".to_owned()),
            ("acme-contact", "ops@relay.example".to_owned()),
            ("acme-folder", self.folder.path().join("acme").display().to_string()),
            ("acme-directory", pebble.directory()),
            ("acme-tls-ca", pebble.authority().display().to_string()),
            ("acme-agree-to-terms", "true".to_owned()),
        ]
        .map(|(name, value)| format!("--{name}={value}"))
        .to_vec()
    }

    pub(crate) fn relay(&self, pebble: &Pebble) -> Relay<'_> {
        self.relay_with(&self.options(pebble))
    }

    /// One that says all that it can.
    pub(crate) fn relay_with(&self, options: &[String]) -> Relay<'_> {
        let log = self.folder.path().join("log");
        let file = File::create(&log).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_cabled"))
            .args(["relay", "-vv"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let program = Program(child);
        let first = lines.next().and_then(Result::ok);
        let first = first.unwrap_or_else(|| panic!("{}", fs::read_to_string(&log).unwrap()));
        assert_eq!(first, format!("listening on wss://127.0.0.1:{}", self.tls));
        // The last thing that it prints: whoever reads it knows that all listeners are there.
        assert!(lines.any(|line| line.unwrap().starts_with("redirect on ")));
        Relay { place: self, program, log }
    }
}

pub(crate) struct Relay<'a> {
    place: &'a Place,
    pub(crate) program: Program,
    log: PathBuf,
}

impl Relay<'_> {
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it says so; gives all that it said.
    pub(crate) fn says(&self, words: &str) -> String {
        self.until(words, |said| said.contains(words));
        self.said()
    }

    fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        let started = Instant::now();
        while !is_so(&self.said()) {
            assert!(started.elapsed() < PATIENCE, "{what}: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn http(&self, path: &str) -> String {
        plain(self.place.http, path)
    }

    pub(crate) fn is_ready(&self) -> bool {
        plain(self.place.pages, "/readyz").starts_with("HTTP/1.1 200 ")
    }

    pub(crate) fn gets_ready(&self) {
        self.until("ready", |_| self.is_ready());
    }

    /// What the metrics say under this name.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let page = plain(self.place.pages, "/metrics");
        let line =
            page.lines().find_map(|line| line.strip_prefix(&format!("cabled_relay_{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
    }

    /// How many orders gave a certificate, and how many failed.
    pub(crate) fn orders(&self) -> [u64; 2] {
        ["issued", "failed"]
            .map(|result| self.metric(&format!(r#"acme_orders_total{{result="{result}"}}"#)))
    }

    /// The certificate that it shows to one who trusts this authority.
    pub(crate) fn shows(
        &self,
        authority: &Path,
    ) -> Result<CertificateDer<'static>, std::io::Error> {
        let (shown, page) = ask(self.place.tls, authority, "/")?;
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
        Ok(shown)
    }

    pub(crate) fn url(&self) -> String {
        format!("wss://localhost:{}", self.place.tls)
    }
}

fn plain(port: u16, path: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}
