//! The way to a tunnel service: straight or through a proxy, with TLS or without.
//!
//! Depends on the dialling beside it and on the channel's proxies and certificates.

use std::sync::Arc;

use rustls::ClientConfig;

use super::dial::{self, Socket};
use super::{Connector, connect};
use crate::channel::proxy::{Fault, Proxy};
use crate::channel::{Error, tls};
use crate::hybrid::tunnel::ServiceUrl;

impl Connector {
    /// Connects to `service`, up to where HTTP begins.
    pub(super) async fn dial(&self, service: &ServiceUrl) -> Result<Box<dyn Socket>, Error> {
        let proxy = self.proxies.of(service);
        if !service.is_secure() {
            return match proxy.filter(|_| self.allow_plain) {
                Some(proxy) => self.through(proxy, service).await,
                // Only this machine is allowed then, to which nothing goes through a proxy.
                None => Ok(Box::new(dial::plain(service, self.allow_plain).await?)),
            };
        }
        let config = self.tls()?;
        let socket = match proxy {
            Some(proxy) => self.through(proxy, service).await?,
            None => dial::any(service).await?,
        };
        dial::secured(service, config, socket).await
    }

    async fn through(&self, proxy: &Proxy, service: &ServiceUrl) -> Result<Box<dyn Socket>, Error> {
        let failed = |source| Error::Proxy { proxy: proxy.to_string(), source };
        let unreachable = |error| failed(Fault::Unreachable(Box::new(error)));
        let mut socket = dial::any(proxy.address()).await.map_err(unreachable)?;
        if proxy.address().is_secure() {
            let secured = dial::secured(proxy.address(), self.tls()?, socket);
            socket = secured.await.map_err(unreachable)?;
        }
        connect::open(&mut *socket, proxy, service).await.map_err(failed)?;
        Ok(socket)
    }

    pub(super) fn tls(&self) -> Result<Arc<ClientConfig>, Error> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        let config = tls::client_config(&self.trust).map_err(Error::Trust)?;
        Ok(self.config.get_or_init(|| config).clone())
    }
}
