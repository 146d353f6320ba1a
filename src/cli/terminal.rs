//! The user's terminal: questions that can be withdrawn, and lines that do not echo.
//!
//! Everything goes through `/dev/tty`, so that standard input may bring a code and standard output
//! take events meanwhile. Reads are asynchronous: a question that is dropped leaves no thread
//! behind, and the terminal as it was. Depends on nothing else of this crate.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

use rustix::process;
use rustix::termios::{self, LocalModes, OptionalActions, QueueSelector, Termios};
use tokio::io::unix::AsyncFd;
use zeroize::Zeroizing;

/// Longest line that a terminal gives in one piece.
const MAX_LINE: usize = 4096;

/// Somebody who can be asked.
pub(crate) struct Terminal(AsyncFd<File>);

impl Terminal {
    /// The terminal that the program was started from. `None` when nobody sits there: there is
    /// none, or neither standard input nor standard error is one, as in scripts. Call it inside of
    /// the runtime.
    pub(crate) fn open() -> Option<Self> {
        if !io::stdin().is_terminal() && !io::stderr().is_terminal() {
            return None;
        }
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open("/dev/tty");
        #[expect(
            deprecated,
            reason = "its soundness asks for a descriptor that stays, which a File has; the \
                      replacement cannot be called without unsafe code"
        )]
        let tty = AsyncFd::new(file.ok()?);
        tty.ok().map(Self)
    }

    /// Whether this program has the terminal; one in the background is stopped when it reads.
    pub(crate) fn is_in_front(&self) -> bool {
        termios::tcgetpgrp(self.0.get_ref()).is_ok_and(|group| group == process::getpgrp())
    }

    /// Writes a text.
    pub(crate) async fn say(&self, text: &str) -> io::Result<()> {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let mut ready = self.0.writable().await?;
            if let Ok(written) = ready.try_io(|tty| tty.get_ref().write(rest)) {
                rest = rest.get(written?..).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Asks for a line. `None` for the end of input (Ctrl-D). What was typed before the question
    /// could be read is thrown away.
    pub(crate) async fn line(&self, prompt: &str) -> io::Result<Option<Zeroizing<String>>> {
        termios::tcflush(self.0.get_ref(), QueueSelector::IFlush)?;
        let question = Question { tty: &self.0, open: true };
        self.say(prompt).await?;
        let line = self.read().await;
        question.close();
        line
    }

    /// [`Self::line`] without echo.
    pub(crate) async fn hidden(&self, prompt: &str) -> io::Result<Option<Zeroizing<String>>> {
        let _restored_when_dropped = Silence::begin(self.0.get_ref())?;
        self.line(prompt).await
    }

    /// Asks until the answer is yes or no; Enter and the end of input mean no.
    pub(crate) async fn confirm(&self, question: &str) -> io::Result<bool> {
        loop {
            let Some(line) = self.line(&format!("{question} [y/N] ")).await? else {
                return Ok(false);
            };
            if let Some(answer) = yes_or_no(&line) {
                return Ok(answer);
            }
        }
    }

    /// One line, which the terminal gives at once when it is complete.
    async fn read(&self) -> io::Result<Option<Zeroizing<String>>> {
        let mut bytes = Zeroizing::new([0; MAX_LINE]);
        let count = loop {
            let mut ready = self.0.readable().await?;
            if let Ok(read) = ready.try_io(|tty| tty.get_ref().read(&mut bytes[..])) {
                break read?;
            }
        };
        if count == 0 {
            return Ok(None);
        }
        let text = std::str::from_utf8(bytes.get(..count).unwrap_or_default());
        let text = text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())))
    }
}

/// `None` for what is neither.
pub(crate) fn yes_or_no(line: &str) -> Option<bool> {
    match line.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// A prompt without an answer yet; withdrawn, it leaves the cursor on a line of its own.
struct Question<'a> {
    tty: &'a AsyncFd<File>,
    open: bool,
}

impl Question<'_> {
    fn close(mut self) {
        self.open = false;
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if self.open {
            let _nobody_reads = self.tty.get_ref().write(b"\n");
        }
    }
}

/// No echo but of the line's end, until dropped.
struct Silence<'a> {
    tty: &'a File,
    before: Termios,
}

impl<'a> Silence<'a> {
    fn begin(tty: &'a File) -> io::Result<Self> {
        let before = termios::tcgetattr(tty)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        quiet.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        termios::tcsetattr(tty, OptionalActions::Now, &quiet)?;
        Ok(Self { tty, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        let _terminal_is_gone = termios::tcsetattr(self.tty, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        assert_eq!(yes_or_no("y"), Some(true));
        assert_eq!(yes_or_no(" YES "), Some(true));
        assert_eq!(yes_or_no(""), Some(false));
        assert_eq!(yes_or_no("No"), Some(false));
        assert_eq!(yes_or_no("yess"), None);
    }
}
