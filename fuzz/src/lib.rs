//! What several fuzz targets share: fixed keys, because drawing them costs more than most runs, and
//! both state machines with everything checked that must hold after each input.

use std::sync::LazyLock;

use cabled::hybrid::PrivateKey;
use cabled::secret::Secret;

pub mod laptop;
pub mod phone;
pub mod scene;
pub mod wire;

/// The keys of both sides.
pub struct Keys {
    /// The laptop's identity of a QR.
    pub laptop: PrivateKey,
    /// The laptop's ephemeral key.
    pub laptop_ephemeral: PrivateKey,
    /// The phone's identity for linking.
    pub phone: PrivateKey,
    /// The phone's ephemeral key.
    pub phone_ephemeral: PrivateKey,
}

/// Made once per process.
pub static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let key = |byte| PrivateKey::from_scalar(&Secret::new([byte; 32])).expect("a good scalar");
    Keys { laptop: key(1), laptop_ephemeral: key(2), phone: key(4), phone_ephemeral: key(3) }
});
