//! Bytes both ways over whatever joins two machines, such as the standard streams of a command. A write
//! that stands still does not keep anybody from reading. Depends on tokio.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::Error;

/// Bytes that are read at once.
const CHUNK: usize = 4 << 10;
/// With so many to be written no more are read: whoever lets them pile up has to read first.
const FULL: usize = 8 << 10;
/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// One end.
#[derive(Debug)]
pub(super) struct Pipe<R, W> {
    reader: R,
    writer: W,
    incoming: Box<[u8; CHUNK]>,
    outgoing: Vec<u8>,
    written: usize,
}

/// What has gone on.
#[derive(Debug)]
pub(super) enum Moved {
    /// So many bytes came.
    Came(usize),
    /// All is written.
    Gone,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Pipe<R, W> {
    pub(super) fn new(reader: R, writer: W) -> Self {
        let incoming = Box::new([0; CHUNK]);
        Self { reader, writer, incoming, outgoing: Vec::new(), written: 0 }
    }

    /// Writes these bytes after those before.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.outgoing.extend_from_slice(bytes);
    }

    /// Whether all is written.
    pub(super) fn is_idle(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// What came, so many.
    pub(super) fn came(&self, count: usize) -> &[u8] {
        self.incoming.get(..count).unwrap_or_default()
    }

    /// Waits until something moves. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] at the end, [`Error::Io`].
    pub(super) async fn moved(&mut self) -> Result<Moved, Error> {
        let Self { reader, writer, incoming, outgoing, written } = self;
        let (busy, full) = (!outgoing.is_empty(), outgoing.len() >= FULL);
        tokio::select! {
            biased;
            gone = write(writer, outgoing, written), if busy => Ok(gone.map(|()| Moved::Gone)?),
            came = reader.read(&mut incoming[..]), if !full => match came? {
                0 => Err(Error::Closed),
                count => Ok(Moved::Came(count)),
            },
        }
    }

    /// Writes what is left, if the other side takes it: it is to hear why this is the end.
    pub(super) async fn farewell(&mut self) {
        let last = write(&mut self.writer, &mut self.outgoing, &mut self.written);
        let _gone = timeout(FAREWELL, last).await;
    }
}

/// Cancel safe: what is written is counted before anything else is waited for.
async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    outgoing: &mut Vec<u8>,
    written: &mut usize,
) -> io::Result<()> {
    while let Some(rest) = outgoing.get(*written..).filter(|rest| !rest.is_empty()) {
        match writer.write(rest).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => *written += count,
        }
    }
    writer.flush().await?;
    (*outgoing, *written) = (Vec::new(), 0);
    Ok(())
}
