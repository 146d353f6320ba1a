//! The bench over HTTP and JSON on loopback, for tests in any language.
//!
//! ```text
//!  pytest, Playwright, curl ──token──> api ──> Bench
//!                         phones ──┘    └── script in, wire out
//! ```
//!
//! Other pages in a browser, and other users of the machine, can reach a port on loopback, so each request
//! has to bring the token. `docs/testbed.md` has the schema.

mod api;
mod phones;
mod refusal;
mod script;
mod wire;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use self::api::Shared;
pub use self::wire::ceremony as ceremony_json;
use super::Bench;
use crate::authenticator::Random;
use crate::frontend::loopback;
use crate::secret::Secret;

/// Finds the text of a code on the display; a blocking call that looks once.
pub type Look = Arc<dyn Fn() -> Result<Option<String>, String> + Send + Sync>;

/// Takes a picture of the display, as PNG; a blocking call.
pub type Picture = Arc<dyn Fn() -> Result<Vec<u8>, String> + Send + Sync>;

/// The display on which codes are shown.
#[derive(Clone)]
pub struct Display {
    /// Where `POST /v1/scan` finds codes.
    pub look: Look,
    /// What `GET /v1/screenshot` gives.
    pub picture: Picture,
}

impl fmt::Debug for Display {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Display")
    }
}

/// A control API that listens.
pub struct Control {
    listener: TcpListener,
    address: SocketAddr,
    token: Secret<32>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Control {
    /// Listens on 127.0.0.1, on a port of the system's choice.
    ///
    /// # Errors
    ///
    /// No port can be had.
    pub async fn bind(mut rng: Random<'_>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, token: Secret::random(&mut rng) })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What each request has to bring as `Authorization: Bearer TOKEN`. Whoever has it rules the bench.
    #[must_use]
    pub fn token(&self) -> String {
        self.token.expose().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Serves until `stop` resolves; without a display what needs one is refused.
    pub async fn serve(
        self,
        bench: Arc<Bench>,
        display: Option<Display>,
        stop: impl Future<Output = ()>,
    ) {
        let token = Arc::<str>::from(format!("Bearer {}", self.token()));
        let router = api::router(Shared { bench, display }, token);
        loopback::serve(self.listener, router, watch::Sender::new(false), stop).await;
    }
}
