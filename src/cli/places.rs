//! Where things are by default: the folders of the XDG base directories.

use std::path::PathBuf;

/// A folder that a variable names; relative ones do not count.
fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn home(variable: &str, otherwise: &str) -> Option<PathBuf> {
    let folder = named(variable).or_else(|| Some(named("HOME")?.join(otherwise)));
    folder.map(|folder| folder.join("cabled"))
}

/// For what is to be kept.
pub(crate) fn data() -> Option<PathBuf> {
    home("XDG_DATA_HOME", ".local/share")
}

/// For what may get lost.
pub(crate) fn state() -> Option<PathBuf> {
    home("XDG_STATE_HOME", ".local/state")
}

/// For sockets; there is none without a session.
pub(crate) fn runtime() -> Option<PathBuf> {
    named("XDG_RUNTIME_DIR").map(|folder| folder.join("cabled"))
}
