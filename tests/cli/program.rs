//! A run of the binary: its lines as they come, its end, and what each failure has to look like.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};

use serde_json::Value;

use crate::world::PATIENCE;

/// The lines of one stream, read by a thread of their own.
struct Lines {
    receiver: Receiver<String>,
    seen: Vec<String>,
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { receiver, seen: Vec::new() }
    }

    fn until(&mut self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        loop {
            match self.receiver.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if wanted(&line) {
                        return Some(line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("nothing more after {:#?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    fn so_far(mut self) -> Vec<String> {
        self.seen.extend(self.receiver.try_iter());
        self.seen
    }

    fn all(mut self) -> Vec<String> {
        self.until(|_| false);
        self.seen
    }
}

/// A running program; killed with its test. If that failed, what it had said is told.
pub(crate) struct Program {
    arguments: String,
    child: Child,
    out: Option<Lines>,
    err: Option<Lines>,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: Vec<String>,
    pub(crate) err: Vec<String>,
}

/// Cargo's for these tests, or another build of it: on an emulated processor one without optimisation takes twice as long.
pub(crate) fn binary() -> Command {
    let own = || env!("CARGO_BIN_EXE_cabled").into();
    alone(Command::new(std::env::var_os("CABLED_PROGRAM").unwrap_or_else(own)))
}

/// Without what this machine's owner has set or runs.
pub(crate) fn alone(mut command: Command) -> Command {
    for name in ["RADIO", "RELAY", "CA", "STORE", "PIN_FILE", "SOCKET", "DAEMON_SOCKET"] {
        command.env_remove(format!("CABLED_{name}"));
    }
    // Receipts of tests are not their owner's.
    command.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
    for name in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"] {
        command.env_remove(name);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CABLED_RELAY_") {
            command.env_remove(name);
        }
    }
    command.env_remove("NO_COLOR");
    command.env_remove("XDG_RUNTIME_DIR");
    command
}

impl Program {
    pub(crate) fn start<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Self {
        let mut command = binary();
        command.args(arguments);
        Self::of(command)
    }

    pub(crate) fn of(command: Command) -> Self {
        Self::reading(command, Stdio::null())
    }

    /// With something of its own at standard input.
    pub(crate) fn reading(mut command: Command, input: Stdio) -> Self {
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        let arguments = words.join(" ");
        let mut child = command.spawn().unwrap();
        let out = Some(Lines::of(child.stdout.take().unwrap()));
        let err = Some(Lines::of(child.stderr.take().unwrap()));
        Self { arguments, child, out, err }
    }

    /// Waits for a line of standard output.
    pub(crate) fn says(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let line = self.out.as_mut().unwrap().until(wanted);
        line.unwrap_or_else(|| panic!("it ended: {:#?}", self.err.take().unwrap().all()))
    }

    /// Waits for a line of standard error.
    pub(crate) fn tells(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let err = self.err.as_mut().unwrap();
        let line = err.until(wanted);
        line.unwrap_or_else(|| panic!("it ended: {:#?}", err.seen))
    }

    /// Waits for a line of standard error that begins so.
    pub(crate) fn begins(&mut self, start: &str) -> String {
        self.tells(|line| line.starts_with(start))
    }

    #[allow(dead_code, reason = "the suite in the guest shares this file")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        kill(name, &self.child.id().to_string());
    }

    /// The same to its helpers too, as a terminal does. It has to lead a process group.
    #[allow(dead_code, reason = "the suite in the guest shares this file")]
    pub(crate) fn signal_all(&self, name: &str) {
        kill(name, &format!("-{}", self.child.id()));
    }

    /// All that it has told, once it has ended by itself.
    #[allow(dead_code, reason = "the suite in the guest shares this file")]
    pub(crate) fn all_told(&mut self) -> Vec<String> {
        self.err.take().unwrap().all()
    }

    pub(crate) fn end(mut self) -> Ended {
        // The streams end with the program, and that is what the patience is for.
        let (out, err) = (self.out.take().unwrap().all(), self.err.take().unwrap().all());
        Ended { status: self.child.wait().unwrap(), out, err }
    }
}

fn kill(signal: &str, whom: &str) {
    let kill = format!("kill -{signal} {whom}");
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

impl Drop for Program {
    #[allow(clippy::print_stderr, reason = "the report of a failed test has it")]
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped_already = self.child.wait();
        if std::thread::panicking() {
            let lines = [self.out.take(), self.err.take()].into_iter().flatten();
            let said: Vec<_> = lines.flat_map(Lines::so_far).collect();
            eprintln!("what {} had said: {said:#?}", self.arguments);
        }
    }
}

pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Ended {
    Program::start(arguments).end()
}

impl Ended {
    pub(crate) fn succeeded(self) -> Self {
        assert!(self.status.success(), "{self:#?}");
        self
    }

    /// The two last lines, after checking that they are what every failure has.
    pub(crate) fn failed(&self, status: i32) -> (String, String) {
        assert_eq!(self.status.code(), Some(status), "{self:#?}");
        assert!(self.out.is_empty(), "{self:#?}");
        let of = |start: &str| self.err.iter().filter(|line| line.starts_with(start)).count();
        assert_eq!((of("error:"), of("hint:")), (1, 1), "{self:#?}");
        let [.., error, hint] = &self.err[..] else { panic!("{self:#?}") };
        let (error, hint) = (error.strip_prefix("error: "), hint.strip_prefix("hint: "));
        let (error, hint) = (error.unwrap().to_owned(), hint.unwrap().to_owned());
        for text in [&error, &hint] {
            // A sentence to read aloud: no Rust in it, nothing said twice, no line that wraps thrice.
            assert!(!text.contains("Some(") && !text.contains("Error {"), "{text}");
            assert!(!text.contains("::") && !text.ends_with('.') && text.len() < 300, "{text}");
            let parts: Vec<_> = text.split(": ").collect();
            assert!(parts.windows(2).all(|pair| pair[0] != pair[1]), "{text}");
        }
        (error, hint)
    }

    /// The one object that machines get, when the same failure was asked for with `--json`.
    pub(crate) fn failed_in_json(&self, status: i32) -> Value {
        assert_eq!(self.status.code(), Some(status), "{self:#?}");
        let lines: Vec<Value> =
            self.err.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let failures: Vec<_> = lines.iter().filter(|line| line["event"] == "failed").collect();
        assert_eq!(failures.len(), 1, "{self:#?}");
        let failure = lines.last().unwrap().clone();
        assert_eq!((&failure["v"], &failure["status"]), (&1.into(), &status.into()), "{self:#?}");
        for member in ["cause", "error", "hint"] {
            assert!(failure[member].as_str().is_some_and(|text| !text.is_empty()), "{self:#?}");
        }
        failure
    }
}
