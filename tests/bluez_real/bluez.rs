//! bluetoothd as a bystander sees it: its properties, and waiting for them.

use std::collections::HashMap;
use std::fmt::Debug;

use cabled::ble::{Address, AddressType};
use futures_util::StreamExt as _;
use tokio::time::timeout;
use zbus::zvariant::{OwnedValue, Value};
use zbus::{Connection, MatchRule, MessageStream};

use crate::world::PATIENCE;

const ADAPTER: &str = "org.bluez.Adapter1";
const MANAGER: &str = "org.bluez.LEAdvertisingManager1";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// A connection of its own to the system's bus.
pub(crate) struct Bluez(Connection);

impl Bluez {
    pub(crate) async fn new() -> Self {
        Self(Connection::system().await.unwrap())
    }

    async fn get<T>(&self, adapter: &str, interface: &str, name: &str) -> T
    where
        T: TryFrom<OwnedValue>,
        T::Error: Debug,
    {
        let body = (interface, name);
        let path = format!("/org/bluez/{adapter}");
        let asked = self.0.call_method(Some("org.bluez"), path, Some(PROPERTIES), "Get", &body);
        let value: OwnedValue = asked.await.unwrap().body().deserialize().unwrap();
        T::try_from(value).unwrap()
    }

    /// Waits until a property has a value; each look but the first follows a change.
    async fn until<T>(&self, adapter: &str, interface: &str, name: &str, wanted: T)
    where
        T: TryFrom<OwnedValue> + PartialEq + Debug,
        T::Error: Debug,
    {
        let search = async {
            let mut changes = self.changes(adapter).await;
            while self.get::<T>(adapter, interface, name).await != wanted {
                changes.next().await.unwrap().unwrap();
            }
        };
        let found = timeout(PATIENCE, search).await;
        assert!(found.is_ok(), "{name} of {adapter} did not become {wanted:?}");
    }

    async fn changes(&self, adapter: &str) -> MessageStream {
        let rule = MatchRule::builder().sender("org.bluez").unwrap();
        let rule = rule.path(format!("/org/bluez/{adapter}")).unwrap();
        let rule = rule.interface(PROPERTIES).unwrap().member("PropertiesChanged").unwrap();
        MessageStream::for_match_rule(rule.build(), &self.0, None).await.unwrap()
    }

    /// Waits until this many adverts are on the air.
    pub(crate) async fn on_air(&self, adapter: &str, adverts: u8) {
        self.until(adapter, MANAGER, "ActiveInstances", adverts).await;
    }

    /// How many adverts are on the air.
    pub(crate) async fn count(&self, adapter: &str) -> u8 {
        self.get(adapter, MANAGER, "ActiveInstances").await
    }

    pub(crate) async fn address(&self, adapter: &str) -> Address {
        let text: String = self.get(adapter, ADAPTER, "Address").await;
        let bytes: Vec<u8> =
            text.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        Address { bytes: bytes.try_into().unwrap(), kind: AddressType::Public }
    }

    /// Waits until somebody listens, or nobody.
    pub(crate) async fn listening(&self, adapter: &str, wanted: bool) {
        self.until(adapter, ADAPTER, "Discovering", wanted).await;
    }

    /// Switches an adapter on or off, as `bluetoothctl power` does, and waits until it is.
    pub(crate) async fn switch(&self, adapter: &str, on: bool) {
        let body = (ADAPTER, "Powered", Value::from(on));
        let path = format!("/org/bluez/{adapter}");
        let asked = self.0.call_method(Some("org.bluez"), path, Some(PROPERTIES), "Set", &body);
        timeout(PATIENCE, asked).await.unwrap().unwrap();
        self.until(adapter, ADAPTER, "Powered", on).await;
    }

    /// Waits until neither adapter sends or listens.
    pub(crate) async fn quiet(&self) {
        for adapter in ["hci0", "hci1"] {
            self.on_air(adapter, 0).await;
            self.listening(adapter, false).await;
        }
    }

    /// All that bluetoothd tells from now on.
    pub(crate) async fn signals(&self) -> MessageStream {
        let rule = MatchRule::builder().sender("org.bluez").unwrap().build();
        MessageStream::for_match_rule(rule, &self.0, None).await.unwrap()
    }
}

type Interfaces = HashMap<String, HashMap<String, OwnedValue>>;

/// The service data that a signal of bluetoothd brings, if it brings any.
pub(crate) fn service_data(message: &zbus::Message) -> Option<Vec<u8>> {
    let header = message.header();
    let body = message.body();
    let device = match header.member()?.as_str() {
        "InterfacesAdded" => {
            let (_, mut interfaces): (zbus::zvariant::OwnedObjectPath, Interfaces) =
                body.deserialize().ok()?;
            interfaces.remove("org.bluez.Device1")?
        }
        "PropertiesChanged" => {
            let (_, changed, _): (String, HashMap<String, OwnedValue>, Vec<String>) =
                body.deserialize().ok()?;
            changed
        }
        _ => return None,
    };
    let all: HashMap<String, OwnedValue> =
        device.get("ServiceData")?.try_clone().ok()?.try_into().ok()?;
    all.into_values().next()?.try_into().ok()
}
