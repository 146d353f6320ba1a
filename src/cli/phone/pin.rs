//! `cabled phone pin`: another PIN for the passkey store.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::unlock::{self, Vault, ask_pin, new_pin, read_pin};
use super::{blocking, no_terminal};
use crate::authenticator::store::Locked;
use crate::authenticator::{Pin, Timestamp};
use crate::cli::failure::Failure;
use crate::cli::system;
use crate::cli::terminal::Terminal;
use crate::cli::ui::{Ui, event_line, print};

/// Changes the PIN; the passkeys stay as they are
#[derive(Args, Clone, Debug)]
pub(super) struct ChangePin {
    /// Take the new PIN from the first line of this file, which nobody but you may read
    #[arg(long, value_name = "FILE")]
    new_pin_file: Option<PathBuf>,
}

impl ChangePin {
    pub(super) async fn run(&self, ui: Ui, vault: &Vault) -> Result<(), Failure> {
        let folder = vault.folder()?;
        let locked =
            blocking(move || Locked::open(&folder)).await?.map_err(|e| unlock::failed(&e))?;
        let terminal = Terminal::open();
        let terminal = || terminal.as_ref().ok_or_else(no_terminal);
        let old = match vault.pin_of_file()? {
            Some(pin) => pin,
            None => ask_pin(terminal()?, "PIN until now: ").await?,
        };
        let tried = old.clone();
        let now = Timestamp(system::unix_time());
        let unlocked = blocking(move || locked.unlock(&tried, now, &mut system::random())).await?;
        let (store, _) = unlocked.map_err(|error| unlock::failed(&error))?;
        let new = self.new_pin(terminal).await?;
        let now = Timestamp(system::unix_time());
        let changed =
            blocking(move || store.change_pin(&old, &new, now, &mut system::random())).await?;
        changed.map_err(|error| unlock::failed(&error))?;
        if vault.pin_file.is_some() {
            ui.note("the file of --pin-file still has the PIN until now");
        }
        told(ui)
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

fn told(ui: Ui) -> Result<(), Failure> {
    match ui.is_json() {
        true => print(&event_line("pin-changed", json!({})).to_string()),
        false => {
            ui.step("pin-changed", "The PIN is changed.", json!({}));
            Ok(())
        }
    }
}
