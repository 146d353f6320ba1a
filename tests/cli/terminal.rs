//! The binary on a terminal, with somebody who reads and types.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use crate::program::alone;

/// The program on a terminal of its own, which `script` (util-linux) makes.
pub(crate) struct OnTerminal {
    child: Child,
    pub(crate) seen: String,
}

impl OnTerminal {
    pub(crate) fn start(arguments: &str) -> Self {
        // Without `exec` some shells stay, get Ctrl-C too, and end as it says.
        let command = format!("exec {} {arguments}", env!("CARGO_BIN_EXE_cabled"));
        let mut script = alone(Command::new("script"));
        script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
        let child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        Self { child, seen: String::new() }
    }

    pub(crate) fn until(&mut self, wanted: &str) {
        let from = self.child.stdout.as_mut().unwrap();
        let mut byte = [0];
        while !self.seen.contains(wanted) {
            assert_eq!(from.read(&mut byte).unwrap(), 1, "it ended: {}", self.seen);
            self.seen.push(char::from(byte[0]));
        }
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut rest = Vec::new();
        self.child.stdout.take().unwrap().read_to_end(&mut rest).unwrap();
        let seen = std::mem::take(&mut self.seen) + &String::from_utf8_lossy(&rest);
        (self.child.wait().unwrap().code(), seen)
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped_already = self.child.wait();
    }
}
