//! CTAP2 canonical CBOR: a small value tree with bounds, over minicbor's tokens.
//!
//! Everything on the hybrid wire and in CTAP2 is CBOR with definite lengths, at most a few levels
//! deep, map keys sorted (shorter encodings first, then bytewise) and unique. Chromium refuses a
//! map in another order, so [`encode`] sorts; what we read comes in two strictnesses, see
//! [`decode`] and [`decode_lenient`]. Depends on nothing of this crate.
//!
//! Specification: CTAP 2.2, section 8 (message encoding).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

mod value;

/// Levels of arrays and maps that a decoder enters before it gives up. CTAP2 allows 4; what a
/// phone sends inside extension outputs may be deeper, and recursion needs some bound.
pub const MAX_DEPTH: usize = 16;

/// One CBOR item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Major type 0.
    Uint(u64),
    /// Major type 1: the value is -1 - n.
    Nint(u64),
    /// Major type 2, definite length.
    Bytes(Vec<u8>),
    /// Major type 3, definite length.
    Text(String),
    /// Major type 4, definite length.
    Array(Vec<Value>),
    /// Major type 5, definite length; in the order read, or any order when built.
    Map(Vec<(Value, Value)>),
    /// Simple values 20 and 21.
    Bool(bool),
    /// Simple value 22.
    Null,
}

/// Why bytes were not a CBOR item that this crate takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The item ends before its announced length, or a token is not well-formed.
    #[error("CBOR is cut short or malformed")]
    Malformed,
    /// Bytes follow the item.
    #[error("bytes follow the CBOR item")]
    TrailingBytes,
    /// Deeper than [`MAX_DEPTH`].
    #[error("CBOR is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A tag, a float, an indefinite length or another simple value.
    #[error("CBOR holds an item that CTAP2 does not use")]
    Unsupported,
    /// A map has the same key twice.
    #[error("CBOR map has a key twice")]
    DuplicateKey,
    /// A map is not in canonical order, or an integer or a length is not in its shortest form.
    #[error("CBOR is not in canonical form")]
    NotCanonical,
}

/// Encodes in CTAP2 canonical form; maps are sorted here, whatever order they were built in.
#[must_use]
pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(value, &mut out);
    out
}

fn encode_into(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(items) => {
            token(out, |e| e.array(items.len() as u64).map(drop));
            items.iter().for_each(|item| encode_into(item, out));
        }
        Value::Map(entries) => {
            token(out, |e| e.map(entries.len() as u64).map(drop));
            let mut sorted: Vec<_> = entries.iter().map(|(k, v)| (Rank::of(k), v)).collect();
            sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
            for (Rank { key, .. }, value) in sorted {
                out.extend_from_slice(&key);
                encode_into(value, out);
            }
        }
        Value::Uint(n) => token(out, |e| e.u64(*n).map(drop)),
        Value::Nint(n) => token(out, |e| {
            let n =
                minicbor::data::Int::try_from(-1 - i128::from(*n)).unwrap_or_else(|_| 0_u8.into());
            e.int(n).map(drop)
        }),
        Value::Bytes(bytes) => token(out, |e| e.bytes(bytes).map(drop)),
        Value::Text(text) => token(out, |e| e.str(text).map(drop)),
        Value::Bool(b) => token(out, |e| e.bool(*b).map(drop)),
        Value::Null => token(out, |e| e.null().map(drop)),
    }
}

/// Runs one minicbor write. A `Vec` never refuses bytes, so there is no error to pass on.
fn token(
    out: &mut Vec<u8>,
    write: impl FnOnce(
        &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<std::convert::Infallible>>,
) {
    let _infallible = write(&mut Encoder::new(out));
}

/// The place of a key in its map. Major type first, then length of the encoding, then bytes: CTAP2's own order, in
/// which the major type is the top of the first byte and so decides before the length does.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    major: Option<u8>,
    len: usize,
    key: Vec<u8>,
}

impl Rank {
    fn of(key: &Value) -> Self {
        let key = encode(key);
        Self { major: key.first().map(|first| first >> 5), len: key.len(), key }
    }
}

/// Decodes exactly one item in CTAP2 canonical form that fills `bytes`.
///
/// # Errors
///
/// Anything else, also what [`decode_lenient`] would take, is an [`Error`].
pub fn decode(bytes: &[u8]) -> Result<Value, Error> {
    let value = decode_lenient(bytes)?;
    if encode(&value) == bytes { Ok(value) } else { Err(Error::NotCanonical) }
}

/// Decodes exactly one item that fills `bytes`, in any map order and integer width; the maps that it gives are in
/// canonical order.
///
/// For what deployed phones and laptops send: some of them are not canonical, and refusing them
/// helps nobody. Duplicate keys, indefinite lengths, tags and floats are refused all the same.
///
/// # Errors
///
/// See [`Error`]; the input is never read past its end and nesting is bounded.
pub fn decode_lenient(bytes: &[u8]) -> Result<Value, Error> {
    match decode_prefix(bytes)? {
        (value, []) => Ok(value),
        _ => Err(Error::TrailingBytes),
    }
}

/// Decodes one item at the start of `bytes` and gives what follows it.
///
/// # Errors
///
/// As [`decode_lenient`], but bytes behind the item are no error.
pub fn decode_prefix(bytes: &[u8]) -> Result<(Value, &[u8]), Error> {
    let mut decoder = Decoder::new(bytes);
    let value = item(&mut decoder, MAX_DEPTH)?;
    Ok((value, bytes.get(decoder.position()..).unwrap_or_default()))
}

fn item(d: &mut Decoder<'_>, depth: usize) -> Result<Value, Error> {
    let malformed = |_| Error::Malformed;
    match d.datatype().map_err(malformed)? {
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => d.u64().map(Value::Uint).map_err(malformed),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
            let n = i128::from(d.int().map_err(malformed)?);
            u64::try_from(-1 - n).map(Value::Nint).map_err(|_| Error::Malformed)
        }
        Type::Bytes => d.bytes().map(Value::from).map_err(malformed),
        Type::String => d.str().map(Value::from).map_err(malformed),
        Type::Bool => d.bool().map(Value::Bool).map_err(malformed),
        Type::Null => d.null().map(|()| Value::Null).map_err(malformed),
        Type::Array => array(d, depth),
        Type::Map => map(d, depth),
        _ => Err(Error::Unsupported),
    }
}

fn array(d: &mut Decoder<'_>, depth: usize) -> Result<Value, Error> {
    let depth = depth.checked_sub(1).ok_or(Error::TooDeep)?;
    let len = d.array().map_err(|_| Error::Malformed)?.ok_or(Error::Unsupported)?;
    // No capacity from `len`: it is the peer's word, and each element takes a byte at least.
    let mut items = Vec::new();
    for _ in 0..len {
        items.push(item(d, depth)?);
    }
    Ok(Value::Array(items))
}

fn map(d: &mut Decoder<'_>, depth: usize) -> Result<Value, Error> {
    let depth = depth.checked_sub(1).ok_or(Error::TooDeep)?;
    let len = d.map().map_err(|_| Error::Malformed)?.ok_or(Error::Unsupported)?;
    let mut entries = BTreeMap::new();
    for _ in 0..len {
        let key = item(d, depth)?;
        let Entry::Vacant(place) = entries.entry(Rank::of(&key)) else {
            return Err(Error::DuplicateKey);
        };
        place.insert((key, item(d, depth)?));
    }
    Ok(Value::Map(entries.into_values().collect()))
}

#[cfg(test)]
mod tests;
