//! How the laptop gets to a phone: through the daemon that runs, or with a radio of this process.

use clap::Args;

use super::args::Link;
use super::failure::{Failure, Status};
use super::qr::QrStyle;
use super::{advice, ceremony, daemon, laptop, linked};
use crate::channel::l2cap::Framing;
use crate::client::phones;
use crate::client::service::{self, Service};
use crate::frontend::control;

/// What every command takes that asks a phone for something.
#[derive(Args, Clone, Debug)]
pub(super) struct Way {
    /// Where to show the code: terminal, url, png:FILE, svg:FILE or none
    #[arg(long, value_name = "HOW", default_value = "terminal")]
    pub(super) qr: QrStyle,
    /// Offer Bluetooth alone too: works without internet, some phones refuse such a code
    #[arg(long)]
    offline: bool,
    /// How messages are told apart over Bluetooth alone: length, or crlf for phones of an older draft
    #[arg(long, value_name = "HOW", default_value_t, requires = "offline")]
    l2cap_framing: Framing,
    /// Ring this phone, which this computer remembers, in place of a code; see: cabled phones list
    #[arg(long, value_name = "NAME", conflicts_with_all = ["offline", "remember"])]
    phone: Option<String>,
    /// Ask the phone to let this computer ring it from now on
    #[arg(long)]
    remember: bool,
    #[command(flatten)]
    key: linked::KeyFile,
    #[command(flatten)]
    socket: daemon::Socket,
    #[command(flatten)]
    link: Link,
}

impl Way {
    /// The daemon, if it runs and nothing is asked for that it would do in another way.
    pub(super) async fn daemon(&self) -> Result<Option<control::Client>, Failure> {
        match self.link.is_named() || self.offline || self.key.is_named() {
            true if self.socket.is_named() => {
                let error = "the daemon has a radio, a relay and a way to phones of its own";
                let hint = "give these options to cabled daemon, or leave out --socket";
                Err(Failure::new(Status::Usage, error, hint))
            }
            true => Ok(None),
            false => self.socket.client_if_any().await,
        }
    }

    /// Looks for the daemon of this user, unless one is named.
    pub(super) fn of_user(&mut self, uid: u32) {
        self.socket.of_user(uid);
    }

    /// The service in this process.
    pub(super) fn service(&self) -> Result<Service, Failure> {
        let l2cap = self.offline.then_some(self.l2cap_framing);
        let client = daemon::client(&self.link, l2cap)?;
        Ok(ceremony::here(client, laptop::receipts(), self.key.phones()))
    }

    /// The way to the phone, for the service in this process.
    pub(super) async fn here(&self, service: &Service) -> Result<service::Way, Failure> {
        let Some(name) = &self.phone else {
            return Ok(match self.remember {
                true => service::Way::code_to_remember(),
                false => service::Way::code(),
            });
        };
        let found = match service.phones() {
            Some(phones) => phones.find(name).await,
            None => Err(phones::Error::NoSuchPhone(name.clone())),
        };
        found.map(service::Way::ring).map_err(|error| advice::phones(&error))
    }

    /// The same for the daemon: the phone to ring, and whether to ask to be remembered.
    pub(super) fn there(&self) -> (Option<String>, bool) {
        (self.phone.clone(), self.remember)
    }
}
