//! What the machine that shares its radio and the one that uses it say to each other, as bytes.
//! Depends on the types of this layer only.
//!
//! ```text
//!  frame      length  that many bytes                        1 byte: nothing is longer than 255
//!  ask        1 round listen   2 stop   3 alive
//!  report     1 round simulated listening   2 round why failed   4 alive
//!             3 rssi-told rssi(2, big-endian) advert of `frame` in this layer
//! ```
//!
//! Between the machines each is sealed; on the Unix socket of one machine reports go as they are.

use std::fmt;

use crate::ble::frame::{self, MAX_FRAME};
use crate::ble::{Error, Sighting};

/// Longest report: a sighting.
const MAX_REPORT: usize = 4 + MAX_FRAME;

/// What the machine without a radio asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Scan; what is reported of it carries this number.
    Listen(u8),
    /// Nobody listens any more.
    Stop,
    /// The connection is alive.
    Alive,
}

/// What the machine with the radio says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// The scan of this number runs.
    Listening {
        /// Of the ask.
        round: u8,
        /// The radio is simulated: it proves nothing about nearness to anything.
        simulated: bool,
    },
    /// The scan of this number is over, or could not begin.
    Failed {
        /// Of the ask.
        round: u8,
        /// Why.
        why: Trouble,
    },
    /// An advert was received.
    Heard(Sighting),
    /// The connection is alive.
    Alive,
}

/// Why a radio cannot be used, as far as it concerns the other machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// There is none.
    #[error("there is no Bluetooth adapter")]
    NoAdapter,
    /// It is off.
    #[error("the Bluetooth adapter is switched off")]
    PoweredOff,
    /// Whoever shares it may not use it.
    #[error("no permission to use Bluetooth")]
    PermissionDenied,
    /// Nobody manages it.
    #[error("the Bluetooth service cannot be reached")]
    NoService,
    /// Anything else; the other machine says more.
    #[error("the radio failed")]
    Other,
}

impl Trouble {
    const ALL: [Self; 5] =
        [Self::NoAdapter, Self::PoweredOff, Self::PermissionDenied, Self::NoService, Self::Other];

    fn number(self) -> u8 {
        Self::ALL.iter().zip(1..).find(|(one, _)| **one == self).map_or(0, |(_, number)| number)
    }

    fn numbered(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.number() == number)
    }
}

impl From<&Error> for Trouble {
    fn from(error: &Error) -> Self {
        match error {
            Error::NoAdapter | Error::AdapterGone => Self::NoAdapter,
            Error::PoweredOff => Self::PoweredOff,
            Error::PermissionDenied => Self::PermissionDenied,
            Error::NoService(_) | Error::NoAnswer(_) | Error::ServiceGone => Self::NoService,
            Error::Shared(why) => Self::from(&**why),
            _ => Self::Other,
        }
    }
}

impl Ask {
    pub(super) fn encode(self) -> Vec<u8> {
        match self {
            Self::Listen(round) => vec![1, round],
            Self::Stop => vec![2],
            Self::Alive => vec![3],
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [1, round] => Some(Self::Listen(*round)),
            [2] => Some(Self::Stop),
            [3] => Some(Self::Alive),
            _ => None,
        }
    }
}

impl Report {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Listening { round, simulated } => vec![1, *round, u8::from(*simulated)],
            Self::Failed { round, why } => vec![2, *round, why.number()],
            Self::Heard(sighting) => {
                let mut bytes = Vec::with_capacity(MAX_REPORT);
                bytes.extend([3, u8::from(sighting.rssi.is_some())]);
                bytes.extend(sighting.rssi.unwrap_or_default().to_be_bytes());
                bytes.extend(frame::encode(sighting));
                bytes
            }
            Self::Alive => vec![4],
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [1, round, simulated @ (0 | 1)] => {
                Some(Self::Listening { round: *round, simulated: *simulated == 1 })
            }
            [2, round, why] => Some(Self::Failed { round: *round, why: Trouble::numbered(*why)? }),
            [3, told, high, low, advert @ ..] => heard([*told, *high, *low], advert),
            [4] => Some(Self::Alive),
            _ => None,
        }
    }
}

fn heard([told, high, low]: [u8; 3], advert: &[u8]) -> Option<Report> {
    let rssi = match (told, i16::from_be_bytes([high, low])) {
        (0, 0) => None,
        (1, rssi) => Some(rssi),
        _ => return None,
    };
    Some(Report::Heard(Sighting { rssi, ..frame::decode(advert)? }))
}

/// Puts the length before it; what does not fit is not sent, which nothing of ours is.
pub(super) fn framed(payload: &[u8]) -> Vec<u8> {
    let Ok(len) = u8::try_from(payload.len()) else { return Vec::new() };
    [&[len], payload].concat()
}

/// Takes bytes as they come and gives frames. Holds less than one frame, if all are taken.
#[derive(Default)]
pub(super) struct Frames(Vec<u8>);

impl fmt::Debug for Frames {
    /// Leaves out the bytes: on the Unix socket they are adverts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frames({} bytes)", self.0.len())
    }
}

impl Frames {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Bytes of a frame that is not complete.
    #[cfg(fuzzing)]
    pub(super) fn held(&self) -> usize {
        self.0.len()
    }

    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let end = usize::from(*self.0.first()?) + 1;
        let frame = self.0.get(1..end)?.to_vec();
        self.0.drain(..end);
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ble::{Address, AddressType, MAX_SERVICE_DATA, ServiceUuid};

    fn sighting(data: &[u8], rssi: Option<i16>) -> Sighting {
        let address = Address { bytes: [1, 2, 3, 4, 5, 6], kind: AddressType::Random };
        Sighting { address, service: ServiceUuid::Fido, service_data: data.to_vec(), rssi }
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        for ask in [Ask::Listen(0), Ask::Listen(255), Ask::Stop, Ask::Alive] {
            assert_eq!(Ask::decode(&ask.encode()), Some(ask));
        }
        let longest = Report::Heard(sighting(&[7; MAX_SERVICE_DATA], Some(-90)));
        assert_eq!(longest.encode().len(), MAX_REPORT);
        let failed = Trouble::ALL.map(|why| Report::Failed { round: 3, why });
        let others = [
            Report::Listening { round: 1, simulated: true },
            Report::Listening { round: 2, simulated: false },
            Report::Heard(sighting(&[], None)),
            Report::Heard(sighting(&[9; 20], Some(i16::MIN))),
            Report::Alive,
            longest,
        ];
        for report in others.into_iter().chain(failed) {
            assert_eq!(Report::decode(&report.encode()), Some(report));
        }
    }

    #[test]
    fn adverts_longer_than_any_are_nobodys() {
        let long = Report::Heard(sighting(&[7; MAX_SERVICE_DATA + 1], None)).encode();
        assert_eq!(Report::decode(&long), None);
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        let sent: Vec<Vec<u8>> = [0, 1, 80, 255].map(|len| vec![0x3c; len]).to_vec();
        let bytes: Vec<u8> = sent.iter().flat_map(|frame| framed(frame)).collect();
        assert!(framed(&[0; 256]).is_empty());
        for size in [1, 2, 7, 100, bytes.len()] {
            let (mut frames, mut got) = (Frames::default(), Vec::new());
            for chunk in bytes.chunks(size) {
                frames.push(chunk);
                got.extend(std::iter::from_fn(|| frames.next()));
            }
            assert_eq!(got, sent);
            assert!(frames.0.is_empty());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_decode_to_themselves_or_to_nothing(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(ask) = Ask::decode(&bytes) {
                prop_assert_eq!(ask.encode(), bytes.clone());
            }
            if let Some(report) = Report::decode(&bytes) {
                prop_assert_eq!(report.encode(), bytes);
            }
        }

        #[test]
        fn any_sighting_is_read_as_it_is_or_not_at_all(rest in prop::collection::vec(any::<u8>(), 0..44)) {
            let bytes = [&[3, 0, 0, 0][..], b"cab1", &rest].concat();
            if let Some(report) = Report::decode(&bytes) {
                prop_assert_eq!(report.encode(), bytes);
            }
        }
    }
}
