//! What the fake says unasked: the signals of D-Bus's own interfaces.

use std::collections::HashMap;

use zbus::Connection;
use zbus::zvariant::Value;

use super::state::object;

pub(super) const ADAPTER: &str = "org.bluez.Adapter1";
pub(super) const DEVICE: &str = "org.bluez.Device1";
pub(super) const MANAGER: &str = "org.bluez.LEAdvertisingManager1";
pub(super) const OBJECTS: &str = "org.freedesktop.DBus.ObjectManager";
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// The properties of one interface of an object.
pub(super) type Properties = HashMap<&'static str, Value<'static>>;
/// All interfaces of an object.
pub(super) type Interfaces = HashMap<&'static str, Properties>;

pub(super) async fn changed(
    connection: &Connection,
    path: &str,
    interface: &str,
    changed: &Properties,
) -> Result<(), zbus::Error> {
    if changed.is_empty() {
        return Ok(());
    }
    let body = (interface, changed, Vec::<&str>::new());
    connection.emit_signal(None::<&str>, path, PROPERTIES, "PropertiesChanged", &body).await
}

pub(super) async fn added(
    connection: &Connection,
    path: &str,
    all: &Interfaces,
) -> Result<(), zbus::Error> {
    let body = (object(path), all);
    connection.emit_signal(None::<&str>, "/", OBJECTS, "InterfacesAdded", &body).await
}

pub(super) async fn removed(
    connection: &Connection,
    path: &str,
    interfaces: &[&str],
) -> Result<(), zbus::Error> {
    let body = (object(path), interfaces);
    connection.emit_signal(None::<&str>, "/", OBJECTS, "InterfacesRemoved", &body).await
}
