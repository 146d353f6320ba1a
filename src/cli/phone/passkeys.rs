//! `cabled phone passkeys`: list, show, rename, delete, prune.

use std::io::IsTerminal;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::keeper::{Keeper, Place};
use super::view::{self, NotFound, full_id};
use super::{interrupted_terminal, orphans};
use crate::authenticator::{CredentialId, PasskeyView, State};
use crate::cli::failure::{Failure, Status};
use crate::cli::terminal::Terminal;
use crate::cli::ui::{Ui, event_line, print};

/// Shows and tidies up the passkeys that are kept here
#[derive(Args, Clone, Debug)]
pub(super) struct Passkeys {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Subcommand, Clone, Debug)]
enum Sub {
    /// Lists all passkeys
    List,
    /// Tells all about one passkey, but no keys
    Show(Which),
    /// Gives a passkey a name of your own
    Rename(Rename),
    /// Deletes a passkey for good
    Delete(Delete),
    /// Explains the passkeys that no site may know: when, for whom, why, and what to do
    Orphans(Orphans),
    /// Deletes the passkeys that no site may know, after asking
    Prune(Prune),
}

#[derive(Args, Clone, Debug)]
struct Orphans {
    /// Also those that a laptop took but that never signed in
    #[arg(long)]
    unused: bool,
}

#[derive(Args, Clone, Debug)]
struct Which {
    /// The passkey's ID, or as much of its beginning as no other has
    #[arg(value_name = "ID", allow_hyphen_values = true)]
    id: String,
}

#[derive(Args, Clone, Debug)]
struct Rename {
    #[command(flatten)]
    which: Which,
    /// The new name; an empty one removes it
    name: String,
}

#[derive(Args, Clone, Debug)]
struct Delete {
    #[command(flatten)]
    which: Which,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

#[derive(Args, Clone, Debug)]
struct Prune {
    /// Also those that a laptop took but that never signed in: a site that refused them did not say so
    #[arg(long)]
    unused: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// What the commands work with.
struct Desk {
    ui: Ui,
    terminal: Option<Terminal>,
    keeper: Keeper,
}

impl Passkeys {
    pub(super) async fn run(&self, ui: Ui, place: Place<'_>) -> Result<(), Failure> {
        let terminal = Terminal::open();
        self.refuse_to_delete_unasked(terminal.is_some())?;
        let keeper = place.keeper(terminal.as_ref()).await?;
        let mut desk = Desk { ui, terminal, keeper };
        match &self.command {
            Sub::List => desk.list().await,
            Sub::Show(which) => desk.show(&which.id).await,
            Sub::Rename(rename) => desk.rename(&rename.which.id, &rename.name).await,
            Sub::Delete(delete) => desk.delete(&delete.which.id, delete.yes).await,
            Sub::Orphans(orphans) => desk.orphans(orphans.unused).await,
            Sub::Prune(prune) => desk.prune(prune).await,
        }
    }

    /// Before the PIN is asked for or tried.
    fn refuse_to_delete_unasked(&self, terminal: bool) -> Result<(), Failure> {
        let unasked = match &self.command {
            Sub::Delete(delete) => !delete.yes,
            Sub::Prune(prune) => !prune.yes,
            _ => false,
        };
        match unasked && !terminal {
            true => Err(Failure::new(
                Status::Usage,
                "nobody can be asked whether to delete: there is no terminal",
                "run it in a terminal, or say --yes",
            )),
            false => Ok(()),
        }
    }
}

impl Desk {
    async fn find(&mut self, id: &str) -> Result<PasskeyView, Failure> {
        let passkeys = self.keeper.passkeys().await?;
        let hint = "see: cabled phone passkeys list";
        view::by_prefix(&passkeys, id).cloned().map_err(|error| match error {
            NotFound::Nothing => {
                let error = format!("there is no passkey whose ID begins with {id}");
                Failure::new(Status::Usage, error, hint)
            }
            NotFound::Several(count) => {
                let error = format!("{count} passkeys have an ID that begins with {id}");
                Failure::new(Status::Usage, error, format!("give more of the ID; {hint}"))
            }
        })
    }

    /// A result: JSON for machines, lines for people, both on standard output.
    fn result(&self, event: &str, fields: Value, lines: &str) -> Result<(), Failure> {
        match self.ui.is_json() {
            true => print(&event_line(event, fields).to_string()),
            false if lines.is_empty() => Ok(()),
            false => print(lines),
        }
    }

    async fn list(&mut self) -> Result<(), Failure> {
        let passkeys = self.keeper.passkeys().await?;
        let fields = json!({ "passkeys": passkeys.iter().map(view::json).collect::<Vec<_>>() });
        if passkeys.is_empty() && !self.ui.is_json() {
            self.ui.step("passkeys", "There are no passkeys here yet.", json!({}));
            return Ok(());
        }
        let table = view::table(&passkeys, self.colour());
        self.result("passkeys", fields, &table)?;
        let orphans = passkeys.iter().any(|passkey| passkey.state == State::Created);
        if orphans && !self.ui.is_json() {
            self.ui.note(
                "the answer that announced a passkey in the state \"created\" may never have \
                 arrived, see: cabled phone passkeys orphans",
            );
        }
        Ok(())
    }

    fn colour(&self) -> bool {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        !refused && std::io::stdout().is_terminal()
    }

    async fn show(&mut self, id: &str) -> Result<(), Failure> {
        let passkey = self.find(id).await?;
        self.result("passkey", json!({ "passkey": view::json(&passkey) }), &view::details(&passkey))
    }

    async fn rename(&mut self, id: &str, name: &str) -> Result<(), Failure> {
        let passkey = self.find(id).await?;
        let label = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
        self.keeper.rename(&passkey.id, name).await?;
        let words = match &label {
            Some(label) => format!("The passkey is named {label} now."),
            None => "The passkey has no name any more.".to_owned(),
        };
        self.ui_or_json("renamed", json!({ "id": full_id(&passkey.id), "label": label }), &words)
    }

    async fn delete(&mut self, id: &str, yes: bool) -> Result<(), Failure> {
        let passkey = self.find(id).await?;
        let question = format!(
            "{}\n\nDeleted, it is gone for good: sign-in with it will not work any more.\n\
             Delete this passkey?",
            view::details(&passkey)
        );
        if !yes && !self.confirm(&question).await? {
            return Err(kept());
        }
        self.keeper.delete(&passkey.id).await?;
        let words = format!(
            "Deleted. Remove it in the settings of {} too: the site still lists it.",
            passkey.rp_id
        );
        self.ui_or_json("deleted", deleted(&[passkey.id]), &words)
    }

    async fn possible_orphans(&mut self, unused: bool) -> Result<Vec<PasskeyView>, Failure> {
        let mut orphans = self.keeper.passkeys().await?;
        orphans.retain(|passkey| passkey.may_be_orphaned(unused));
        Ok(orphans)
    }

    async fn orphans(&mut self, unused: bool) -> Result<(), Failure> {
        let found = self.possible_orphans(unused).await?;
        let fields = json!({ "orphans": found.iter().map(orphans::json).collect::<Vec<_>>() });
        if found.is_empty() {
            return self.ui_or_json("orphans", fields, "No passkey here looks like an orphan.");
        }
        self.result("orphans", fields, &orphans::words(&found))?;
        if !self.ui.is_json() {
            self.ui.note("to delete them all, after asking: cabled phone passkeys prune");
        }
        Ok(())
    }

    async fn prune(&mut self, Prune { unused, yes }: &Prune) -> Result<(), Failure> {
        let orphans = self.possible_orphans(*unused).await?;
        if orphans.is_empty() {
            let words = match unused {
                true => "There is nothing to prune: each passkey has signed in.",
                false => {
                    "There is nothing to prune: a laptop has taken each passkey. If a site refused \
                     one all the same, see: cabled phone passkeys prune --unused"
                }
            };
            return self.ui_or_json("deleted", deleted(&[]), words);
        }
        if !*yes {
            let question =
                format!("{}\nDelete {}?", orphans::explain(&orphans), these(orphans.len()));
            if !self.confirm(&question).await? {
                return Err(kept());
            }
        }
        let ids = orphans.iter().map(|orphan| orphan.id.clone()).collect();
        let pruned = self.keeper.prune(ids, *unused).await?;
        let words = match orphans.len() - pruned.len() {
            0 => format!("Deleted {}.", these(pruned.len())),
            kept => format!(
                "Deleted {} of them. {kept} stayed: a laptop confirmed just now to have what was saved.",
                pruned.len()
            ),
        };
        self.ui_or_json("deleted", deleted(&pruned), &words)
    }

    async fn confirm(&self, question: &str) -> Result<bool, Failure> {
        match &self.terminal {
            Some(terminal) => {
                terminal.confirm(question).await.map_err(|error| interrupted_terminal(&error))
            }
            None => Ok(false),
        }
    }

    /// Something that was done: the word for people is talk, the object for machines a result.
    fn ui_or_json(&self, event: &str, fields: Value, words: &str) -> Result<(), Failure> {
        match self.ui.is_json() {
            true => print(&event_line(event, fields).to_string()),
            false => {
                self.ui.step(event, words, fields);
                Ok(())
            }
        }
    }
}

fn kept() -> Failure {
    let hint = "answer y to delete, or say --yes";
    Failure::new(Status::Refused, "nothing was deleted", hint)
}

fn deleted(ids: &[CredentialId]) -> Value {
    json!({ "passkeys": ids.iter().map(full_id).collect::<Vec<_>>() })
}

fn these(count: usize) -> String {
    match count {
        1 => "this passkey".to_owned(),
        count => format!("these {count} passkeys"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::phone::view::tests::passkey;

    #[test]
    fn deleted_ids_are_whole() {
        let fields = deleted(&[passkey(&[0; 32], "anna").id]);
        assert_eq!(fields["passkeys"][0].as_str().unwrap().len(), 43);
        assert_eq!(these(1), "this passkey");
        assert_eq!(these(2), "these 2 passkeys");
    }
}
