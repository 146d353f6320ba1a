//! What BlueZ tells of adverts, read from its signals. Depends on zbus.
//!
//! btleplug would tell too, but asks BlueZ back about every single event, and keeps those that come
//! meanwhile in queues without bounds. In a full air it falls behind: it tells of adverts that are long over,
//! and grows. It also needs a second reception of a device that was not known, and does not tell that
//! an adapter or BlueZ is gone. The signals have all of that, and nothing has to be asked.

use std::collections::{HashMap, HashSet};

use futures_util::StreamExt as _;
use tokio::sync::broadcast;
use zbus::message::Message;
use zbus::zvariant::{ObjectPath, Value};
use zbus::{Connection, MessageStream};

use super::bus::{BLUEZ, OBJECTS, PROPERTIES, listen};
use super::loss::Place;
use super::reason::reason;
use crate::ble::error::Lost;
use crate::ble::{Address, AddressType, Error, ServiceUuid, Sighting};

const DEVICE: &str = "org.bluez.Device1";
/// Fewer bytes than an EID has cannot be ours.
const MIN_SERVICE_DATA: usize = 20;
/// Senders with a public address that are remembered. Beyond it all are forgotten.
const MAX_PUBLIC: usize = 1024;

type Properties<'a> = HashMap<&'a str, Value<'a>>;
type Interfaces<'a> = HashMap<&'a str, Properties<'a>>;

/// An ear on the signals of BlueZ about one adapter; it hears what happens from when it was opened.
#[derive(Debug)]
pub(in crate::ble) struct Ear {
    messages: MessageStream,
    knowledge: Knowledge,
}

/// What is needed to make sense of a message.
#[derive(Debug)]
struct Knowledge {
    place: Place,
    /// Senders whose address is not random, which phones never are.
    public: HashSet<[u8; 6]>,
}

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Sightings(Vec<Sighting>),
    Lost(Lost),
}

impl Ear {
    /// Opens an ear on the adapter of this name, such as `hci0`.
    pub(in crate::ble) async fn open(adapter: &str) -> Result<Self, Error> {
        let connection = Connection::system().await.map_err(reason)?;
        let adapter = format!("/org/bluez/{adapter}");
        listen(&connection, &Place::rules(&adapter)).await.map_err(reason)?;
        listen(&connection, &rules(&adapter)).await.map_err(reason)?;
        let asked =
            connection.call_method(Some(BLUEZ), "/", Some(OBJECTS), "GetManagedObjects", &());
        let reply = asked.await.map_err(reason)?;
        let mut knowledge =
            Knowledge { place: Place::new(&adapter, &reply), public: HashSet::new() };
        let body = reply.body();
        let known: HashMap<ObjectPath<'_>, Interfaces<'_>> = body.deserialize().map_err(reason)?;
        known.iter().for_each(|(path, interfaces)| knowledge.learn(path, interfaces));
        // Not before: a stream that nobody reads holds up the answers behind it.
        Ok(Self { messages: MessageStream::from(&connection), knowledge })
    }

    /// Tells of all that is heard until the radio is lost. Nobody listening is fine.
    pub(in crate::ble) async fn run(mut self, heard: broadcast::Sender<Sighting>) -> Lost {
        while let Some(Ok(message)) = self.messages.next().await {
            match self.knowledge.understand(&message) {
                Some(News::Sightings(all)) => {
                    all.into_iter().for_each(|sighting| drop(heard.send(sighting)));
                }
                Some(News::Lost(lost)) => return lost,
                None => {}
            }
        }
        // Without the bus there is no BlueZ.
        Lost::Service
    }
}

impl Knowledge {
    /// `None` also for what makes no sense: it is not ours.
    fn understand(&mut self, message: &Message) -> Option<News> {
        if let Some(lost) = self.place.loss(message) {
            return Some(News::Lost(lost));
        }
        let (header, body) = (message.header(), message.body());
        if !self.place.is_from_bluez(message) {
            return None;
        }
        match header.member()?.as_str() {
            "PropertiesChanged" => {
                let (interface, changed, _): (&str, Properties<'_>, Vec<&str>) =
                    body.deserialize().ok()?;
                self.receive(header.path()?, &changed).filter(|_| interface == DEVICE)
            }
            "InterfacesAdded" => {
                let (path, all): (ObjectPath<'_>, Interfaces<'_>) = body.deserialize().ok()?;
                self.learn(&path, &all);
                self.receive(&path, all.get(DEVICE)?)
            }
            _ => None,
        }
    }

    fn receive(&self, path: &str, all: &Properties<'_>) -> Option<News> {
        let bytes = self.sender(path)?;
        let kind = match self.public.contains(&bytes) {
            true => AddressType::Public,
            false => AddressType::Random,
        };
        let address = Address { bytes, kind };
        let rssi = all.get("RSSI").and_then(|rssi| i16::try_from(rssi).ok());
        let Value::Dict(data) = all.get("ServiceData")? else { return None };
        let ours = data.iter().filter_map(|(uuid, data)| {
            let (service, service_data) = (service(uuid)?, bytes_of(data)?);
            let enough = service_data.len() >= MIN_SERVICE_DATA;
            enough.then_some(Sighting { address, service, service_data, rssi })
        });
        Some(News::Sightings(ours.collect()))
    }

    fn learn(&mut self, path: &ObjectPath<'_>, interfaces: &Interfaces<'_>) {
        let (Some(sender), Some(device)) = (self.sender(path), interfaces.get(DEVICE)) else {
            return;
        };
        if device.get("AddressType") != Some(&Value::from("public")) {
            self.public.remove(&sender);
            return;
        }
        if self.public.len() >= MAX_PUBLIC {
            self.public.clear();
        }
        self.public.insert(sender);
    }

    /// The address in the path of a device of our adapter: `/org/bluez/hci0/dev_01_02_03_04_05_06`.
    fn sender(&self, path: &str) -> Option<[u8; 6]> {
        let digits = path.strip_prefix(&self.place.adapter)?.strip_prefix("/dev_")?;
        let bytes: Result<Vec<u8>, _> =
            digits.split('_').map(|digits| u8::from_str_radix(digits, 16)).collect();
        bytes.ok()?.try_into().ok()
    }
}

/// What the bus shall let through besides losses.
fn rules(adapter: &str) -> [String; 2] {
    let bluez = format!("type='signal',sender='{BLUEZ}'");
    [
        format!("{bluez},interface='{OBJECTS}',member='InterfacesAdded'"),
        format!("{bluez},interface='{PROPERTIES}',path_namespace='{adapter}'"),
    ]
}

/// BlueZ writes all UUIDs in full.
fn service(uuid: &Value<'_>) -> Option<ServiceUuid> {
    let Value::Str(uuid) = uuid else { return None };
    let short = uuid.strip_prefix("0000")?.strip_suffix("-0000-1000-8000-00805f9b34fb")?;
    ServiceUuid::from_short(u16::from_str_radix(short, 16).ok()?)
}

fn bytes_of(value: &Value<'_>) -> Option<Vec<u8>> {
    match value {
        Value::Value(inner) => bytes_of(inner),
        Value::Array(array) => array.iter().map(|byte| u8::try_from(byte).ok()).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIDO: &str = "0000fff9-0000-1000-8000-00805f9b34fb";
    const PHONE: &str = "/org/bluez/hci0/dev_0A_0B_0C_0D_0E_0F";

    fn knowledge() -> Knowledge {
        let (adapter, bluez) = ("/org/bluez/hci0".to_owned(), ":1.7".to_owned());
        Knowledge { place: Place { adapter, bluez }, public: HashSet::new() }
    }

    fn signal<B>(sender: &str, path: &str, member: &str, body: &B) -> Message
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        let signal = Message::signal(path, PROPERTIES, member).unwrap();
        signal.sender(sender).unwrap().build(body).unwrap()
    }

    fn device<'a>(uuid: &'a str, data: &[u8]) -> Properties<'a> {
        let data = HashMap::from([(uuid, Value::from(data.to_vec()))]);
        Properties::from([("RSSI", Value::from(-50_i16)), ("ServiceData", Value::from(data))])
    }

    fn changed(sender: &str, path: &str, all: &Properties<'_>) -> Message {
        signal(sender, path, "PropertiesChanged", &(DEVICE, all, Vec::<&str>::new()))
    }

    fn heard(kind: AddressType, service_data: &[u8]) -> News {
        let address = Address { bytes: [10, 11, 12, 13, 14, 15], kind };
        let (service, service_data) = (ServiceUuid::Fido, service_data.to_vec());
        News::Sightings(vec![Sighting { address, service, service_data, rssi: Some(-50) }])
    }

    #[test]
    fn a_reception_has_all_bytes_and_the_kind_of_its_address() {
        let mut knowledge = knowledge();
        for len in [20, 24, 27] {
            let data = vec![7; len];
            let told = knowledge.understand(&changed(":1.7", PHONE, &device(FIDO, &data)));
            assert_eq!(told, Some(heard(AddressType::Random, &data)));
        }
        let mut all = device(FIDO, &[8; 20]);
        all.insert("AddressType", Value::from("public"));
        let first = (ObjectPath::try_from(PHONE).unwrap(), Interfaces::from([(DEVICE, all)]));
        let told = knowledge.understand(&signal(":1.7", "/", "InterfacesAdded", &first));
        assert_eq!(told, Some(heard(AddressType::Public, &[8; 20])));
        let told = knowledge.understand(&changed(":1.7", PHONE, &device(FIDO, &[9; 20])));
        assert_eq!(told, Some(heard(AddressType::Public, &[9; 20])));
    }

    #[test]
    fn what_is_not_ours_is_nothing() {
        let mut knowledge = knowledge();
        let all = device(FIDO, &[1; 20]);
        let none = Some(News::Sightings(vec![]));
        let short = changed(":1.7", PHONE, &device(FIDO, &[1; 19]));
        assert_eq!(knowledge.understand(&short), none);
        for uuid in ["fff9", "0000fcf1-0000-1000-8000-00805f9b34fb", "", "0000fff9"] {
            let other = changed(":1.7", PHONE, &device(uuid, &[1; 20]));
            assert_eq!(knowledge.understand(&other), none);
        }
        let other_adapter = PHONE.replace("hci0", "hci1");
        for path in ["/", "/org/bluez/hci0", "/org/bluez/hci0/dev_0A_0B", &other_adapter] {
            assert_eq!(knowledge.understand(&changed(":1.7", path, &all)), None, "{path}");
        }
        assert_eq!(knowledge.understand(&changed(":1.8", PHONE, &all)), None);
        for data in [Value::from(1), Value::from("text"), Value::from(vec![1_u8; 20])] {
            let odd = Properties::from([("ServiceData", data)]);
            assert_eq!(knowledge.understand(&changed(":1.7", PHONE, &odd)), None);
        }
        let odd = signal(":1.7", PHONE, "PropertiesChanged", &("no", "signal of D-Bus's"));
        assert_eq!(knowledge.understand(&odd), None);
    }
}
