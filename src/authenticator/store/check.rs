//! Looks at all that the store keeps: does each record open, do records and index agree?
//!
//! What the database itself promises, such as its checksums, was verified when it was opened.
//! Depends on redb and siblings only.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use redb::{ReadTransaction, ReadableTable};

use super::error::{Error, database};
use super::file::{BY_RP, RECORDS};
use super::seal::RecordKey;
use super::{Attempts, META_ATTEMPTS, META_WRAP, Store, Wrap};
use crate::authenticator::passkey::{CredentialId, Passkey};

/// What a look at the whole store gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkup {
    /// The schema of the file.
    pub schema: u32,
    /// Passkeys that open.
    pub passkeys: usize,
    /// What is wrong; empty in a sound store.
    pub findings: Vec<Finding>,
}

/// Something that a sound store does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A record does not open: it was damaged, altered, or put where it does not belong.
    Unreadable,
    /// A passkey is not in the index, so its site cannot find it without naming it.
    NotIndexed(CredentialId),
    /// An entry of the index leads to no passkey of that site.
    DanglingIndex,
    /// A passkey waits to replace one that is not there.
    DanglingReplaces(CredentialId),
    /// The wrapped key or the count of wrong PINs has no known shape.
    Keys,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "a passkey does not open: its record was damaged or altered",
            Self::NotIndexed(_) => "a passkey is missing in the index, its site cannot find it",
            Self::DanglingIndex => "the index names a passkey that is not there",
            Self::DanglingReplaces(_) => "a passkey waits to replace one that is not there",
            Self::Keys => "the wrapped key or the count of wrong PINs is damaged",
        })
    }
}

/// Of a passkey, what is compared; not its keys, which need not stay in memory.
struct Seen {
    id: CredentialId,
    index: Vec<u8>,
    replaces: Vec<CredentialId>,
}

impl Store {
    /// Opens every record and compares them with the index, as of one moment; changes nothing.
    ///
    /// # Errors
    ///
    /// Those of the file. What is wrong with its content is a [`Finding`].
    pub fn check(&self) -> Result<Checkup, Error> {
        let transaction = self.db.read()?;
        let mut findings = Vec::new();
        let passkeys = self.check_records(&transaction, &mut findings)?;
        self.check_index(&transaction, &passkeys, &mut findings)?;
        check_replaces(&passkeys, &mut findings);
        let wrap = self.db.meta(META_WRAP).and_then(|bytes| Wrap::decode(&bytes));
        let attempts = self.db.meta(META_ATTEMPTS).and_then(|bytes| Attempts::decode(&bytes));
        for error in [wrap.err(), attempts.err()].into_iter().flatten() {
            match error {
                Error::Corrupt => findings.push(Finding::Keys),
                error => return Err(error),
            }
        }
        Ok(Checkup { schema: self.db.schema()?, passkeys: passkeys.len(), findings })
    }

    fn check_records(
        &self,
        transaction: &ReadTransaction,
        findings: &mut Vec<Finding>,
    ) -> Result<BTreeMap<RecordKey, Seen>, Error> {
        let records = transaction.open_table(RECORDS).map_err(database)?;
        let mut passkeys = BTreeMap::new();
        for entry in records.iter().map_err(database)? {
            let (key, sealed) = entry.map_err(database)?;
            let opened = key.value().try_into().map_err(|_| Error::Corrupt).and_then(|key| {
                let passkey = self.open_record(&key, sealed.value())?;
                Ok((key, passkey))
            });
            match opened {
                Ok((key, passkey)) if self.keys.record_key(&passkey.id) == key => {
                    passkeys.insert(key, self.seen(&key, &passkey));
                }
                Ok(_) | Err(Error::Corrupt) => findings.push(Finding::Unreadable),
                Err(error) => return Err(error),
            }
        }
        Ok(passkeys)
    }

    fn seen(&self, key: &RecordKey, passkey: &Passkey) -> Seen {
        Seen {
            id: passkey.id.clone(),
            index: self.index_key(&passkey.rp.id, key),
            replaces: passkey.replaces.clone(),
        }
    }

    fn check_index(
        &self,
        transaction: &ReadTransaction,
        passkeys: &BTreeMap<RecordKey, Seen>,
        findings: &mut Vec<Finding>,
    ) -> Result<(), Error> {
        let index = transaction.open_table(BY_RP).map_err(database)?;
        let records = transaction.open_table(RECORDS).map_err(database)?;
        let mut expected: BTreeMap<_, _> =
            passkeys.values().map(|seen| (seen.index.as_slice(), &seen.id)).collect();
        for entry in index.iter().map_err(database)? {
            let (entry, _) = entry.map_err(database)?;
            if expected.remove(entry.value()).is_some() {
                continue;
            }
            let key = entry.value().last_chunk::<32>();
            // That of a record which does not open cannot be judged; the record is reported.
            let unjudged = key.is_some_and(|key| !passkeys.contains_key(key))
                && records.get(key.map_or(&[][..], |key| &key[..])).map_err(database)?.is_some();
            if !unjudged {
                findings.push(Finding::DanglingIndex);
            }
        }
        findings.extend(expected.into_values().cloned().map(Finding::NotIndexed));
        Ok(())
    }
}

fn check_replaces(passkeys: &BTreeMap<RecordKey, Seen>, findings: &mut Vec<Finding>) {
    let known: BTreeSet<_> = passkeys.values().map(|passkey| &passkey.id).collect();
    let dangling = passkeys.values().filter(|p| p.replaces.iter().any(|id| !known.contains(id)));
    findings.extend(dangling.map(|passkey| Finding::DanglingReplaces(passkey.id.clone())));
}
