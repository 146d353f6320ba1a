//! How the simulated radio between processes writes a sighting into a datagram; `remote` sends the same
//! within its own messages. Depends on the types of this layer only.
//!
//! ```text
//!  "cab1"  address type  address  service UUID  service data
//!    4          1           6      2, big-endian   0 to 27
//! ```

use super::{Address, AddressType, MAX_SERVICE_DATA, ServiceUuid, Sighting};

const MAGIC: [u8; 4] = *b"cab1";
const HEADER: usize = 13;

/// Longest datagram that can be an advert; anything longer is not ours.
pub(super) const MAX_FRAME: usize = HEADER + MAX_SERVICE_DATA;

pub(super) fn encode(sighting: &Sighting) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MAX_FRAME);
    bytes.extend(MAGIC);
    bytes.push(u8::from(sighting.address.kind == AddressType::Random));
    bytes.extend(sighting.address.bytes);
    bytes.extend(sighting.service.short().to_be_bytes());
    bytes.extend(&sighting.service_data);
    bytes
}

/// Reads a datagram; `None` for whatever no advertiser of ours has sent.
pub(super) fn decode(bytes: &[u8]) -> Option<Sighting> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let (kind, rest) = rest.split_first()?;
    let (address, rest) = rest.split_first_chunk::<6>()?;
    let (service, data) = rest.split_first_chunk::<2>()?;
    if *magic != MAGIC || data.len() > MAX_SERVICE_DATA {
        return None;
    }
    let kind = address_type(*kind)?;
    let service = ServiceUuid::from_short(u16::from_be_bytes(*service))?;
    let address = Address { bytes: *address, kind };
    Some(Sighting { address, service, service_data: data.to_vec(), rssi: None })
}

fn address_type(byte: u8) -> Option<AddressType> {
    match byte {
        0 => Some(AddressType::Public),
        1 => Some(AddressType::Random),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(kind: AddressType, service: ServiceUuid, data: &[u8]) -> Sighting {
        let address = Address { bytes: [1, 2, 3, 4, 5, 6], kind };
        Sighting { address, service, service_data: data.to_vec(), rssi: None }
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        for kind in [AddressType::Public, AddressType::Random] {
            for service in [ServiceUuid::Fido, ServiceUuid::Google] {
                for len in 0..=MAX_SERVICE_DATA {
                    let sighting = sample(kind, service, &vec![0xa5; len]);
                    assert_eq!(decode(&encode(&sighting)), Some(sighting));
                }
            }
        }
    }

    #[test]
    fn the_layout_stays() {
        let bytes = encode(&sample(AddressType::Random, ServiceUuid::Fido, &[0xaa]));
        assert_eq!(bytes, b"cab1\x01\x01\x02\x03\x04\x05\x06\xff\xf9\xaa");
    }

    #[test]
    fn strange_datagrams_are_nobodys() {
        let good = encode(&sample(AddressType::Random, ServiceUuid::Fido, &[0; MAX_SERVICE_DATA]));
        assert!((0..HEADER).all(|len| decode(&good[..len]).is_none()));
        let long = [&good[..], &[0]].concat();
        assert_eq!(decode(&long), None);
        for (at, byte) in [(0, b'C'), (4, 2), (11, 0)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(decode(&bad), None, "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_decode_to_themselves_or_to_nothing(bytes: Vec<u8>) {
            let with_magic = [&MAGIC[..], &bytes].concat();
            if let Some(sighting) = decode(&with_magic) {
                prop_assert_eq!(encode(&sighting), with_magic);
            }
            prop_assert!(bytes.starts_with(&MAGIC) || decode(&bytes).is_none());
        }
    }
}
