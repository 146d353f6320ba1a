//! The relay's settings from a file and the environment, as defaults of its options.
//!
//! Whatever the command line says wins over the environment, and that over the file. Each value goes
//! through the same parser as on the command line, and a fault names its line or variable.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::cluster;
use crate::cli::failure::{Failure, Status};

/// How long a file may be.
const MAX_FILE_LEN: u64 = 64 << 10;
/// Options that are none of the relay's settings.
const NO_SETTINGS: [&str; 6] = ["config", "check-config", "json", "quiet", "verbose", "help"];
/// What variables begin with.
const PREFIX: &str = "CABLED_RELAY_";

/// Why there are no settings.
pub(crate) enum Fault {
    /// The command line is wrong, or asks for help.
    Usage(Box<clap::Error>),
    /// The file or the environment is wrong.
    Settings(Failure),
}

impl From<clap::Error> for Fault {
    fn from(error: clap::Error) -> Self {
        Self::Usage(Box::new(error))
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self::Settings(failure)
    }
}

/// Parses the arguments of the whole program, with the relay's file and environment behind its own.
pub(crate) fn parse(
    program: &Command,
    arguments: &[OsString],
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<ArgMatches, Fault> {
    let matches = program.clone().try_get_matches_from(arguments)?;
    let Some(relay) = program.find_subcommand("relay") else { return Ok(matches) };
    let own = match matches.subcommand() {
        Some(("relay", own)) if own.subcommand().is_none() => own,
        _ => return Ok(matches),
    };
    cluster::exposed(own)?;
    let named = own.get_one::<PathBuf>("config").cloned();
    let named = named.or_else(|| variable(&format!("{PREFIX}CONFIG")).map(PathBuf::from));
    let mut settings = match named.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => file(&path, relay)?,
        None => Vec::new(),
    };
    settings.extend(environment(relay, variable)?);
    for setting in &settings {
        setting.check(relay)?;
    }
    let behind = |relay: Command| settings.into_iter().fold(relay, Setting::behind);
    Ok(program.clone().mut_subcommand("relay", behind).try_get_matches_from(arguments)?)
}

/// One setting, and where it was read.
struct Setting {
    option: String,
    values: Vec<String>,
    place: String,
}

impl Setting {
    /// Lets the option's own parser see the values.
    fn check(&self, relay: &Command) -> Result<(), Failure> {
        let option = find(relay, &self.option).cloned();
        let alone = Command::new("relay").no_binary_name(true).args(option);
        let words = self.values.iter().map(|value| format!("--{}={value}", self.option));
        let Err(error) = alone.try_get_matches_from(words) else { return Ok(()) };
        let text = error.render().to_string();
        let wrong = text.split("\n\n").next().unwrap_or_default();
        let wrong = wrong.strip_prefix("error: ").unwrap_or(wrong);
        let wrong = wrong.split_whitespace().collect::<Vec<_>>().join(" ");
        Err(fault(&self.place, &wrong, "see: cabled relay --help"))
    }

    /// Puts the values behind what the command line says.
    fn behind(relay: Command, setting: Self) -> Command {
        // Names and values of options live as long as the program; these are read once.
        let values = setting.values.into_iter().map(|value| &*value.leak());
        let values: Vec<&'static str> = values.collect();
        let id = find(&relay, &setting.option).map(|option| option.get_id().clone());
        match id {
            Some(id) => relay.mut_arg(id, |option| option.default_values(values)),
            None => relay,
        }
    }
}

fn find<'a>(relay: &'a Command, option: &str) -> Option<&'a Arg> {
    if NO_SETTINGS.contains(&option) {
        return None;
    }
    relay.get_arguments().find(|known| known.get_long() == Some(option))
}

fn fault(place: &str, wrong: &str, hint: impl Into<String>) -> Failure {
    Failure::new(Status::Usage, format!("{place}: {wrong}"), hint)
}

/// The variables that options have. Others are let be: container managers set `CABLED_RELAY_PORT` and
/// the like for a service of that name.
fn environment(
    relay: &Command,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<Setting>, Failure> {
    let options = relay.get_arguments().filter_map(Arg::get_long);
    let options = options.filter(|option| !NO_SETTINGS.contains(option));
    let settings = options.filter_map(|option| {
        let place = format!("{PREFIX}{}", option.to_ascii_uppercase().replace('-', "_"));
        // One that is empty is as good as none: there is no other way to unset it in a unit.
        let value = variable(&place).filter(|value| !value.is_empty())?;
        let value = value
            .into_string()
            .map_err(|_| fault(&place, "the value is not UTF-8", "see: cabled relay --help"));
        Some(value.map(|value| Setting { option: option.to_owned(), values: vec![value], place }))
    });
    settings.collect()
}

fn file(path: &Path, relay: &Command) -> Result<Vec<Setting>, Failure> {
    let text = read(path).map_err(|error| {
        let error = format!("cannot read {}: {error}", path.display());
        Failure::new(Status::Storage, error, "check --config, or CABLED_RELAY_CONFIG")
    })?;
    let place = |at: usize| {
        let before = text.get(..at).unwrap_or(&text);
        format!("{}:{}", path.display(), before.matches('\n').count() + 1)
    };
    let table = DeTable::parse(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        fault(&place(at), error.message(), "the file is TOML, one setting a line: life = 300")
    })?;
    // In the order of the lines, so that the first fault is the one that is said.
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let settings = entries.into_iter().map(|(key, value)| {
        let (name, place) = (key.get_ref().as_ref(), place(key.span().start));
        let Some(option) = find(relay, name) else { return Err(unknown(&place, name, relay)) };
        let values = values(value, option).map_err(|wrong| {
            fault(&place, &format!("{name} {wrong}"), "see: cabled relay --help")
        })?;
        Ok(Setting { option: name.to_owned(), values, place })
    });
    settings.collect()
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let mut file = std::fs::File::open(path)?.take(MAX_FILE_LEN + 1);
    if file.read_to_string(&mut text)? as u64 > MAX_FILE_LEN {
        return Err(std::io::Error::other("it is longer than 64 KiB"));
    }
    Ok(text)
}

/// Asks the parser of the command line which option was meant.
fn unknown(place: &str, name: &str, relay: &Command) -> Failure {
    let all = "settings are the options of cabled relay --help, without their dashes";
    let known = relay
        .get_arguments()
        .filter(|option| option.get_long().is_some_and(|option| !NO_SETTINGS.contains(&option)));
    let alone = Command::new("relay").no_binary_name(true).disable_help_flag(true);
    let alone = alone.args(known.cloned());
    let meant = alone.try_get_matches_from([format!("--{name}")]).err().and_then(|error| {
        let unknown = error.kind() == ErrorKind::UnknownArgument;
        match error.get(ContextKind::SuggestedArg).filter(|_| unknown) {
            Some(ContextValue::String(option)) => Some(option.trim_start_matches('-').to_owned()),
            _ => None,
        }
    });
    let hint = match meant {
        Some(option) => format!("did you mean {option}? {all}"),
        None => all.to_owned(),
    };
    fault(place, &format!("there is no setting {name:?}"), hint)
}

/// The values as they would stand on the command line.
fn values(value: &Spanned<DeValue<'_>>, option: &Arg) -> Result<Vec<String>, &'static str> {
    match value.get_ref() {
        DeValue::Array(items) if matches!(option.get_action(), ArgAction::Append) => {
            items.iter().map(|item| word(item.get_ref())).collect()
        }
        DeValue::Array(_) => Err("takes one value"),
        value => word(value).map(|word| vec![word]),
    }
}

fn word(value: &DeValue<'_>) -> Result<String, &'static str> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Boolean(value) => Ok(value.to_string()),
        DeValue::Integer(digits) => i128::from_str_radix(digits.as_str(), digits.radix())
            .map(|number| number.to_string())
            .map_err(|_| "is too large a number"),
        DeValue::Float(_) | DeValue::Datetime(_) => {
            Err("takes a text, a whole number or a truth value")
        }
        DeValue::Array(_) => Err("takes a list of texts"),
        DeValue::Table(_) => Err("is a table, and settings stand outside of tables"),
    }
}

#[cfg(test)]
mod tests;
