//! A key sealed by this machine, through `systemd-creds`: by its TPM where there is one, otherwise by a
//! key that only root can read. The file is of no use elsewhere.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::authenticator::store::exchange::write_new;
use crate::cli::failure::{Failure, Status};
use crate::cli::phone::{blocking, unlock};
use crate::secret::Secret;

const PROGRAM: &str = "systemd-creds";
/// Binds what is sealed to its use.
const NAME: &str = "--name=cabled-unlock-key";
/// For the sealed key, beside the store.
const FILE: &str = "unlock-key.cred";
/// A TPM may take seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that are read of what it says.
const MAX_OUTPUT: u64 = 64 << 10;

fn file(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// Seals the key into a file beside the store, in the place of an earlier one.
pub(super) async fn seal(folder: &Path, key: &Secret<32>) -> Result<(), Failure> {
    let sealed = run(&["encrypt", NAME, "--with-key=auto", "-", "-"], key.expose()).await?;
    let path = file(folder);
    let written = blocking(move || {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        write_new(&path, &sealed)
    });
    written.await?.map_err(|error| unlock::failed(&error))
}

/// The key; `None` without a file.
pub(super) async fn open(folder: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let path = file(folder);
    let sealed = match blocking(move || std::fs::read(path)).await? {
        Ok(sealed) => sealed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unlock::failed(&error.into())),
    };
    run(&["decrypt", NAME, "-", "-"], &sealed).await.map(Some)
}

/// Removes the file; false if there is none.
pub(super) async fn forget(folder: &Path) -> Result<bool, Failure> {
    let path = file(folder);
    match blocking(move || std::fs::remove_file(path)).await? {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(unlock::failed(&error.into())),
    }
}

async fn run(arguments: &[&str], input: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).kill_on_drop(true).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    // The machine's own keys are root's; others are served by systemd itself, since version 256.
    if !rustix::process::geteuid().is_root() {
        command.arg("--user");
    }
    let talked = timeout(PATIENCE, talk(command, input)).await;
    match talked {
        Err(_) => Err(failed("it did not answer in time")),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            let error = format!("there is no program {PROGRAM}");
            Err(Failure::new(Status::Failure, error, "it comes with systemd, from version 250 on"))
        }
        Ok(Err(error)) => Err(failed(&error.to_string())),
        Ok(Ok((true, output, _))) => Ok(output),
        Ok(Ok((false, _, complaint))) => Err(failed(complaint.lines().last().unwrap_or_default())),
    }
}

fn failed(why: &str) -> Failure {
    let error = format!("{PROGRAM} does not do it: {}", why.trim().trim_end_matches('.'));
    let hint = "as another user than root it takes systemd 256; as root: systemd-creds setup";
    Failure::new(Status::Failure, error, hint)
}

async fn talk(
    mut command: Command,
    input: &[u8],
) -> io::Result<(bool, Zeroizing<Vec<u8>>, String)> {
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that ends without reading says why.
        let _its_complaint_counts = stdin.write_all(input).await;
    }
    // With its whole size from the start, so that no copy is left behind by growing.
    let mut output = Zeroizing::new(Vec::with_capacity(MAX_OUTPUT as usize));
    let mut complaint = Vec::new();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let reading = async {
        match stdout {
            Some(stdout) => stdout.take(MAX_OUTPUT).read_to_end(&mut output).await,
            None => Ok(0),
        }
    };
    let complaining = async {
        match stderr {
            Some(stderr) => stderr.take(MAX_OUTPUT).read_to_end(&mut complaint).await,
            None => Ok(0),
        }
    };
    tokio::try_join!(reading, complaining)?;
    let status = child.wait().await?;
    Ok((status.success(), output, String::from_utf8_lossy(&complaint).into_owned()))
}
