//! One phone as a file: sealed, bound to its name, replaced whole.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

use super::{Phone, Random};
use crate::cbor::{self, Value};
use crate::hybrid::PublicKey;
use crate::hybrid::keys::LinkSecret;
use crate::hybrid::linking::{LinkId, LinkedDevice};
use crate::hybrid::tunnel::{ContactId, TunnelServiceId};
use crate::sealed;
use crate::secret::Secret;
use crate::whole;

/// Bytes of the longest file: a contact ID of 4 KiB, names and keys.
const MAX_FILE: u64 = 16 << 10;
const CONTEXT: &[u8] = b"cabled linked phone 1";

/// Binds a file to its name: under another it does not open.
fn context(path: &Path) -> Vec<u8> {
    [CONTEXT, path.file_name().unwrap_or_default().as_encoded_bytes()].concat()
}

/// What a file of this name is to hold.
pub(super) fn seal(
    key: &Secret<32>,
    path: &Path,
    phone: &Phone,
    rng: Random<'_>,
) -> Option<Vec<u8>> {
    sealed::seal(key, &context(path), &encode(phone), rng)
}

pub(super) fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file is the old one or the new one, also after a crash.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension(format!("{}.new", std::process::id()));
    whole::replace(path, &unfinished, bytes)
}

/// The secret stands in front, so that it passes through no value that is not wiped.
fn encode(phone: &Phone) -> Zeroizing<Vec<u8>> {
    let Phone { device, name, linked_at, used_at } = phone;
    let entries = [
        (1, Value::from(device.contact_id.expose())),
        (2, Value::from(device.link_id.0)),
        (3, Value::from(*device.identity.as_bytes())),
        (4, Value::from(device.name.as_str())),
        (5, Value::from(u64::from(device.service.value()))),
        (6, Value::from(name.as_str())),
        (7, Value::from(*linked_at)),
    ];
    let used = used_at.map(|at| (8, Value::from(at)));
    let rest = cbor::encode(&Value::int_map(entries.into_iter().chain(used)));
    Zeroizing::new([&device.link_secret.expose()[..], &rest].concat())
}

/// What a file of this name holds; `None` if it was not sealed with this key, or for another name.
pub(super) fn open(key: &Secret<32>, path: &Path, bytes: &[u8]) -> Option<Phone> {
    let opened = sealed::open(key, &context(path), bytes)?;
    let (secret, rest) = opened.split_first_chunk::<32>()?;
    let map = cbor::decode(rest).ok()?;
    let bytes = |key| map.get(key).and_then(Value::as_bytes);
    let text = |key| map.get(key).and_then(Value::as_text).map(str::to_owned);
    let number = |key| map.get(key).and_then(Value::as_uint);
    let device = LinkedDevice {
        contact_id: ContactId::new(bytes(1)?.to_vec()).ok()?,
        link_id: LinkId(bytes(2)?.try_into().ok()?),
        link_secret: LinkSecret::new(*secret),
        identity: PublicKey::from_sec1(bytes(3)?)?,
        name: text(4)?,
        service: TunnelServiceId::new(u16::try_from(number(5)?).ok()?),
    };
    Some(Phone { device, name: text(6)?, linked_at: number(7)?, used_at: number(8) })
}
