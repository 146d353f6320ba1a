//! The laptop's service as gRPC on a Unix socket of its owner's: server, client, schema.
//!
//! ```text
//!  ../socket (who may connect) ──> server (calls), carry (CTAP2) ──> client::service
//!                                  └─> convert (words of the schema)
//! ```
//!
//! Depends on `client::service`, tonic and siblings.

#[cfg(feature = "grpc")]
mod begin;
#[cfg(feature = "grpc")]
mod carry;
#[cfg(feature = "grpc")]
mod convert;
#[cfg(feature = "grpc")]
mod server;

/// The messages and stubs of `proto/cabled/control/v1/control.proto`; generated, see
/// `tests/generated.rs`.
#[allow(
    missing_docs,
    unreachable_pub,
    rust_2018_idioms,
    clippy::all,
    reason = "generated; the schema has the documentation"
)]
#[rustfmt::skip]
#[path = "generated/control_v1.rs"]
pub mod v1;

use std::fmt;
use std::path::Path;

use tonic::transport::Channel;

use self::v1::control_client::ControlClient;
use super::{SocketError, dial};

#[cfg(feature = "grpc")]
pub use self::server::{Doorkeeper, MAX_MESSAGE, serve};

/// Bytes of the longest answer: a list of all receipts.
const MAX_ANSWER: usize = 64 << 20;

/// A client of the service.
pub type Client = ControlClient<Channel>;

/// Connects to the service at this socket.
///
/// # Errors
///
/// [`SocketError::Absent`] if none runs there, [`SocketError::Serve`] otherwise.
pub async fn connect(path: &Path) -> Result<Client, SocketError> {
    Ok(ControlClient::new(dial::connect(path).await?).max_decoding_message_size(MAX_ANSWER))
}

/// Whoever has the code may answer in the place of the phone.
impl fmt::Debug for v1::Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listening(redacted)")
    }
}

/// Whoever has the link may come in.
impl fmt::Debug for v1::OpenPageResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenPageResponse(redacted)")
    }
}
