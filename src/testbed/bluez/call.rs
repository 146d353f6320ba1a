//! The D-Bus side: calls in, answers out.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use zbus::message::{Message, Type};
use zbus::zvariant::{DynamicType, OwnedObjectPath, OwnedValue, Type as Typed, Value};
use zbus::{Connection, MessageStream};

use super::AdvertRequest;
use super::adapter::{Adapter, Filter};
use super::air;
use super::host::Host;
use super::signal::{ADAPTER, DEVICE, Interfaces, MANAGER, OBJECTS, PROPERTIES, Properties};
use super::state::{Inner, object};
use crate::ble::Advertiser as _;

const ADVERT: &str = "org.bluez.LEAdvertisement1";
const AGENTS: &str = "org.bluez.AgentManager1";
/// How long a client may take to describe its advert, when asked first and second.
const ASK_AGAIN: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(10)];

/// Why a call fails: the name of a D-Bus error.
struct Failure(String);

impl Failure {
    fn bluez(name: &str) -> Self {
        Self(format!("org.bluez.Error.{name}"))
    }

    fn bus(name: &str) -> Self {
        Self(format!("org.freedesktop.DBus.Error.{name}"))
    }
}

impl From<zbus::Error> for Failure {
    fn from(_: zbus::Error) -> Self {
        Self::bus("Failed")
    }
}

/// Asks the bus to tell when a client is gone.
pub(super) async fn watch_names(connection: &Connection) -> Result<(), zbus::Error> {
    let rule = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'";
    let (bus, path) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
    connection.call_method(Some(bus), path, Some(bus), "AddMatch", &rule).await.map(drop)
}

pub(super) async fn serve(host: Host, mut messages: MessageStream) {
    while let Some(Ok(message)) = messages.next().await {
        match message.message_type() {
            Type::MethodCall => {
                let call = Call { host: host.clone(), message };
                if call.member() == "RegisterAdvertisement" {
                    // It asks the client back, whose answer comes through this very loop.
                    tokio::spawn(async move { call.answer().await });
                } else {
                    call.answer().await;
                }
            }
            Type::Signal => {
                if let Ok((name, _, "")) = message.body().deserialize::<(&str, &str, &str)>() {
                    // A bus that cannot be told ends this loop next.
                    let _ = host.forget(name).await;
                }
            }
            _ => {}
        }
    }
}

struct Call {
    host: Host,
    message: Message,
}

impl Call {
    fn member(&self) -> String {
        self.message.header().member().map(ToString::to_string).unwrap_or_default()
    }

    fn path(&self) -> String {
        self.message.header().path().map(ToString::to_string).unwrap_or_default()
    }

    /// The unique name of the client. A bus always gives one.
    fn client(&self) -> String {
        self.message.header().sender().map(ToString::to_string).unwrap_or_default()
    }

    fn arguments<T: DeserializeOwned + Typed>(&self) -> Result<T, Failure> {
        self.message.body().deserialize().map_err(|_| Failure::bus("InvalidArgs"))
    }

    async fn answer(&self) {
        if let Err(Failure(name)) = self.handle().await {
            let header = self.message.header();
            // A client who is gone needs no answer.
            let _ = self.host.connection.reply_error(&header, name, &"refused by the fake").await;
        }
    }

    async fn reply<B: Serialize + DynamicType>(&self, body: &B) -> Result<(), Failure> {
        // A client who is gone needs no answer.
        let _ = self.host.connection.reply(&self.message.header(), body).await;
        Ok(())
    }

    async fn handle(&self) -> Result<(), Failure> {
        if self.host.state.look(|inner| inner.denied) {
            return Err(Failure::bus("AccessDenied"));
        }
        let header = self.message.header();
        let interface = header.interface().map(ToString::to_string).unwrap_or_default();
        match (interface.as_str(), self.member().as_str()) {
            (OBJECTS, "GetManagedObjects") => {
                let all = self.host.state.look(Inner::objects);
                self.reply(&all).await
            }
            (PROPERTIES, "GetAll") => self.get_all().await,
            (PROPERTIES, "Get") => self.get().await,
            (PROPERTIES, "Set") => self.set().await,
            (ADAPTER, "SetDiscoveryFilter") => self.set_filter().await,
            (ADAPTER, "StartDiscovery") => self.start_discovery().await,
            (ADAPTER, "StopDiscovery") => self.stop_discovery().await,
            (MANAGER, "RegisterAdvertisement") => self.register().await,
            (MANAGER, "UnregisterAdvertisement") => self.unregister().await,
            (AGENTS, "RegisterAgent" | "RequestDefaultAgent") => self.reply(&()).await,
            (AGENTS, "UnregisterAgent") => Err(Failure::bluez("DoesNotExist")),
            _ => Err(Failure::bus("UnknownMethod")),
        }
    }

    fn object(&self, interface: &str) -> Result<Properties, Failure> {
        let object = self.host.state.look(|inner| inner.object(&self.path()));
        let mut object = object.ok_or_else(|| Failure::bus("UnknownObject"))?;
        object.remove(interface).ok_or_else(|| Failure::bus("InvalidArgs"))
    }

    async fn get_all(&self) -> Result<(), Failure> {
        let interface: String = self.arguments()?;
        let all = self.object(&interface)?;
        self.reply(&all).await
    }

    async fn get(&self) -> Result<(), Failure> {
        let (interface, name): (String, String) = self.arguments()?;
        let mut all = self.object(&interface)?;
        let value = all.remove(name.as_str()).ok_or_else(|| Failure::bus("InvalidArgs"))?;
        self.reply(&value).await
    }

    async fn set(&self) -> Result<(), Failure> {
        let (interface, name, value): (String, String, OwnedValue) = self.arguments()?;
        self.object(&interface)?;
        if interface != ADAPTER || name != "Powered" {
            return Err(Failure::bus("PropertyReadOnly"));
        }
        let on = bool::try_from(value).map_err(|_| Failure::bus("InvalidArgs"))?;
        self.host.change(&self.path(), |adapter| adapter.set_powered(on)).await?;
        self.reply(&()).await
    }

    /// Works on the adapter that was called, which must be there and on.
    async fn on_adapter<T>(
        &self,
        work: impl FnOnce(&mut Adapter) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let path = self.path();
        let worked = self.host.change(&path, |adapter| match adapter.is_powered() {
            true => work(adapter),
            false => Err(Failure::bluez("NotReady")),
        });
        worked.await?.ok_or_else(|| Failure::bus("UnknownObject"))?
    }

    async fn set_filter(&self) -> Result<(), Failure> {
        let asked: HashMap<String, OwnedValue> = self.arguments()?;
        let uuids = asked.get("UUIDs").and_then(|value| value.try_clone().ok());
        let uuids: Vec<String> = uuids.and_then(|value| value.try_into().ok()).unwrap_or_default();
        let duplicates =
            asked.get("DuplicateData").is_some_and(|value| **value == Value::from(true));
        let filter = Filter { duplicates, by_uuid: !uuids.is_empty() };
        let set = |adapter: &mut Adapter| {
            adapter.set_filter(self.client(), filter);
            Ok(())
        };
        self.on_adapter(set).await?;
        self.reply(&()).await
    }

    async fn start_discovery(&self) -> Result<(), Failure> {
        let (host, path) = (self.host.clone(), self.path());
        let listen = || tokio::spawn(air::listen(host, path)).abort_handle();
        let start = |adapter: &mut Adapter| match adapter.start(self.client(), listen) {
            true => Ok(()),
            false => Err(Failure::bluez("InProgress")),
        };
        self.on_adapter(start).await?;
        self.reply(&()).await
    }

    async fn stop_discovery(&self) -> Result<(), Failure> {
        let stop = |adapter: &mut Adapter| match adapter.stop(&self.client()) {
            true => Ok(()),
            false => Err(Failure::bluez("Failed")),
        };
        self.on_adapter(stop).await?;
        self.reply(&()).await
    }

    async fn register(&self) -> Result<(), Failure> {
        let (object, _): (OwnedObjectPath, HashMap<String, OwnedValue>) = self.arguments()?;
        self.host.state.update(|inner| inner.asked += 1);
        let (client, path) = (self.client(), object.to_string());
        let key = (client.clone(), path);
        self.on_adapter(|adapter| adapter.may_send(&key).map_err(Failure::bluez)).await?;
        let read = self.ask(&client, &object).await?;
        let all = read.body().deserialize().map_err(|_| Failure::bluez("InvalidArguments"))?;
        let request = AdvertRequest::read(&all).map_err(Failure::bluez)?;
        let refused = |inner: &Inner| inner.refuses.as_ref().and_then(|refuses| refuses(&request));
        if let Some(name) = self.host.state.look(refused) {
            return Err(Failure::bluez(name));
        }
        // An advert of some other service is nobody's to hear on a simulated radio.
        if let Some(outgoing) = request.outgoing() {
            let sent = self.host.state.radio.advertise(outgoing).await;
            let sent = sent.map_err(|_| Failure::bluez("Failed"))?;
            let send = |adapter: &mut Adapter| adapter.send(key, sent).map_err(Failure::bluez);
            self.on_adapter(send).await?;
            if !self.is_there(&client).await? {
                // It went while it was asked, and its going was heard before the advert was on.
                self.host.forget(&client).await?;
            }
        }
        self.host.state.update(|inner| inner.accepted += 1);
        self.reply(&()).await
    }

    /// Reads the advert from its client. bluer leaves about one question in 300 lying until the next
    /// message comes, so a second one follows the first.
    async fn ask(&self, client: &str, object: &OwnedObjectPath) -> Result<Message, Failure> {
        for patience in ASK_AGAIN {
            let connection = &self.host.connection;
            let asked =
                connection.call_method(Some(client), object, Some(PROPERTIES), "GetAll", &ADVERT);
            if let Ok(answer) = timeout(patience, asked).await {
                return answer.map_err(|_| Failure::bluez("Failed"));
            }
        }
        Err(Failure::bluez("Failed"))
    }

    async fn is_there(&self, client: &str) -> Result<bool, Failure> {
        let bus = "org.freedesktop.DBus";
        let connection = &self.host.connection;
        let asked = connection.call_method(Some(bus), "/", Some(bus), "NameHasOwner", &client);
        Ok(asked.await?.body().deserialize()?)
    }

    async fn unregister(&self) -> Result<(), Failure> {
        let object: OwnedObjectPath = self.arguments()?;
        let key = (self.client(), object.to_string());
        let take_off = |adapter: &mut Adapter| match adapter.take_off(&key) {
            true => Ok(()),
            false => Err(Failure::bluez("DoesNotExist")),
        };
        self.on_adapter(take_off).await?;
        self.reply(&()).await
    }
}

impl Inner {
    fn objects(&self) -> HashMap<OwnedObjectPath, Interfaces> {
        let paths = self.adapters.values().flat_map(|adapter| {
            let devices = adapter.devices.names().map(|name| format!("{}/{name}", adapter.path));
            devices.chain([adapter.path.clone()])
        });
        paths.filter_map(|path| Some((object(&path), self.object(&path)?))).collect()
    }

    fn object(&self, path: &str) -> Option<Interfaces> {
        if let Some(adapter) = self.adapters.get(path) {
            return Some(adapter.interfaces());
        }
        let (adapter, device) = path.rsplit_once('/')?;
        let device = self.adapters.get(adapter)?.devices.named(device)?;
        Some(Interfaces::from([(DEVICE, device.properties(adapter))]))
    }
}
