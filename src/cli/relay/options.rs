//! The relay's options, and what they mean for it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::acme::Acme;
use super::cluster::Cluster;
use crate::cli::failure::{Failure, Status};
use crate::hybrid::tunnel::RoutingId;
use crate::relay::{Cidr, Config, Limits, TlsFiles};

/// What a relay may be told. Everything but `--config` and `--check-config` may stand in a file too.
#[derive(Args, Clone, Debug)]
pub(super) struct Options {
    /// Where to listen; port 0 lets the system choose, and the first line printed tells
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Certificate chain for wss://, PEM
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Where /metrics, /readyz and /healthz are, in place of where the tunnels are; plain HTTP
    #[arg(long, value_name = "ADDR")]
    metrics_listen: Option<SocketAddr>,
    #[command(flatten)]
    acme: Acme,
    /// Where to send HTTP to HTTPS; only with --tls-cert or --acme-domain
    #[arg(long, value_name = "ADDR")]
    redirect_listen: Option<SocketAddr>,
    /// Speak plain ws:// on an address that others can reach: behind a proxy that ends TLS
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, action = ArgAction::Set)]
    #[arg(
        default_value_t = false,
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true
    )]
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
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, action = ArgAction::Set)]
    #[arg(
        default_value_t = false,
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true
    )]
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
    /// Phones that wait to be rung
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    listeners: usize,
    /// Leading bits of an IPv6 address that make a network
    #[arg(long, value_name = "BITS", default_value_t = 64, value_parser = clap::value_parser!(u8).range(1..=128))]
    ipv6_prefix: u8,
    /// A proxy, or a range of them, that is believed when it says for whom it connects, in Forwarded or
    /// X-Forwarded-For; may be given again
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    trusted_proxy: Vec<Cidr>,
    /// Those proxies begin each connection with a header of the PROXY protocol, version 1 or 2
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, action = ArgAction::Set)]
    #[arg(
        default_value_t = false,
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true
    )]
    proxy_protocol: bool,
    #[command(flatten)]
    cluster: Cluster,
    /// Take the settings from this file (TOML) where neither an option nor the environment says otherwise
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say whether the settings fit each other and the certificate can be used, and end
    #[arg(long)]
    pub(super) check_config: bool,
}

impl Options {
    fn message_len(&self) -> usize {
        let profile = match self.strict {
            true => Limits::STRICT_MESSAGE_LEN,
            false => Limits::default().message_len,
        };
        self.message_len.unwrap_or(profile)
    }

    /// What the relay is told.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        Ok(Config {
            tls: self.tls()?,
            acme: self.acme.config()?,
            metrics_listen: self.metrics_listen,
            redirect_listen: self.redirect_listen,
            allow_plain: self.allow_plain,
            routing_id: self.routing_id,
            trusted_proxies: self.trusted_proxy.clone(),
            proxy_protocol: self.proxy_protocol,
            cluster: self.cluster.config()?,
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
                listeners: self.listeners,
                ipv6_prefix: self.ipv6_prefix,
                drain: Duration::from_secs(self.drain),
                ..Limits::default()
            },
            ..Config::new(self.listen)
        })
    }

    /// Checked here: the parser sees only what stands on the command line.
    fn tls(&self) -> Result<Option<TlsFiles>, Failure> {
        match (self.tls_cert.clone(), self.tls_key.clone()) {
            (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
            (None, None) => Ok(None),
            (certificate, _) => {
                let (there, missing) = match certificate {
                    Some(_) => ("certificate without its key", "--tls-key"),
                    None => ("key without its certificate", "--tls-cert"),
                };
                let error = format!("there is a {there}");
                Err(Failure::new(Status::Usage, error, format!("give {missing} too")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn options(args: &[&str]) -> Options {
        let command = Options::augment_args(clap::Command::new("relay").no_binary_name(true));
        let matches = command.try_get_matches_from(args).unwrap();
        Options::from_arg_matches(&matches).unwrap()
    }

    fn limits(args: &[&str]) -> Limits {
        options(args).config().unwrap().limits
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

    #[test]
    fn a_switch_can_be_switched_off() {
        assert_eq!(limits(&["--strict=true"]).message_len, 16_384);
        assert_eq!(limits(&["--strict=false"]), Limits::default());
    }

    #[test]
    fn certificate_and_key_go_together() {
        for args in [["--tls-cert", "a"], ["--tls-key", "a"]] {
            assert_eq!(options(&args).config().unwrap_err().status, Status::Usage);
        }
        assert!(options(&["--tls-cert", "a", "--tls-key", "b"]).config().unwrap().tls.is_some());
    }

    #[test]
    fn proxies_come_one_by_one_or_in_a_row() {
        let args = ["--trusted-proxy", "10.0.0.0/8,::1", "--trusted-proxy", "192.0.2.1"];
        let proxies = options(&args).config().unwrap().trusted_proxies;
        let proxies: Vec<String> = proxies.iter().map(ToString::to_string).collect();
        assert_eq!(proxies, ["10.0.0.0/8", "::1/128", "192.0.2.1/32"]);
    }
}
