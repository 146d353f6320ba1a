//! How the machine without a radio says hello, and how its hello is found behind what a login prints. Pure.

use super::Error;
use super::pairing::PairingId;

/// The version of all that is said.
pub(super) const VERSION: u8 = 1;
/// How a hello begins; no login prints this.
pub(super) const MAGIC: &[u8; 14] = b"\0cabled radio\0";
/// What logins may print before it.
const MAX_NOISE: usize = 64 << 10;
const LEN: usize = MAGIC.len() + 1 + PairingId::LEN;

/// A hello in this version.
pub(super) fn hello(id: PairingId) -> Vec<u8> {
    [&MAGIC[..], &[VERSION], id.as_bytes()].concat()
}

/// What came so far, and may have a hello in it.
#[derive(Debug, Default)]
pub(super) struct Search {
    came: Vec<u8>,
    skipped: usize,
}

/// A hello that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) version: u8,
    pub(super) id: PairingId,
    /// What came behind it.
    pub(super) rest: Vec<u8>,
}

impl Search {
    /// Takes bytes; gives the hello once all of it is there.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Option<Found>, Error> {
        self.came.extend_from_slice(bytes);
        let at = self.came.windows(MAGIC.len()).position(|window| window == MAGIC);
        // Without one, the beginning of one may stand at the end.
        let noise = at.unwrap_or(self.came.len().saturating_sub(MAGIC.len() - 1));
        self.came.drain(..noise);
        self.skipped += noise;
        if self.skipped > MAX_NOISE {
            return Err(Error::NoHello);
        }
        let Some((hello, rest)) = self.came.split_at_checked(LEN).filter(|_| at.is_some()) else {
            return Ok(None);
        };
        let Some([version, id @ ..]) = hello.get(MAGIC.len()..) else { return Ok(None) };
        let id = id.try_into().map(PairingId::new).map_err(|_| Error::Malformed)?;
        Ok(Some(Found { version: *version, id, rest: rest.to_vec() }))
    }
}
