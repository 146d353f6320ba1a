//! What a relay is told before it starts: where to listen, and how much clients may ask of it.
//!
//! Depends on `hybrid::tunnel` for the routing id.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::proxy::Cidr;
use super::tls::TlsFiles;
use crate::hybrid::tunnel::RoutingId;

/// What a relay is told before it starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Certificate and key; without them and [`Self::acme`] the relay speaks plain `ws://`.
    pub tls: Option<TlsFiles>,
    /// Who gives the relay its certificate; by default nobody does. In place of [`Self::tls`], and only with the
    /// feature `acme`.
    pub acme: Option<AcmeConfig>,
    /// How often to look whether those files have changed. Default 5 seconds.
    pub tls_poll: Duration,
    /// Where `/healthz`, `/readyz` and `/metrics` are, in place of where the tunnels are. Plain HTTP.
    pub metrics_listen: Option<SocketAddr>,
    /// Where to send HTTP to HTTPS; only with TLS.
    pub redirect_listen: Option<SocketAddr>,
    /// Permits plain `ws://` on an address that is not loopback: behind a proxy that ends TLS.
    pub allow_plain: bool,
    /// This node's routing id; by default random.
    pub routing_id: Option<RoutingId>,
    /// Proxies that are believed when they say for whom they connect, in `Forwarded` or
    /// `X-Forwarded-For`. Default none.
    pub trusted_proxies: Vec<Cidr>,
    /// Whether connections of those proxies begin with a header of the PROXY protocol, version 1 or 2.
    pub proxy_protocol: bool,
    /// Where other nodes are met; by default this one is alone. Only with the feature `cluster`.
    pub cluster: Option<ClusterConfig>,
    /// What clients may ask of it.
    pub limits: Limits,
}

/// How a relay gets its certificate by ACME (RFC 8555). The server asks for proof over HTTP, where
/// [`Config::redirect_listen`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeConfig {
    /// The names that the certificate is for.
    pub domains: Vec<String>,
    /// A mail address where the server's people reach those of this relay.
    pub contact: Option<String>,
    /// Where account, certificate and keys are kept: a folder of this relay alone.
    pub folder: PathBuf,
    /// The URL of the server's directory.
    pub directory: String,
    /// The authorities, PEM, of which one has to vouch for the server's certificate; by default those of the system.
    pub authority: Option<PathBuf>,
    /// Whether whoever runs this relay agrees to the server's terms.
    pub terms_agreed: bool,
}

impl AcmeConfig {
    /// The directory of Let's Encrypt.
    pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
}

/// Where the nodes of a cluster meet, and as whom this one comes there.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClusterConfig {
    /// NATS servers as URLs, `nats://` or `tls://`. They may hold a user and a password, or a token.
    pub servers: Vec<String>,
    /// As whom.
    pub identity: ClusterIdentity,
    /// The authorities, PEM, of which one has to vouch for the servers' certificates; by default those of the system.
    /// With them TLS is required, whatever the URLs say.
    pub authority: Option<PathBuf>,
    /// A certificate of this node for servers that want one, and its key.
    pub certificate: Option<TlsFiles>,
}

/// As whom a node comes to NATS. What is secret is in files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterIdentity {
    /// As their URLs say, if they do.
    #[default]
    Urls,
    /// As a user with a password.
    Password {
        /// The user.
        user: String,
        /// Where the password is.
        file: PathBuf,
    },
    /// As the user of an nkey, whose seed is in this file.
    Key(PathBuf),
    /// As the user of a credentials file (`.creds`), which has a JWT and a seed.
    Credentials(PathBuf),
}

impl std::fmt::Debug for ClusterConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClusterConfig({} servers, redacted)", self.servers.len())
    }
}

impl Config {
    /// Plain `ws://`, a random routing id, and the default limits.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        let limits = Limits::default();
        Self {
            listen,
            tls: None,
            acme: None,
            tls_poll: Duration::from_secs(5),
            metrics_listen: None,
            redirect_listen: None,
            allow_plain: false,
            routing_id: None,
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            cluster: None,
            limits,
        }
    }
}

/// How much of everything one may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long TLS and request head may take together. Default 10 seconds.
    pub head_deadline: Duration,
    /// How long a phone waits for its laptop, at most a day. Default 2 minutes: a QR is scanned in
    /// seconds.
    pub waiting: Duration,
    /// How long a tunnel lives once joined, at most a day. Default 5 minutes: a user's consent, and
    /// then the 2 to 3 minutes for which laptops keep listening for linking information.
    pub life: Duration,
    /// Bytes in one message. Default 1 MiB, as browsers allow.
    pub message_len: usize,
    /// Messages per tunnel and direction, pings included. Default 1024; a ceremony has about 4.
    pub messages: u64,
    /// Bytes per tunnel and direction. Default 16 MiB.
    pub bytes: u64,
    /// Messages kept for a laptop that is not there yet. Default 8; then nothing more is read.
    pub early_messages: usize,
    /// Bytes of those after which nothing more is read. Default 64 KiB.
    pub early_bytes: usize,
    /// Tunnels, waiting and joined. Default 10,000.
    pub tunnels: usize,
    /// Connections, whatever they do. Default 20,256; beyond them nobody is accepted.
    pub connections: usize,
    /// Connections from one IPv4 address or IPv6 network. Default 256: many households share one.
    pub connections_per_address: usize,
    /// New tunnels a second, and as many at once after a quiet second. Default 1000.
    pub tunnel_rate: u32,
    /// The same from one IPv4 address or IPv6 network. Default 50.
    pub tunnel_rate_per_address: u32,
    /// Phones that listen. Default 10,000.
    pub listeners: usize,
    /// How long one that listens may be silent; ours sends a ping every 45 seconds. Default 150 seconds.
    pub listen_idle: Duration,
    /// How long a phone that is rung may take to say whether it comes. Default 5 seconds.
    pub ring_deadline: Duration,
    /// Leading bits of an IPv6 address that make a network. Default 64: what one subscriber has at
    /// least.
    pub ipv6_prefix: u8,
    /// How long tunnels may go on once the relay drains, at most a day. Default 30 seconds: a ceremony
    /// that is under way needs some.
    pub drain: Duration,
}

impl Limits {
    /// The longest message of the strict profile: what other tunnel services take, and enough for
    /// ceremonies. Browsers allow 1 MiB.
    pub const STRICT_MESSAGE_LEN: usize = 16 << 10;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_deadline: Duration::from_secs(10),
            waiting: Duration::from_secs(120),
            life: Duration::from_secs(300),
            message_len: 1 << 20,
            messages: 1024,
            bytes: 16 << 20,
            early_messages: 8,
            early_bytes: 64 << 10,
            tunnels: 10_000,
            connections: 20_256,
            connections_per_address: 256,
            tunnel_rate: 1000,
            tunnel_rate_per_address: 50,
            listeners: 10_000,
            listen_idle: Duration::from_secs(150),
            ring_deadline: Duration::from_secs(5),
            ipv6_prefix: 64,
            drain: Duration::from_secs(30),
        }
    }
}
