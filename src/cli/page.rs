//! `cabled page`: a link into the daemon's page.

use clap::Args;
use serde_json::json;

use super::failure::{Failure, Status};
use super::ui::{Ui, event_line, print};
use super::{daemon, local};
use crate::frontend::control::v1::OpenPageRequest;

/// Gives a link to the page of the daemon (cabled daemon --web), for one browser on this computer, once
#[derive(Args, Clone, Debug)]
pub(crate) struct Page {
    /// Open it in your browser in place of printing it
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    socket: daemon::Socket,
}

impl Page {
    pub(crate) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        let mut client = self.socket.client().await?;
        let answer = client.open_page(OpenPageRequest {}).await.map_err(|refusal| {
            match local::cause(&refusal) {
                Some("no-page") => {
                    let hint = "start it with: cabled daemon --web";
                    Failure::new(Status::Usage, "the daemon shows no page", hint)
                }
                _ => daemon::refused(&refusal),
            }
        })?;
        let link = answer.into_inner().link;
        if self.open {
            return open(ui, &link).await;
        }
        match ui.is_json() {
            true => print(&event_line("page", json!({ "link": link })).to_string()),
            false => print(&link),
        }
    }
}

#[cfg(target_os = "linux")]
async fn open(ui: Ui, link: &str) -> Result<(), Failure> {
    super::browse::open(link).await?;
    ui.step("page-opened", "The page is in your browser.", json!({}));
    Ok(())
}

#[cfg(not(target_os = "linux"))]
async fn open(_: Ui, _: &str) -> Result<(), Failure> {
    let hint = "open the link yourself: cabled page";
    Err(Failure::new(Status::Usage, "browsers are opened on Linux only", hint))
}
