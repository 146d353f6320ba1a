//! What a controller says it can do, for the text of an error and for a survey. Depends on zbus.

use std::collections::HashMap;
use std::fmt;

use zbus::zvariant::OwnedValue;

/// What a Bluetooth controller can send. All are `None` or empty if BlueZ does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Adverts on the air, of all programs.
    pub active: Option<u8>,
    /// Adverts that there is still room for.
    pub free: Option<u8>,
    /// Most bytes in one advert.
    pub max_len: Option<u8>,
    /// What the controller could add by itself, such as `tx-power`.
    pub includes: Vec<String>,
    /// Where extended adverts can be sent besides, such as `2M`; none if it sends legacy ones only.
    pub secondary: Vec<String>,
}

impl Capabilities {
    pub(super) fn read(properties: &HashMap<String, OwnedValue>) -> Self {
        let number = |name: &str| u8::try_from(properties.get(name)?).ok();
        let list = |name: &str| {
            let value = properties.get(name)?.try_clone().ok()?;
            value.try_into().ok()
        };
        Self {
            active: number("ActiveInstances"),
            free: number("SupportedInstances"),
            max_len: max_len(properties),
            includes: list("SupportedIncludes").unwrap_or_default(),
            secondary: list("SupportedSecondaryChannels").unwrap_or_default(),
        }
    }
}

fn max_len(properties: &HashMap<String, OwnedValue>) -> Option<u8> {
    let dict = properties.get("SupportedCapabilities")?.try_clone().ok()?;
    let dict: HashMap<String, OwnedValue> = dict.try_into().ok()?;
    u8::try_from(dict.get("MaxAdvLen")?).ok()
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |n: Option<u8>| n.map_or_else(|| "unknown".to_owned(), |n| n.to_string());
        let (active, free, len) = (number(self.active), number(self.free), number(self.max_len));
        let includes =
            if self.includes.is_empty() { "none".into() } else { self.includes.join(" ") };
        write!(f, "adverts active {active}, free {free}; bytes {len}; includes {includes}")
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
    fn what_bluez_tells_is_read_and_shown() {
        let inner = HashMap::from([("MaxAdvLen", Value::from(31_u8))]);
        let all = HashMap::from([
            ("ActiveInstances".to_owned(), owned(2_u8)),
            ("SupportedInstances".to_owned(), owned(3_u8)),
            ("SupportedIncludes".to_owned(), owned(vec!["tx-power", "appearance"])),
            ("SupportedCapabilities".to_owned(), owned(inner)),
            ("SupportedSecondaryChannels".to_owned(), owned(vec!["1M", "2M"])),
        ]);
        let read = Capabilities::read(&all);
        assert_eq!(read.secondary, ["1M", "2M"]);
        assert_eq!((read.active, read.free, read.max_len), (Some(2), Some(3), Some(31)));
        let text = "adverts active 2, free 3; bytes 31; includes tx-power appearance";
        assert_eq!(read.to_string(), text);
    }

    #[test]
    fn what_bluez_does_not_tell_is_unknown() {
        let odd = HashMap::from([
            ("ActiveInstances".to_owned(), owned("two")),
            ("SupportedCapabilities".to_owned(), owned(1_u8)),
        ]);
        let read = Capabilities::read(&odd);
        assert_eq!(read, Capabilities::default());
        let text = "adverts active unknown, free unknown; bytes unknown; includes none";
        assert_eq!(read.to_string(), text);
    }
}
