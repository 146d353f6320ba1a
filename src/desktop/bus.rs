//! A service on a bus: found (and started by the bus, where it can be), called, listened to.
//!
//! Names on a bus change hands, and everybody may send everybody a signal. So a service is known by
//! the unique name of the connection that offers it, calls go there, signals from elsewhere are
//! ignored, and when that connection leaves the bus the service has vanished, whoever is next.
//! Each [`Peer`] has a connection of its own: what one service sends cannot hold up another.
//! Depends on zbus and tokio.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zbus::message::{Message, Type};
use zbus::zvariant::DynamicType;
use zbus::{Connection, MessageStream};

use super::Error;
use super::error::name;

/// For each single answer.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
/// Signals that may wait for being looked at.
const WAITING: usize = 64;
const DBUS: &str = "org.freedesktop.DBus";

/// Which bus.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bus {
    /// That of the user's session, `DBUS_SESSION_BUS_ADDRESS`.
    Session,
    /// That of the machine, `DBUS_SYSTEM_BUS_ADDRESS`.
    System,
    /// One at an address such as `unix:path=/run/bus`.
    At(String),
}

impl Bus {
    fn name(&self) -> &'static str {
        match self {
            Self::Session => "session's",
            Self::System => "system's",
            Self::At(_) => "given",
        }
    }

    async fn connect(&self) -> Result<(Connection, MessageStream), Error> {
        use zbus::connection::Builder;
        let builder = match self {
            Self::Session => Builder::session(),
            Self::System => Builder::system(),
            Self::At(address) => Builder::address(address.as_str()),
        };
        let connected = async { builder?.build().await };
        let opened = timeout(DEADLINE, connected).await;
        let opened = opened.map_err(|_| Error::NoAnswer("D-Bus", DEADLINE))?;
        let connection = opened.map_err(|error| Error::NoBus(self.name(), Box::new(error)))?;
        let stream = MessageStream::from(&connection);
        Ok((connection, stream))
    }
}

/// What a service is called, and which of its signals are of interest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Service {
    pub(super) name: &'static str,
    /// The interface of the signals.
    pub(super) signals: &'static str,
}

/// What comes from the service.
enum News {
    Signal(Message),
    Flood,
}

/// One who offers a service, on a connection of our own.
pub(super) struct Peer {
    connection: Connection,
    service: Service,
    owner: String,
    news: Receiver<News>,
    pump: JoinHandle<()>,
}

/// Calls to the service, for those who only tidy up; clones are the same.
#[derive(Clone)]
pub(super) struct Caller {
    connection: Connection,
    service: &'static str,
    owner: String,
}

impl Peer {
    /// Finds the service, started by the bus if need be.
    pub(super) async fn find(bus: &Bus, service: Service) -> Result<Self, Error> {
        let (connection, stream) = bus.connect().await?;
        let rules = [
            format!(
                "type='signal',sender='{DBUS}',member='NameOwnerChanged',arg0='{}'",
                service.name
            ),
            format!("type='signal',sender='{}',interface='{}'", service.name, service.signals),
        ];
        for rule in &rules {
            ask_bus(&connection, "AddMatch", rule).await?;
        }
        let started = ask_bus(&connection, "StartServiceByName", &(service.name, 0_u32)).await;
        // Some buses start nothing; who is there already is found all the same.
        let owner = match (ask_bus(&connection, "GetNameOwner", &service.name).await, started) {
            (Ok(owner), _) => owner,
            (Err(_), Err(why)) if start_denied(&why) => {
                return Err(Error::of_call(service.name, why));
            }
            (Err(_), _) => return Err(Error::NoService(service.name)),
        };
        let owner: String = read(&owner, service.name)?;
        let (sender, news) = mpsc::channel(WAITING);
        let pump = tokio::spawn(pump(stream, service, owner.clone(), sender));
        Ok(Self { connection, service, owner, news, pump })
    }

    /// The numeric user who offers the service, as the bus says.
    pub(super) async fn uid(&self) -> Result<u32, Error> {
        let asked = ask_bus(&self.connection, "GetConnectionUnixUser", &self.owner).await;
        read(&asked.map_err(|_| Error::Vanished(self.service.name))?, self.service.name)
    }

    /// Our own name on the bus.
    pub(super) fn own_name(&self) -> Option<String> {
        self.connection.unique_name().map(ToString::to_string)
    }

    pub(super) fn caller(&self) -> Caller {
        let (connection, owner) = (self.connection.clone(), self.owner.clone());
        Caller { connection, service: self.service.name, owner }
    }

    /// The next signal of the service. Has no deadline of its own.
    pub(super) async fn signal(&mut self) -> Result<Message, Error> {
        match self.news.recv().await {
            Some(News::Signal(message)) => Ok(message),
            Some(News::Flood) => Err(Error::Flood(self.service.name)),
            None => Err(Error::Vanished(self.service.name)),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl Caller {
    /// Calls a method and reads the answer. Errors of the service are left to the caller of this.
    pub(super) async fn raw<B>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<Result<Message, zbus::Error>, Error>
    where
        B: Serialize + DynamicType + Sync,
    {
        let owner = Some(self.owner.as_str());
        let call = self.connection.call_method(owner, path, Some(interface), method, body);
        let answer = timeout(DEADLINE, call).await;
        answer.map_err(|_| Error::NoAnswer(self.service, DEADLINE))
    }

    /// [`Self::raw`], with an answer of a known type.
    pub(super) async fn call<B, T>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<T, Error>
    where
        B: Serialize + DynamicType + Sync,
        T: serde::de::DeserializeOwned + zbus::zvariant::Type,
    {
        let answer = self.raw(path, interface, method, body).await?;
        let answer = answer.map_err(|error| match Error::of_call(self.service, error) {
            // It was there a moment ago.
            Error::NoService(service) => Error::Vanished(service),
            other => other,
        })?;
        read(&answer, self.service)
    }
}

/// Waits for `service` to be offered by somebody, who need not be there yet.
pub(super) async fn appears(bus: &Bus, service: Service) -> Result<(), Error> {
    let (connection, mut stream) = bus.connect().await?;
    let name = service.name;
    let rule = format!("type='signal',sender='{DBUS}',member='NameOwnerChanged',arg0='{name}'");
    ask_bus(&connection, "AddMatch", &rule).await?;
    if ask_bus(&connection, "GetNameOwner", &name).await.is_ok() {
        return Ok(());
    }
    while let Some(Ok(message)) = stream.next().await {
        if owner_change(&message, name).is_some_and(|(_, new)| !new.is_empty()) {
            return Ok(());
        }
    }
    Err(Error::Vanished(name))
}

async fn ask_bus<B>(connection: &Connection, method: &str, body: &B) -> Result<Message, zbus::Error>
where
    B: Serialize + DynamicType + Sync,
{
    let path = "/org/freedesktop/DBus";
    let call = connection.call_method(Some(DBUS), path, Some(DBUS), method, body);
    let silent = || std::io::Error::from(std::io::ErrorKind::TimedOut);
    timeout(DEADLINE, call).await.unwrap_or_else(|_| Err(silent().into()))
}

impl From<zbus::Error> for Error {
    /// For calls to the bus itself.
    fn from(error: zbus::Error) -> Self {
        Self::of_call("D-Bus", error)
    }
}

fn start_denied(error: &zbus::Error) -> bool {
    matches!(name(error), "AccessDenied")
}

/// Reads an answer's arguments.
pub(super) fn read<T>(message: &Message, service: &'static str) -> Result<T, Error>
where
    T: serde::de::DeserializeOwned + zbus::zvariant::Type,
{
    message.body().deserialize().map_err(|_| Error::Nonsense(service))
}

/// Hands on what the service says, and ends when it leaves. Never waits for whoever listens, since
/// nothing else would come through the connection meanwhile.
async fn pump(mut stream: MessageStream, service: Service, owner: String, to: Sender<News>) {
    while let Some(Ok(message)) = stream.next().await {
        if message.message_type() != Type::Signal {
            continue;
        }
        if owner_change(&message, service.name).is_some_and(|(old, _)| old == owner) {
            return;
        }
        let header = message.header();
        let theirs = header.sender().is_some_and(|sender| sender.as_str() == owner);
        let wanted = header.interface().is_some_and(|own| own.as_str() == service.signals);
        // The last place is kept for saying that there was no more.
        match theirs && wanted {
            true if to.capacity() > 1 => drop(to.try_send(News::Signal(message.clone()))),
            true => return drop(to.try_send(News::Flood)),
            false => {}
        }
    }
}

/// The owners of a name before and after; `None` for another signal.
fn owner_change(message: &Message, name: &str) -> Option<(String, String)> {
    let header = message.header();
    let from_bus = header.sender().is_some_and(|sender| sender.as_str() == DBUS);
    let member = header.member().is_some_and(|member| member.as_str() == "NameOwnerChanged");
    if !from_bus || !member {
        return None;
    }
    let (whose, old, new): (String, String, String) = message.body().deserialize().ok()?;
    (whose == name).then_some((old, new))
}
