//! What the kernel tells of the measured process, and how many files ours may have.

use std::time::Duration;

use tokio::time::sleep;

use crate::cli::failure::{Failure, Status};
use crate::cli::files;

/// How often memory is looked at, and how many times at most.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LOOKS: u32 = 60;
/// So many looks without a change are rest.
const REST: u32 = 8;

/// A process that is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server(u32);

impl Server {
    /// The process with this number, if it can be measured.
    pub(super) fn of(pid: u32) -> Result<Self, Failure> {
        let server = Self(pid);
        server.memory()?;
        server.cpu()?;
        Ok(server)
    }

    /// Resident memory, in bytes.
    pub(super) fn memory(self) -> Result<u64, Failure> {
        let text = self.read("status")?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        number.map(|kib| kib * 1024).ok_or_else(|| self.unreadable("no memory of its own"))
    }

    /// Resident memory when it has been the same for two seconds, or after fifteen: an allocator may give back what
    /// is freed some time later, and in steps.
    pub(super) async fn settled(self) -> Result<u64, Failure> {
        let (mut last, mut same) = (self.memory()?, 0);
        for _ in 0..LOOKS {
            sleep(LOOK_EVERY).await;
            let now = self.memory()?;
            same = if now == last { same + 1 } else { 0 };
            last = now;
            if same == REST {
                break;
            }
        }
        Ok(last)
    }

    /// CPU time of all its threads that are still there, in nanoseconds.
    pub(super) fn cpu(self) -> Result<u64, Failure> {
        let folder = format!("/proc/{}/task", self.0);
        let tasks =
            std::fs::read_dir(folder).map_err(|error| self.unreadable(&error.to_string()))?;
        let mut total = 0;
        for task in tasks.flatten() {
            // A thread may end between the two looks.
            let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let spent = text.split_whitespace().next().and_then(|first| first.parse::<u64>().ok());
            total += spent.unwrap_or(0);
        }
        Ok(total)
    }

    fn read(self, name: &str) -> Result<String, Failure> {
        let path = format!("/proc/{}/{name}", self.0);
        std::fs::read_to_string(path).map_err(|error| self.unreadable(&error.to_string()))
    }

    fn unreadable(self, why: &str) -> Failure {
        let error = format!("cannot measure process {}: {why}", self.0);
        let hint = "name with --pid the relay's process on this machine, or leave it out";
        Failure::new(Status::Usage, error, hint)
    }
}

/// Lets this process have so many open files.
pub(super) fn allow_files(wanted: u64) -> Result<(), Failure> {
    if files::allow(wanted).is_none_or(|allowed| allowed >= wanted) {
        return Ok(());
    }
    let error = format!("{wanted} open files are needed, and this process may not have them");
    Err(Failure::new(Status::Usage, error, "lower --tunnels, or raise the hard limit: ulimit -Hn"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_process_can_be_measured() {
        let server = Server::of(std::process::id()).unwrap();
        assert!(server.memory().unwrap() > 1 << 16);
        let before = server.cpu().unwrap();
        let mut sum = 0_u64;
        while server.cpu().unwrap() == before {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(Server::of(u32::MAX).is_err());
    }

    #[test]
    fn more_files_than_there_can_be_are_an_error() {
        allow_files(16).unwrap();
        if files::allow(u64::MAX).is_some() {
            let failure = allow_files(u64::MAX).unwrap_err();
            assert!(failure.hint.contains("--tunnels"), "{failure:?}");
        }
    }
}
