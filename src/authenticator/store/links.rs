//! Laptops that may ring this phone: one sealed entry each in the meta table, and the phone's own keys.
//!
//! Depends on redb, `hybrid` and siblings only.

use zeroize::Zeroizing;

use super::Store;
use super::error::{Error, database};
use super::forgotten;
use crate::authenticator::{Random, Timestamp};
use crate::cbor::{self, Value};
use crate::hybrid::PrivateKey;
use crate::hybrid::keys::LinkSecret;
use crate::hybrid::linking::LinkId;
use crate::secret::Secret;

/// Links that are kept; beyond them the one goes that was used longest ago.
pub const MAX_LINKS: usize = 32;

/// The longest site name that is kept with one, in bytes.
const MAX_SITE: usize = 255;
const PREFIX: &[u8] = b"link:";
const META_KEYS: &[u8] = b"linking-keys";

/// A laptop that may ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Names it.
    pub id: LinkId,
    /// What both know.
    pub secret: LinkSecret,
    /// Since when.
    pub made_at: Timestamp,
    /// At the request of which site it was made: how its owner recognises it.
    pub rp_id: String,
    /// When it last rang.
    pub rung_at: Option<Timestamp>,
}

/// The keys with which this phone is linked.
#[derive(Clone, Debug)]
pub struct LinkingKeys {
    /// Who the phone is to laptops.
    pub identity: PrivateKey,
    /// With which it listens at its tunnel service.
    pub listen: PrivateKey,
}

impl Link {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let entries = [(1, Value::from(self.made_at.0)), (2, Value::from(self.rp_id.as_str()))];
        let rung = self.rung_at.map(|at| (3, Value::from(at.0)));
        let rest = cbor::encode(&Value::int_map(entries.into_iter().chain(rung)));
        // The secret stands apart so that it passes through no value that is not wiped.
        Zeroizing::new([&self.secret.expose()[..], &rest].concat())
    }

    fn decode(id: LinkId, bytes: &[u8]) -> Option<Self> {
        let (secret, rest) = bytes.split_first_chunk::<32>()?;
        let map = cbor::decode(rest).ok()?;
        Some(Self {
            id,
            secret: LinkSecret::new(*secret),
            made_at: Timestamp(map.get(1)?.as_uint()?),
            rp_id: map.get(2)?.as_text()?.to_owned(),
            rung_at: map.get(3).and_then(Value::as_uint).map(Timestamp),
        })
    }

    fn last_used(&self) -> Timestamp {
        self.rung_at.unwrap_or(self.made_at)
    }
}

pub(super) fn name(id: LinkId) -> Vec<u8> {
    [PREFIX, &id.0].concat()
}

/// The calls fail with [`Error::Corrupt`] where the file was altered, and with those of the file.
impl Store {
    /// The phone's keys for linking; `None` before the first link.
    ///
    /// # Errors
    ///
    /// See above; the same holds for the other calls.
    pub fn linking_keys(&self) -> Result<Option<LinkingKeys>, Error> {
        let Some(bytes) = self.open_meta(META_KEYS)? else { return Ok(None) };
        let (identity, listen) = bytes.split_first_chunk::<32>().ok_or(Error::Corrupt)?;
        let listen = <[u8; 32]>::try_from(listen).map_err(|_| Error::Corrupt)?;
        let key = |scalar| PrivateKey::from_scalar(&Secret::new(scalar)).ok_or(Error::Corrupt);
        Ok(Some(LinkingKeys { identity: key(*identity)?, listen: key(listen)? }))
    }

    /// The same, made if there are none.
    ///
    /// # Errors
    ///
    /// See [`Self::linking_keys`].
    pub fn make_linking_keys(&self, mut rng: Random<'_>) -> Result<LinkingKeys, Error> {
        if let Some(keys) = self.linking_keys()? {
            return Ok(keys);
        }
        let (identity, listen) = (PrivateKey::generate(&mut rng), PrivateKey::generate(&mut rng));
        let scalars = [*identity.scalar().expose(), *listen.scalar().expose()];
        let sealed = self.seal_meta(META_KEYS, &Zeroizing::new(scalars.concat()), rng)?;
        self.db.write(|tables| tables.put_meta(META_KEYS, &sealed))?;
        Ok(LinkingKeys { identity, listen })
    }

    /// All links, oldest first.
    ///
    /// # Errors
    ///
    /// See [`Self::linking_keys`].
    pub fn links(&self) -> Result<Vec<Link>, Error> {
        let mut links = Vec::new();
        for id in self.db.meta_under(PREFIX)?.into_keys() {
            links.extend(self.link(LinkId(id.try_into().map_err(|_| Error::Corrupt)?))?);
        }
        links.sort_by_key(|link| (link.made_at, link.id.0));
        Ok(links)
    }

    /// Whether there is a link, which is not opened for that.
    pub(super) fn has_links(&self) -> Result<bool, Error> {
        Ok(!self.db.meta_under(PREFIX)?.is_empty())
    }

    /// One link, if it is known.
    ///
    /// # Errors
    ///
    /// See [`Self::linking_keys`].
    pub fn link(&self, id: LinkId) -> Result<Option<Link>, Error> {
        let opened = self.open_meta(&name(id))?;
        opened.map(|bytes| Link::decode(id, &bytes).ok_or(Error::Corrupt)).transpose()
    }

    /// Keeps a link, in the place of one with the same ID.
    ///
    /// # Errors
    ///
    /// See [`Self::linking_keys`].
    pub fn put_link(&self, link: &Link, rng: Random<'_>) -> Result<(), Error> {
        let mut kept = self.links()?;
        kept.retain(|known| known.id != link.id);
        kept.sort_by_key(Link::last_used);
        let over = (kept.len() + 1).saturating_sub(MAX_LINKS);
        let obsolete: Vec<_> = kept.iter().take(over).map(|link| name(link.id)).collect();
        let short = link.rp_id.char_indices().take_while(|(at, c)| at + c.len_utf8() <= MAX_SITE);
        let link = Link { rp_id: short.map(|(_, c)| c).collect(), ..link.clone() };
        let sealed = self.seal_meta(&name(link.id), &link.encode(), rng)?;
        self.db.write(|tables| {
            for name in &obsolete {
                tables.meta.remove(&name[..]).map_err(database)?;
            }
            forgotten::strike(tables, link.id)?;
            tables.put_meta(&name(link.id), &sealed)
        })
    }
}

/// Forgets all links and the keys behind them, when all is to be forgotten.
pub(super) fn wipe(tables: &mut super::file::Tables<'_>) -> Result<(), Error> {
    tables.meta.remove(META_KEYS).map_err(database)?;
    tables.meta.retain(|name, _| !name.starts_with(PREFIX)).map_err(database)?;
    forgotten::wipe(tables)
}

#[cfg(test)]
pub(super) mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::authenticator::store::{KdfCost, Pin};
    use crate::authenticator::upkeep::Upkeep as _;

    pub(in super::super) fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(1)
    }

    pub(in super::super) fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let pin = Pin::new("1234".to_owned()).unwrap();
        let cost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
        let store = Store::create_with_cost(folder.path(), &pin, cost, &mut rng()).unwrap();
        (folder, store)
    }

    pub(in super::super) fn link(id: u8, at: u64) -> Link {
        Link {
            id: LinkId([id; 8]),
            secret: LinkSecret::new([id; 32]),
            made_at: Timestamp(at),
            rp_id: "contoso.com".to_owned(),
            rung_at: None,
        }
    }

    #[test]
    fn the_keys_are_made_once() {
        let (_folder, store) = store();
        assert!(store.linking_keys().unwrap().is_none());
        let made = store.make_linking_keys(&mut rng()).unwrap();
        let again = store.make_linking_keys(&mut rng()).unwrap();
        assert_eq!(made.identity.public(), again.identity.public());
        assert_eq!(made.listen.public(), store.linking_keys().unwrap().unwrap().listen.public());
        assert_ne!(made.identity.public(), made.listen.public());
    }

    #[test]
    fn a_link_is_there_until_it_is_removed() {
        let (_folder, store) = store();
        store.put_link(&link(2, 5), &mut rng()).unwrap();
        store.put_link(&link(1, 6), &mut rng()).unwrap();
        let rung = Link { rung_at: Some(Timestamp(9)), ..link(2, 5) };
        store.put_link(&rung, &mut rng()).unwrap();
        assert_eq!(store.links().unwrap(), [rung.clone(), link(1, 6)]);
        assert_eq!(store.link(LinkId([2; 8])).unwrap(), Some(rung));
        assert_eq!(store.link(LinkId([3; 8])).unwrap(), None);
        assert!(store.remove_link(LinkId([2; 8]), Timestamp(10)).unwrap());
        assert!(!store.remove_link(LinkId([2; 8]), Timestamp(10)).unwrap());
        assert_eq!(store.links().unwrap(), [link(1, 6)]);
    }

    #[test]
    fn the_one_that_was_used_longest_ago_makes_room() {
        let (_folder, store) = store();
        for id in 0..MAX_LINKS as u8 {
            store.put_link(&link(id, u64::from(id) + 1), &mut rng()).unwrap();
        }
        let rung = Link { rung_at: Some(Timestamp(100)), ..link(0, 1) };
        store.put_link(&rung, &mut rng()).unwrap();
        store.put_link(&link(200, 200), &mut rng()).unwrap();
        let ids: Vec<u8> = store.links().unwrap().iter().map(|link| link.id.0[0]).collect();
        assert_eq!(ids.len(), MAX_LINKS);
        assert!(ids.contains(&0) && ids.contains(&200) && !ids.contains(&1));
    }

    #[test]
    fn a_reset_forgets_all_and_a_link_opens_in_its_place_only() {
        let (_folder, store) = store();
        store.make_linking_keys(&mut rng()).unwrap();
        store.put_link(&link(1, 5), &mut rng()).unwrap();
        let sealed = store.db.meta(&name(LinkId([1; 8]))).unwrap();
        store.db.write(|tables| tables.put_meta(&name(LinkId([2; 8])), &sealed)).unwrap();
        assert!(matches!(store.link(LinkId([2; 8])), Err(Error::Corrupt)));
        store.wipe().unwrap();
        assert!(store.linking_keys().unwrap().is_none());
        assert_eq!(store.links().unwrap(), []);
    }
}
