//! What BlueZ says of its adapters, for somebody who looks for what is wrong. Depends on zbus.
//!
//! Nothing is switched, heard or sent.

use std::collections::HashMap;

use zbus::zvariant::OwnedValue;

use super::bus::{self, Bus};
use super::capabilities::Capabilities;
use super::in_time;
use crate::ble::Error;

/// An adapter as BlueZ describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Adapter {
    /// `hci0`.
    pub name: String,
    /// Its own address; empty if BlueZ does not tell.
    pub address: String,
    /// Whether it is switched on.
    pub powered: bool,
    /// What it can be in Bluetooth LE: `central` hears, `peripheral` sends, `central-peripheral`
    /// does both at once. Empty if BlueZ is too old to tell.
    pub roles: Vec<String>,
    /// What it can send; `None` if it has no way to send adverts.
    pub sends: Option<Capabilities>,
}

/// Where a survey came to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SurveyError {
    /// The system's D-Bus is not there, or not for this user.
    #[error("the system's D-Bus cannot be used")]
    Bus(#[source] Error),
    /// D-Bus is there, and BlueZ is not, or not for this user.
    #[error("BlueZ cannot be asked")]
    Bluez(#[source] Error),
}

/// Asks BlueZ for all adapters, in the order in which they are used: the first is the one that
/// serves when none is named. Takes at most 20 seconds. Needs a tokio runtime.
///
/// # Errors
///
/// [`SurveyError`], around [`Error::PermissionDenied`], [`Error::NoService`] or
/// [`Error::NoAnswer`].
pub async fn survey() -> Result<Vec<Adapter>, SurveyError> {
    let bus = in_time(Bus::open()).await.map_err(SurveyError::Bus)?;
    let adapters = in_time(bus.adapters()).await.map_err(SurveyError::Bluez)?;
    Ok(adapters.iter().map(|(path, interfaces)| read(path.as_str(), interfaces)).collect())
}

fn read(path: &str, interfaces: &HashMap<String, HashMap<String, OwnedValue>>) -> Adapter {
    let own = interfaces.get(bus::ADAPTER);
    let value = |name: &str| own.and_then(|own| own.get(name))?.try_clone().ok();
    Adapter {
        name: path.rsplit('/').next().unwrap_or_default().to_owned(),
        address: value("Address").and_then(|text| text.try_into().ok()).unwrap_or_default(),
        powered: value("Powered").is_some_and(|on| bool::try_from(on) == Ok(true)),
        roles: value("Roles").and_then(|list| list.try_into().ok()).unwrap_or_default(),
        sends: interfaces.get(bus::MANAGER).map(Capabilities::read),
    }
}

#[cfg(test)]
mod tests {
    use zbus::zvariant::Value;

    use super::*;

    fn owned<'a>(value: impl Into<Value<'a>>) -> OwnedValue {
        value.into().try_to_owned().unwrap()
    }

    #[test]
    fn an_adapter_is_read() {
        let own = HashMap::from([
            ("Address".to_owned(), owned("00:00:5E:00:53:01")),
            ("Powered".to_owned(), owned(true)),
            ("Roles".to_owned(), owned(vec!["central", "peripheral"])),
        ]);
        let manager = HashMap::from([("SupportedInstances".to_owned(), owned(4_u8))]);
        let all =
            HashMap::from([(bus::ADAPTER.to_owned(), own), (bus::MANAGER.to_owned(), manager)]);
        let adapter = read("/org/bluez/hci3", &all);
        assert_eq!((adapter.name.as_str(), adapter.powered), ("hci3", true));
        assert_eq!(adapter.address, "00:00:5E:00:53:01");
        assert_eq!(adapter.roles, ["central", "peripheral"]);
        assert_eq!(adapter.sends.unwrap().free, Some(4));
    }

    #[test]
    fn what_is_odd_counts_as_not_told() {
        let own = HashMap::from([
            ("Address".to_owned(), owned(7_u8)),
            ("Powered".to_owned(), owned("yes")),
            ("Roles".to_owned(), owned("central")),
        ]);
        let all = HashMap::from([(bus::ADAPTER.to_owned(), own)]);
        let nothing = Adapter { name: "hci0".to_owned(), ..Adapter::default() };
        assert_eq!(read("/org/bluez/hci0", &all), nothing);
    }
}
