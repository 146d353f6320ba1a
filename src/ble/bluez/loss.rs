//! What of BlueZ's signals says that a radio is lost. Depends on zbus.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use zbus::message::{Message, Type};
use zbus::zvariant::{ObjectPath, Value};

use super::bus::{ADAPTER, BLUEZ, DBUS, OBJECTS};
use crate::ble::error::Lost;

/// The adapter that something is on, and whom to believe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The adapter's path.
    pub(super) adapter: String,
    /// BlueZ's own name on the bus. Any program may send us signals.
    pub(super) bluez: String,
}

impl Place {
    /// Takes BlueZ's own name from something that it sent.
    pub(super) fn new(adapter: &str, sent: &Message) -> Self {
        let bluez = sent.header().sender().map(ToString::to_string).unwrap_or_default();
        Self { adapter: adapter.to_owned(), bluez }
    }

    /// What the bus shall let through. Of removals only the adapter's: devices go by the hundred.
    pub(super) fn rules(adapter: &str) -> [String; 3] {
        let bluez = format!("type='signal',sender='{BLUEZ}'");
        [
            format!("type='signal',sender='{DBUS}',member='NameOwnerChanged',arg0='{BLUEZ}'"),
            format!(
                "{bluez},interface='{OBJECTS}',member='InterfacesRemoved',arg0path='{adapter}'"
            ),
            format!("{bluez},member='PropertiesChanged',path='{adapter}'"),
        ]
    }

    pub(super) fn is_from_bluez(&self, message: &Message) -> bool {
        let header = message.header();
        header.sender().is_some_and(|sender| sender.as_str() == self.bluez)
    }

    /// `None` also for what makes no sense.
    pub(super) fn loss(&self, message: &Message) -> Option<Lost> {
        let (header, body) = (message.header(), message.body());
        if header.message_type() != Type::Signal {
            return None;
        }
        let path = header.path()?.as_str();
        match header.member()?.as_str() {
            "NameOwnerChanged" if header.sender()?.as_str() == DBUS => {
                let (_, before, _): (&str, &str, &str) = body.deserialize().ok()?;
                (before == self.bluez).then_some(Lost::Service)
            }
            _ if !self.is_from_bluez(message) => None,
            "InterfacesRemoved" => {
                let (path, all): (ObjectPath<'_>, Vec<&str>) = body.deserialize().ok()?;
                let gone = path.as_str() == self.adapter && all.contains(&ADAPTER);
                gone.then_some(Lost::Adapter)
            }
            "PropertiesChanged" if path == self.adapter => {
                let (interface, all, _): (&str, HashMap<&str, Value<'_>>, Vec<&str>) =
                    body.deserialize().ok()?;
                let off = interface == ADAPTER && all.get("Powered") == Some(&Value::Bool(false));
                off.then_some(Lost::Power)
            }
            _ => None,
        }
    }
}

/// Tells those who have adverts on a place when it is lost.
#[derive(Debug)]
pub(super) struct Lookout {
    place: Mutex<Option<Place>>,
    lost: watch::Sender<Option<Lost>>,
}

impl Lookout {
    pub(super) fn new() -> Self {
        Self { place: Mutex::default(), lost: watch::Sender::default() }
    }

    pub(super) fn look_at(&self, place: Place) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    pub(super) fn hear(&self, message: &Message) {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lost) = place.as_ref().and_then(|place| place.loss(message)) {
            self.tell(lost);
        }
    }

    pub(super) fn tell(&self, lost: Lost) {
        self.lost.send_replace(Some(lost));
    }

    /// What is lost from now on.
    pub(super) fn losses(&self) -> Losses {
        Losses(self.lost.subscribe())
    }
}

/// What is lost after something was begun.
#[derive(Debug)]
pub(super) struct Losses(watch::Receiver<Option<Lost>>);

impl Losses {
    pub(super) async fn next(&mut self) -> Lost {
        let told = self.0.changed().await.ok();
        told.and_then(|()| *self.0.borrow()).unwrap_or(Lost::Service)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bus::PROPERTIES;
    use super::*;

    fn signal<B>(sender: &str, path: &str, member: &str, body: &B) -> Message
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        let signal = Message::signal(path, PROPERTIES, member).unwrap();
        signal.sender(sender).unwrap().build(body).unwrap()
    }

    #[test]
    fn only_bluez_and_the_bus_can_end_it() {
        let (adapter, bluez) = ("/org/bluez/hci0".to_owned(), ":1.7".to_owned());
        let place = Place { adapter, bluez };
        let of = |path: &'static str| ObjectPath::try_from(path).unwrap();
        let gone = (of("/org/bluez/hci0"), vec![ADAPTER]);
        let powered = |on: bool| {
            let all = HashMap::from([("Powered", Value::from(on))]);
            (ADAPTER, all, Vec::<&str>::new())
        };
        let owner = (BLUEZ, ":1.7", "");
        let hci0 = "/org/bluez/hci0";
        let ends = [
            (signal(":1.7", "/", "InterfacesRemoved", &gone), Lost::Adapter),
            (signal(":1.7", hci0, "PropertiesChanged", &powered(false)), Lost::Power),
            (signal(DBUS, "/", "NameOwnerChanged", &owner), Lost::Service),
        ];
        for (message, lost) in &ends {
            assert_eq!(place.loss(message), Some(*lost));
        }
        let others = [
            signal(":1.8", "/", "InterfacesRemoved", &gone),
            signal(":1.7", "/", "InterfacesRemoved", &(of("/org/bluez/hci1"), vec![ADAPTER])),
            signal(":1.7", "/", "InterfacesRemoved", &(of("/org/bluez/hci0"), vec!["other"])),
            signal(":1.8", hci0, "PropertiesChanged", &powered(false)),
            signal(":1.7", hci0, "PropertiesChanged", &powered(true)),
            signal(":1.7", "/org/bluez/hci1", "PropertiesChanged", &powered(false)),
            signal(":1.7", hci0, "PropertiesChanged", &"nonsense"),
            signal(":1.8", "/", "NameOwnerChanged", &owner),
            signal(DBUS, "/", "NameOwnerChanged", &(BLUEZ, ":1.6", "")),
        ];
        assert!(others.iter().all(|message| place.loss(message).is_none()));
    }
}
