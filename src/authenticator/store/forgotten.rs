//! Laptops that this phone has forgotten and that do not know it yet: one entry each in the meta table.
//!
//! A laptop forgets a phone that says so itself and no other (410, see [`crate::hybrid::listen`]). So the phone has to
//! be there for it once more, also when nobody else may ring. An entry is no secret: an ID that means nothing any
//! more, and a time. Depends on redb and siblings only.

use super::Store;
use super::client_pin::optional_meta;
use super::error::{Error, database};
use super::file::Tables;
use super::links::{MAX_LINKS, name};
use crate::authenticator::Timestamp;
use crate::hybrid::linking::LinkId;

/// How long a laptop is waited for that was forgotten: 30 days, in seconds.
const FAREWELL: u64 = 30 * 24 * 3600;

const PREFIX: &[u8] = b"forgotten-link:";

fn note(id: LinkId) -> Vec<u8> {
    [PREFIX, &id.0].concat()
}

/// When it was forgotten. What no program of ours wrote was forgotten long ago.
fn read(value: &[u8]) -> Timestamp {
    Timestamp(value.try_into().map_or(0, u64::from_be_bytes))
}

/// A clock that was set back makes nobody wait longer than the time that it was set back by.
fn is_over(forgotten_at: Timestamp, now: Timestamp) -> bool {
    now.0.saturating_sub(forgotten_at.0) >= FAREWELL
}

/// Whose rings a phone answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// There is no laptop to answer.
    Nobody,
    /// Only those that have to be told that they are forgotten.
    Forgotten,
    /// Laptops are linked; others may have to be told that they are so no more.
    Linked,
}

/// The calls fail with those of the file.
impl Store {
    /// Forgets a link: its laptop can ring no more, and is told so when it tries within 30 days of `now`. False if
    /// there is none.
    ///
    /// # Errors
    ///
    /// See above; the same holds for the other calls.
    pub fn remove_link(&self, id: LinkId, now: Timestamp) -> Result<bool, Error> {
        self.db.write(|tables| {
            let removed = tables.meta.remove(&name(id)[..]).map_err(database)?.is_some();
            if removed {
                make_room(tables, now)?;
                tables.put_meta(&note(id), &now.0.to_be_bytes())?;
            }
            Ok(removed)
        })
    }

    /// Whose rings are to get an answer.
    ///
    /// # Errors
    ///
    /// See above.
    pub fn awaits(&self, now: Timestamp) -> Result<Awaited, Error> {
        if self.has_links()? {
            return Ok(Awaited::Linked);
        }
        let waits = self.db.meta_under(PREFIX)?.values().any(|at| !is_over(read(at), now));
        Ok(if waits { Awaited::Forgotten } else { Awaited::Nobody })
    }

    /// A laptop that was forgotten has been told. False if it had not to be, and then nothing is written: whoever knows
    /// where the phone listens can ring with any ID.
    ///
    /// # Errors
    ///
    /// See above.
    pub fn told_of_forgetting(&self, id: LinkId) -> Result<bool, Error> {
        let waits = optional_meta(&self.db, &note(id))?.is_some();
        if waits {
            self.db.write(|tables| strike(tables, id))?;
        }
        Ok(waits)
    }
}

/// Nobody is to be told any more that this link is forgotten.
pub(super) fn strike(tables: &mut Tables<'_>, id: LinkId) -> Result<(), Error> {
    tables.meta.remove(&note(id)[..]).map(drop).map_err(database)
}

/// Leaves so few that one more can be waited for: those go whose time is over, then the oldest.
fn make_room(tables: &mut Tables<'_>, now: Timestamp) -> Result<(), Error> {
    let mut waiting = Vec::new();
    tables
        .meta
        .retain(|name, at| {
            let at = read(at);
            let waits = name.starts_with(PREFIX) && !is_over(at, now);
            if waits {
                waiting.push((at, name.to_vec()));
            }
            waits || !name.starts_with(PREFIX)
        })
        .map_err(database)?;
    waiting.sort();
    let over = (waiting.len() + 1).saturating_sub(MAX_LINKS);
    for (_, name) in waiting.iter().take(over) {
        tables.meta.remove(&name[..]).map_err(database)?;
    }
    Ok(())
}

/// Waits for nobody, when all is to be forgotten.
pub(super) fn wipe(tables: &mut Tables<'_>) -> Result<(), Error> {
    tables.meta.retain(|name, _| !name.starts_with(PREFIX)).map_err(database)
}

#[cfg(test)]
mod tests {
    use super::super::links::tests::{link, rng, store};
    use super::*;
    use crate::authenticator::upkeep::Upkeep as _;

    const DAY: u64 = 24 * 3600;

    fn id(number: u8) -> LinkId {
        LinkId([number; 8])
    }

    #[test]
    fn who_is_forgotten_is_waited_for_until_it_was_told() {
        let (_folder, store) = store();
        let now = Timestamp(100 * DAY);
        assert_eq!(store.awaits(now).unwrap(), Awaited::Nobody);
        store.put_link(&link(1, 5), &mut rng()).unwrap();
        assert_eq!(store.awaits(now).unwrap(), Awaited::Linked);
        assert!(store.remove_link(id(1), now).unwrap());
        assert!(!store.remove_link(id(1), now).unwrap());
        assert!(store.links().unwrap().is_empty());
        assert_eq!(store.awaits(now).unwrap(), Awaited::Forgotten);
        assert!(!store.told_of_forgetting(id(2)).unwrap());
        assert!(store.told_of_forgetting(id(1)).unwrap());
        assert!(!store.told_of_forgetting(id(1)).unwrap());
        assert_eq!(store.awaits(now).unwrap(), Awaited::Nobody);
    }

    #[test]
    fn nobody_is_waited_for_longer_than_a_month() {
        let (_folder, store) = store();
        store.put_link(&link(1, 5), &mut rng()).unwrap();
        store.remove_link(id(1), Timestamp(100 * DAY)).unwrap();
        assert_eq!(store.awaits(Timestamp(130 * DAY - 1)).unwrap(), Awaited::Forgotten);
        assert_eq!(store.awaits(Timestamp(130 * DAY)).unwrap(), Awaited::Nobody);
        // Nor kept, once there is another.
        store.put_link(&link(2, 5), &mut rng()).unwrap();
        store.remove_link(id(2), Timestamp(130 * DAY)).unwrap();
        assert!(!store.told_of_forgetting(id(1)).unwrap());
        assert!(store.told_of_forgetting(id(2)).unwrap());
    }

    #[test]
    fn no_more_are_waited_for_than_can_be_linked() {
        let (_folder, store) = store();
        for number in 0..=MAX_LINKS as u8 {
            store.put_link(&link(number, 5), &mut rng()).unwrap();
            store.remove_link(id(number), Timestamp(100 + u64::from(number))).unwrap();
        }
        assert!(!store.told_of_forgetting(id(0)).unwrap());
        assert!((1..=MAX_LINKS as u8).all(|number| store.told_of_forgetting(id(number)).unwrap()));
    }

    #[test]
    fn one_that_links_again_is_not_told_that_it_does_not() {
        let (_folder, store) = store();
        store.put_link(&link(1, 5), &mut rng()).unwrap();
        store.remove_link(id(1), Timestamp(100)).unwrap();
        store.put_link(&link(1, 101), &mut rng()).unwrap();
        assert!(!store.told_of_forgetting(id(1)).unwrap());
    }

    #[test]
    fn a_reset_waits_for_nobody() {
        let (_folder, store) = store();
        store.put_link(&link(1, 5), &mut rng()).unwrap();
        store.remove_link(id(1), Timestamp(100)).unwrap();
        store.wipe().unwrap();
        assert_eq!(store.awaits(Timestamp(100)).unwrap(), Awaited::Nobody);
    }

    #[test]
    fn what_is_no_time_was_long_ago() {
        let (_folder, store) = store();
        store.db.write(|tables| tables.put_meta(&note(id(1)), b"soon")).unwrap();
        assert_eq!(store.awaits(Timestamp(100 * DAY)).unwrap(), Awaited::Nobody);
    }
}
