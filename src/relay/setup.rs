//! From settings to what all connections share, before anything listens.
//!
//! Depends on its siblings.

use std::sync::{Arc, Mutex};

use super::LONGEST;
use super::acme::Acme;
use super::cluster::Cluster;
use super::config::{Config, Limits};
use super::connection::Shared;
use super::error::Error;
use super::listeners::Listeners;
use super::metrics::Metrics;
use super::proxy::Proxies;
use super::random;
use super::rate::Rate;
use super::registry::Registry;
use super::reload::Reloading;
use super::visitors::Visitors;

/// [`shared`], and makes what the relay needs on the disk.
pub(super) fn prepared(config: &Config) -> Result<Arc<Shared>, Error> {
    let shared = shared(config)?;
    if let Some(acme) = &shared.acme {
        acme.prepare()?;
    }
    Ok(shared)
}

/// Checks the settings, and loads certificate and key.
pub(super) fn shared(config: &Config) -> Result<Arc<Shared>, Error> {
    let listen = config.listen;
    let plain = config.tls.is_none() && config.acme.is_none();
    if plain && !config.allow_plain && !listen.ip().is_loopback() {
        return Err(Error::Plain { address: listen });
    }
    if plain && config.redirect_listen.is_some() {
        return Err(Error::NoHttps);
    }
    if config.tls.is_some() && config.acme.is_some() {
        return Err(Error::TwoCertificates);
    }
    if config.proxy_protocol && config.trusted_proxies.is_empty() {
        return Err(Error::NoProxy);
    }
    let acme = config.acme.as_ref().map(Acme::new).transpose()?;
    if acme.is_some() && config.redirect_listen.is_none() {
        return Err(Error::NoHttp);
    }
    let tls = match &acme {
        Some(acme) => Some(Reloading::awaiting(acme.files())),
        None => config.tls.clone().map(Reloading::load).transpose()?,
    };
    let routing_id = config.routing_id.map_or_else(random::routing_id, Ok)?;
    let limits = Limits { life: config.limits.life.min(LONGEST), ..config.limits };
    let waiting = limits.waiting.min(LONGEST);
    let rate = Rate::per_second(limits.tunnel_rate);
    let registry = Registry::new(routing_id, waiting, limits.tunnels, rate);
    let rate = Rate::per_second(limits.tunnel_rate_per_address);
    let visitors = Visitors::new(limits.connections_per_address, rate);
    let networks = config.trusted_proxies.clone();
    Ok(Arc::new(Shared {
        limits,
        tls: tls.map(Arc::new),
        acme,
        pages_apart: config.metrics_listen.is_some(),
        proxies: Proxies { networks, header: config.proxy_protocol },
        registry: Mutex::new(registry),
        visitors: Mutex::new(visitors),
        cluster: config.cluster.as_ref().map(Cluster::new).transpose()?,
        listeners: Mutex::new(Listeners::new(limits.listeners)),
        metrics: Metrics::new(),
    }))
}
