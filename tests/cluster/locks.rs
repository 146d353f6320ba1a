//! NATS as an operator has it: TLS with an authority of their own, users with passwords, nkeys and credentials; and what
//! a node says that NATS does not let in.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cabled::channel::DataChannel;
use cabled::channel::tls::Trust;
use cabled::channel::websocket::{Connector, WebSocketChannel};
use cabled::hybrid::tunnel::TunnelId;
use nkeys::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::{Nats, Node, PATIENCE, until};

/// Nobody may ever see it: not in a log, a complaint or the list of processes.
const PASSWORD: &str = "s3cret-of-the-relays";

/// Certificates of an authority that nobody else has, and files with secrets.
struct Drawer(TempDir);

impl Drawer {
    fn new() -> Self {
        let drawer = Self(tempfile::tempdir().unwrap());
        for authority in ["ca", "other-ca"] {
            drawer.certify(authority);
        }
        drawer
    }

    fn certify(&self, name: &str) {
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::default();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, name);
        self.put(&format!("{name}.pem"), &authority.self_signed(&authority_key).unwrap().pem());
        let issuer = rcgen::Issuer::new(authority, authority_key);
        for (whose, host) in [("server", "localhost"), ("node", "node.example")] {
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
            let certificate = certificate.signed_by(&key, &issuer).unwrap();
            self.put(&format!("{name}-{whose}.pem"), &certificate.pem());
            self.put(&format!("{name}-{whose}.key"), &key.serialize_pem());
        }
    }

    fn put(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What the server is told about TLS.
    fn tls(&self, more: &str) -> String {
        let [certificate, key, authority] =
            ["ca-server.pem", "ca-server.key", "ca.pem"].map(|name| self.path(name));
        format!(
            "tls {{ cert_file: {certificate:?}, key_file: {key:?}, ca_file: {authority:?}, {more} }}\n"
        )
    }

    fn option(&self, option: &str, file: &str) -> String {
        format!("--{option}={}", self.path(file).display())
    }

    /// A node that says all that it can, into a file.
    fn node(&self, name: &str, servers: &str, more: &[String]) -> Loud {
        let log = self.path(name);
        let more: Vec<&str> = ["-vv"].into_iter().chain(more.iter().map(String::as_str)).collect();
        let node = Node::start_and_log(servers, &more, File::create(&log).unwrap().into());
        Loud { node, log }
    }
}

struct Loud {
    node: Node,
    log: PathBuf,
}

impl Loud {
    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    async fn is_ready(&self) {
        until("a node is connected", || self.node.count("cluster_connected") == 1).await;
        until("a node has its number", || self.node.is_ready()).await;
    }

    /// Waits until it says why it is not let in, and checks that it goes on trying.
    async fn is_kept_out(&self, why: &str) {
        until(why, || self.said().contains(why)).await;
        assert!(!self.node.is_ready());
        assert_eq!(self.node.count("cluster_connected"), 0);
    }

    fn keeps(&self, secrets: &[&str]) {
        let (said, line) = (self.said(), self.node.program.command_line());
        assert!(said.contains("NATS") && line.contains("relay"), "{said} {line}");
        for secret in secrets {
            assert!(!said.contains(secret), "{secret} in {said}");
            assert!(!line.contains(secret), "{secret} in {line}");
        }
    }
}

/// A phone at one node and a laptop at the other understand each other.
async fn meet(phone: &Node, laptop: &Node) {
    let connector = Connector::new(Trust::System).with_deadline(PATIENCE);
    let id = TunnelId::new([1; 16]);
    let (mut phone, routing) = connector.open_tunnel(&phone.url, id).await.unwrap();
    let mut laptop: WebSocketChannel =
        connector.join_tunnel(&laptop.url, routing, id).await.unwrap();
    laptop.send(b"hello").await.unwrap();
    assert_eq!(phone.recv().await.unwrap(), b"hello");
}

const REFUSED: &str = "it refuses this node's user, password, token or key: check what --cluster";
const UNKNOWN: &str = "name the one that does with --cluster-tls-ca";
const ANONYMOUS: &str = "check --cluster-tls-cert and --cluster-tls-key";
const MISNAMED: &str = "certificate is for another name";

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_an_authority_of_ones_own_and_a_password_in_a_file() {
    let drawer = Drawer::new();
    let user = format!("authorization {{ user: relay, password: {PASSWORD:?} }}");
    let nats = Nats::told(&(drawer.tls("") + &user));
    let url = format!("tls://localhost:{}", nats.port);
    drawer.put("password", &format!("{PASSWORD}\n"));
    let wrong = "not-what-it-is";
    drawer.put("wrong", wrong);
    let known = |authority: &str, password: &str| {
        let user = "--cluster-user=relay".to_owned();
        vec![
            user,
            drawer.option("cluster-password-file", password),
            drawer.option("cluster-tls-ca", authority),
        ]
    };
    let one = drawer.node("one", &url, &known("ca.pem", "password"));
    // TLS is required with an authority, also where the URL does not say so.
    let plain = format!("nats://localhost:{}", nats.port);
    let other = drawer.node("other", &plain, &known("ca.pem", "password"));
    // In the URL, as a variable has it.
    let in_url = format!("tls://relay:{PASSWORD}@localhost:{}", nats.port);
    let third = drawer.node("third", &in_url, &[drawer.option("cluster-tls-ca", "ca.pem")]);
    for node in [&one, &other, &third] {
        node.is_ready().await;
    }
    meet(&one.node, &other.node).await;
    meet(&other.node, &third.node).await;

    let mistaken = drawer.node("mistaken", &url, &known("ca.pem", "wrong"));
    mistaken.is_kept_out(REFUSED).await;
    let in_url = format!("tls://relay:{wrong}@localhost:{}", nats.port);
    let also = drawer.node("also", &in_url, &[drawer.option("cluster-tls-ca", "ca.pem")]);
    also.is_kept_out(REFUSED).await;
    let distrusts = drawer.node("distrusts", &url, &known("other-ca.pem", "password"));
    distrusts.is_kept_out(UNKNOWN).await;
    let systems = known("ca.pem", "password")[..2].to_vec();
    let systems = drawer.node("systems", &url, &systems);
    systems.is_kept_out(UNKNOWN).await;
    let address = format!("tls://127.0.0.1:{}", nats.port);
    let misled = drawer.node("misled", &address, &known("ca.pem", "password"));
    misled.is_kept_out(MISNAMED).await;
    for node in [one, other, third, mistaken, also, distrusts, systems, misled] {
        node.keeps(&[PASSWORD, wrong]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_nkey_and_a_certificate_for_the_node() {
    let drawer = Drawer::new();
    let (node, stranger) = (KeyPair::new_user(), KeyPair::new_user());
    let users = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", node.public_key());
    let nats = Nats::told(&(drawer.tls("verify: true") + &users));
    let url = format!("tls://localhost:{}", nats.port);
    let seeds = [&node, &stranger].map(|pair| pair.seed().unwrap());
    drawer.put("nkey", &seeds[0]);
    drawer.put("strange", &seeds[1]);
    let known = |nkey: &str, certificate: &str| {
        let mut options =
            vec![drawer.option("cluster-nkey", nkey), drawer.option("cluster-tls-ca", "ca.pem")];
        if !certificate.is_empty() {
            for (option, end) in [("cluster-tls-cert", "pem"), ("cluster-tls-key", "key")] {
                options.push(drawer.option(option, &format!("{certificate}-node.{end}")));
            }
        }
        options
    };
    let one = drawer.node("one", &url, &known("nkey", "ca"));
    let other = drawer.node("other", &url, &known("nkey", "ca"));
    one.is_ready().await;
    other.is_ready().await;
    meet(&one.node, &other.node).await;
    let mistaken = drawer.node("mistaken", &url, &known("strange", "ca"));
    mistaken.is_kept_out(REFUSED).await;
    let bare = drawer.node("bare", &url, &known("nkey", ""));
    bare.is_kept_out(ANONYMOUS).await;
    let foreign = drawer.node("foreign", &url, &known("nkey", "other-ca"));
    foreign.is_kept_out(ANONYMOUS).await;
    for node in [one, other, mistaken, bare, foreign] {
        node.keeps(&[&seeds[0], &seeds[1]]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_says_who_the_node_is() {
    let drawer = Drawer::new();
    let users = "authorization { users: [ { user: \"node.example\" } ] }";
    let nats = Nats::told(&(drawer.tls("verify_and_map: true") + users));
    let url = format!("tls://localhost:{}", nats.port);
    let known = [("ca", "ca.pem"), ("cert", "ca-node.pem"), ("key", "ca-node.key")];
    let known = known.map(|(what, file)| drawer.option(&format!("cluster-tls-{what}"), file));
    let one = drawer.node("one", &url, &known);
    let other = drawer.node("other", &url, &known);
    one.is_ready().await;
    other.is_ready().await;
    meet(&one.node, &other.node).await;
}

/// A JWT as NATS has them, signed with an nkey.
fn jwt(issuer: &KeyPair, subject: &KeyPair, name: &str, nats: &Value) -> String {
    let head = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let claims = json!({
        "jti": name, "iat": 1_700_000_000, "iss": issuer.public_key(), "sub": subject.public_key(),
        "name": name, "nats": nats,
    });
    let text = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(text.as_bytes()).unwrap());
    format!("{text}.{signature}")
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_an_operator() {
    let drawer = Drawer::new();
    let (operator, stranger) = (KeyPair::new_operator(), KeyPair::new_account());
    let (system, account, user) =
        (KeyPair::new_account(), KeyPair::new_account(), KeyPair::new_user());
    let limits = |storage: i64| {
        json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
            "conn": -1, "leaf": -1, "mem_storage": storage, "disk_storage": storage,
            "streams": storage, "consumer": storage,
        })
    };
    let of_account =
        |storage| json!({ "limits": limits(storage), "type": "account", "version": 2 });
    let operators =
        jwt(&operator, &operator, "operator", &json!({ "type": "operator", "version": 2 }));
    let settings = format!(
        "operator: {operators}\nsystem_account: {0}\nresolver: MEMORY\n\
        resolver_preload: {{ {0}: {1}, {2}: {3} }}\n",
        system.public_key(),
        jwt(&operator, &system, "system", &of_account(0)),
        account.public_key(),
        jwt(&operator, &account, "relays", &of_account(-1)),
    );
    let nats = Nats::told(&settings);
    let url = format!("nats://127.0.0.1:{}", nats.port);
    let seed = user.seed().unwrap();
    let of_user = json!({
        "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2,
    });
    for (name, issuer) in [("relay.creds", &account), ("strange.creds", &stranger)] {
        let token = jwt(issuer, &user, "node", &of_user);
        drawer.put(
            name,
            &format!(
                "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
                -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
            ),
        );
    }
    let known = |file: &str| vec![drawer.option("cluster-credentials", file)];
    let one = drawer.node("one", &url, &known("relay.creds"));
    let other = drawer.node("other", &url, &known("relay.creds"));
    one.is_ready().await;
    other.is_ready().await;
    meet(&one.node, &other.node).await;
    let mistaken = drawer.node("mistaken", &url, &known("strange.creds"));
    mistaken.is_kept_out(REFUSED).await;
    for node in [one, other, mistaken] {
        node.keeps(&[&seed]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_not_let_in_comes_in_when_it_may() {
    let drawer = Drawer::new();
    let mut nats = Nats::told("authorization { user: relay, password: another }");
    let url = format!("nats://relay:{PASSWORD}@127.0.0.1:{}", nats.port);
    let node = drawer.node("node", &url, &[]);
    node.is_kept_out(REFUSED).await;
    nats.stop();
    until("NATS is gone", || node.said().contains("nobody answers as NATS there")).await;
    let user = |password: &str| format!("authorization {{ user: relay, password: {password:?} }}");
    nats.settle(&user(PASSWORD));
    nats.again();
    node.is_ready().await;

    // And one that was let in is told as well when it is not any more.
    let refusals = || node.said().matches(REFUSED).count();
    let before = refusals();
    nats.stop();
    nats.settle(&user("another"));
    nats.again();
    until("it is refused again", || refusals() > before).await;
    nats.stop();
    nats.settle(&user(PASSWORD));
    nats.again();
    node.is_ready().await;
    node.keeps(&[PASSWORD]);
}

/// What `cabled relay --check-config` says to these settings, all of it, and whether it takes them.
fn check(folder: &Path, settings: &str, arguments: &[&str]) -> (String, bool) {
    let file = folder.join("relay.toml");
    std::fs::write(&file, settings).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_cabled"))
        .args(["relay", "-vv", "--check-config", "--config"])
        .arg(&file)
        .args(arguments)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8(said).unwrap(), output.status.success())
}

#[test]
fn the_check_of_settings_says_what_is_wrong_and_no_secret() {
    let drawer = Drawer::new();
    let folder = drawer.0.path();
    let url = format!("nats://relay:{PASSWORD}@localhost");
    let seed = KeyPair::new_user().seed().unwrap();
    drawer.put("nkey", &seed);
    // Another letter in one place, whichever stands there.
    let other = if &seed[20..21] == "A" { "B" } else { "A" };
    drawer.put("broken", &format!("{}{other}{}", &seed[..20], &seed[21..]));
    let in_file = |name: &str| format!("{:?}", drawer.path(name));
    let cluster = format!("cluster = [\"{url}\"]\n");
    let plain = "cluster = \"nats://h\"\n";
    for (settings, arguments, hint) in [
        (cluster.clone(), vec![], None),
        (format!("{plain}cluster-nkey = {}\n", in_file("nkey")), vec![], None),
        (format!("{plain}cluster-nkey = {}\n", in_file("broken")), vec![], Some("--cluster-nkey")),
        (format!("{plain}cluster-credentials = {}\n", in_file("nkey")), vec![], Some(".creds")),
        (
            format!("{plain}cluster-tls-ca = {}\n", in_file("nkey")),
            vec![],
            Some("--cluster-tls-ca"),
        ),
        (format!("{cluster}cluster-nkey = {}\n", in_file("nkey")), vec![], Some("give one of")),
        (format!("{plain}cluster-user = \"relay\"\n"), vec![], Some("--cluster-password-file")),
        (format!("cluster = [\"{url}:99999\"]\n"), vec![], Some("nats://HOST:PORT")),
        (format!("cluster = [\"{url}\n"), vec![], Some("relay.toml:1")),
        (format!("cluster = [[\"{url}\"]]\n"), vec![], Some("relay.toml:1")),
        (String::new(), vec!["--cluster", &url], Some("CABLED_RELAY_CLUSTER")),
    ] {
        let (said, usable) = check(folder, &settings, &arguments);
        assert_eq!(usable, hint.is_none(), "{settings}: {said}");
        assert!(
            said.contains(hint.unwrap_or("the configuration can be used")),
            "{settings}: {said}"
        );
        for secret in [PASSWORD, &seed[..12]] {
            assert!(!said.contains(secret), "{settings}: {said}");
        }
    }
}
