//! A service of the desktop that does what a test says.

use std::time::Duration;

use cabled::desktop::Bus;
use cabled::testbed::PrivateBus;
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zbus::message::{Message, Type};
use zbus::zvariant::{DynamicType, ObjectPath};
use zbus::{Connection, MessageStream};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How a call is answered.
pub(crate) enum Reply {
    Nothing,
    Number(u32),
    Texts(Vec<String>),
    Path(String),
    Error(&'static str),
    /// Not at all, or later by the test.
    Silence,
}

/// One who offers a name, and remembers every call.
pub(crate) struct Fake {
    pub(crate) connection: Connection,
    calls: watch::Receiver<Vec<Message>>,
    server: JoinHandle<()>,
    name: &'static str,
}

impl Fake {
    pub(crate) async fn start(
        bus: &PrivateBus,
        name: &'static str,
        answer: impl Fn(&str, &Message) -> Reply + Send + 'static,
    ) -> Self {
        let connection = client(bus).await;
        let mut stream = MessageStream::from(&connection);
        let (log, calls) = watch::channel(Vec::new());
        let own = connection.clone();
        let server = tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                if message.message_type() == Type::MethodCall {
                    let member = member(&message);
                    // Answered first: whoever sees the call in the log may send what follows it.
                    give(&own, &message, answer(&member, &message)).await;
                    log.send_modify(|all: &mut Vec<Message>| all.push(message));
                }
            }
        });
        connection.request_name(name).await.unwrap();
        Self { connection, calls, server, name }
    }

    /// Waits until a method was called so many times, and gives the last of these calls.
    pub(crate) async fn called(&self, method: &str, times: usize) -> Message {
        let mut calls = self.calls.clone();
        let of = |all: &[Message]| {
            let mut found = all.iter().filter(|call| member(call) == method);
            found.nth(times - 1).cloned()
        };
        let wait = calls.wait_for(|all| of(all).is_some());
        let all = timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("no {method}")).unwrap();
        of(&all).unwrap()
    }

    /// The methods that were called so far.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.calls.borrow().iter().map(member).collect()
    }

    /// Sends a signal to everybody.
    pub(crate) async fn signal<B>(&self, path: &str, interface: &str, name: &str, body: &B)
    where
        B: serde::Serialize + DynamicType + Sync,
    {
        signal(&self.connection, None, path, interface, name, body).await;
    }

    /// Leaves the bus as a service that crashes.
    pub(crate) async fn vanish(self) {
        self.connection.release_name(self.name).await.unwrap();
        self.server.abort();
    }
}

pub(crate) async fn client(bus: &PrivateBus) -> Connection {
    zbus::connection::Builder::address(bus.address()).unwrap().build().await.unwrap()
}

pub(crate) fn at(bus: &PrivateBus) -> Bus {
    Bus::At(bus.address().to_owned())
}

pub(crate) fn member(message: &Message) -> String {
    message.header().member().unwrap().to_string()
}

pub(crate) fn caller(message: &Message) -> String {
    message.header().sender().unwrap().to_string()
}

/// Sends a signal, and returns when the bus has it.
pub(crate) async fn signal<B>(
    from: &Connection,
    to: Option<&str>,
    path: &str,
    interface: &str,
    name: &str,
    body: &B,
) where
    B: serde::Serialize + DynamicType + Sync,
{
    from.emit_signal(to, ObjectPath::try_from(path).unwrap(), interface, name, body).await.unwrap();
    let dbus = "org.freedesktop.DBus";
    from.call_method(Some(dbus), "/", Some(dbus), "GetId", &()).await.unwrap();
}

async fn give(connection: &Connection, call: &Message, reply: Reply) {
    let header = call.header();
    let given = match reply {
        Reply::Nothing => connection.reply(&header, &()).await,
        Reply::Number(number) => connection.reply(&header, &number).await,
        Reply::Texts(texts) => connection.reply(&header, &texts).await,
        Reply::Path(path) => connection.reply(&header, &ObjectPath::try_from(path).unwrap()).await,
        Reply::Error(name) => connection.reply_error(&header, name, &"by the fake").await,
        Reply::Silence => Ok(()),
    };
    // A client who is gone needs no answer.
    drop(given);
}
