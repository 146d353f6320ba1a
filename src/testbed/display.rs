//! A virtual X display of one's own.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Error;

/// For the display to come up, and to go.
const DEADLINE: Duration = Duration::from_secs(20);

/// Leads the display's life: until standard input ends, which it does however its other end goes.
const KEEPER: &str = r#"
command -v Xvfb >/dev/null || exit 127
Xvfb -displayfd 1 -screen 0 1280x1024x24 -nolisten tcp 2>/dev/null &
exec >&-
read -r _
kill $!
wait
"#;

/// A display that nobody sees; it ends when this is dropped or the process ends.
#[derive(Debug)]
pub struct VirtualDisplay {
    keeper: Child,
    name: String,
}

impl VirtualDisplay {
    /// Starts one of 1280 by 1024 pixels, within twenty seconds. Needs a tokio runtime, and `Xvfb` (Debian
    /// package: xvfb).
    ///
    /// # Errors
    ///
    /// [`Error::NoDisplay`] if it does not come up, or is not installed.
    pub async fn start() -> Result<Self, Error> {
        let keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for us.
            .process_group(0)
            .spawn();
        let mut keeper = keeper.map_err(|_| Error::NoDisplay)?;
        let mut line = String::new();
        if let Some(output) = keeper.stdout.take() {
            let reading = async { BufReader::new(output).read_line(&mut line).await };
            let _silent = timeout(DEADLINE, reading).await;
        }
        match line.trim().parse::<u32>() {
            Ok(number) => Ok(Self { keeper, name: format!(":{number}") }),
            Err(_) => Err(Error::NoDisplay),
        }
    }

    /// Its name, for `DISPLAY`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ends it, and returns when it is gone or twenty seconds are over.
    pub async fn stop(mut self) {
        drop(self.keeper.stdin.take());
        let _late = timeout(DEADLINE, self.keeper.wait()).await;
    }
}
