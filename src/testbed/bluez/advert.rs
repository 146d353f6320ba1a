//! What a client wants to have on the air, read from its `LEAdvertisement1` and measured.

use std::collections::HashMap;

use zbus::zvariant::{OwnedValue, Value};

use crate::ble::{Outgoing, ServiceUuid};

/// Bytes of a legacy advertisement.
const BUDGET: usize = 31;

/// An advert as a client asks for it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AdvertRequest {
    /// Type `broadcast`, else `peripheral`.
    pub broadcast: bool,
    /// Whether there is a list of service UUIDs.
    pub listed: bool,
    /// Milliseconds between two sendings, if asked for.
    pub interval: Option<u32>,
    /// Whether it is to be discoverable, if said.
    pub discoverable: Option<bool>,
    /// Bytes that it takes on the air, at most 31.
    pub size: usize,
    data: Vec<(String, Vec<u8>)>,
}

impl AdvertRequest {
    /// Reads the answer to `GetAll`; the error is the end of an `org.bluez.Error` name.
    pub(super) fn read(all: &HashMap<String, OwnedValue>) -> Result<Self, &'static str> {
        let kind: String = get(all, "Type")?.ok_or("InvalidArguments")?;
        let listed: Vec<String> = get(all, "ServiceUUIDs")?.unwrap_or_default();
        let data: HashMap<String, OwnedValue> = get(all, "ServiceData")?.unwrap_or_default();
        let data = data.into_iter().map(|(uuid, value)| {
            let bytes = Vec::try_from(value).map_err(|_| "InvalidArguments")?;
            Ok::<_, &'static str>((uuid.to_lowercase(), bytes))
        });
        let includes: Vec<String> = get(all, "Includes")?.unwrap_or_default();
        let mut request = Self {
            broadcast: kind == "broadcast",
            listed: !listed.is_empty(),
            interval: get(all, "MinInterval")?,
            discoverable: get(all, "Discoverable")?,
            size: 0,
            data: data.collect::<Result<_, _>>()?,
        };
        let flags = if request.broadcast { 0 } else { 3 };
        let lists = if listed.is_empty() { 0 } else { 2 };
        let listed: usize = listed.iter().map(|uuid| uuid_size(uuid)).sum();
        let data = request.data.iter().map(|(uuid, data)| 2 + uuid_size(uuid) + data.len());
        let name: Option<String> = get(all, "LocalName")?;
        let name = name.map_or(0, |name| 2 + name.len());
        let data: usize = data.sum();
        request.size = flags + lists + listed + data + name + 3 * includes.len();
        if !request.broadcast && kind != "peripheral" {
            return Err("InvalidArguments");
        }
        if request.broadcast && request.discoverable == Some(true) {
            return Err("InvalidArguments");
        }
        if request.size > BUDGET { Err("InvalidLength") } else { Ok(request) }
    }

    /// Gives what the simulated radio can send of it.
    pub(super) fn outgoing(&self) -> Option<Outgoing<'_>> {
        self.data.iter().find_map(|(uuid, data)| {
            let service = ServiceUuid::from_short(short(uuid)?)?;
            Some(Outgoing { service, service_data: data, connectable: !self.broadcast })
        })
    }
}

/// Reads a property that may be missing but not of another type.
fn get<T: TryFrom<Value<'static>>>(
    all: &HashMap<String, OwnedValue>,
    name: &str,
) -> Result<Option<T>, &'static str> {
    let Some(value) = all.get(name) else { return Ok(None) };
    let value = Value::from(value.try_clone().map_err(|_| "Failed")?);
    T::try_from(value).map(Some).map_err(|_| "InvalidArguments")
}

/// Bluetooth's own UUIDs travel in their short form, however they are written.
fn short(uuid: &str) -> Option<u16> {
    let uuid = uuid.to_lowercase();
    let long = uuid.strip_suffix("-0000-1000-8000-00805f9b34fb");
    let digits = long.map_or(Some(uuid.as_str()), |head| head.strip_prefix("0000"))?;
    u16::from_str_radix(digits, 16).ok()
}

fn uuid_size(uuid: &str) -> usize {
    if short(uuid).is_some() { 2 } else { 16 }
}
