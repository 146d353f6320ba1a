//! `cabled radio pair` and `unpair`.

use std::io::{IsTerminal as _, Read as _};

use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

use super::WARNING;
use super::keys::Keys;
use crate::ble::remote::PairingKey;
use crate::cli::failure::{Failure, Status};
use crate::cli::system;
use crate::cli::terminal::Terminal;
use crate::cli::ui::{Ui, event_line, print};

/// Longest input that is read for a code.
const MAX_INPUT: u64 = 1 << 10;

/// Pairs two machines of yours, so that one may use the radio of the other
///
/// Without an option, on the machine without a radio: makes a key and shows it as one line of text, once.
/// Whoever has that line and can run programs as you on this machine can take part; keep it to yourself.
#[derive(Args, Clone, Debug)]
pub(super) struct Pair {
    /// On the machine with the radio: take the code that the other one shows, from the terminal or from
    /// standard input
    #[arg(long)]
    with_code: bool,
}

impl Pair {
    pub(super) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        let keys = Keys::of_user()?;
        match self.with_code {
            true => take(ui, &keys).await,
            false => make(ui, &keys),
        }
    }
}

fn make(ui: Ui, keys: &Keys) -> Result<(), Failure> {
    let key = PairingKey::random(&mut system::random());
    if !keys.make(&key)? {
        let error = "this machine has made a pairing already, whose code is not shown again";
        let hint = "go on with it, or make a new one after: cabled radio unpair";
        return Err(Failure::new(Status::Usage, error, hint));
    }
    let (code, id) = (key.code(), key.id().to_string());
    if ui.is_json() {
        let fields = json!({ "code": *code, "pairing": id });
        print(&event_line("radio-code", fields).to_string())?;
    } else {
        ui.step(
            "radio-code",
            "On the machine with the radio, type this code for: cabled radio pair --with-code",
            json!({}),
        );
        print(&code)?;
    }
    ui.note(WARNING);
    Ok(())
}

async fn take(ui: Ui, keys: &Keys) -> Result<(), Failure> {
    let text = typed().await?;
    let key = PairingKey::from_code(&text).map_err(|error| {
        let hint =
            "type or paste the whole line that cabled radio pair showed on the other machine";
        Failure::because(Status::Usage, &error, hint)
    })?;
    let id = key.id().to_string();
    keys.take(key)?;
    let words = format!("Paired as {id}. Share the radio with: cabled radio share HOST");
    ui.step("radio-paired", &words, json!({ "pairing": id }));
    ui.note(WARNING);
    Ok(())
}

/// The code: not from the command line, which other users can see.
async fn typed() -> Result<Zeroizing<String>, Failure> {
    let unreadable = |error: std::io::Error| {
        let error = format!("the code cannot be read: {error}");
        Failure::new(Status::Storage, error, "pipe it into the command, or run it in a terminal")
    };
    let mut text = Zeroizing::new(String::with_capacity(MAX_INPUT as usize));
    if !std::io::stdin().is_terminal() {
        std::io::stdin().lock().take(MAX_INPUT).read_to_string(&mut text).map_err(unreadable)?;
        return Ok(text);
    }
    let terminal = Terminal::open().ok_or_else(|| {
        let error = "the code cannot be asked for: there is no terminal";
        Failure::new(Status::Usage, error, "pipe it into the command")
    })?;
    let line = terminal.line("Code of the other machine: ").await.map_err(unreadable)?;
    Ok(line.unwrap_or(text))
}

/// Forgets pairings: the radio is shared no more, whichever end forgets
#[derive(Args, Clone, Debug)]
pub(super) struct Unpair {
    /// Only the one of this name, such as 1f2e-3d4c, which "pair --with-code" and "share" tell
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

impl Unpair {
    pub(super) fn run(&self, ui: Ui) -> Result<(), Failure> {
        let gone = Keys::of_user()?.forget(self.name.as_deref())?;
        if let (Some(name), true) = (&self.name, gone.is_empty()) {
            let error = format!("this machine has no pairing of the name {name}");
            let hint = "names look like 1f2e-3d4c; without one all pairings are forgotten";
            return Err(Failure::new(Status::Usage, error, hint));
        }
        if gone.is_empty() {
            ui.step("radio-unpaired", "This machine is not paired.", json!({}));
        }
        for id in gone.iter().map(ToString::to_string) {
            let words =
                format!("The pairing {id} is forgotten here. What runs goes on until it ends.");
            ui.step("radio-unpaired", &words, json!({ "pairing": id }));
        }
        Ok(())
    }
}
