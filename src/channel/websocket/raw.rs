//! A tunnel's bytes after the upgrade, for those who measure a tunnel service and bring frames of
//! their own.
//!
//! Depends on the connector.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::dial::{self, Socket};
use super::{Connector, check, new_key, routing_id, upgrade};
use crate::channel::Error;
use crate::hybrid::tunnel::{Endpoint, RoutingId, ServiceUrl};

/// An upgraded connection: whatever is written goes out as it is.
pub struct Raw {
    socket: Box<dyn Socket>,
    /// The routing id of the answer, if it names one.
    pub routing_id: Option<RoutingId>,
    /// What came with the head of the answer: first frames.
    pub rest: Vec<u8>,
}

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Raw").finish_non_exhaustive()
    }
}

impl Connector {
    /// Asks for `endpoint`, and gives the connection as it is after the upgrade. With `from` that is
    /// the address of this machine to connect from, and no proxy is used. Follows no redirect.
    ///
    /// # Errors
    ///
    /// Every variant of [`Error`] up to [`Error::TimedOut`] but [`Error::RoutingId`].
    pub async fn upgrade(
        &self,
        service: &ServiceUrl,
        endpoint: &Endpoint,
        from: Option<IpAddr>,
    ) -> Result<Raw, Error> {
        let asking = self.ask(service, endpoint, from);
        timeout(self.deadline, asking).await.unwrap_or(Err(Error::TimedOut))
    }

    async fn ask(
        &self,
        service: &ServiceUrl,
        endpoint: &Endpoint,
        from: Option<IpAddr>,
    ) -> Result<Raw, Error> {
        let mut socket = match from {
            None => self.dial(service).await?,
            Some(from) => self.dial_from(service, from).await?,
        };
        let url = service.endpoint(endpoint);
        let answer = upgrade::exchange(&mut *socket, &url, &new_key(), None).await?;
        if answer.status != 101 {
            return Err(Error::Status { status: answer.status });
        }
        check(&answer)?;
        Ok(Raw { socket, routing_id: routing_id(&answer).ok(), rest: answer.rest })
    }

    async fn dial_from(
        &self,
        service: &ServiceUrl,
        from: IpAddr,
    ) -> Result<Box<dyn Socket>, Error> {
        let secure = service.is_secure();
        if !secure && !self.allow_plain && !from.is_loopback() {
            return Err(Error::Plain { service: service.authority() });
        }
        let socket = Box::new(dial::from(service, from).await?);
        match secure {
            true => dial::secured(service, self.tls()?, socket).await,
            false => Ok(socket),
        }
    }
}

impl AsyncRead for Raw {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Raw {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut *self.socket).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.socket).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.socket).poll_shutdown(context)
    }
}
