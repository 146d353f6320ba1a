//! In place of `acme` where that is not built in: nobody can make one of these.

use std::sync::Arc;

use super::config::AcmeConfig;
use super::connection::Shared;
use super::error::Error;
use super::reload::Reloading;
use super::tls::TlsFiles;

/// A certificate by ACME, which this program cannot get.
pub(super) enum Acme {}

impl Acme {
    pub(super) fn new(_: &AcmeConfig) -> Result<Self, Error> {
        Err(Error::NoAcme)
    }

    pub(super) fn prepare(&self) -> Result<(), Error> {
        match *self {}
    }

    pub(super) fn files(&self) -> TlsFiles {
        match *self {}
    }

    pub(super) fn answer(&self, _: &str) -> Option<String> {
        match *self {}
    }

    pub(super) fn is_certified(&self, _: &Reloading) -> bool {
        match *self {}
    }

    pub(super) async fn run(&self, _: Arc<Shared>) {
        match *self {}
    }
}
