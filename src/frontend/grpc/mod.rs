//! The phone's service as gRPC on a Unix socket of its owner's: server, client, schema.
//!
//! ```text
//!  ../socket (who may connect) ──> server (calls), moving (files) ──> authenticator::service
//!                                  └─> convert, status (words of the schema)
//!  a client in this language ──> read (words of the schema, the other way)
//! ```
//!
//! Depends on `authenticator::service`, tonic and siblings.

mod convert;
mod moving;
pub mod read;
mod server;
mod status;

/// The messages and stubs of `proto/cabled/phone/v1/phone.proto`; generated, see `tests/generated.rs`.
#[allow(
    missing_docs,
    unreachable_pub,
    rust_2018_idioms,
    clippy::all,
    reason = "generated; the schema has the documentation"
)]
#[rustfmt::skip]
#[path = "generated/phone_v1.rs"]
pub mod v1;

mod redacted;

pub use self::convert::{Advice, Advise};
pub use self::moving::PART;
pub use self::server::{MAX_IDS, MAX_MESSAGE, serve};
pub use self::status::{TRIES_LEFT, UNTIL};
pub use super::{CAUSE, Listener, MAX_CONNECTIONS, SocketError};

use std::path::Path;

use tonic::transport::Channel;

use self::v1::phone_client::PhoneClient;

/// Bytes of the longest answer: a list of some 10,000 passkeys with long names.
const MAX_ANSWER: usize = 64 << 20;

/// A client of the service.
pub type Client = PhoneClient<Channel>;

/// Connects to the service at this socket.
///
/// # Errors
///
/// [`SocketError::Absent`] if none runs there, [`SocketError::Serve`] otherwise.
pub async fn connect(path: &Path) -> Result<Client, SocketError> {
    let channel = super::dial::connect(path).await?;
    Ok(PhoneClient::new(channel).max_decoding_message_size(MAX_ANSWER))
}
