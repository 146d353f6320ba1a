//! A web site with passkeys, to try a real browser and a real phone on: lists, names and deletes an
//! account's sign-in methods, in the manner of an organisation's "security info" page.
//!
//! ```text
//! cargo run --example relying_party
//! ```
//!
//! Everything is in memory and on loopback. The verification is `cabled`'s relying party, which leaves
//! it to a library; beside it there are the two policies that organisations have for makes and
//! attestation, and words for what they do to people.
//!
//! ```text
//!  page (HTML, CSS, script) ──JSON──> api ──> site ──> cabled::cli::relying_party
//!                                      └────> explain        refusals in words
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

mod api;
mod explain;
mod page;
mod site;

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use clap::Parser;
use tokio::net::TcpListener;

/// A web site to try passkeys on.
#[derive(Parser)]
struct Options {
    /// Port on 127.0.0.1; 0 lets the system choose, and the first line printed tells
    #[arg(long, default_value_t = 8080)]
    port: u16,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let listener = TcpListener::bind(address).await?;
    // Browsers take passkeys on localhost as if it were https, but never on a bare address.
    let origin = format!("http://localhost:{}", listener.local_addr()?.port());
    println!("listening on {origin}/");
    axum::serve(listener, api::router(&origin)).await?;
    Ok(())
}
