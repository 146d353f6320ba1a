//! Moving house: passkeys out to a file that other programs read, and in from theirs.
//!
//! ```text
//!  Store ──export──> CXF document ──age──> file        file ──age──> CXF ──plan──> import ──> Store
//! ```
//!
//! A passkey that a site was told is bound to this phone (BE clear) is not exported: the site could
//! never be told otherwise. Depends on siblings only; the age crate is used nowhere else.

mod cxf;
mod envelope;
mod pkcs8;

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write as _;
use std::path::Path;

use zeroize::Zeroizing;

pub use self::envelope::{Lock, OpenError, Opener};
use super::Store;
use super::error::Error;
use super::file::{Unfinished, folder_of, place};

use crate::authenticator::Random;
use crate::authenticator::consent::printable;
use crate::authenticator::passkey::{Backup, CredentialId, Passkey, PasskeyStore, Timestamp};

/// Bytes of an encrypted file that are read at most.
pub const MAX_FILE: u64 = (cxf::MAX_DOCUMENT as u64) + (1 << 20);

/// A document to be encrypted, and what is in it.
pub struct Export {
    /// The document, in clear.
    pub document: Zeroizing<Vec<u8>>,
    /// Those in it.
    pub passkeys: Vec<CredentialId>,
    /// Those that stay, for a site was told that they are bound to this phone.
    pub bound: Vec<CredentialId>,
    /// Those whose large blob stays behind.
    pub without_large_blob: Vec<CredentialId>,
}

/// Something in a document that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// What the document calls it: worth little.
    pub title: String,
    /// Why.
    pub why: Why,
}

/// Why something is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// No passkey; the type that the document gives.
    OtherType(String),
    /// Signs with something else than P-256.
    OtherAlgorithm,
    /// A passkey of that id is here, or came twice.
    AlreadyHere,
    /// A member is missing, has the wrong shape or is too long.
    Broken,
}

impl Why {
    /// The name for machines.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::OtherType(_) => "other-type",
            Self::OtherAlgorithm => "other-algorithm",
            Self::AlreadyHere => "already-here",
            Self::Broken => "broken",
        }
    }

    /// The type that the document gives, if that is why.
    #[must_use]
    pub fn other_type(&self) -> Option<&str> {
        match self {
            Self::OtherType(other) => Some(other),
            _ => None,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherType(_) => f.write_str("it is no passkey"),
            Self::OtherAlgorithm => f.write_str("its key is of a kind that is not supported here"),
            Self::AlreadyHere => f.write_str("it is already here"),
            Self::Broken => f.write_str("it is broken"),
        }
    }
}

/// What importing a document would do. Nothing was changed yet.
pub struct Plan {
    /// Those that would be added.
    pub passkeys: Vec<Passkey>,
    /// What would not.
    pub skipped: Vec<Skipped>,
}

impl Store {
    /// All passkeys that may leave this phone, as a document of the exchange format.
    ///
    /// # Errors
    ///
    /// As [`Store::list`].
    pub fn export(&self, now: Timestamp) -> Result<Export, Error> {
        let all = self.list()?;
        let (leaving, bound): (Vec<_>, Vec<_>) = all.iter().partition(|p| p.backup.eligible);
        let ids = |some: &[&Passkey]| some.iter().map(|p| p.id.clone()).collect::<Vec<_>>();
        let with_blob: Vec<_> =
            leaving.iter().copied().filter(|p| p.large_blob.is_some()).collect();
        Ok(Export {
            document: cxf::encode(&leaving, now),
            passkeys: ids(&leaving),
            bound: ids(&bound),
            without_large_blob: ids(&with_blob),
        })
    }

    /// Notes that copies exist, in one transaction; from now on authenticator data says so. To be
    /// called once the file is durable. Those deleted meanwhile are passed over.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub fn mark_backed_up(&self, ids: &[CredentialId], rng: Random<'_>) -> Result<(), Error> {
        self.db.write(|tables| {
            for id in ids {
                let Some(mut passkey) = self.take(tables, id)? else { continue };
                passkey.backup = Backup { backed_up: passkey.backup.eligible, ..passkey.backup };
                self.put(tables, &passkey, rng)?;
            }
            Ok(())
        })
    }

    /// Reads a document and tells what importing it would do. `None`: it is no such document.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub fn plan_import(
        &self,
        document: &[u8],
        now: Timestamp,
        rng: Random<'_>,
    ) -> Result<Option<Plan>, Error> {
        let Some(read) = cxf::decode(document, now, rng) else { return Ok(None) };
        let mut plan = Plan { passkeys: Vec::new(), skipped: read.skipped };
        let mut seen = BTreeSet::new();
        for passkey in read.passkeys {
            if seen.insert(passkey.id.clone()) && self.find_by_id(&passkey.id)?.is_none() {
                plan.passkeys.push(passkey);
            } else {
                let title = printable(&passkey.label.unwrap_or(passkey.rp.id));
                plan.skipped.push(Skipped { title, why: Why::AlreadyHere });
            }
        }
        Ok(Some(plan))
    }

    /// Adds all of the plan in one transaction, or nothing.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyExists`] if one of them came meanwhile, and those of the file.
    pub fn import(&self, plan: &Plan, rng: Random<'_>) -> Result<(), Error> {
        self.db.write(|tables| {
            for passkey in &plan.passkeys {
                if self.take(tables, &passkey.id)?.is_some() {
                    return Err(Error::AlreadyExists);
                }
                self.put(tables, passkey, rng)?;
            }
            Ok(())
        })
    }
}

/// Writes a new file that only its owner may read, durable on return.
///
/// # Errors
///
/// [`Error::AlreadyExists`] if there is one of that name, and those of the file system.
pub fn write_new(path: &Path, content: &[u8]) -> Result<(), Error> {
    if path.try_exists()? {
        return Err(Error::AlreadyExists);
    }
    let unfinished = Unfinished::new(path)?;
    let mut file = unfinished.open()?;
    file.write_all(content)?;
    file.sync_all()?;
    place(&unfinished.0, path)?;
    Ok(std::fs::File::open(folder_of(path))?.sync_all()?)
}

/// What a document has, and our own document of it, for the fuzz target alone.
#[cfg(fuzzing)]
pub fn fuzz_document(bytes: &[u8], rng: Random<'_>) -> Option<(Vec<Passkey>, Zeroizing<Vec<u8>>)> {
    let now = Timestamp(1_700_000_000);
    let read = cxf::decode(bytes, now, rng)?;
    let encoded = cxf::encode(&read.passkeys.iter().collect::<Vec<_>>(), now);
    Some((read.passkeys, encoded))
}

#[cfg(test)]
mod tests;
