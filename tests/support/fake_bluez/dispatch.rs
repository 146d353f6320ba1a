//! The D-Bus side: calls in, answers and signals out.

use std::collections::HashMap;
use std::sync::Arc;

use cabled::ble::{Advertiser as _, Scan as _, Scanner as _, Sighting};
use futures_util::StreamExt as _;
use serde::Serialize;
use zbus::message::{Message, Type};
use zbus::names::OwnedUniqueName;
use zbus::zvariant::{DynamicType, ObjectPath, OwnedObjectPath, OwnedValue, Value};
use zbus::{Connection, MessageStream};

use super::Request;
use super::device::{self, Properties};
use super::state::{Adapter, Filter, MAX_ADVERTS, State};

const ADAPTER: &str = "org.bluez.Adapter1";
const ADVERT: &str = "org.bluez.LEAdvertisement1";
const AGENTS: &str = "org.bluez.AgentManager1";
const DEVICE: &str = "org.bluez.Device1";
const MANAGER: &str = "org.bluez.LEAdvertisingManager1";
const OBJECTS: &str = "org.freedesktop.DBus.ObjectManager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

type Interfaces = HashMap<&'static str, Properties>;

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
        Self::bus("InvalidArgs")
    }
}

/// Asks the bus to tell when a client is gone.
pub(super) async fn watch_names(connection: &Connection) -> Result<(), zbus::Error> {
    let rule = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'";
    let (bus, path) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
    connection.call_method(Some(bus), path, Some(bus), "AddMatch", &rule).await.map(drop)
}

pub(super) async fn serve(connection: Connection, mut messages: MessageStream, state: Arc<State>) {
    while let Some(Ok(message)) = messages.next().await {
        match message.message_type() {
            Type::MethodCall => {
                let call =
                    Call { connection: connection.clone(), state: Arc::clone(&state), message };
                if call.member() == "RegisterAdvertisement" {
                    // It asks the client back, whose answer comes through this very loop.
                    tokio::spawn(async move { call.answer().await });
                } else {
                    call.answer().await;
                }
            }
            Type::Signal => forget_gone(&message, &state),
            _ => {}
        }
    }
}

fn forget_gone(message: &Message, state: &State) {
    if let Ok((name, _, "")) = message.body().deserialize::<(&str, &str, &str)>() {
        state.lock().adapters.values_mut().for_each(|adapter| adapter.forget(name));
    }
}

pub(super) async fn set_powered(
    connection: &Connection,
    state: &State,
    path: &str,
    on: bool,
) -> Result<(), zbus::Error> {
    let mut changed = Properties::from([("Powered", Value::from(on))]);
    if let Some(adapter) = state.lock().adapters.get_mut(path) {
        adapter.powered = on;
        if !on {
            adapter.end();
            changed.insert("Discovering", Value::from(false));
        }
    }
    tell_change(connection, path, ADAPTER, &changed).await
}

async fn tell_change(
    connection: &Connection,
    path: &str,
    interface: &str,
    changed: &Properties,
) -> Result<(), zbus::Error> {
    let body = (interface, changed, Vec::<&str>::new());
    connection.emit_signal(None::<&str>, path, PROPERTIES, "PropertiesChanged", &body).await
}

/// Turns what the radio hears into devices, until it is aborted or the radio ends.
async fn listen(connection: Connection, state: Arc<State>, path: String) {
    let Ok(mut scan) = state.radio.scan().await else { return };
    while let Ok(sighting) = scan.next().await {
        let told = show(&connection, &state, &path, sighting).await;
        if told.is_err() {
            return;
        }
    }
}

async fn show(
    connection: &Connection,
    state: &State,
    path: &str,
    sighting: Sighting,
) -> Result<(), zbus::Error> {
    let Some(news) = state.lock().adapters.get_mut(path).and_then(|it| it.receive(&sighting))
    else {
        return Ok(());
    };
    if let Some(gone) = news.forgotten {
        let body = (ObjectPath::from(gone), vec![DEVICE]);
        connection.emit_signal(None::<&str>, "/", OBJECTS, "InterfacesRemoved", &body).await?;
    }
    if news.first {
        let all = Interfaces::from([(DEVICE, news.properties)]);
        let body = (ObjectPath::from(news.device), all);
        connection.emit_signal(None::<&str>, "/", OBJECTS, "InterfacesAdded", &body).await
    } else {
        tell_change(connection, news.device.as_str(), DEVICE, &news.properties).await
    }
}

/// What clients are told about one reception.
struct News {
    device: OwnedObjectPath,
    first: bool,
    properties: Properties,
    forgotten: Option<OwnedObjectPath>,
}

impl Adapter {
    fn receive(&mut self, sighting: &Sighting) -> Option<News> {
        let filter = self.filter();
        if filter.by_uuid {
            return None;
        }
        let device = device::path(&self.path, sighting);
        let before = self.devices.insert(device.clone(), sighting.clone());
        let (first, same) = (before.is_none(), before.as_ref() == Some(sighting));
        if first {
            self.order.push_back(device.clone());
        } else if same && !filter.duplicates {
            return None;
        }
        let too_many = self.order.len() > device::MAX_DEVICES;
        let forgotten = if too_many { self.order.pop_front() } else { None };
        if let Some(old) = &forgotten {
            self.devices.remove(old);
        }
        let properties = match first {
            true => device::properties(&self.path, sighting),
            false => device::changes(sighting),
        };
        Some(News { device, first, properties, forgotten })
    }
}

struct Call {
    connection: Connection,
    state: Arc<State>,
    message: Message,
}

impl Call {
    fn member(&self) -> String {
        self.message.header().member().map(ToString::to_string).unwrap_or_default()
    }

    fn path(&self) -> String {
        self.message.header().path().map(ToString::to_string).unwrap_or_default()
    }

    fn sender(&self) -> OwnedUniqueName {
        self.message.header().sender().unwrap().to_owned().into()
    }

    async fn answer(&self) {
        if let Err(Failure(name)) = self.handle().await {
            let header = self.message.header();
            // A client who is gone needs no answer.
            let _ = self.connection.reply_error(&header, name, &"refused by the fake").await;
        }
    }

    async fn reply<B: Serialize + DynamicType>(&self, body: &B) -> Result<(), Failure> {
        // A client who is gone needs no answer.
        let _ = self.connection.reply(&self.message.header(), body).await;
        Ok(())
    }

    async fn handle(&self) -> Result<(), Failure> {
        if self.state.lock().denied {
            return Err(Failure::bus("AccessDenied"));
        }
        let header = self.message.header();
        let interface = header.interface().map(ToString::to_string).unwrap_or_default();
        match (interface.as_str(), self.member().as_str()) {
            (OBJECTS, "GetManagedObjects") => {
                let all = self.state.objects();
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
        let path: OwnedObjectPath = ObjectPath::try_from(self.path()).unwrap().into();
        let object = self.state.object(&path);
        let mut object = object.ok_or_else(|| Failure::bus("UnknownObject"))?;
        object.remove(interface).ok_or_else(|| Failure::bus("InvalidArgs"))
    }

    async fn get_all(&self) -> Result<(), Failure> {
        let interface: String = self.message.body().deserialize()?;
        let all = self.object(&interface)?;
        self.reply(&all).await
    }

    async fn get(&self) -> Result<(), Failure> {
        let (interface, name): (String, String) = self.message.body().deserialize()?;
        let mut all = self.object(&interface)?;
        let value = all.remove(name.as_str()).ok_or_else(|| Failure::bus("InvalidArgs"))?;
        self.reply(&value).await
    }

    async fn set(&self) -> Result<(), Failure> {
        let (interface, name, value): (String, String, OwnedValue) =
            self.message.body().deserialize()?;
        self.object(&interface)?;
        if interface != ADAPTER || name != "Powered" {
            return Err(Failure::bus("PropertyReadOnly"));
        }
        let on = bool::try_from(value).map_err(|_| Failure::bus("InvalidArgs"))?;
        let path = self.path();
        if self.state.lock().adapters.get(&path).is_some_and(|adapter| adapter.powered != on) {
            set_powered(&self.connection, &self.state, &path, on).await?;
        }
        self.reply(&()).await
    }

    /// Works on the adapter that was called, which must be there and on.
    fn on_adapter<T>(
        &self,
        work: impl FnOnce(&mut Adapter) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut inner = self.state.lock();
        let adapter = inner.adapters.get_mut(&self.path());
        let adapter = adapter.ok_or_else(|| Failure::bus("UnknownObject"))?;
        if adapter.powered { work(adapter) } else { Err(Failure::bluez("NotReady")) }
    }

    async fn set_filter(&self) -> Result<(), Failure> {
        let asked: HashMap<String, OwnedValue> = self.message.body().deserialize()?;
        let uuids = asked.get("UUIDs").and_then(|value| value.try_clone().ok());
        let uuids: Vec<String> = uuids.and_then(|value| value.try_into().ok()).unwrap_or_default();
        let duplicates =
            asked.get("DuplicateData").is_some_and(|value| **value == Value::from(true));
        let filter = Filter { duplicates, by_uuid: !uuids.is_empty() };
        let client = self.sender().to_string();
        self.on_adapter(|adapter| {
            adapter.filters.insert(client, filter);
            Ok(())
        })?;
        self.reply(&()).await
    }

    async fn start_discovery(&self) -> Result<(), Failure> {
        let client = self.sender().to_string();
        let (connection, state) = (self.connection.clone(), Arc::clone(&self.state));
        let path = self.path();
        self.on_adapter(|adapter| {
            if adapter.discovering.contains(&client) {
                return Err(Failure::bluez("InProgress"));
            }
            adapter.discovering.push(client);
            let listener = || tokio::spawn(listen(connection, state, path)).abort_handle();
            adapter.listener.get_or_insert_with(listener);
            Ok(())
        })?;
        self.reply(&()).await
    }

    async fn stop_discovery(&self) -> Result<(), Failure> {
        let client = self.sender().to_string();
        self.on_adapter(|adapter| {
            let before = adapter.discovering.len();
            adapter.discovering.retain(|name| *name != client);
            if adapter.discovering.len() == before {
                return Err(Failure::bluez("Failed"));
            }
            if adapter.discovering.is_empty() {
                adapter.rest();
            }
            Ok(())
        })?;
        self.reply(&()).await
    }

    async fn register(&self) -> Result<(), Failure> {
        let (object, _): (OwnedObjectPath, HashMap<String, OwnedValue>) =
            self.message.body().deserialize()?;
        self.state.lock().asked += 1;
        let client = self.sender();
        let key = (client.to_string(), object.to_string());
        self.on_adapter(|adapter| match adapter.adverts.contains_key(&key) {
            true => Err(Failure::bluez("AlreadyExists")),
            false if adapter.adverts.len() >= MAX_ADVERTS => Err(Failure::bluez("NotPermitted")),
            false => Ok(()),
        })?;
        let read = self
            .connection
            .call_method(Some(client.as_str()), &object, Some(PROPERTIES), "GetAll", &ADVERT)
            .await
            .map_err(|_| Failure::bluez("Failed"))?;
        let request = Request::read(&read.body().deserialize()?).map_err(Failure::bluez)?;
        let refused = self.state.lock().refuses.as_ref().and_then(|refuses| refuses(&request));
        if let Some(name) = refused {
            return Err(Failure::bluez(name));
        }
        // An advert of some other service is nobody's to hear on a simulated radio.
        if let Some(outgoing) = request.outgoing() {
            let sent = self.state.radio.advertise(outgoing).await;
            let sent = sent.map_err(|_| Failure::bluez("Failed"))?;
            self.on_adapter(|adapter| {
                adapter.adverts.insert(key, sent);
                Ok(())
            })?;
        }
        self.state.lock().accepted += 1;
        self.reply(&()).await
    }

    async fn unregister(&self) -> Result<(), Failure> {
        let object: OwnedObjectPath = self.message.body().deserialize()?;
        let key = (self.sender().to_string(), object.to_string());
        self.on_adapter(|adapter| {
            let advert = adapter.adverts.remove(&key);
            advert.map(drop).ok_or_else(|| Failure::bluez("DoesNotExist"))
        })?;
        self.reply(&()).await
    }
}

impl State {
    fn objects(&self) -> HashMap<OwnedObjectPath, Interfaces> {
        let inner = self.lock();
        let adapters = inner.adapters.values();
        let paths = adapters.flat_map(|adapter| adapter.devices.keys().chain([&adapter.path]));
        let paths: Vec<OwnedObjectPath> = paths.cloned().collect();
        drop(inner);
        paths.into_iter().filter_map(|path| Some((path.clone(), self.object(&path)?))).collect()
    }

    fn object(&self, path: &OwnedObjectPath) -> Option<Interfaces> {
        let inner = self.lock();
        if let Some(adapter) = inner.adapters.get(path.as_str()) {
            let own = [(ADAPTER, adapter.properties()), (MANAGER, adapter.advertising())];
            return Some(Interfaces::from(own));
        }
        let (adapter, _) = path.as_str().rsplit_once('/')?;
        let adapter = inner.adapters.get(adapter)?;
        let own = device::properties(&adapter.path, adapter.devices.get(path)?);
        Some(Interfaces::from([(DEVICE, own)]))
    }
}
