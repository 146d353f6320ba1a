//! The bench on loopback, over HTTP and JSON and over gRPC, for tests in any language.
//!
//! ```text
//!  pytest, Playwright, curl ──token──> http ──┐
//!            gRPC's clients ──token──> grpc ──┴──> calls, phones ──> Bench
//!                                                  └── script in, wire out
//! ```
//!
//! Both speak the messages of one schema, `proto/cabled/testbed/v1`.
//!
//! Other pages in a browser, and other users of the machine, can reach a port on loopback, so each request
//! has to bring the token. `docs/testbed.md` has the schema.

mod calls;
mod grpc;
mod http;
mod phones;
mod refusal;
mod script;
mod wire;

/// The messages and stubs of `proto/cabled/testbed/v1/testbed.proto`; generated, see
/// `tests/generated.rs`.
#[allow(
    missing_docs,
    unreachable_pub,
    rust_2018_idioms,
    clippy::all,
    reason = "generated; the schema has the documentation"
)]
#[rustfmt::skip]
#[path = "generated/testbed_v1.rs"]
pub mod v1;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use self::calls::Calls;
use super::Bench;
use crate::authenticator::Random;
use crate::frontend::loopback;
use crate::hex;
use crate::secret::Secret;

/// Bytes of the longest request: a code has some 180 characters, a script at most 16 answers.
const MAX_REQUEST: usize = 16 << 10;

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
    http: TcpListener,
    grpc: TcpListener,
    addresses: [SocketAddr; 2],
    token: Secret<32>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Control {
    /// Listens on 127.0.0.1, on ports of the system's choice.
    ///
    /// # Errors
    ///
    /// No port can be had.
    pub async fn bind(mut rng: Random<'_>) -> io::Result<Self> {
        let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let grpc = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addresses = [http.local_addr()?, grpc.local_addr()?];
        Ok(Self { http, grpc, addresses, token: Secret::random(&mut rng) })
    }

    /// Where it is for HTTP and JSON.
    #[must_use]
    pub fn url(&self) -> String {
        let [http, _] = self.addresses;
        format!("http://{http}")
    }

    /// Where it is for gRPC without TLS: address and port.
    #[must_use]
    pub fn grpc(&self) -> String {
        let [_, grpc] = self.addresses;
        grpc.to_string()
    }

    /// What each request has to bring as `Authorization: Bearer TOKEN`. Whoever has it rules the bench.
    #[must_use]
    pub fn token(&self) -> String {
        hex::lower(self.token.expose())
    }

    /// Serves until `stop` resolves; without a display what needs one is refused.
    pub async fn serve(
        self,
        bench: Arc<Bench>,
        display: Option<Display>,
        stop: impl Future<Output = ()>,
    ) {
        let bearer = Arc::<str>::from(format!("Bearer {}", self.token()));
        let (tell, stopping) = watch::channel(false);
        let calls = Calls::new(bench, display, stopping);
        let router = http::router(calls.clone(), Arc::clone(&bearer));
        let http = loopback::serve(self.http, router, tell, stop);
        tokio::join!(http, grpc::serve(self.grpc, calls, bearer));
    }
}
