//! In place of `cluster` where that is not built in: nobody can make one of these.

use std::sync::Arc;

use super::config::ClusterConfig;
use super::connection::{Shared, Visit};
use super::contact::WeakBell;
use super::error::Error;
use super::http::Upgrade;
use super::socket::Socket;
use super::status::Status;
use super::stop::Stop;
use crate::hybrid::linking::ClientPayload;
use crate::hybrid::listen::Verdict;
use crate::hybrid::tunnel::{ContactId, RoutingId, TunnelId};

/// A part in a cluster, which this program cannot have.
pub(super) enum Cluster {}

impl Cluster {
    pub(super) fn new(_: &ClusterConfig) -> Result<Self, Error> {
        Err(Error::NoCluster)
    }

    pub(super) fn is_held(&self) -> bool {
        match *self {}
    }

    pub(super) fn is_connected(&self) -> bool {
        match *self {}
    }

    pub(super) async fn run(&self, _: Arc<Shared>, _: Stop) {
        match *self {}
    }

    pub(super) async fn pass(
        &self,
        _: Visit,
        _: Socket,
        _: (RoutingId, TunnelId),
        _: Upgrade,
        _: Stop,
    ) {
        match *self {}
    }

    pub(super) async fn ring(
        &self,
        _: &ContactId,
        _: (RoutingId, TunnelId),
        _: ClientPayload,
    ) -> Result<Verdict, Status> {
        match *self {}
    }

    pub(super) async fn attend(&self, _: &Arc<Shared>, _: &ContactId, _: &WeakBell) {
        match *self {}
    }

    pub(super) async fn leave(&self, _: &Shared) {
        match *self {}
    }
}
