//! The hybrid protocol (FIDO CTAP 2.2 section 11.5, formerly caBLE v2), pure: no sockets, files,
//! clocks or random sources.
//!
//! ```text
//!  laptop: client::Transaction                     phone: authenticator::Transaction
//!    │ shows QrContents as FIDO:/ digits ─────camera─────> │
//!    │                                                     │ opens tunnel, learns routing ID
//!    │ <──────────── advert, 20 bytes, Bluetooth LE ────── │
//!    │ opens the data channel that the advert names        │
//!    │ ─── Noise message 1 (81 bytes) ───────────────────> │
//!    │ <── Noise message 2 (81 bytes), PostHandshake ───── │
//!    │ ─── Frame::Ctap request ──────────────────────────> │ asks its user
//!    │ <── Frame::Ctap response ────────────────────────── │
//!    │ ─── Frame::Shutdown ──────────────────────────────> │ now knows that the answer arrived
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `digits`, `qr` | the `FIDO:/` text |
//! | `keys` | secrets and what is derived from them |
//! | `advert` | the advert and its suffix |
//! | `tunnel` | tunnel services, URLs, headers |
//! | `noise` | the handshake, as typestates |
//! | `frame` | sealed, padded, typed messages |
//! | `post_handshake` | the phone's first message |
//! | `linking` | remembering a phone; what a laptop sends to ring it |
//! | `listen` | how a phone waits for that at its tunnel service |
//! | `client`, `authenticator` | the two state machines |

pub mod advert;
pub mod authenticator;
pub mod client;
mod crypto;
pub mod digits;
mod error;
pub mod frame;
pub mod keys;
pub mod linking;
pub mod listen;
pub mod noise;
pub mod post_handshake;
pub mod qr;
pub mod tunnel;

pub use crypto::{PrivateKey, PublicKey};
pub use error::{Error, Heard, Waiting};
