//! A look at a tunnel service: whether it would serve a phone, and what its clock shows.
//!
//! Depends on the connector.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{Connector, routing_id};
use crate::channel::{DataChannel, Error};
use crate::hybrid::tunnel::{Endpoint, RoutingId, ServiceUrl, TunnelId};

/// What came of asking a tunnel service.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reply {
    /// The routing id of a tunnel that was opened for a moment, or why there is none.
    pub outcome: Result<RoutingId, Error>,
    /// The `Date` of its last answer, unread: there may be one where the outcome is an error.
    pub date: Option<String>,
    /// How long it took until the outcome was known.
    pub took: Duration,
}

impl Connector {
    /// Opens a tunnel as [`open_tunnel`](Self::open_tunnel) does, closes it, and tells what was
    /// heard.
    ///
    /// Takes at most the connector's deadline, and 2 seconds for the goodbye.
    pub async fn probe(&self, service: &ServiceUrl, tunnel: TunnelId) -> Reply {
        let (began, mut date) = (Instant::now(), None);
        let url = service.endpoint(&Endpoint::New(tunnel));
        let asking = self.follow(url, None, |answer| date.clone_from(&answer.date));
        let asked = timeout(self.deadline, asking).await.unwrap_or(Err(Error::TimedOut));
        let took = began.elapsed();
        let outcome = match asked {
            Err(error) => Err(error),
            Ok((mut channel, answer)) => {
                channel.close().await;
                routing_id(&answer)
            }
        };
        Reply { outcome, date, took }
    }
}
