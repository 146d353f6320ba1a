//! `cabled relay`: the tunnel service, and the name that one of its own would have.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::failure::{Failure, Status};
use super::system;
use super::ui::{Ui, event_line, print};
use crate::hybrid::tunnel::{RoutingId, TunnelServiceId};
use crate::relay::{self, Cidr, Config, Limits, TlsFiles};

/// Runs a tunnel service, where a phone and a laptop meet
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Relay {
    #[command(subcommand)]
    command: Option<Sub>,
    /// Where to listen; port 0 lets the system choose, and the first line printed tells
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Certificate chain for wss://, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Where /metrics, /readyz and /healthz are, in place of where the tunnels are; plain HTTP
    #[arg(long, value_name = "ADDR")]
    metrics_listen: Option<SocketAddr>,
    /// Where to send HTTP to HTTPS; only with --tls-cert
    #[arg(long, value_name = "ADDR")]
    redirect_listen: Option<SocketAddr>,
    /// Speak plain ws:// on an address that others can reach: behind a proxy that ends TLS
    #[arg(long)]
    allow_plain: bool,
    /// This node's routing ID, 6 hex digits, in place of a random one
    #[arg(long, value_name = "HEX")]
    routing_id: Option<RoutingId>,
    /// Longest life of a joined tunnel, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    life: u64,
    /// How long a phone waits for its laptop, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    waiting: u64,
    /// Messages of at most 16 KiB, unless --message-len says otherwise
    #[arg(long)]
    strict: bool,
    /// Longest message, in bytes [default: 1048576]
    #[arg(long, value_name = "BYTES")]
    message_len: Option<usize>,
    /// Messages that a tunnel carries in each direction, pings included
    #[arg(long, value_name = "N", default_value_t = 1024)]
    messages: u64,
    /// Bytes that a tunnel carries in each direction
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20)]
    bytes: u64,
    /// Connections at a time, whatever they do; beyond them nobody is accepted
    #[arg(long, value_name = "N", default_value_t = 20_256)]
    connections: usize,
    /// Tunnels at a time
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    tunnels: usize,
    /// How long running tunnels may go on after SIGTERM, in seconds; Ctrl-C, or a second SIGTERM, ends them
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    drain: u64,
    /// Connections at a time from one IPv4 address or IPv6 network
    #[arg(long, value_name = "N", default_value_t = 256)]
    per_address: usize,
    /// New tunnels a second, and as many at once
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    tunnel_rate: u32,
    /// The same from one IPv4 address or IPv6 network
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    tunnel_rate_per_address: u32,
    /// Leading bits of an IPv6 address that make a network
    #[arg(long, value_name = "BITS", default_value_t = 64, value_parser = clap::value_parser!(u8).range(1..=128))]
    ipv6_prefix: u8,
    /// A proxy, or a range of them, that is believed when it says for whom it connects, in Forwarded or
    /// X-Forwarded-For; may be given again
    #[arg(long, value_name = "CIDR")]
    trusted_proxy: Vec<Cidr>,
    /// Those proxies begin each connection with a header of the PROXY protocol, version 1 or 2
    #[arg(long)]
    proxy_protocol: bool,
}

#[derive(Subcommand, Clone, Debug)]
enum Sub {
    /// Prints the domain name that phones and laptops compute from a tunnel service's number
    Domain {
        /// 0 and 1 are Google's and Apple's, 256 to 65535 are for everybody
        id: u16,
    },
}

impl Relay {
    pub(crate) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        match &self.command {
            Some(Sub::Domain { id }) => domain(ui, TunnelServiceId::new(*id)),
            None => self.serve(ui).await,
        }
    }

    async fn serve(&self, ui: Ui) -> Result<(), Failure> {
        let (asked, stop) = system::asked_to_end();
        let relay = relay::Relay::bind(self.config()).await.map_err(|error| advice(&error))?;
        let scheme = if self.tls_cert.is_some() { "wss" } else { "ws" };
        let url = format!("{scheme}://{}", relay.local_addr());
        match ui.is_json() {
            true => print(&event_line("listening", json!({ "url": url })).to_string())?,
            false => print(&format!("listening on {url}"))?,
        }
        for (event, address) in
            [("metrics", relay.metrics_addr()), ("redirect", relay.redirect_addr())]
        {
            let Some(address) = address else { continue };
            let url = format!("http://{address}");
            match ui.is_json() {
                true => print(&event_line(event, json!({ "url": url })).to_string())?,
                false => print(&format!("{event} on {url}"))?,
            }
        }
        let drain = async {
            asked.await;
            let words = format!(
                "Stopping: no new tunnels, and {} s for those that run. Ctrl-C ends them now.",
                self.drain
            );
            ui.step("draining", &words, json!({}));
        };
        relay.serve_and_drain(drain, stop).await;
        ui.step("stopped", "Stopped.", json!({}));
        Ok(())
    }

    fn message_len(&self) -> usize {
        let profile = match self.strict {
            true => Limits::STRICT_MESSAGE_LEN,
            false => Limits::default().message_len,
        };
        self.message_len.unwrap_or(profile)
    }

    fn config(&self) -> Config {
        let files = self.tls_cert.clone().zip(self.tls_key.clone());
        Config {
            tls: files.map(|(certificate, key)| TlsFiles { certificate, key }),
            metrics_listen: self.metrics_listen,
            redirect_listen: self.redirect_listen,
            allow_plain: self.allow_plain,
            routing_id: self.routing_id,
            trusted_proxies: self.trusted_proxy.clone(),
            proxy_protocol: self.proxy_protocol,
            limits: Limits {
                life: Duration::from_secs(self.life),
                waiting: Duration::from_secs(self.waiting),
                message_len: self.message_len(),
                messages: self.messages,
                bytes: self.bytes,
                connections: self.connections,
                tunnels: self.tunnels,
                connections_per_address: self.per_address,
                tunnel_rate: self.tunnel_rate,
                tunnel_rate_per_address: self.tunnel_rate_per_address,
                ipv6_prefix: self.ipv6_prefix,
                drain: Duration::from_secs(self.drain),
                ..Limits::default()
            },
            ..Config::new(self.listen)
        }
    }
}

fn domain(ui: Ui, id: TunnelServiceId) -> Result<(), Failure> {
    let hint = "choose a number from 256 to 65535; its name has to be registered";
    let domain = id.domain().map_err(|error| Failure::because(Status::Usage, &error, hint))?;
    match ui.is_json() {
        true => print(&json!({ "v": 1, "id": id.value(), "domain": domain }).to_string()),
        false => print(&domain),
    }
}

fn advice(error: &relay::Error) -> Failure {
    use relay::Error as E;
    let (status, hint) = match error {
        E::Listen { .. } => {
            (Status::Network, "choose another address with --listen, or stop what uses it")
        }
        E::Plain { .. } => (
            Status::Usage,
            "give --tls-cert and --tls-key, or --allow-plain behind a proxy that ends TLS",
        ),
        E::NoHttps => {
            (Status::Usage, "give --tls-cert and --tls-key, or leave --redirect-listen out")
        }
        E::NoProxy => (Status::Usage, "name the proxies with --trusted-proxy"),
        E::Tls(_) => (Status::Storage, "check the two PEM files and that they belong together"),
        _ => (Status::Failure, "try again"),
    };
    Failure::because(status, error, hint)
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn limits(args: &[&str]) -> Limits {
        let command = Relay::augment_args(clap::Command::new("relay").no_binary_name(true));
        let matches = command.try_get_matches_from(args).unwrap();
        Relay::from_arg_matches(&matches).unwrap().config().limits
    }

    #[test]
    fn the_defaults_are_the_librarys() {
        assert_eq!(limits(&[]), Limits::default());
    }

    #[test]
    fn the_strict_profile_is_16_kib_unless_something_else_is_said() {
        assert_eq!(limits(&["--strict"]).message_len, 16_384);
        assert_eq!(limits(&["--strict", "--message-len", "4096"]).message_len, 4096);
        assert_eq!(limits(&["--message-len", "4096"]).message_len, 4096);
    }
}
