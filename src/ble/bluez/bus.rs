//! The conversation with BlueZ over D-Bus: our calls to it, and its reading of our adverts.
//! Depends on zbus. No call has a deadline here; the caller brings it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use tokio::task::JoinHandle;
use zbus::message::{Message, Type};
use zbus::zvariant::{DynamicType, ObjectPath, OwnedObjectPath, OwnedValue, Value};
use zbus::{Connection, MessageStream};

use super::capabilities::Capabilities;
use super::ladder::Properties;
use super::loss::{Lookout, Losses, Place};
use super::reason::{bluez_error, reason};
use crate::ble::error::Lost;
use crate::ble::{Address, AddressType, Error};

pub(super) const DBUS: &str = "org.freedesktop.DBus";
pub(super) const BLUEZ: &str = "org.bluez";
pub(super) const MANAGER: &str = "org.bluez.LEAdvertisingManager1";
pub(super) const ADAPTER: &str = "org.bluez.Adapter1";
pub(super) const OBJECTS: &str = "org.freedesktop.DBus.ObjectManager";
const ADVERT: &str = "org.bluez.LEAdvertisement1";
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// Where our adverts lie; a number follows.
const FOLDER: &str = "/org/cabled/advert";

type Interfaces = HashMap<String, HashMap<String, OwnedValue>>;
type Objects = HashMap<OwnedObjectPath, Interfaces>;
type Offers = Arc<Mutex<HashMap<String, Properties>>>;

/// A connection to the system's bus on which BlueZ can read our adverts.
#[derive(Debug)]
pub(super) struct Bus {
    connection: Connection,
    offers: Offers,
    next: AtomicU64,
    /// The adapter that was found last.
    adapter: Mutex<Option<OwnedObjectPath>>,
    lookout: Arc<Lookout>,
    server: JoinHandle<()>,
}

/// What BlueZ makes of an advert.
#[derive(Debug)]
pub(super) enum Answer {
    OnAir,
    NoSlot,
    Refused(zbus::Error),
}

impl Bus {
    pub(super) async fn open() -> Result<Self, Error> {
        let connection = Connection::system().await.map_err(reason)?;
        let offers = Offers::default();
        let calls = MessageStream::from(&connection);
        let lookout = Arc::new(Lookout::new());
        let server = serve(connection.clone(), calls, Arc::clone(&offers), Arc::clone(&lookout));
        let (next, adapter, server) = (AtomicU64::new(0), Mutex::default(), tokio::spawn(server));
        Ok(Self { connection, offers, next, adapter, lookout, server })
    }

    /// Finds the adapter to send with. The one that was found before is asked only whether it is there
    /// and on: the list of all objects holds every device that BlueZ remembers.
    pub(super) async fn adapter(&self, wanted: Option<&str>) -> Result<OwnedObjectPath, Error> {
        let known = lock(&self.adapter).clone();
        if let Some(path) = known
            && let Ok(powered) = self.is_powered(&path).await
        {
            return if powered { Ok(path) } else { Err(Error::PoweredOff) };
        }
        let (path, interfaces) = self.chosen(wanted).await?;
        if !interfaces.contains_key(MANAGER) {
            return Err(Error::ReceivesOnly);
        }
        listen(&self.connection, &Place::rules(&path)).await.map_err(reason)?;
        // Asked again, now that a change would be heard.
        if !self.is_powered(&path).await.map_err(reason)? {
            return Err(Error::PoweredOff);
        }
        *lock(&self.adapter) = Some(path.clone());
        Ok(path)
    }

    async fn is_powered(&self, adapter: &OwnedObjectPath) -> Result<bool, zbus::Error> {
        let asked = (ADAPTER, "Powered");
        let reply = self.call(adapter.as_str(), PROPERTIES, "Get", &asked).await?;
        self.lookout.look_at(Place::new(adapter, &reply));
        let powered: OwnedValue = reply.body().deserialize()?;
        Ok(bool::try_from(powered)?)
    }

    /// What happens from now on to the adapter that was found.
    pub(super) fn losses(&self) -> Losses {
        self.lookout.losses()
    }

    /// Finds the address of the adapter.
    pub(super) async fn address(&self, wanted: Option<&str>) -> Result<Address, Error> {
        let (_, interfaces) = self.chosen(wanted).await?;
        let adapter = interfaces.get(ADAPTER);
        let text =
            |name| adapter.and_then(|all| all.get(name)).and_then(|value| value.try_into().ok());
        let bytes = text("Address").and_then(address).ok_or(Error::NoAdapter)?;
        // Old versions of BlueZ do not tell, and know public ones only.
        let random = text("AddressType") == Some("random");
        let kind = if random { AddressType::Random } else { AddressType::Public };
        Ok(Address { bytes, kind })
    }

    /// Gives all adapters; hci2 comes before hci10.
    pub(super) async fn adapters(&self) -> Result<Vec<(OwnedObjectPath, Interfaces)>, Error> {
        let reply = self.call("/", OBJECTS, "GetManagedObjects", &());
        let objects: Objects =
            reply.await.and_then(|all| all.body().deserialize()).map_err(reason)?;
        let adapters = objects.into_iter().filter(|(_, own)| own.contains_key(ADAPTER));
        let mut adapters: Vec<_> = adapters.collect();
        adapters.sort_by_key(|(path, _)| (path.len(), path.to_string()));
        Ok(adapters)
    }

    /// The adapter that was asked for, or the first one, and what it can.
    async fn chosen(&self, wanted: Option<&str>) -> Result<(OwnedObjectPath, Interfaces), Error> {
        let adapters = self.adapters().await?.into_iter();
        let mut meant = adapters.filter(|(path, _)| {
            wanted.is_none_or(|name| path.as_str().rsplit('/').next() == Some(name))
        });
        let (path, interfaces) = meant.next().ok_or(Error::NoAdapter)?;
        let powered = interfaces.get(ADAPTER).and_then(|adapter| adapter.get("Powered"));
        if powered.is_some_and(|powered| bool::try_from(powered) == Ok(false)) {
            return Err(Error::PoweredOff);
        }
        Ok((path, interfaces))
    }

    /// Makes an advert readable and gives its number.
    pub(super) fn offer(&self, properties: Properties) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.offers).insert(path(number), properties);
        number
    }

    pub(super) fn withdraw(&self, number: u64) {
        lock(&self.offers).remove(&path(number));
    }

    pub(super) async fn register(
        &self,
        adapter: &OwnedObjectPath,
        number: u64,
    ) -> Result<Answer, Error> {
        let options = HashMap::<&str, Value<'_>>::new();
        let body = (object(number)?, options);
        let error = match self.call(adapter.as_str(), MANAGER, "RegisterAdvertisement", &body).await
        {
            Ok(_) => return Ok(Answer::OnAir),
            Err(error) => error,
        };
        match bluez_error(&error) {
            Some("NotPermitted") => Ok(Answer::NoSlot),
            Some("Failed" | "InvalidArguments" | "InvalidLength" | "NotSupported") => {
                Ok(Answer::Refused(error))
            }
            _ => Err(reason(error)),
        }
    }

    /// Takes an advert off the air; it is no error if it was off already.
    pub(super) async fn unregister(
        &self,
        adapter: &OwnedObjectPath,
        number: u64,
    ) -> Result<(), Error> {
        let body = object(number)?;
        match self.call(adapter.as_str(), MANAGER, "UnregisterAdvertisement", &body).await {
            Err(error) if bluez_error(&error) != Some("DoesNotExist") => Err(reason(error)),
            _ => Ok(()),
        }
    }

    pub(super) async fn capabilities(
        &self,
        adapter: &OwnedObjectPath,
    ) -> Result<Capabilities, Error> {
        let reply = self.call(adapter.as_str(), PROPERTIES, "GetAll", &MANAGER).await;
        let all = reply.and_then(|all| all.body().deserialize()).map_err(reason)?;
        Ok(Capabilities::read(&all))
    }

    async fn call<B>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<Message, zbus::Error>
    where
        B: serde::Serialize + DynamicType + Sync,
    {
        self.connection.call_method(Some(BLUEZ), path, Some(interface), method, body).await
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Reads six bytes in hexadecimal between colons.
fn address(text: &str) -> Option<[u8; 6]> {
    let bytes: Option<Vec<u8>> =
        text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes?.try_into().ok()
}

fn path(number: u64) -> String {
    format!("{FOLDER}{number}")
}

fn object(number: u64) -> Result<ObjectPath<'static>, Error> {
    ObjectPath::try_from(path(number)).map_err(|error| reason(error.into()))
}

/// Answers whoever calls us until the connection ends.
async fn serve(
    connection: Connection,
    mut calls: MessageStream,
    offers: Offers,
    lookout: Arc<Lookout>,
) {
    while let Some(Ok(message)) = calls.next().await {
        match message.message_type() {
            Type::MethodCall => {
                // A caller who is gone, or a bus that is, needs no answer.
                let _ = answer(&connection, &message, &offers).await;
            }
            Type::Signal => lookout.hear(&message),
            _ => {}
        }
    }
    // Without the bus there is no BlueZ.
    lookout.tell(Lost::Service);
}

/// Asks the bus for signals.
pub(super) async fn listen(connection: &Connection, rules: &[String]) -> Result<(), zbus::Error> {
    for rule in rules {
        let added = connection.call_method(Some(DBUS), "/", Some(DBUS), "AddMatch", rule);
        added.await?;
    }
    Ok(())
}

async fn answer(
    connection: &Connection,
    message: &Message,
    offers: &Offers,
) -> Result<(), zbus::Error> {
    let header = message.header();
    let path = header.path().map(ObjectPath::as_str).unwrap_or_default();
    let interface = header.interface().map(|name| name.as_str()).unwrap_or_default();
    let member = header.member().map(|name| name.as_str()).unwrap_or_default();
    let offer = lock(offers).get(path).map(copy).transpose()?;
    match (offer, interface, member) {
        (Some(properties), PROPERTIES, "GetAll") => connection.reply(&header, &properties).await,
        // The adapter went away. A signal tells the same.
        (Some(_), ADVERT, "Release") => connection.reply(&header, &()).await,
        _ => {
            let name = "org.freedesktop.DBus.Error.UnknownMethod";
            connection.reply_error(&header, name, &"no such method here").await
        }
    }
}

fn copy(properties: &Properties) -> Result<Properties, zbus::Error> {
    let all = properties.iter().map(|(name, value)| Ok((*name, value.try_clone()?)));
    all.collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_six_bytes_in_hexadecimal() {
        assert_eq!(address("00:AA:01:02:ff:7F"), Some([0, 0xaa, 1, 2, 0xff, 0x7f]));
        for bad in
            ["", "00:AA:01:02:FF", "00:AA:01:02:FF:7F:00", "00:AA:01:02:FF:GG", "00AA0102FF7F"]
        {
            assert_eq!(address(bad), None, "{bad}");
        }
    }
}
