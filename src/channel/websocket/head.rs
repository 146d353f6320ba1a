//! Response heads of HTTP: bounded, then parsed. Tunnel services and proxies answer with one.
//!
//! Depends on the channel's errors and on httparse.

use httparse::{EMPTY_HEADER, Response, Status};
use tokio::io::AsyncReadExt;

use super::dial::Socket;
use crate::channel::Error;

/// How long a response head may be.
const MAX_HEAD_LEN: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// Reads until `judge` has a verdict, which it finds with [`parse`].
///
/// # Errors
///
/// [`Error::Upgrade`] for a head that is too long, [`Error::Lost`] for one that ends too early, and
/// what `judge` says.
pub(super) async fn receive<T>(
    socket: &mut dyn Socket,
    judge: impl Fn(&[u8]) -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    let mut head = Vec::new();
    loop {
        if let Some(verdict) = judge(&head)? {
            return Ok(verdict);
        }
        if head.len() >= MAX_HEAD_LEN {
            return Err(Error::Upgrade);
        }
        if socket.read_buf(&mut head).await.map_err(Error::Lost)? == 0 {
            return Err(Error::Lost(std::io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

/// Gives a whole head, and the bytes that follow it, to `read`; `None` as long as more has to come.
///
/// # Errors
///
/// [`Error::Upgrade`] if it is not HTTP.
pub(super) fn parse<T>(
    head: &[u8],
    read: impl FnOnce(&Response<'_, '_>, Vec<u8>) -> T,
) -> Result<Option<T>, Error> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut response = Response::new(&mut headers);
    let Status::Complete(length) = response.parse(head).map_err(|_| Error::Upgrade)? else {
        return Ok(None);
    };
    let rest = head.get(length..).unwrap_or_default().to_vec();
    Ok(Some(read(&response, rest)))
}

/// The value of a header that stands there once; twice is as good as malformed.
pub(super) fn header<'a>(response: &'a Response<'_, '_>, name: &str) -> Option<&'a str> {
    let mut found = response.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name));
    let only = found.next().filter(|_| found.next().is_none())?;
    std::str::from_utf8(only.value).ok().map(str::trim)
}
