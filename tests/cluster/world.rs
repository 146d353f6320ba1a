//! Programs that run until they are dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cabled::channel::tls::Trust;
use cabled::channel::websocket::{Connector, WebSocketChannel};
use cabled::channel::{DataChannel, Error};
use cabled::hybrid::tunnel::{RoutingId, ServiceUrl, TunnelId};
use tempfile::TempDir;

/// For what takes a second on a quiet machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The option that gives a node's pages an address of their own.
pub(crate) const PAGES_APART: &str = "--metrics-listen=127.0.0.1:0";

/// A program that is killed with its owner.
pub(crate) struct Program(Child);

impl Program {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    /// SIGKILL: no goodbye.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Program {
    /// Its command line, as everybody on the machine can read it.
    pub(crate) fn command_line(&self) -> String {
        let line = std::fs::read(format!("/proc/{}/cmdline", self.0.id())).unwrap();
        String::from_utf8_lossy(&line).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// NATS' server, with its store in a folder, so that it finds what it had when it is started again.
pub(crate) struct Nats {
    folder: TempDir,
    pub(crate) port: u16,
    program: Option<Program>,
}

impl Nats {
    /// With a user and a password.
    pub(crate) fn start() -> Self {
        Self::told(r#"authorization { user: "node", password: "tell-nobody" }"#)
    }

    /// With these settings.
    pub(crate) fn told(settings: &str) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut nats = Self { folder, port, program: None };
        nats.settle(settings);
        nats.again();
        nats
    }

    /// What it is told when it starts next.
    pub(crate) fn settle(&self, settings: &str) {
        let (port, store) = (self.port, self.folder.path().join("store"));
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {store:?} }}\n{settings}\n"
        );
        std::fs::write(self.folder.path().join("nats.conf"), config).unwrap();
    }

    pub(crate) fn stop(&mut self) {
        self.program = None;
    }

    pub(crate) fn again(&mut self) {
        let mut command = Command::new("nats-server");
        command.arg("-c").arg(self.folder.path().join("nats.conf"));
        self.program = Some(Program::start(command.stderr(Stdio::null())));
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://node:tell-nobody@127.0.0.1:{}", self.port)
    }
}

pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) url: ServiceUrl,
    pages: SocketAddr,
    pub(crate) program: Program,
}

impl Node {
    /// A relay that listens on loopback; what is secret in the servers' URL is not on its command line.
    pub(crate) fn start(servers: &str, more: &[&str]) -> Self {
        Self::start_and_log(servers, more, Stdio::null())
    }

    /// The same, with a place for what it says to its operator.
    pub(crate) fn start_and_log(servers: &str, more: &[&str], log: Stdio) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cabled"))
            .args(["relay", "--json", "--per-address=10000"])
            .args(["--tunnel-rate-per-address=100000", "--tunnel-rate=100000"])
            .args(more)
            .env("CABLED_RELAY_CLUSTER", servers)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = |event: &str| -> String {
            let line = lines.next().unwrap().unwrap();
            let said: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(said["event"], event);
            said["url"].as_str().unwrap().to_owned()
        };
        let url = told("listening");
        // Plain HTTP, also where the tunnels are behind TLS.
        let pages = match more.contains(&PAGES_APART) {
            true => told("metrics"),
            false => url.clone(),
        };
        let address = |url: &str| url.split_once("://").unwrap().1.parse().unwrap();
        let (address, pages) = (address(&url), address(&pages));
        Self { address, url: url.parse().unwrap(), pages, program: Program(child) }
    }

    /// SIGKILL, and when that was.
    pub(crate) fn kill(&mut self) -> Instant {
        self.program.kill();
        Instant::now()
    }

    fn page(&self, path: &str) -> Option<String> {
        let mut socket = TcpStream::connect(self.pages).ok()?;
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nHost: relay\r\n\r\n").ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.page("/readyz").is_some_and(|page| page.starts_with("HTTP/1.1 200 "))
    }

    /// What the metrics say under this name.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let page = self.page("/metrics").unwrap();
        let start = format!("cabled_relay_{name} ");
        let line = page.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
    }
}

/// Asks again and again until it is so, and says how long that took.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    let mut tries = tokio::time::interval(Duration::from_millis(20));
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tries.tick().await;
    }
    started.elapsed()
}

pub(crate) struct Cluster {
    pub(crate) nats: Nats,
    pub(crate) nodes: Vec<Node>,
    pub(crate) connector: Connector,
    balancers: Vec<(Program, TempDir)>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Three nodes with these options.
    pub(crate) async fn with(more: &[&str]) -> Self {
        let nats = Nats::start();
        let nodes: Vec<Node> = (0..3).map(|_| Node::start(&nats.url(), more)).collect();
        for node in &nodes {
            until("a node has its number", || node.is_ready()).await;
        }
        let connector = Connector::new(Trust::System).with_deadline(PATIENCE);
        Self { nats, nodes, connector, balancers: Vec::new() }
    }

    /// HAProxy before the nodes, as it is documented but for addresses and TLS.
    pub(crate) async fn balance(&mut self, how: &str) -> Balancer {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, self.balancing(how, port)).unwrap();
        let mut child = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = Arc::clone(&told);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                telling.lock().unwrap().extend(Taken::read(&line));
            }
        });
        self.balancers.push((Program(child), folder));
        until("haproxy listens", || TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
        Balancer { url: format!("ws://127.0.0.1:{port}").parse().unwrap(), told }
    }

    fn balancing(&self, how: &str, port: u16) -> String {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/haproxy/cabled.cfg");
        let mut config = String::new();
        for line in std::fs::read_to_string(example).unwrap().lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                // More than a test machine may have open. It tells which node took what, at once; of two threads
                // that tell at a time one would be left out.
                ["maxconn", ..] => {
                    config += "    maxconn 2000\n    nbthread 1\n    log stdout format raw local0\n"
                }
                ["mode", "http"] => {
                    config += "    mode http\n    log global\n    option logasap\n";
                    config += "    log-format \"taken %s %rc %HP\"\n";
                }
                ["bind", ..] => config += &format!("    bind 127.0.0.1:{port}\n"),
                ["balance", ..] if how == "roundrobin" => config += "    balance roundrobin\n",
                ["hash-type", ..] if how == "roundrobin" => {}
                ["server", name, _, rest @ ..] => {
                    let number: usize = name.strip_prefix("node").unwrap().parse().unwrap();
                    let address = self.nodes[number - 1].address;
                    config += &format!("    server {name} {address} {}\n", rest.join(" "));
                }
                _ => config += &format!("{line}\n"),
            }
        }
        config
    }

    /// A phone at one node and its laptop at another.
    pub(crate) async fn pair(&self, phone: usize, laptop: usize, id: u8) -> Pair {
        let (phone, routing) = self.phone(phone, id).await.unwrap();
        Pair { phone, laptop: self.laptop(laptop, routing, id).await.unwrap() }
    }

    pub(crate) async fn phone(
        &self,
        at: usize,
        id: u8,
    ) -> Result<(WebSocketChannel, RoutingId), Error> {
        self.connector.open_tunnel(&self.nodes[at].url, TunnelId::new([id; 16])).await
    }

    pub(crate) async fn laptop(
        &self,
        at: usize,
        routing: RoutingId,
        id: u8,
    ) -> Result<WebSocketChannel, Error> {
        self.connector.join_tunnel(&self.nodes[at].url, routing, TunnelId::new([id; 16])).await
    }

    pub(crate) fn count(&self, name: &str) -> u64 {
        self.nodes.iter().map(|node| node.count(name)).sum()
    }
}

/// A request that HAProxy let pass, or could not.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    /// From 0; none if no node took it.
    pub(crate) node: Option<usize>,
    /// After another one had failed over it, or was not there.
    pub(crate) again: bool,
    pub(crate) path: String,
}

impl Taken {
    fn read(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["taken", server, retries, path] = words.as_slice() else { return None };
        let number = server.strip_prefix("node").and_then(|number| number.parse::<usize>().ok());
        let (node, again) = (number.map(|number| number - 1), *retries != "0");
        Some(Self { node, again, path: path.to_ascii_lowercase() })
    }
}

pub(crate) struct Balancer {
    pub(crate) url: ServiceUrl,
    told: Arc<Mutex<Vec<Taken>>>,
}

impl Balancer {
    /// The requests for this tunnel, in the order of their answers.
    pub(crate) fn taken(&self, tunnel: &str) -> Vec<Taken> {
        let told = self.told.lock().unwrap();
        told.iter().filter(|taken| taken.path.ends_with(tunnel)).cloned().collect()
    }
}

pub(crate) struct Pair {
    pub(crate) phone: WebSocketChannel,
    pub(crate) laptop: WebSocketChannel,
}

impl Pair {
    /// Messages of this length go both ways.
    pub(crate) async fn talk(&mut self, length: usize) {
        let message: Vec<u8> = (0..length).map(|place| (place % 251) as u8).collect();
        let Self { phone, laptop } = self;
        carries(phone, laptop, &message).await;
        carries(laptop, phone, &message).await;
    }
}

async fn carries(from: &mut WebSocketChannel, to: &mut WebSocketChannel, message: &[u8]) {
    let (sent, heard) = tokio::join!(from.send(message), to.recv());
    sent.unwrap();
    assert!(heard.unwrap() == message, "a message of {} bytes was altered", message.len());
}

/// How a channel ended.
pub(crate) async fn end_of(channel: &mut WebSocketChannel) -> Error {
    tokio::time::timeout(PATIENCE, channel.recv()).await.unwrap().unwrap_err()
}
