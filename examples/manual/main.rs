//! Writes a manual page for each command, and completions for bash, zsh and fish, from the definition of the
//! command line:
//!
//! ```text
//! cargo run --example manual -- FOLDER
//! ```
//!
//! An example and no command, so that what only packagers need is not in the program that everybody has.

mod page;
mod words;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder =
        folder.ok_or("name the folder to write to: cargo run --example manual -- FOLDER")?;
    completions(&folder.join("completions"))?;
    pages(&folder.join("man"))
}

fn completions(folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut cabled::cli::command(), "cabled", folder)?;
    }
    Ok(())
}

fn pages(folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let mut program = without_help(cabled::cli::command());
    program.build();
    let commands = all(&program);
    words::check(&commands.iter().map(|command| page::name(command)).collect::<Vec<_>>())?;
    for command in &commands {
        let page = page::render(&program, command)?;
        fs::write(folder.join(format!("{}.1", page::name(command))), page)?;
    }
    Ok(())
}

/// `cabled help` and its like need no page: each would be of every other command.
fn without_help(command: Command) -> Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help)
}

/// A command and all below it.
fn all(command: &Command) -> Vec<&Command> {
    std::iter::once(command).chain(command.get_subcommands().flat_map(all)).collect()
}
