//! Programs that run until they are dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cabled::channel::tls::Trust;
use cabled::channel::websocket::{Connector, WebSocketChannel};
use cabled::channel::{DataChannel, Error};
use cabled::hybrid::tunnel::{RoutingId, ServiceUrl, TunnelId};
use tempfile::TempDir;

/// For what takes a second on a quiet machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

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
    port: u16,
    program: Option<Program>,
}

impl Nats {
    pub(crate) fn start() -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut nats = Self { folder, port, program: None };
        nats.again();
        nats
    }

    pub(crate) fn stop(&mut self) {
        self.program = None;
    }

    pub(crate) fn again(&mut self) {
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-js", "-sd"]);
        command.arg(self.folder.path()).args(["--user", "node", "--pass", "tell-nobody"]);
        self.program = Some(Program::start(command.stderr(Stdio::null())));
    }

    fn url(&self) -> String {
        format!("nats://node:tell-nobody@127.0.0.1:{}", self.port)
    }
}

pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) url: ServiceUrl,
    pub(crate) program: Program,
}

impl Node {
    pub(crate) fn start(nats: &Nats) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cabled"))
            .args(["relay", "--json", "--cluster", &nats.url(), "--tunnel-rate-per-address=100000"])
            .args(["--tunnel-rate=100000", "--per-address=10000"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        let url = said["url"].as_str().unwrap();
        let address = url.strip_prefix("ws://").unwrap().parse().unwrap();
        Self { address, url: url.parse().unwrap(), program: Program(child) }
    }

    fn page(&self, path: &str) -> Option<String> {
        let mut socket = TcpStream::connect(self.address).ok()?;
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
    proxies: Vec<(Program, TempDir)>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let nats = Nats::start();
        let nodes: Vec<Node> = (0..3).map(|_| Node::start(&nats)).collect();
        for node in &nodes {
            until("a node has its number", || node.is_ready()).await;
        }
        let connector = Connector::new(Trust::System).with_deadline(PATIENCE);
        Self { nats, nodes, connector, proxies: Vec::new() }
    }

    /// HAProxy before the nodes, as it is documented but for addresses and TLS; gives its URL.
    pub(crate) async fn balance(&mut self, how: &str) -> ServiceUrl {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/haproxy/cabled.cfg");
        let mut config = String::new();
        for line in std::fs::read_to_string(example).unwrap().lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                // More than a test machine may have open.
                ["maxconn", ..] => config += "    maxconn 1000\n",
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
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, config).unwrap();
        let program = Program::start(Command::new("haproxy").arg("-db").arg("-f").arg(&file));
        until("haproxy listens", || TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
        self.proxies.push((program, folder));
        format!("ws://127.0.0.1:{port}").parse().unwrap()
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
