//! The page of `cabled daemon --web`.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::WORDS;
use crate::cli::announce::Announcer;
use crate::cli::companion::Words;
use crate::cli::failure::{Failure, Status};
use crate::cli::system;
use crate::cli::ui::Ui;
use crate::client::service::Service;
use crate::desktop::Bus;
use crate::desktop::notify::Notifier;
use crate::frontend::control::Doorkeeper;
use crate::frontend::web::{Links, laptop};

/// Its file in packaging/applications, without the ending.
const DESKTOP_ENTRY: &str = "org.cabled.Phone";

/// The page, until this is dropped.
pub(super) struct Page {
    links: Links,
    _stop: oneshot::Sender<()>,
}

impl Page {
    /// Gives links that work once; they are made when they are asked for, and are in no log.
    pub(super) fn doorkeeper(&self) -> Doorkeeper {
        let links = self.links.clone();
        Arc::new(move || links.fresh(&mut system::random()))
    }

    /// Keeps the desktop told, until what this gives is dropped.
    pub(super) fn announce(&self, service: &Service, words: Words) -> JoinSet<()> {
        let notifier = Notifier::new(Bus::Session, "Passkeys", DESKTOP_ENTRY);
        let (service, page, bus) = (service.clone(), self.doorkeeper(), Bus::Session);
        let announcer = Announcer { service, notifier, bus, page, words };
        JoinSet::from_iter([announcer.run()])
    }
}

/// Serves it, if it is wanted.
pub(super) async fn show(
    ui: Ui,
    port: Option<u16>,
    service: &Service,
) -> Result<Option<Page>, Failure> {
    let Some(port) = port else { return Ok(None) };
    let web = laptop::bind(service.clone(), WORDS, port, &mut system::random()).await;
    let web = web.map_err(|error| {
        let error = format!("the page cannot be shown at 127.0.0.1, port {port}: {error}");
        Failure::new(Status::Failure, error, "name another port, or none, with --web")
    })?;
    let (links, address) = (web.links(), web.address());
    let words = format!("Codes are shown on a page at {address}. To open it: cabled page --open");
    super::tell(ui, "web", &words, json!({ "url": format!("http://{address}") }))?;
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(web.serve(async {
        let _dropped_is_stopped_too = stopped.await;
    }));
    Ok(Some(Page { links, _stop: stop }))
}
