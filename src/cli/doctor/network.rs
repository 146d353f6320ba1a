//! The internet half: proxy, certificates, tunnel services, and the clock beside theirs.
//!
//! Depends on the probes of `channel`. All services are asked side by side.

use std::time::Duration;

use futures_util::future::join_all;

use super::clock::{self, Sample};
use super::finding::{Area, Finding, Severity};
use super::service::{Target, judge};
use crate::channel::proxy::Proxies;
use crate::channel::tls::{self, Trust};
use crate::channel::websocket::{Connector, Reply};
use crate::cli::args::Network;
use crate::cli::failure::{Failure, causes};
use crate::cli::{proxies, system};
use crate::hybrid::tunnel::{ServiceUrl, TunnelId};

/// For each service: address, connection, TLS and upgrade together.
const DEADLINE: Duration = Duration::from_secs(10);

/// Looks at all of it; takes at most 12 seconds.
pub(super) async fn examine(options: &Network, offline: bool) -> Vec<Finding> {
    let choice = options.proxies();
    let targets = Target::all(options.relay());
    let proxies = choice.as_ref().ok().map(|choice| choice.proxies.clone());
    let (proxy, certificates) = (proxy(choice, &targets), certificates(options));
    let usable = proxies.filter(|_| certificates.severity != Severity::Problem);
    let mut findings = vec![proxy, certificates];
    match usable {
        _ if offline => findings.push(not_asked("--offline was given")),
        None => findings.push(not_asked("the way to them has to be mended first")),
        Some(proxies) => findings.extend(services(options, proxies, &targets).await),
    }
    findings
}

fn not_asked(why: &str) -> Finding {
    Finding::note(Area::Tunnel, "the tunnel services were not asked").seen(why)
}

fn proxy(choice: Result<proxies::Choice, Failure>, targets: &[Target]) -> Finding {
    let proxies::Choice { proxies, source } = match choice {
        Ok(choice) => choice,
        Err(failure) => {
            return Finding::new(Severity::Problem, Area::Proxy, failure.error, failure.hint);
        }
    };
    let by = source.map_or_else(
        || "no --proxy, and neither https_proxy, HTTPS_PROXY, all_proxy nor ALL_PROXY".to_owned(),
        |source| format!("{source} says so"),
    );
    let Some(proxy) = proxies.proxy() else {
        return Finding::ok(Area::Proxy, "tunnel services are reached without a proxy").seen(by);
    };
    let user = if proxy.has_credentials() { ", with a user and a password" } else { "" };
    let cause = format!("tunnel services are reached through the proxy {proxy}{user}");
    let around = targets.iter().filter(|target| proxies.of(&target.service).is_none());
    let around: Vec<_> = around.map(|target| target.service.to_string()).collect();
    Finding::ok(Area::Proxy, cause).seen(match around.is_empty() {
        true => by,
        false => format!("{by}; without it: {}", around.join(", ")),
    })
}

fn certificates(options: &Network) -> Finding {
    let error = match tls::client_config(&options.trust()) {
        Ok(_) => {
            let found = Finding::ok(Area::Certificates, "the trusted certificates can be loaded");
            return found.seen(match options.trust() {
                Trust::SystemAnd(file) => format!("the system's, and those of {}", file.display()),
                _ => "the system's".to_owned(),
            });
        }
        Err(error) => error,
    };
    let fix = match &error {
        tls::Error::NoAuthorities => "install the package ca-certificates, or use --ca FILE",
        _ => "name a file with certificates in PEM form with --ca",
    };
    let cause = "the trusted certificates cannot be loaded";
    let needed = options.relay().is_none_or(ServiceUrl::is_secure);
    let severity = if needed { Severity::Problem } else { Severity::Note };
    Finding::new(severity, Area::Certificates, cause, fix).seen(causes(&error))
}

async fn services(options: &Network, proxies: Proxies, targets: &[Target]) -> Vec<Finding> {
    let connector = options.connector(proxies).with_deadline(DEADLINE);
    let heard = join_all(targets.iter().map(|target| ask(&connector, target))).await;
    let found = targets
        .iter()
        .zip(&heard)
        .map(|(target, heard)| judge(target, &heard.reply.outcome, heard.reply.took));
    let samples = targets.iter().zip(&heard).filter_map(|(target, heard)| {
        let told = clock::http_date(heard.reply.date.as_deref()?)?;
        Some(Sample { service: target.service.authority(), told, heard: heard.at })
    });
    found.chain([clock::judge(&samples.collect::<Vec<_>>())]).collect()
}

/// What a service said, and when by this machine's clock.
struct Heard {
    reply: Reply,
    at: u64,
}

async fn ask(connector: &Connector, target: &Target) -> Heard {
    let mut tunnel = [0; 16];
    rand_core::RngCore::fill_bytes(&mut system::random(), &mut tunnel);
    let reply = connector.probe(&target.service, TunnelId::new(tunnel)).await;
    Heard { reply, at: system::unix_time() }
}
