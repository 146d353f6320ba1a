//! `--clipboard`: the code in a picture that was copied, or a text that was.
//!
//! The clipboard belongs to the display, and each display has a well-kept program that reads it:
//! `wl-paste` (wl-clipboard) under Wayland, `xclip` under X11. What they give is bounded in time and
//! size. A copied text is a link and no scan, so that what follows has to ask.

use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use crate::cli::failure::{Failure, Status};
use crate::cli::phone::blocking;
use crate::cli::{advice, image};

/// How long the owner of the clipboard may take to hand it over.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of a text that are read: far beyond any code.
const MAX_TEXT: u64 = 64 << 10;

/// Bytes of what a program complains about that are read.
const MAX_COMPLAINT: u64 = 1 << 10;

/// What was copied.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Copied {
    /// The code in a picture: somebody saw it.
    Scanned(String),
    /// A text: a link, perhaps somebody else's.
    Text(String),
}

/// A program that reads the clipboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    WlPaste,
    Xclip,
}

impl Tool {
    /// The one for this display.
    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let set = |name| variable(name).is_some_and(|value| !value.is_empty());
        match (set("WAYLAND_DISPLAY"), set("DISPLAY")) {
            (true, _) => Some(Self::WlPaste),
            (false, true) => Some(Self::Xclip),
            (false, false) => None,
        }
    }

    /// Its name and its package in Debian.
    fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::WlPaste => ("wl-paste", "wl-clipboard"),
            Self::Xclip => ("xclip", "xclip"),
        }
    }

    fn list(self) -> &'static [&'static str] {
        match self {
            Self::WlPaste => &["--list-types"],
            Self::Xclip => &["-selection", "clipboard", "-out", "-target", "TARGETS"],
        }
    }

    fn get(self, kind: &str) -> Vec<&str> {
        match self {
            Self::WlPaste => vec!["--no-newline", "--type", kind],
            Self::Xclip => vec!["-selection", "clipboard", "-out", "-target", kind],
        }
    }

    /// What it prints, at most so much of it. `None`: it gave nothing and said why.
    async fn run(self, arguments: &[&str], limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        let (name, package) = self.name();
        let mut command = Command::new(name);
        command.args(arguments).kill_on_drop(true).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        match timeout(PATIENCE, collect(command, limit)).await {
            Err(_) => Err(Failure::new(
                Status::Failure,
                "whoever copied it does not hand the clipboard over",
                "copy it again",
            )),
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Err(Failure::new(
                Status::Failure,
                format!("the clipboard cannot be read: there is no program {name}"),
                format!("install it; on Debian: apt install {package}"),
            )),
            Ok(Err(error)) => {
                let error = format!("the clipboard cannot be read: {name}: {error}");
                Err(Failure::new(Status::Failure, error, "copy it again"))
            }
            Ok(Ok((_, content, _))) if content.len() as u64 > limit => Err(Failure::new(
                Status::Usage,
                "what was copied is too large to be a code",
                "copy the code alone, as a picture or as its text",
            )),
            Ok(Ok((status, content, _))) if status.success() => Ok(Some(content)),
            Ok(Ok((_, _, complaint))) => {
                tracing::debug!("{name}: {}", complaint.trim());
                Ok(None)
            }
        }
    }
}

async fn collect(mut command: Command, limit: u64) -> io::Result<(ExitStatus, Vec<u8>, String)> {
    let mut child = command.spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (content, complaint) = tokio::try_join!(all(out, limit + 1), all(err, MAX_COMPLAINT))?;
    // More than the limit is left unread; the program ends by that, or with this one.
    let status = match content.len() as u64 > limit {
        true => ExitStatus::default(),
        false => child.wait().await?,
    };
    Ok((status, content, String::from_utf8_lossy(&complaint).into_owned()))
}

async fn all(stream: Option<impl AsyncRead + Unpin>, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(limit).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// The type to ask for, of those that are offered: a picture rather than a text, since it is a scan.
fn choose(offered: &str) -> Option<&str> {
    let offers = || offered.lines().map(str::trim);
    let first = |wanted: &[&str]| {
        wanted.iter().find_map(|wanted| offers().find(|offer| offer.eq_ignore_ascii_case(wanted)))
    };
    let picture = first(&["image/png", "image/bmp", "image/webp", "image/jpeg"]);
    let text = || first(&["text/plain;charset=utf-8", "UTF8_STRING", "text/plain", "STRING"]);
    picture.or_else(text)
}

/// What was copied.
///
/// # Errors
///
/// There is no display, no program for its clipboard, nothing in it, or no code in the picture.
pub(super) async fn copied() -> Result<Copied, Failure> {
    let tool = Tool::of(|name| std::env::var_os(name)).ok_or_else(|| {
        let error = "there is no clipboard here: neither DISPLAY nor WAYLAND_DISPLAY is set";
        let hint = "run it in the desktop's session, or pass the code's text or --image FILE";
        Failure::new(Status::Usage, error, hint)
    })?;
    let offered = tool.run(tool.list(), MAX_TEXT).await?.unwrap_or_default();
    let offered = String::from_utf8_lossy(&offered).into_owned();
    let kind = choose(&offered).ok_or_else(nothing)?;
    if !kind.starts_with("image/") {
        let text = tool.run(&tool.get(kind), MAX_TEXT).await?.ok_or_else(nothing)?;
        return Ok(Copied::Text(String::from_utf8_lossy(&text).trim().to_owned()));
    }
    let picture = tool.run(&tool.get(kind), image::MAX_FILE).await?.ok_or_else(nothing)?;
    let found = blocking(move || image::read(&picture)).await?;
    found.map(Copied::Scanned).map_err(|error| advice::image(&error))
}

fn nothing() -> Failure {
    let error = "the clipboard has neither a picture nor a text";
    Failure::new(Status::Usage, error, "copy a picture of the code, or its text, and try again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_display_says_which_program() {
        let with = |names: &'static [&str]| {
            Tool::of(|name| names.contains(&name).then(|| OsString::from(":0")))
        };
        assert_eq!(with(&["DISPLAY"]), Some(Tool::Xclip));
        assert_eq!(with(&["DISPLAY", "WAYLAND_DISPLAY"]), Some(Tool::WlPaste));
        assert_eq!(with(&[]), None);
        assert_eq!(Tool::of(|_| Some(OsString::new())), None);
    }

    #[test]
    fn a_picture_goes_before_a_text() {
        assert_eq!(choose("TARGETS\nUTF8_STRING\nimage/png\n"), Some("image/png"));
        assert_eq!(choose("text/html\ntext/plain\n"), Some("text/plain"));
        assert_eq!(
            choose("text/plain\ntext/plain;charset=UTF-8\n"),
            Some("text/plain;charset=UTF-8")
        );
        assert_eq!(choose("application/x-thing\n"), None);
        assert_eq!(choose(""), None);
    }

    #[tokio::test]
    async fn output_is_bounded() {
        let run = |script: &str, limit| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).kill_on_drop(true);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            collect(command, limit)
        };
        let (status, content, complaint) = run("printf abc; echo no >&2; exit 3", 3).await.unwrap();
        assert_eq!(
            (status.code(), &content[..], complaint.as_str()),
            (Some(3), &b"abc"[..], "no\n")
        );
        let (_, content, _) =
            run("exec 2>&-; while printf 0123456789; do :; done", 25).await.unwrap();
        assert_eq!(content.len(), 26);
    }
}
