//! A program that has the laptop's daemon make a passkey on a phone.
//!
//! It hands over what a relying party's server sends, shows the code, and prints what goes back to the
//! server.
//!
//! ```text
//! cabled daemon &
//! cargo run --example daemon_client -- options.json https://contoso.com
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its reader")]

use std::error::Error;
use std::path::PathBuf;

use cabled::frontend::control::connect;
use cabled::frontend::control::v1::begin_request::What;
use cabled::frontend::control::v1::event::What as Step;
use cabled::frontend::control::v1::{BeginRequest, Registration, TakeRequest};

/// Where the daemon listens, unless it was told another place.
fn socket() -> Result<PathBuf, Box<dyn Error>> {
    if let Some(path) = std::env::var_os("CABLED_DAEMON_SOCKET") {
        return Ok(path.into());
    }
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").ok_or("XDG_RUNTIME_DIR is not set")?;
    Ok(PathBuf::from(runtime).join("cabled/laptop.sock"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(origin)) = (arguments.next(), arguments.next()) else {
        return Err("usage: daemon_client OPTIONS.json https://SITE".into());
    };
    let options = std::fs::read_to_string(file)?;
    let mut daemon = connect(&socket()?).await?;
    let what = What::Registration(Registration { options, origin });
    // Whoever lets go of this stream before the end withdraws the request.
    let mut events = daemon
        .begin(BeginRequest { what: Some(what), ..BeginRequest::default() })
        .await?
        .into_inner();
    let mut response = None;
    while let Some(event) = events.message().await? {
        match event.what {
            // The same is there as a picture, in `code.svg`.
            Some(Step::Listening(code)) => eprintln!("scan {}", code.text),
            Some(Step::AdvertSeen(_)) => eprintln!("the phone is near"),
            Some(Step::Connected(how)) => eprintln!("connected: {}", how.via),
            Some(Step::WaitingForUser(_)) => eprintln!("look at the phone"),
            Some(Step::Answered(answer)) => response = Some((event.transaction, answer.response)),
            Some(Step::Ended(end)) => {
                if let Some(failure) = end.failure {
                    return Err(format!("{}; {}", failure.text, failure.hint).into());
                }
            }
            // Remarks, and what a newer daemon tells.
            _ => {}
        }
    }
    let (transaction, response) = response.ok_or("the daemon stopped")?;
    println!("{response}");
    // Only now the daemon knows that the passkey did not get lost on the way.
    daemon.take(TakeRequest { transaction }).await?;
    Ok(())
}
