//! The lease of this node's number in NATS' key-value store, and the requests that come under that number.
//!
//! Depends on `claim` for the rules.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::kv::{CreateErrorKind, Store, UpdateErrorKind};
use async_nats::jetstream::{self, stream};
use async_nats::{Client, Subscriber};
use futures_util::StreamExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::claim::{Claim, Outcome, Step};
use super::{Cluster, guests, words};
use crate::hex;
use crate::hybrid::tunnel::RoutingId;
use crate::relay::connection::Shared;
use crate::relay::random;
use crate::relay::stop::Stop;

/// How long an entry that nobody renews stays, where the operator did not make the bucket.
const LEASE: Duration = Duration::from_secs(12);
/// The shortest and longest lease that a bucket may have.
const LEASES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(3600)];
/// How long one step at the bucket may take.
const STEP: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(500);
/// Clients of other nodes that may be on their way in or in.
const MOST: usize = 20_000;

/// Claims a number and serves other nodes; never ends.
pub(super) async fn run(cluster: &Cluster, shared: Arc<Shared>, client: Client, stop: Stop) {
    let mut admitted = JoinSet::new();
    loop {
        let Some(bucket) = bucket(&client).await else {
            sleep(PAUSE).await;
            continue;
        };
        let lease = bucket.status().await.map_or(LEASE, |status| status.max_age());
        let lease = lease.clamp(LEASES[0], LEASES[1]);
        hold(cluster, &shared, &client, &bucket, lease, &mut admitted, &stop).await;
    }
}

/// The operator's, or one of our own.
async fn bucket(client: &Client) -> Option<Store> {
    let context = jetstream::new(client.clone());
    if let Ok(Ok(bucket)) = timeout(STEP, context.get_key_value(words::BUCKET)).await {
        return Some(bucket);
    }
    // As a bucket is made, but without asking first what the account may have: the answers of NATS' servers before
    // 2.10 cannot be read by this client.
    let config = stream::Config {
        name: format!("KV_{}", words::BUCKET),
        subjects: vec![format!("$KV.{}.>", words::BUCKET)],
        description: Some("The numbers of cabled's relays".to_owned()),
        max_age: LEASE,
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: 1,
        discard: stream::DiscardPolicy::New,
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        num_replicas: 1,
        ..stream::Config::default()
    };
    let making = async {
        context.create_stream(config).await.map_err(|error| error.to_string())?;
        context.get_key_value(words::BUCKET).await.map_err(|error| error.to_string())
    };
    match timeout(STEP, making).await {
        Ok(Ok(bucket)) => Some(bucket),
        Ok(Err(error)) => {
            tracing::warn!(%error, "cannot make the bucket of the cluster; is JetStream on?");
            None
        }
        Err(_) => None,
    }
}

/// Holds a number until it is lost.
async fn hold(
    cluster: &Cluster,
    shared: &Arc<Shared>,
    client: &Client,
    bucket: &Store,
    lease: Duration,
    admitted: &mut JoinSet<()>,
    stop: &Stop,
) {
    let number = shared.registry().routing_id();
    let mut claim = Claim::new(number, lease, Instant::now().into_std());
    let mut requests: Option<Subscriber> = None;
    // The number under which they come: a claim can go from one to the next within a step.
    let mut heard = None;
    loop {
        let started = Instant::now().into_std();
        if let Some(step) = claim.step(started, || other(number)) {
            let outcome = take(bucket, step, cluster).await;
            let now = Instant::now().into_std();
            claim.came(outcome, started, now, || other(number));
        }
        let held = claim.held_until();
        shared.registry().set_routing_id(claim.number());
        if held.is_some() && heard != Some(claim.number()) {
            requests = hear(client, bucket, claim.number()).await;
            heard = requests.is_some().then(|| claim.number());
        }
        // Ready is who can be reached under its number.
        cluster.set_lease(held.filter(|_| heard.is_some()), claim.entry());
        if held.is_none() && heard.is_some() {
            tracing::warn!("this node has lost its number in the cluster");
            // Another bucket may be needed: NATS may have lost this one.
            return;
        }
        let wake = Instant::from_std(claim.wake());
        loop {
            tokio::select! {
                () = sleep_until(wake) => break,
                request = next(&mut requests) => match request {
                    // A lease that is over while this was on its way may be somebody else's by now.
                    Some(request) if cluster.is_held() && admitted.len() < MOST => {
                        let (shared, client) = (shared.clone(), client.clone());
                        admitted.spawn(guests::admit(shared, client, request, stop.clone()));
                    }
                    Some(_) => {}
                    None => requests = None,
                },
                Some(_) = admitted.join_next() => {}
            }
        }
    }
}

/// Requests to this number, once the server has begun to pass them on.
async fn hear(client: &Client, bucket: &Store, number: RoutingId) -> Option<Subscriber> {
    let requests = client.subscribe(words::node(number)).await.ok()?;
    // The server answers in order: it has read the subscription when it answers what was asked after that.
    timeout(STEP, bucket.status()).await.ok()?.ok()?;
    tracing::info!(%number, "this node has its number in the cluster");
    Some(requests)
}

/// Another number; without randomness the one that there was is tried again.
fn other(number: RoutingId) -> RoutingId {
    random::routing_id().unwrap_or(number)
}

async fn next(requests: &mut Option<Subscriber>) -> Option<async_nats::Message> {
    match requests {
        Some(requests) => requests.next().await,
        None => std::future::pending().await,
    }
}

async fn take(bucket: &Store, step: Step, cluster: &Cluster) -> Outcome {
    let value = || hex::lower(&cluster.instance).into();
    let taking = async {
        match step {
            Step::Create(number) => match bucket.create(number.to_string(), value()).await {
                Ok(revision) => Outcome::Done(revision),
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Outcome::Taken,
                Err(_) => Outcome::Failed,
            },
            Step::Renew(number, revision) => {
                match bucket.update(number.to_string(), value(), revision).await {
                    Ok(revision) => Outcome::Done(revision),
                    Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {
                        Outcome::Taken
                    }
                    Err(_) => Outcome::Failed,
                }
            }
        }
    };
    timeout(STEP, taking).await.unwrap_or(Outcome::Failed)
}

/// Gives the number back.
pub(super) async fn give_back(client: &Client, (number, revision): (RoutingId, u64)) {
    let context = jetstream::new(client.clone());
    let giving = async {
        let bucket = context.get_key_value(words::BUCKET).await.ok()?;
        bucket.delete_expect_revision(number.to_string(), Some(revision)).await.ok()
    };
    // Otherwise the lease ends by itself.
    let _ = timeout(STEP, giving).await;
}
