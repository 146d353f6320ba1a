//! The text form of a radio (`air:DIR,loss=0.3`) and the faults of a simulated one.
//! Depends on nothing; reading the text touches neither files nor hardware.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How good a simulated air is. The default is perfect.
///
/// All but `interval` act where adverts are received: give them to the laptop's radio.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditions {
    /// Time between two sendings of an advert; the first is at once. 1 ms to 60 s.
    pub interval: Duration,
    /// Probability, 0 to 1, that a reception is lost.
    pub loss: f64,
    /// Time from sending to hearing, at most 60 s.
    pub delay: Duration,
    /// Adverts of strangers, 20 random bytes each, heard in a second; at most 1,000,000.
    pub foreign: u32,
    /// Whether the last 16 adverts heard are heard again later, also by later scans.
    pub replay: bool,
    /// Makes losses and foreign adverts repeatable; `None` draws a seed.
    pub seed: Option<u64>,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(20),
            loss: 0.0,
            delay: Duration::ZERO,
            foreign: 0,
            replay: false,
            seed: None,
        }
    }
}

/// Which radio to use, as users write it.
///
/// - `air:DIR[,loss=0.3][,delay=50ms][,interval=20ms][,foreign=100][,replay][,seed=N]`: simulated,
///   joins the processes of one user; `DIR` has no comma, times end in `us`, `ms` or `s`.
/// - `bluez[:hciN]`: Bluetooth, through the first or the named adapter.
/// - `shared[:SOCKET]`: the radio of another machine, which `cabled radio share` brings.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RadioSpec {
    /// The simulated radio between processes.
    Air {
        /// The folder that is the air.
        folder: PathBuf,
        /// How good the air is.
        conditions: Conditions,
    },
    /// Bluetooth through BlueZ.
    Bluez {
        /// The adapter's name; `None` takes the first.
        adapter: Option<String>,
    },
    /// The radio that another machine shares with this one.
    Shared {
        /// The socket; `None` stands for the usual one, which whoever opens the radio has to name.
        socket: Option<PathBuf>,
    },
}

impl RadioSpec {
    /// Says whether this radio proves nothing about nearness: see
    /// [`Radio::is_simulated`](super::Radio::is_simulated).
    #[must_use]
    pub const fn is_simulated(&self) -> bool {
        matches!(self, Self::Air { .. })
    }
}

/// Why a text names no radio.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// It starts with none of `air:`, `bluez` and `shared`.
    #[error("{0:?} is no radio: write bluez[:hciN], shared or air:DIR")]
    UnknownRadio(String),
    /// `air:` stands alone, or with options only.
    #[error("the simulated radio needs a folder: air:DIR")]
    NoFolder,
    /// `shared:` has no socket behind it.
    #[error("shared: needs a socket; the usual one is meant by: shared")]
    NoSocket,
    /// What follows `bluez:` is not `hci` and a number.
    #[error("{0:?} is no Bluetooth adapter: write hci0, hci1, ...")]
    BadAdapter(String),
    /// There is no such option.
    #[error(
        "the simulated radio has no option {0:?}: it knows loss, delay, interval, foreign, replay and seed"
    )]
    UnknownOption(String),
    /// An option stands twice.
    #[error("the option {0} stands twice")]
    RepeatedOption(&'static str),
    /// The value is missing, malformed or out of range.
    #[error("{value:?} is no value for {option}: {expected}")]
    BadValue {
        /// The option.
        option: &'static str,
        /// What was written.
        value: String,
        /// What could have been written.
        expected: &'static str,
    },
}

impl FromStr for RadioSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        if let Some(rest) = text.strip_prefix("air:") {
            air(rest)
        } else if text == "bluez" {
            Ok(Self::Bluez { adapter: None })
        } else if let Some(name) = text.strip_prefix("bluez:") {
            adapter(name)
        } else if text == "shared" {
            Ok(Self::Shared { socket: None })
        } else if let Some(socket) = text.strip_prefix("shared:") {
            let socket = Some(socket).filter(|socket| !socket.is_empty());
            let socket = socket.ok_or(SpecError::NoSocket)?;
            Ok(Self::Shared { socket: Some(socket.into()) })
        } else {
            Err(SpecError::UnknownRadio(text.to_owned()))
        }
    }
}

fn adapter(name: &str) -> Result<RadioSpec, SpecError> {
    let digits = name.strip_prefix("hci").unwrap_or_default();
    let number = digits.parse::<u16>().ok().filter(|number| number.to_string() == digits);
    match number {
        Some(_) => Ok(RadioSpec::Bluez { adapter: Some(name.to_owned()) }),
        None => Err(SpecError::BadAdapter(name.to_owned())),
    }
}

fn air(text: &str) -> Result<RadioSpec, SpecError> {
    let mut parts = text.split(',');
    let folder = parts.next().filter(|folder| !folder.is_empty()).ok_or(SpecError::NoFolder)?;
    let mut conditions = Conditions::default();
    let mut seen = Vec::new();
    for part in parts {
        let option = apply(part, &mut conditions)?;
        if seen.contains(&option) {
            return Err(SpecError::RepeatedOption(option));
        }
        seen.push(option);
    }
    Ok(RadioSpec::Air { folder: folder.into(), conditions })
}

fn apply(part: &str, to: &mut Conditions) -> Result<&'static str, SpecError> {
    let (key, value) = part.split_once('=').map_or((part, None), |(key, value)| (key, Some(value)));
    let given = value.unwrap_or_default();
    let bad = |option, expected| SpecError::BadValue { option, value: given.to_owned(), expected };
    match key {
        "loss" => {
            to.loss = probability(given).ok_or_else(|| bad("loss", "a number from 0 to 1"))?;
            Ok("loss")
        }
        "delay" => {
            to.delay = time(given).ok_or_else(|| bad("delay", "a time up to 60s, such as 50ms"))?;
            Ok("delay")
        }
        "interval" => {
            let interval = time(given).filter(|time| *time >= Duration::from_millis(1));
            to.interval = interval.ok_or_else(|| bad("interval", "a time from 1ms to 60s"))?;
            Ok("interval")
        }
        "foreign" => {
            let count = given.parse().ok().filter(|count| *count <= 1_000_000);
            to.foreign = count.ok_or_else(|| bad("foreign", "adverts a second, up to 1000000"))?;
            Ok("foreign")
        }
        "replay" if value.is_none() => {
            to.replay = true;
            Ok("replay")
        }
        "replay" => Err(bad("replay", "it takes none")),
        "seed" => {
            let seed = given.parse().map_err(|_| bad("seed", "a number"))?;
            to.seed = Some(seed);
            Ok("seed")
        }
        _ => Err(SpecError::UnknownOption(key.to_owned())),
    }
}

fn probability(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value| (0.0..=1.0).contains(value))
}

fn time(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits.parse().ok()?;
    let time = match text.strip_prefix(digits)? {
        "us" => Duration::from_micros(number),
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        _ => return None,
    };
    (time <= Duration::from_secs(60)).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(text: &str) -> Conditions {
        match text.parse() {
            Ok(RadioSpec::Air { conditions, .. }) => conditions,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_folder_alone_is_perfect_air() {
        let spec: RadioSpec = "air:/run/user/1000/air".parse().unwrap();
        let folder = PathBuf::from("/run/user/1000/air");
        assert_eq!(spec, RadioSpec::Air { folder, conditions: Conditions::default() });
        assert!(spec.is_simulated());
    }

    #[test]
    fn every_option_is_read() {
        let text = "air:x,loss=0.3,delay=50ms,interval=1s,foreign=100,replay,seed=7";
        let expected = Conditions {
            interval: Duration::from_secs(1),
            loss: 0.3,
            delay: Duration::from_millis(50),
            foreign: 100,
            replay: true,
            seed: Some(7),
        };
        assert_eq!(conditions(text), expected);
        assert_eq!(conditions("air:x,delay=250us").delay, Duration::from_micros(250));
    }

    #[test]
    fn bluez_takes_an_adapter() {
        assert_eq!("bluez".parse(), Ok(RadioSpec::Bluez { adapter: None }));
        let adapter = Some("hci12".to_owned());
        assert_eq!("bluez:hci12".parse(), Ok(RadioSpec::Bluez { adapter }));
        for bad in ["", "hci", "hci01", "hci-1", "hci+1", "eth0", "hci99999", "hci0/../x"] {
            let error = format!("bluez:{bad}").parse::<RadioSpec>();
            assert_eq!(error, Err(SpecError::BadAdapter(bad.to_owned())));
        }
    }

    #[test]
    fn a_shared_radio_may_name_its_socket() {
        let spec: RadioSpec = "shared".parse().unwrap();
        assert_eq!(spec, RadioSpec::Shared { socket: None });
        assert!(!spec.is_simulated());
        let socket = Some("/run/x,y".into());
        assert_eq!("shared:/run/x,y".parse(), Ok(RadioSpec::Shared { socket }));
        assert_eq!("shared:".parse::<RadioSpec>(), Err(SpecError::NoSocket));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let message = |text: &str| text.parse::<RadioSpec>().unwrap_err().to_string();
        assert_eq!(message("usb"), "\"usb\" is no radio: write bluez[:hciN], shared or air:DIR");
        assert_eq!(
            message("share"),
            "\"share\" is no radio: write bluez[:hciN], shared or air:DIR"
        );
        assert_eq!(message("air:,replay"), "the simulated radio needs a folder: air:DIR");
        assert_eq!(message("air:x,seed=1,seed=2"), "the option seed stands twice");
        assert_eq!(message("air:x,replay=1"), "\"1\" is no value for replay: it takes none");
        assert!(message("air:x,jam").contains("no option \"jam\""));
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let all = [
            "loss",
            "loss=",
            "loss=1.1",
            "loss=-0.1",
            "loss=NaN",
            "delay=5",
            "delay=ms",
            "delay=61s",
            "delay=1m",
            "delay=-1s",
            "interval=0ms",
            "interval=999us",
            "foreign=-1",
            "foreign=1000001",
            "seed=",
            "seed=x",
            "delay=99999999999999999999s",
        ];
        for option in all {
            let result = format!("air:x,{option}").parse::<RadioSpec>();
            assert!(matches!(result, Err(SpecError::BadValue { .. })), "{option}: {result:?}");
        }
    }
}
