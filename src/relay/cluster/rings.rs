//! Phones that listen on one node, and laptops that ring them at another.
//!
//! Depends on its siblings. A laptop waits in a tunnel of the node where it is; only the ring travels.

use std::sync::Arc;

use async_nats::{Client, Message};
use futures_util::StreamExt;

use super::Cluster;
use super::words::{self, Call};
use crate::hybrid::linking::ClientPayload;
use crate::hybrid::listen::Verdict;
use crate::hybrid::tunnel::{ContactId, RoutingId, TunnelId};
use crate::relay::connection::Shared;
use crate::relay::contact::{self, WeakBell};
use crate::relay::status::Status;

/// Rings a phone on whichever node it listens.
pub(super) async fn ring(
    cluster: &Cluster,
    contact: &ContactId,
    (routing, tunnel): (RoutingId, TunnelId),
    payload: ClientPayload,
) -> Result<Verdict, Status> {
    let client = cluster.client()?;
    let call = Call::Ring { tunnel, routing, payload }.encode();
    let answer = super::ask(&client, words::contact(contact), call, Status::NoListener).await?;
    words::read_answer(&answer).ok_or(Status::Silent)
}

/// Passes on what other nodes say about a phone that listens here. Ends when it listens elsewhere, and not
/// otherwise.
pub(super) async fn attend(
    cluster: &Cluster,
    shared: &Arc<Shared>,
    contact: &ContactId,
    bell: &WeakBell,
) {
    let client = cluster.connected().await;
    let subject = words::contact(contact);
    let Ok(mut calls) = client.subscribe(subject.clone()).await else {
        return std::future::pending().await;
    };
    let here = Call::Listening(cluster.instance).encode();
    // If it is not heard, an older connection of the phone may be rung in its place until that is found dead.
    let _ = client.publish(subject, here.into()).await;
    while let Some(message) = calls.next().await {
        match Call::decode(&message.payload) {
            Some(Call::Listening(instance)) if instance != cluster.instance => return,
            Some(Call::Ring { tunnel, routing, payload }) => {
                let answering = answer(
                    shared.clone(),
                    client.clone(),
                    message,
                    bell.clone(),
                    (routing, tunnel),
                    payload,
                );
                // As many as the phone may leave unanswered do anything, each for a few seconds.
                tokio::spawn(answering);
            }
            Some(Call::Listening(_)) | None => {}
        }
    }
    std::future::pending().await
}

async fn answer(
    shared: Arc<Shared>,
    client: Client,
    message: Message,
    bell: WeakBell,
    (routing, tunnel): (RoutingId, TunnelId),
    payload: ClientPayload,
) {
    let Some(reply) = message.reply else { return };
    let verdict = match bell.upgrade() {
        Some(bell) => {
            match contact::knock(&bell, (routing, tunnel), payload, shared.limits.ring_deadline)
                .await
            {
                Ok(verdict) => Some(verdict),
                Err(Status::Busy) => Some(Verdict::Busy),
                Err(_) => None,
            }
        }
        None => None,
    };
    // A laptop that is not told hears nothing, and is told so by its own node.
    let _ = client.publish(reply, words::answer(verdict).into()).await;
}
