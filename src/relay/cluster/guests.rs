//! Clients that land on one node and belong into a tunnel of another.
//!
//! The node of the client answers its request and lets its bytes pass; the node of the tunnel reads and writes
//! frames, keeps the limits, and closes. Depends on its siblings.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Message};
use tokio::io::duplex;
use tokio::time::Instant;

use super::Cluster;
use super::carry::{self, Ended, Side, Wire};
use super::link::CHUNK;
use super::words::{self, Join};
use crate::hybrid::tunnel::{RoutingId, TunnelId};
use crate::relay::connection::{Shared, Visit, refuse};
use crate::relay::http::{self, Upgrade};
use crate::relay::random;
use crate::relay::socket::Socket;
use crate::relay::status::Status;
use crate::relay::stop::Stop;
use crate::relay::tunnel::Guest;
use crate::relay::websocket::WebSocket;

/// How much longer than a tunnel its link may live, for goodbyes.
const SLACK: Duration = Duration::from_secs(30);

/// Lets a client pass to the node that holds its tunnel.
pub(super) async fn pass(
    cluster: &Cluster,
    visit: Visit,
    mut socket: Socket,
    (routing, tunnel): (RoutingId, TunnelId),
    upgrade: Upgrade,
    stop: Stop,
) {
    let wire = match reach(cluster, routing, tunnel).await {
        Ok(wire) => wire,
        Err(status) => return refuse(&visit, socket, status).await,
    };
    let limits = visit.shared.limits;
    let _passage = visit.shared.metrics.passages.pass();
    let response = upgrade.response(None);
    let sending = http::send(&mut socket, &response);
    // A client that is gone is noticed by the other node, as one that says nothing.
    let _sent = tokio::time::timeout(limits.head_deadline, sending).await;
    let until = Instant::now() + limits.life + SLACK;
    let ended = carry::run(socket, upgrade.rest, wire, Side::Guest, until, stop).await;
    visit.shared.metrics.passages.passed(ended == Ended::Lost);
    tracing::debug!(?ended, "a client was let pass to another node");
}

async fn reach(cluster: &Cluster, routing: RoutingId, tunnel: TunnelId) -> Result<Wire, Status> {
    let client = cluster.client()?;
    let name = random::link_name().ok_or(Status::Full)?;
    let [host, guest] = words::link(&name);
    let from = client.subscribe(guest).await.map_err(|_| Status::Apart)?;
    let request = Join { tunnel, link: name }.encode();
    let answer = super::ask(&client, words::node(routing), request, Status::NoTunnel).await?;
    match words::is_admitted(&answer) {
        Some(true) => Ok(Wire { client, from, to: host }),
        Some(false) => Err(Status::NoTunnel),
        None => Err(Status::Distant),
    }
}

/// Takes in a client of another node, or says that there is no such tunnel, and carries its bytes.
pub(super) async fn admit(shared: Arc<Shared>, client: Client, request: Message, stop: Stop) {
    let (Some(reply), Some(join)) = (request.reply, Join::decode(&request.payload)) else { return };
    let [host, guest] = words::link(&join.link);
    let Ok(from) = client.subscribe(host).await else { return };
    let found = {
        let mut registry = shared.registry();
        let number = registry.routing_id();
        registry.join(number, &join.tunnel, Instant::now().into_std())
    };
    let place = found.ok().filter(|place| !place.is_closed());
    let (near, far) = duplex(CHUNK);
    let far = WebSocket::accept(Socket::Linked(far), Vec::new(), shared.limits.message_len);
    let yes = place.is_some_and(|place| place.send(Guest::from_afar(far)).is_ok());
    // A node that hears no answer, or is gone, says nothing on the link either.
    let _ = client.publish(reply, words::admitted(yes).into()).await;
    if yes {
        let until = Instant::now() + shared.limits.life + SLACK;
        let wire = Wire { client, from, to: guest };
        let _link = shared.metrics.passages.link();
        let ended = carry::run(near, Vec::new(), wire, Side::Host, until, stop).await;
        tracing::debug!(?ended, "a link to another node ended");
    }
}
