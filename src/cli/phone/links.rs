//! `cabled phone links`: the computers that may ring this phone.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::date;
use super::keeper::{Keeper, Place};
use crate::authenticator::LinkView;
use crate::cli::failure::{Failure, Status};
use crate::cli::terminal::Terminal;
use crate::cli::ui::{Ui, event_line, print};
use crate::hex;

/// Shows and forgets the computers that this phone remembers: they may ring it without a code
#[derive(Args, Clone, Debug)]
pub(super) struct Links {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Subcommand, Clone, Debug)]
enum Sub {
    /// Lists them, oldest first
    List,
    /// Forgets one, which can ring no more
    Forget {
        /// Its ID in the list, or as much of its beginning as no other has
        #[arg(value_name = "ID")]
        id: String,
    },
}

impl Links {
    pub(super) async fn run(&self, ui: Ui, place: Place<'_>) -> Result<(), Failure> {
        let mut keeper = place.keeper(Terminal::open().as_ref()).await?;
        let links = keeper.links().await?;
        match &self.command {
            Sub::List => list(ui, &links),
            Sub::Forget { id } => forget(ui, &mut keeper, &links, id).await,
        }
    }
}

fn list(ui: Ui, links: &[LinkView]) -> Result<(), Failure> {
    if ui.is_json() {
        let links: Vec<Value> = links.iter().map(fields).collect();
        return print(&event_line("links", json!({ "links": links })).to_string());
    }
    if links.is_empty() {
        ui.step("links", "This phone remembers no computer.", json!({}));
        return Ok(());
    }
    for link in links {
        let made = date::iso(link.made_at);
        let rung = link.rung_at.map_or_else(
            || "has not rung yet".to_owned(),
            |at| format!("last rang {}", date::iso(at)),
        );
        print(&format!(
            "{}  {made}  while asking for {}, {rung}",
            hex::lower(&link.id),
            link.rp_id
        ))?;
    }
    Ok(())
}

fn fields(link: &LinkView) -> Value {
    json!({
        "linkId": hex::lower(&link.id),
        "rpId": link.rp_id,
        "madeAt": link.made_at.0,
        "rungAt": link.rung_at.map(|at| at.0),
    })
}

async fn forget(ui: Ui, keeper: &mut Keeper, links: &[LinkView], id: &str) -> Result<(), Failure> {
    let wanted = id.to_ascii_lowercase();
    let mut meant = links.iter().filter(|link| hex::lower(&link.id).starts_with(&wanted));
    let (Some(link), None) = (meant.next(), meant.next()) else {
        let error = format!("{id:?} is the beginning of no ID, or of several");
        return Err(Failure::new(Status::Usage, error, "see: cabled phone links list"));
    };
    keeper.forget_link(link.id).await?;
    let words = "Forgotten: that computer can ring this phone no more.";
    ui.step("link-forgotten", words, json!({ "linkId": hex::lower(&link.id) }));
    Ok(())
}
