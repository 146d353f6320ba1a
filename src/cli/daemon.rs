//! `cabled daemon`: the laptop's service, for every program of its owner.

mod carry;
mod key;
mod page;
mod socket;
mod there;

use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::sync::oneshot;

pub(crate) use self::carry::carry;
pub(crate) use self::socket::{PHONES_KEY, Socket, refused};
pub(crate) use self::there::{failure, perform, step};
use super::args::Link;
use super::companion::Words;
use super::failure::{Failure, Status};
use super::ui::{Ui, event_line, print};
use super::{advice, ceremony, laptop, linked, plugged, qr, system, systemd};
use crate::channel::l2cap::Framing;
use crate::client::ceremony::Error;
use crate::client::{Client, Config};
use crate::frontend::control;
use crate::frontend::{self, Advice, Listener};

/// How long what runs may take to end in order.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long clients may hold on to their connections after that.
const CLIENTS: Duration = Duration::from_secs(2);
/// The unit to look at when the socket is no good.
const UNIT: &str = "cabled.socket";

/// Lets every program of yours use the passkeys on your phone
#[derive(Args, Clone, Debug)]
pub(crate) struct Daemon {
    #[command(flatten)]
    socket: Socket,
    /// Be a security key on this machine: browsers, ssh and others use your phone as if it were plugged
    /// in; =try goes on without where that is not possible
    #[arg(
        long, value_name = "WHETHER", value_enum,
        num_args = 0..=1, require_equals = true, default_missing_value = "yes"
    )]
    uhid: Option<key::Wanted>,
    /// Show codes on a page for browsers on this machine, too: cabled page; at this port [default: a free
    /// one]
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "0", require_equals = true)]
    web: Option<u16>,
    /// Show requests as notifications of the desktop, with a button that opens the page; =discreet names
    /// neither sites nor accounts
    #[arg(
        long, value_name = "WORDS", value_enum,
        num_args = 0..=1, require_equals = true, default_missing_value = "full"
    )]
    notify: Option<Words>,
    /// Offer Bluetooth alone too: works without internet, some phones refuse such a code
    #[arg(long)]
    offline: bool,
    /// How messages are told apart over Bluetooth alone: length, or crlf for phones of an older draft
    #[arg(long, value_name = "HOW", default_value_t, requires = "offline")]
    l2cap_framing: Framing,
    #[command(flatten)]
    key: linked::KeyFile,
    #[command(flatten)]
    link: Link,
}

impl Daemon {
    pub(crate) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        let interrupted = system::interrupted();
        // The socket first: a second daemon is refused before it touches the radio.
        let listener = match systemd::inherited(UNIT)? {
            Some(listener) => listener,
            None => {
                let path = self.socket.path()?;
                Listener::bind(&path).await.map_err(|error| socket::failed(&error))?
            }
        };
        let place = listener.path().map(|path| path.display().to_string());
        let service = ceremony::here(self.client()?, laptop::receipts(), self.key.phones());
        let proximity = service.proximity();
        let key = key::plug_in(ui, self.uhid, &service)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let port = self.web.or(self.notify.map(|_| 0));
        let page = page::show(ui, port, &service).await?;
        let doorkeeper = page.as_ref().map(page::Page::doorkeeper);
        let serving = control::serve(service.clone(), listener, WORDS, doorkeeper, async {
            let _dropped_is_stopped_too = stopped.await;
        });
        let mut serving = std::pin::pin!(serving);
        let words = match &place {
            Some(place) => format!("The laptop's service listens at {place}."),
            None => "The laptop's service listens on the socket that it was given.".to_owned(),
        };
        tell(ui, "serving", &words, json!({ "socket": place, "proximity": proximity.name() }))?;
        if let Some(words) = ceremony::shared(proximity) {
            ui.note(words);
        }
        systemd::notify("READY=1");
        let announcing =
            page.as_ref().zip(self.notify).map(|(p, words)| p.announce(&service, words));
        tokio::select! {
            biased;
            () = interrupted => {}
            ended = &mut serving => return ended.map_err(|error| socket::failed(&error)),
            failure = plugged::ended(key) => return Err(failure),
        }
        systemd::notify("STOPPING=1");
        let words = "Stopping; what is under way is withdrawn.";
        tell(ui, "stopping", words, json!({}))?;
        service.stop(FAREWELL).await;
        drop(stop);
        drop(announcing);
        drop(page);
        // A client that does not let go ends with the program.
        let _late = tokio::time::timeout(CLIENTS, serving).await;
        tell(ui, "stopped", "Stopped.", json!({}))
    }

    fn client(&self) -> Result<Client, Failure> {
        let l2cap = self.offline.then_some(self.l2cap_framing);
        client(&self.link, l2cap)
    }
}

/// The laptop's part over what these options say.
pub(crate) fn client(link: &Link, l2cap: Option<Framing>) -> Result<Client, Failure> {
    let mut config = Config::new(link.connector()?);
    config.relay = link.relay().cloned();
    config.l2cap = l2cap;
    config.simulated_with_public = link.simulated_with_public;
    Client::new(link.radio()?, config).map_err(|error| advice::client(&error))
}

/// People read it on standard error, machines on standard output: these events are the result.
fn tell(ui: Ui, event: &str, words: &str, fields: serde_json::Value) -> Result<(), Failure> {
    match ui.is_json() {
        true => print(&event_line(event, fields).to_string()),
        false => {
            ui.step(event, words, fields);
            Ok(())
        }
    }
}

/// The words that this program has itself for what ends a transaction, and its drawing of codes.
const WORDS: frontend::Words = frontend::Words { advise, draw };

fn advise(error: &Error) -> Advice {
    let Failure { error: text, hint, status } = advice::ceremony(error);
    Advice { text, hint, status: Status::name(status) }
}

fn draw(text: &str) -> Option<String> {
    qr::svg(text).ok()
}
