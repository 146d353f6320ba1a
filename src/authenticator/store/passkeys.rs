//! The passkeys of an unlocked store: find, save, mark, name, delete.
//!
//! Depends on redb and siblings only.

use redb::{ReadableTable, ReadableTableMetadata};

use super::error::{Error, database};
use super::file::{BY_RP, RECORDS, Tables};
use super::seal::RecordKey;
use super::{MAX_LABEL, Store, record};
use crate::authenticator::Random;
use crate::authenticator::passkey::{CredentialId, Passkey, PasskeyStore, Timestamp};

/// Bytes of a record: far beyond what the engine makes, for passkeys that come from elsewhere.
const MAX_RECORD: usize = 64 << 10;

impl Store {
    /// All passkeys, by rp id, then by age.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if one of them does not open, and those of the file.
    pub fn list(&self) -> Result<Vec<Passkey>, Error> {
        let table = self.db.read()?.open_table(RECORDS).map_err(database)?;
        // With its whole size from the start and sorted in place: no copy with keys is left behind.
        let count = table.len().map_err(database)?;
        let mut passkeys = Vec::with_capacity(usize::try_from(count).map_err(|_| Error::Corrupt)?);
        for entry in table.iter().map_err(database)? {
            let (key, sealed) = entry.map_err(database)?;
            let key = key.value().try_into().map_err(|_| Error::Corrupt)?;
            passkeys.push(self.open_record(&key, sealed.value())?);
        }
        passkeys.sort_unstable_by(|a, b| list_order(a).cmp(&list_order(b)));
        Ok(passkeys)
    }

    /// Those that no laptop confirmed to have, in the order of the list: possibly orphans. A site
    /// may know one all the same, if only the confirmation was lost: ask before deleting.
    ///
    /// # Errors
    ///
    /// As [`Self::list`].
    pub fn possibly_orphaned(&self) -> Result<Vec<Passkey>, Error> {
        let mut passkeys = self.list()?;
        passkeys.retain(|passkey| passkey.may_be_orphaned(false));
        Ok(passkeys)
    }

    /// Sets the owner's name for a passkey, or removes it.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPasskey`], [`Error::TooLarge`] beyond [`MAX_LABEL`], and those of the file.
    pub fn rename(
        &self,
        id: &CredentialId,
        label: Option<String>,
        rng: Random<'_>,
    ) -> Result<(), Error> {
        if label.as_ref().is_some_and(|label| label.len() > MAX_LABEL) {
            return Err(Error::TooLarge);
        }
        self.modify(id, rng, |passkey| {
            passkey.label = label;
            Vec::new()
        })
    }

    /// Deletes a passkey for good. The site still lists it: tell the user to remove it there too.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPasskey`], and those of the file.
    pub fn delete(&self, id: &CredentialId, rng: Random<'_>) -> Result<(), Error> {
        self.db.write(|tables| match self.remove(tables, id, rng)? {
            true => Ok(()),
            false => Err(Error::NoSuchPasskey),
        })
    }

    /// Deletes those of the given passkeys that are still possible orphans, as
    /// [`Passkey::may_be_orphaned`] has it, in one transaction, and tells which. One that a laptop
    /// confirmed to have while its owner was being asked stays, and so does one that is gone already.
    ///
    /// # Errors
    ///
    /// Those of the file; then nothing was deleted.
    pub fn prune(
        &self,
        ids: &[CredentialId],
        unused: bool,
        rng: Random<'_>,
    ) -> Result<Vec<CredentialId>, Error> {
        self.db.write(|tables| {
            let mut pruned = Vec::new();
            for id in ids {
                let found = self.take(tables, id)?;
                if found.is_some_and(|passkey| passkey.may_be_orphaned(unused)) {
                    self.remove(tables, id, rng)?;
                    pruned.push(id.clone());
                }
            }
            Ok(pruned)
        })
    }

    pub(super) fn open_record(&self, key: &RecordKey, sealed: &[u8]) -> Result<Passkey, Error> {
        record::decode(&self.keys.open(key, sealed)?)
    }

    pub(super) fn index_key(&self, rp_id: &str, key: &RecordKey) -> Vec<u8> {
        [self.keys.rp_key(rp_id), *key].concat()
    }

    pub(super) fn put(
        &self,
        tables: &mut Tables<'_>,
        passkey: &Passkey,
        rng: Random<'_>,
    ) -> Result<(), Error> {
        let key = self.keys.record_key(&passkey.id);
        let record = record::encode(passkey);
        if record.len() > MAX_RECORD {
            return Err(Error::TooLarge);
        }
        let sealed = self.keys.seal(&key, &record, rng)?;
        tables.records.insert(&key[..], &sealed[..]).map_err(database)?;
        let index = self.index_key(&passkey.rp.id, &key);
        tables.by_rp.insert(&index[..], &[][..]).map(drop).map_err(database)
    }

    pub(super) fn take(
        &self,
        tables: &Tables<'_>,
        id: &CredentialId,
    ) -> Result<Option<Passkey>, Error> {
        let key = self.keys.record_key(id);
        let sealed = tables.records.get(&key[..]).map_err(database)?;
        sealed.map(|sealed| self.open_record(&key, sealed.value())).transpose()
    }

    /// False if there was none. Nobody waits to replace it any more.
    fn remove(
        &self,
        tables: &mut Tables<'_>,
        id: &CredentialId,
        rng: Random<'_>,
    ) -> Result<bool, Error> {
        let Some(passkey) = self.take(tables, id)? else { return Ok(false) };
        let key = self.keys.record_key(id);
        let index = self.index_key(&passkey.rp.id, &key);
        tables.by_rp.remove(&index[..]).map_err(database)?;
        tables.records.remove(&key[..]).map_err(database)?;
        // Not moved out of their place one by one, where each would leave its keys behind.
        let mut of_site = self.of_rp(&tables.by_rp, &tables.records, &passkey.rp.id)?;
        for waiting in &mut of_site {
            if waiting.replaces.contains(id) {
                waiting.replaces.retain(|replaced| replaced != id);
                self.put(tables, waiting, rng)?;
            }
        }
        Ok(true)
    }

    fn of_rp(
        &self,
        index: &impl ReadableTable<&'static [u8], &'static [u8]>,
        records: &impl ReadableTable<&'static [u8], &'static [u8]>,
        rp_id: &str,
    ) -> Result<Vec<Passkey>, Error> {
        let (first, last) = (self.index_key(rp_id, &[0; 32]), self.index_key(rp_id, &[0xff; 32]));
        let range = || index.range(&first[..]..=&last[..]).map_err(database);
        let mut passkeys = Vec::with_capacity(range()?.count());
        for entry in range()? {
            let (entry, _) = entry.map_err(database)?;
            let key = entry.value().last_chunk().ok_or(Error::Corrupt)?;
            let sealed = records.get(&key[..]).map_err(database)?.ok_or(Error::Corrupt)?;
            passkeys.push(self.open_record(key, sealed.value())?);
        }
        Ok(passkeys)
    }

    /// Changes one passkey, and removes those that `change` names, in one transaction.
    pub(super) fn modify(
        &self,
        id: &CredentialId,
        rng: Random<'_>,
        change: impl FnOnce(&mut Passkey) -> Vec<CredentialId>,
    ) -> Result<(), Error> {
        self.db.write(|tables| {
            let mut passkey = self.take(tables, id)?.ok_or(Error::NoSuchPasskey)?;
            for obsolete in change(&mut passkey) {
                self.remove(tables, &obsolete, rng)?;
            }
            self.put(tables, &passkey, rng)
        })
    }
}

impl PasskeyStore for Store {
    fn find_by_rp(&self, rp_id: &str) -> Result<Vec<Passkey>, Error> {
        let transaction = self.db.read()?;
        let index = transaction.open_table(BY_RP).map_err(database)?;
        let records = transaction.open_table(RECORDS).map_err(database)?;
        let mut passkeys = self.of_rp(&index, &records, rp_id)?;
        passkeys.sort_unstable_by(|a, b| list_order(a).cmp(&list_order(b)));
        Ok(passkeys)
    }

    fn find_by_id(&self, id: &CredentialId) -> Result<Option<Passkey>, Error> {
        let records = self.db.read()?.open_table(RECORDS).map_err(database)?;
        let key = self.keys.record_key(id);
        let sealed = records.get(&key[..]).map_err(database)?;
        sealed.map(|sealed| self.open_record(&key, sealed.value())).transpose()
    }

    fn save(&self, passkey: &Passkey, rng: Random<'_>) -> Result<(), Error> {
        self.db.write(|tables| self.put(tables, passkey, rng))
    }

    fn mark_delivered(
        &self,
        id: &CredentialId,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Result<(), Error> {
        self.modify(id, rng, |passkey| passkey.deliver(now))
    }

    fn mark_used(&self, id: &CredentialId, now: Timestamp, rng: Random<'_>) -> Result<(), Error> {
        self.modify(id, rng, |passkey| {
            passkey.last_used_at = Some(now);
            Vec::new()
        })
    }
}

impl Passkey {
    /// Notes the first delivery; gives what goes with it.
    fn deliver(&mut self, now: Timestamp) -> Vec<CredentialId> {
        self.delivered_at.get_or_insert(now);
        std::mem::take(&mut self.replaces)
    }
}

fn list_order(passkey: &Passkey) -> (&str, Timestamp, &CredentialId) {
    (&passkey.rp.id, passkey.created_at, &passkey.id)
}
