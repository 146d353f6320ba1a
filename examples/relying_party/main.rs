//! A web site with passkeys, to try a real browser and a real phone on: lists, names and deletes an
//! account's sign-in methods, in the manner of an organisation's "security info" page.
//!
//! ```text
//! cargo run --example relying_party               # with real Bluetooth and the internet
//! cargo run --example relying_party -- --alone    # without either: prints two commands to copy
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

mod alone;
mod api;
mod bugs;
mod explain;
mod page;
mod site;

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;

use alone::Alone;
use clap::Parser;
use tokio::net::TcpListener;

/// A web site to try passkeys on.
#[derive(Parser)]
struct Options {
    /// Port on 127.0.0.1; 0 lets the system choose, and the first line printed tells
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Have a bug that sites have, to see whether tests find it
    #[arg(long, value_enum)]
    bug: Option<bugs::Bug>,
    /// Also give what this machine may lack, a tunnel service and a fake Bluetooth, and print the
    /// commands that start Chromium and the phone with them
    #[arg(long)]
    alone: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let listener = TcpListener::bind(address).await?;
    // Browsers take passkeys on localhost as if it were https, but never on a bare address.
    let origin = format!("http://localhost:{}", listener.local_addr()?.port());
    println!("listening on {origin}/");
    let site = axum::serve(listener, api::router(&origin, options.bug));
    if !options.alone {
        return Ok(site.await?);
    }
    let folder = tempfile::Builder::new().prefix("cabled-alone-").tempdir()?;
    let alone = Alone::start(folder.path()).await?;
    println!("\n# The laptop:\n{}", browser_command(&alone, &origin));
    println!("\n# The phone, once Chromium shows its code:\n{}", phone_command(&alone));
    // What it made goes with it, so it has to end in order.
    tokio::select! {
        served = site => served?,
        ended = tokio::signal::ctrl_c() => ended?,
    }
    alone.stop().await
}

fn browser_command(alone: &Alone, origin: &str) -> String {
    let mut words = environment(alone);
    // Chromium's own sandbox refuses to run for root.
    let root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    words.push("chromium".to_owned());
    words.extend(root.then(|| "--no-sandbox".to_owned()));
    words.extend(alone.browser_arguments().iter().map(|word| quoted(word)));
    words.push(format!("{origin}/"));
    words.join(" ")
}

fn phone_command(alone: &Alone) -> String {
    let mut words = environment(alone);
    words.extend(["cabled", "phone", "scan", "--screen"].map(ToOwned::to_owned));
    words.extend(alone.phone_arguments().iter().map(|word| quoted(word)));
    words.join(" ")
}

fn environment(alone: &Alone) -> Vec<String> {
    alone.environment().iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect()
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@".contains(c);
    match word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}
