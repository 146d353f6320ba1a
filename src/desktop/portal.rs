//! What the desktop's portal does for programs: a look at the screen (`org.freedesktop.portal.Screenshot`,
//! version 2), and links opened (`org.freedesktop.portal.OpenURI`).
//!
//! Wayland lets no program look at others; the portal does, after the user agreed. It answers in two
//! steps: a call gives the path of a request, on which a signal tells how it went. The picture is a file
//! that the portal made for this call, and that is removed when it has been read. A browser that the
//! portal starts is no child of ours: it inherits none of a service's restrictions. Depends on the
//! sibling `bus`.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Handle;
use tokio::time::timeout;
use zbus::zvariant::{DynamicType, OwnedObjectPath, OwnedValue, Value};

use super::Error;
use super::bus::{Bus, Caller, Peer, Service, read};

const NAME: &str = "org.freedesktop.portal.Desktop";
const PATH: &str = "/org/freedesktop/portal/desktop";
const SCREENSHOT: &str = "org.freedesktop.portal.Screenshot";
const OPEN_URI: &str = "org.freedesktop.portal.OpenURI";
const REQUEST: &str = "org.freedesktop.portal.Request";
const SERVICE: Service = Service { name: NAME, signals: REQUEST };
/// For the user to agree, and perhaps to choose a part of the screen.
const PATIENCE: Duration = Duration::from_secs(120);

/// How the desktop answered.
#[derive(Debug)]
#[non_exhaustive]
pub enum Look {
    /// The bytes of a picture file, usually PNG.
    Picture(Vec<u8>),
    /// The user said no.
    Declined,
    /// It ended in another way; some desktops say so of looks that are not interactive.
    Failed,
}

/// Takes a picture of the screen, of at most `most` bytes. First without a dialog; where the desktop
/// does not do that, with one. `token` names the request: letters and digits that nobody can guess.
/// Waits for the user for two minutes at most.
///
/// # Errors
///
/// [`Error::NoService`] without a portal, [`Error::Refused`] from one that has no screenshots,
/// [`Error::Picture`] for a file that is not there or too large, [`Error::Vanished`],
/// [`Error::NoAnswer`], [`Error::Nonsense`].
pub async fn screenshot(bus: &Bus, token: &str, most: u64) -> Result<Look, Error> {
    match shoot(bus, &format!("{token}a"), false, most).await? {
        Look::Failed => shoot(bus, &format!("{token}b"), true, most).await,
        other => Ok(other),
    }
}

/// A request under way, which the desktop gives up when this is dropped.
struct Request {
    caller: Caller,
    path: String,
    open: bool,
}

async fn shoot(bus: &Bus, token: &str, interactive: bool, most: u64) -> Result<Look, Error> {
    let options = HashMap::from([
        ("handle_token", Value::from(token)),
        ("interactive", Value::from(interactive)),
        // Not to be seen in the picture: a dialog that stays in front of the code.
        ("modal", Value::from(false)),
    ]);
    let (code, mut results) =
        requested(bus, token, SCREENSHOT, "Screenshot", &("", options)).await?;
    match code {
        0 => {}
        1 => return Ok(Look::Declined),
        _ => return Ok(Look::Failed),
    }
    let uri = results.remove("uri").and_then(|uri| String::try_from(uri).ok());
    let file = uri.as_deref().and_then(local_file).ok_or(Error::Nonsense(NAME))?;
    let bytes = tokio::task::spawn_blocking(move || take(&file, most)).await;
    let bytes = bytes.map_err(|gone| Error::Picture(io::Error::other(gone)))?;
    bytes.map(Look::Picture).map_err(Error::Picture)
}

/// Has the desktop open a link with the program that its user chose for such links. `token` is as for
/// [`screenshot`]; `activation`, from a notification, lets the program's window come to the front.
///
/// # Errors
///
/// [`Error::NoService`] without a portal, [`Error::Refused`] from one that opens no links,
/// [`Error::Dismissed`] if the user closed its dialog or no program is there for the link,
/// [`Error::Vanished`], [`Error::NoAnswer`], [`Error::Nonsense`].
pub async fn open_link(
    bus: &Bus,
    token: &str,
    link: &str,
    activation: Option<&str>,
) -> Result<(), Error> {
    let mut options = HashMap::from([("handle_token", Value::from(token))]);
    if let Some(activation) = activation {
        options.insert("activation_token", Value::from(activation));
    }
    match requested(bus, token, OPEN_URI, "OpenURI", &("", link, options)).await? {
        (0, _) => Ok(()),
        _ => Err(Error::Dismissed(NAME)),
    }
}

/// Asks for something, and waits for how it went.
async fn requested<B>(
    bus: &Bus,
    token: &str,
    interface: &str,
    method: &str,
    body: &B,
) -> Result<(u32, HashMap<String, OwnedValue>), Error>
where
    B: Serialize + DynamicType + Sync,
{
    let mut peer = Peer::find(bus, SERVICE).await?;
    let caller = peer.caller();
    let expected = request_path(&peer.own_name().unwrap_or_default(), token);
    let mut request = Request { caller: caller.clone(), path: expected, open: true };
    let handle: OwnedObjectPath = caller.call(PATH, interface, method, body).await?;
    // Portals before version 0.9 choose a path of their own.
    handle.as_str().clone_into(&mut request.path);
    let answered = timeout(PATIENCE, response(&mut peer, &request.path)).await;
    let answered = answered.map_err(|_| Error::NoAnswer(NAME, PATIENCE))??;
    request.open = false;
    Ok(answered)
}

async fn response(
    peer: &mut Peer,
    path: &str,
) -> Result<(u32, HashMap<String, OwnedValue>), Error> {
    loop {
        let signal = peer.signal().await?;
        let header = signal.header();
        let ours = header.path().is_some_and(|own| own.as_str() == path);
        if ours && header.member().is_some_and(|member| member.as_str() == "Response") {
            return read(&signal, NAME);
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let Ok(runtime) = Handle::try_current() else { return };
        if self.open {
            let (caller, path) = (self.caller.clone(), std::mem::take(&mut self.path));
            runtime.spawn(async move { caller.call::<_, ()>(&path, REQUEST, "Close", &()).await });
        }
    }
}

/// Where the request of this token is: our name without the colon, full stops as underscores.
fn request_path(own_name: &str, token: &str) -> String {
    let sender = own_name.trim_start_matches(':').replace('.', "_");
    format!("/org/freedesktop/portal/desktop/request/{sender}/{token}")
}

/// The path in a `file:` URI of this machine; bytes may be written as `%41`.
fn local_file(uri: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    let path = uri.strip_prefix("file://")?;
    let path = path.strip_prefix("localhost").unwrap_or(path);
    if !path.starts_with('/') || path.len() > 4096 {
        return None;
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high << 4 | low).ok()?
            }
            byte => byte,
        });
    }
    let path = PathBuf::from(std::ffi::OsString::from_vec(bytes));
    let plain = path.components().all(|part| part != std::path::Component::ParentDir);
    (plain && path.extension().is_some()).then_some(path)
}

/// Reads a picture and removes it. Only a file of this user's, and no link: the portal writes as we do,
/// and a portal that names another's file would make us remove it.
fn take(file: &Path, most: u64) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
    let options = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(options).open(file)?;
    let facts = opened.metadata()?;
    let own = std::fs::metadata("/proc/self")?.uid();
    if !facts.is_file() || facts.len() > most {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    let read = opened.take(most).read_to_end(&mut bytes).map(drop);
    if facts.uid() == own && is_picture(&bytes) {
        // A file that stays is a nuisance and no failure.
        let _ = std::fs::remove_file(file);
    }
    read.map(|()| bytes)
}

/// PNG, JPEG or WebP: nothing else is removed.
fn is_picture(bytes: &[u8]) -> bool {
    let webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    webp || bytes.starts_with(b"\x89PNG\r\n\x1a\n") || bytes.starts_with(b"\xff\xd8\xff")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_where_the_portal_puts_them() {
        let path = "/org/freedesktop/portal/desktop/request/1_42/abc";
        assert_eq!(request_path(":1.42", "abc"), path);
    }

    #[test]
    fn only_plain_files_of_this_machine_are_taken() {
        let file = |uri| local_file(uri).map(|path| path.to_str().unwrap().to_owned());
        assert_eq!(file("file:///tmp/a%20b.png").as_deref(), Some("/tmp/a b.png"));
        assert_eq!(file("file://localhost/tmp/a.png").as_deref(), Some("/tmp/a.png"));
        for bad in [
            "/tmp/a.png",
            "http://x/a.png",
            "file://host/a.png",
            "file:///tmp/../etc/x.png",
            "file:///tmp/%2e%2e/x.png",
            "file:///tmp/%4",
            "file:///tmp/a%zz.png",
        ] {
            assert_eq!(file(bad), None, "{bad}");
        }
    }

    #[test]
    fn pictures_are_taken_away_and_other_files_stay() {
        let folder = std::env::temp_dir().join(format!("cabled-portal-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (picture, other) = (folder.join("a.png"), folder.join("b.png"));
        std::fs::write(&picture, b"\x89PNG\r\n\x1a\nrest").unwrap();
        std::fs::write(&other, b"my diary").unwrap();
        assert_eq!(take(&picture, 100).unwrap().len(), 12);
        assert!(!picture.exists());
        assert_eq!(take(&other, 100).unwrap(), b"my diary");
        assert!(other.exists());
        assert!(take(&other, 3).is_err() && take(&folder, 100).is_err());
        let link = folder.join("c.png");
        std::os::unix::fs::symlink(&other, &link).unwrap();
        assert!(take(&link, 100).is_err() && other.exists());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
