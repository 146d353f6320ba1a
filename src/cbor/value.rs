//! Building and looking into a [`Value`].

use super::Value;

impl Value {
    /// A map with unsigned integer keys, the usual shape of a CTAP2 message.
    #[must_use]
    pub fn int_map(entries: impl IntoIterator<Item = (u64, Value)>) -> Self {
        Self::Map(entries.into_iter().map(|(k, v)| (Self::Uint(k), v)).collect())
    }

    /// A map with text keys.
    #[must_use]
    pub fn text_map<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        Self::Map(entries.into_iter().map(|(k, v)| (Self::from(k), v)).collect())
    }

    /// A signed integer.
    #[must_use]
    pub fn int(value: i64) -> Self {
        match u64::try_from(value) {
            Ok(n) => Self::Uint(n),
            Err(_) => Self::Nint(!value.cast_unsigned()),
        }
    }

    /// The value under an unsigned integer key, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: u64) -> Option<&Value> {
        self.lookup(|k| *k == Self::Uint(key))
    }

    /// The value under a text key, if this is a map that has it.
    #[must_use]
    pub fn get_text(&self, key: &str) -> Option<&Value> {
        self.lookup(|k| k.as_text() == Some(key))
    }

    fn lookup(&self, wanted: impl Fn(&Value) -> bool) -> Option<&Value> {
        let entries = self.as_map()?;
        entries.iter().find(|(k, _)| wanted(k)).map(|(_, v)| v)
    }

    /// The unsigned integer, if it is one.
    #[must_use]
    pub fn as_uint(&self) -> Option<u64> {
        match self {
            Self::Uint(n) => Some(*n),
            _ => None,
        }
    }

    /// The integer, if it is one that fits.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Uint(n) => i64::try_from(*n).ok(),
            Self::Nint(n) => i64::try_from(*n).ok().map(|n| !n),
            _ => None,
        }
    }

    /// The byte string, if it is one.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The elements, if it is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The entries in their order, if it is a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&[(Value, Value)]> {
        match self {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Self {
        Self::Uint(n)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(bytes: [u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}
