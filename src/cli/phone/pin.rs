//! `cabled phone pin`: another PIN for the passkey store.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::keeper::Place;
use super::no_terminal;
use super::store::tell;
use super::unlock::{ask_pin, new_pin, read_pin};
use crate::authenticator::Pin;
use crate::cli::failure::Failure;
use crate::cli::terminal::Terminal;
use crate::cli::ui::Ui;

/// Changes the PIN; the passkeys stay as they are
#[derive(Args, Clone, Debug)]
pub(super) struct ChangePin {
    /// Take the new PIN from the first line of this file, which nobody but you may read
    #[arg(long, value_name = "FILE")]
    new_pin_file: Option<PathBuf>,
}

impl ChangePin {
    pub(super) async fn run(&self, ui: Ui, place: Place<'_>) -> Result<(), Failure> {
        let mut keeper = place.locked_keeper().await?;
        let terminal = Terminal::open();
        let terminal = || terminal.as_ref().ok_or_else(no_terminal);
        let old = match place.vault.pin_of_file()? {
            Some(pin) => pin,
            None => ask_pin(terminal()?, "PIN until now: ").await?,
        };
        // Before a new one is thought of.
        keeper.try_pin(&old).await?;
        let new = self.new_pin(terminal).await?;
        keeper.change_pin(old, new).await?;
        if place.vault.pin_file.is_some() {
            ui.note("the file of --pin-file still has the PIN until now");
        }
        tell(ui, "pin-changed", "The PIN is changed.", json!({}))
    }

    async fn new_pin<'a>(
        &self,
        terminal: impl Fn() -> Result<&'a Terminal, Failure>,
    ) -> Result<Pin, Failure> {
        match &self.new_pin_file {
            Some(file) => read_pin(file),
            None => new_pin(terminal()?).await,
        }
    }
}
