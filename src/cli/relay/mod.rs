//! `cabled relay`: the tunnel service, and the name that one of its own would have.

mod acme;
mod cluster;
mod options;
mod settings;

use clap::{Args, Subcommand};
use serde_json::json;

use self::options::Options;
pub(super) use self::settings::{Fault, parse};
use super::failure::{Failure, Status};
use super::ui::{Ui, event_line, print};
use super::{files, system, systemd};
use crate::hybrid::tunnel::TunnelServiceId;
use crate::relay;

/// The unit to look at if a socket is no good.
const SOCKET_UNIT: &str = "cabled-relay.socket";

/// Open files beside the connections: connections to the pages and the redirects, and what the program itself has.
const OTHER_FILES: u64 = 600;

/// Runs a tunnel service, where a phone and a laptop meet
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Relay {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    options: Options,
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
        let mut config = self.options.config()?;
        if self.options.check_config {
            return check(ui, &config);
        }
        config.limits.connections = allowed_connections(ui, config.limits.connections);
        let (asked, stop) = system::asked_to_end();
        let drain_seconds = config.limits.drain.as_secs();
        let relay = match systemd::inherited_tcp(SOCKET_UNIT)? {
            Some(listener) => relay::Relay::adopt(listener, config).await,
            None => relay::Relay::bind(config).await,
        };
        let relay = relay.map_err(|error| advice(&error))?;
        say_where(ui, "listening", &relay.url())?;
        for (event, address) in
            [("metrics", relay.metrics_addr()), ("redirect", relay.redirect_addr())]
        {
            if let Some(address) = address {
                say_where(ui, event, &format!("http://{address}"))?;
            }
        }
        systemd::notify("READY=1");
        let drain = async {
            asked.await;
            systemd::notify("STOPPING=1");
            let words = format!(
                "Stopping: no new tunnels, and {} s for those that run. Ctrl-C ends them now.",
                drain_seconds
            );
            ui.step("draining", &words, json!({}));
        };
        relay.serve_and_drain(drain, stop).await;
        ui.step("stopped", "Stopped.", json!({}));
        Ok(())
    }
}

/// Each connection is an open file: raises the limit of those for so many, and gives how many it is enough for. A tenth
/// less than wanted is no reason to speak: the default is more than some systems allow.
fn allowed_connections(ui: Ui, connections: usize) -> usize {
    let wanted = OTHER_FILES.saturating_add(connections as u64);
    let Some(allowed) = files::allow(wanted).filter(|allowed| *allowed < wanted) else {
        return connections;
    };
    let enough = usize::try_from(allowed.saturating_sub(OTHER_FILES)).unwrap_or(connections).max(1);
    if enough < connections - connections / 10 {
        ui.note(&format!(
            "--connections {connections} needs {wanted} open files, and {allowed} are allowed, which is enough for \
             {enough}: raise the hard limit (ulimit -Hn, LimitNOFILE), or lower --connections"
        ));
    }
    enough
}

fn say_where(ui: Ui, event: &str, url: &str) -> Result<(), Failure> {
    match ui.is_json() {
        true => print(&event_line(event, json!({ "url": url })).to_string()),
        false => print(&format!("{event} on {url}")),
    }
}

fn check(ui: Ui, config: &relay::Config) -> Result<(), Failure> {
    relay::Relay::check(config).map_err(|error| advice(&error))?;
    match ui.is_json() {
        true => print(&json!({ "v": 1, "usable": true }).to_string()),
        false => print("the configuration can be used"),
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
            "give --tls-cert and --tls-key, or --acme-domain, or --allow-plain behind a proxy that ends TLS",
        ),
        E::NoHttps => {
            (Status::Usage, "give --tls-cert and --tls-key, or leave --redirect-listen out")
        }
        E::NoAcme => {
            (Status::Usage, "build with --features acme, or take the Debian package, which has it")
        }
        E::TwoCertificates => {
            (Status::Usage, "leave --tls-cert and --tls-key out, or --acme-domain")
        }
        E::NoHttp => (
            Status::Usage,
            "give --redirect-listen, an address to which port 80 of --acme-domain leads",
        ),
        E::NoTerms => (
            Status::Usage,
            "read them (Let's Encrypt's are at https://letsencrypt.org/repository), and give --acme-agree-to-terms",
        ),
        E::AcmeSetting { .. } => (
            Status::Usage,
            "--acme-domain takes names without *, --acme-contact an address, --acme-directory https://HOST/PATH",
        ),
        E::AcmeFile { .. } => (Status::Storage, "check --acme-folder and what is in it"),
        E::AcmeTls(_) => (Status::Storage, "check the PEM file of --acme-tls-ca"),
        E::NoProxy => (Status::Usage, "name the proxies with --trusted-proxy"),
        E::NoCluster => (
            Status::Usage,
            "build with --features cluster, or take the Debian package, which has it",
        ),
        E::Servers(_) => (Status::Usage, "--cluster takes nats://HOST:PORT or tls://HOST:PORT"),
        E::Secret { .. } => (
            Status::Storage,
            "check the file of --cluster-password-file, --cluster-nkey or --cluster-credentials",
        ),
        E::ClusterTls(_) => (
            Status::Storage,
            "check the PEM files of --cluster-tls-ca, --cluster-tls-cert and --cluster-tls-key",
        ),
        E::Tls(_) => (Status::Storage, "check the two PEM files and that they belong together"),
        _ => (Status::Failure, "try again"),
    };
    Failure::because(status, error, hint)
}
