//! Laptops that are remembered: the phone listens for them at its tunnel service, and comes when one rings.
//!
//! It listens while its store is open and there is a link, or a laptop that has to be told that there is none any
//! more; otherwise nobody can ring. A ring asks the user as a code does, so rings are limited: a laptop that rings
//! all day is no more than a nuisance. Those to which the user agreed were none, and do not count. Depends on siblings
//! in `authenticator`, `channel` and `hybrid`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep};

use super::transactions::Work;
use super::vanish::Staging;
use super::{Service, Sources};
use crate::authenticator::store::{Awaited, Error, Link};
use crate::authenticator::{Call, Linking, Store, Timestamp};
use crate::channel;
use crate::hybrid::authenticator::{Identity, Ring as Payload, Rung};
use crate::hybrid::linking::{LinkId, MAX_NAME};
use crate::hybrid::listen::{Answer, ListenKey, Ring, Verdict};

/// The first wait after a connection that failed, and the longest.
const BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(300);
/// A connection that held so long was a good one.
const GOOD: Duration = Duration::from_secs(60);

/// How many rings to which nobody agreed are answered in how many seconds.
const LIMITS: [(usize, u64); 2] = [(3, 30), (12, 600)];

/// Whether laptops can ring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listening {
    /// Nobody can: nobody is linked, the passkeys are locked, or it is not wanted.
    #[default]
    No,
    /// The tunnel service is about to be asked.
    Connecting,
    /// They can.
    Yes,
    /// Nobody is linked any more; those that do not know it yet can ring, and are told.
    ForForgotten,
    /// The tunnel service cannot be used now; it is asked again later. With the reason, in words.
    Failing(String),
}

/// What a phone that may be rung has beside its store.
pub(super) struct Bells {
    /// What laptops call the phone; `None` if it is not to be rung.
    name: Option<String>,
    state: watch::Sender<Listening>,
    limiter: Mutex<Limiter>,
}

impl Bells {
    pub(super) fn new(name: Option<&str>) -> Self {
        let name = name.map(|name| {
            let fits = name.char_indices().take_while(|(at, c)| at + c.len_utf8() <= MAX_NAME);
            fits.map(|(_, c)| c).collect()
        });
        let (state, limiter) = (watch::Sender::default(), Mutex::default());
        Self { name, state, limiter }
    }

    fn admits(&self, now: Timestamp) -> bool {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner).admits(now.0)
    }

    /// The user agreed to what one that was admitted asked for.
    pub(super) fn agreed(&self) {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner).agreed();
    }
}

/// Counts rings.
#[derive(Default)]
struct Limiter {
    recent: VecDeque<u64>,
}

impl Limiter {
    /// Whether one more ring is answered, at this second; counted if so.
    fn admits(&mut self, now: u64) -> bool {
        let longest = LIMITS.iter().map(|(_, seconds)| *seconds).max().unwrap_or_default();
        // A clock that was set back does not keep anybody out for long.
        self.recent.retain(|at| *at <= now && now - at < longest);
        let within = |seconds: u64| self.recent.iter().filter(|at| now - **at < seconds).count();
        let free = LIMITS.iter().all(|(most, seconds)| within(*seconds) < *most);
        if free {
            self.recent.push_back(now);
        }
        free
    }

    /// One of those that were counted was wanted. Which one does not matter to how many there are.
    fn agreed(&mut self) {
        self.recent.pop_back();
    }
}

impl Service {
    /// Whether laptops can ring, now and from now on.
    #[must_use]
    pub fn listening(&self) -> watch::Receiver<Listening> {
        self.bells.state.subscribe()
    }

    /// Listens for laptops that ring, whenever there may be one. Never ends; let go of, nobody can ring.
    pub async fn listen(&self) {
        if self.bells.name.is_none() {
            return std::future::pending().await;
        }
        let mut changes = self.vault.changes();
        let mut backoff = BACKOFF;
        loop {
            changes.mark_unchanged();
            let Some((key, _)) = self.listen_key().await else {
                self.bells.state.send_replace(Listening::No);
                let _the_vault_is_ours = changes.changed().await;
                continue;
            };
            let since = Instant::now();
            let (connected, listens) = oneshot::channel();
            let heard = tokio::select! {
                error = self.hear(&key, connected) => Some(error),
                () = self.useless(&key, &mut changes, listens) => None,
            };
            let Some(error) = heard else { continue };
            if since.elapsed() >= GOOD {
                backoff = BACKOFF;
            }
            tracing::debug!(%error, wait = ?backoff, "cannot listen for laptops");
            self.bells.state.send_replace(Listening::Failing(error.to_string()));
            tokio::select! {
                () = sleep(backoff) => backoff = (backoff * 2).min(LONGEST_BACKOFF),
                _ = changes.changed() => {}
            }
        }
    }

    /// Waits until this key is not the one to listen with any more; meanwhile says who can ring, once it listens.
    async fn useless(
        &self,
        key: &ListenKey,
        changes: &mut watch::Receiver<()>,
        mut connected: oneshot::Receiver<()>,
    ) {
        let mut listens = false;
        loop {
            tokio::select! {
                _the_vault_is_ours = changes.changed() => {}
                Ok(()) = &mut connected, if !listens => listens = true,
            }
            let now = self.listen_key().await;
            let Some((_, awaited)) = now.filter(|(now, _)| now.contact_id() == key.contact_id())
            else {
                return;
            };
            let state = match awaited {
                Awaited::Linked => Listening::Yes,
                _ => Listening::ForForgotten,
            };
            self.bells.state.send_if_modified(|known| {
                listens && std::mem::replace(known, state.clone()) != state
            });
        }
    }

    /// With what to listen, and for whom, if anybody is to get an answer.
    async fn listen_key(&self) -> Option<(ListenKey, Awaited)> {
        let now = (self.sources.clock)();
        let keys = self.vault.with(move |store| match store.awaits(now)? {
            Awaited::Nobody => Ok(None),
            awaited => Ok(store.linking_keys()?.map(|keys| (keys, awaited))),
        });
        let (keys, awaited) = keys.await.ok()??;
        let key = ListenKey::new(keys.listen, &self.running.phone_config().relay.authority())?;
        Some((key, awaited))
    }

    async fn hear(&self, key: &ListenKey, connected: oneshot::Sender<()>) -> channel::Error {
        self.bells.state.send_replace(Listening::Connecting);
        let config = self.running.phone_config();
        let mut bell = match config.connector.listen(&config.relay, key).await {
            Ok(bell) => bell,
            Err(error) => return error,
        };
        let _who_waits_for_it_is_beside_us = connected.send(());
        loop {
            let ring = match bell.next().await {
                Ok(ring) => ring,
                Err(error) => return error,
            };
            let (number, id) = (ring.number, ring.payload.link_id);
            let verdict = self.rung(ring).await;
            let unknown = matches!(verdict, Verdict::NoSuchLink);
            if let Err(error) = bell.answer(Answer { number, verdict }).await {
                return error;
            }
            if unknown {
                self.note_told(id).await;
            }
        }
    }

    /// Comes, if the laptop is known and nothing speaks against it.
    async fn rung(&self, ring: Ring) -> Verdict {
        let Ring { tunnel, routing, payload, .. } = ring;
        let id = payload.link_id;
        let found = self.vault.with(move |store| Ok((store.link(id)?, store.linking_keys()?)));
        let (link, keys) = match found.await {
            Ok((Some(link), Some(keys))) => (link, keys),
            Ok(_) => return Verdict::NoSuchLink,
            Err(_) => return Verdict::Busy,
        };
        let now = (self.sources.clock)();
        if !self.bells.admits(now) {
            tracing::warn!("a laptop rings too often");
            return Verdict::Busy;
        }
        let rung = Rung {
            ring: Payload { payload },
            link_secret: link.secret.clone(),
            identity: Identity(keys.identity),
        };
        let Ok(store) = self.vault.store() else { return Verdict::Busy };
        let work = Work::Rung(Box::new(Call { rung, routing, tunnel }));
        match self.running.begin(self, work, store, Staging::default()) {
            Ok(_) => {
                self.note_ring(Link { rung_at: Some(now), ..link }).await;
                Verdict::Coming
            }
            Err(_) => Verdict::Busy,
        }
    }

    /// Whoever was forgotten knows it now: nobody has to listen for that laptop any more.
    async fn note_told(&self, id: LinkId) {
        match self.vault.with(move |store| store.told_of_forgetting(id)).await {
            Ok(true) => self.vault.changed(),
            Ok(false) => {}
            // It is told again when it rings again.
            Err(error) => tracing::debug!(%error, "it is not noted that a laptop was told"),
        }
    }

    /// When a laptop rang last is good to know and no more.
    async fn note_ring(&self, link: Link) {
        let rng = Arc::clone(&self.sources.rng);
        if let Err(error) = self.vault.with(move |store| store.put_link(&link, &mut *rng())).await {
            tracing::debug!(%error, "the ring is not noted");
        }
    }

    /// What to tell a laptop that wants to be remembered, if this phone is to be rung at all.
    pub(super) fn linking(&self, store: &Store) -> Option<Linking> {
        let name = self.bells.name.clone()?;
        let relay = &self.running.phone_config().relay;
        let made = store.make_linking_keys(&mut *(self.sources.rng)());
        let keys = made.inspect_err(|error| tracing::warn!(%error, "no link can be made")).ok()?;
        let listen = ListenKey::new(keys.listen, &relay.authority())?;
        let (store, vault) = (store.clone(), self.vault.clone());
        let Sources { clock, rng } = self.sources.clone();
        Some(Linking {
            identity: Identity(keys.identity),
            contact_id: listen.contact_id(),
            name,
            keep: Box::new(move |id, secret, credential| {
                use crate::authenticator::PasskeyStore as _;
                let passkey = store.find_by_id(credential)?.ok_or(Error::NoSuchPasskey)?;
                let link = Link {
                    id,
                    secret: secret.clone(),
                    made_at: clock(),
                    rp_id: passkey.rp.id,
                    rung_at: None,
                };
                store.put_link(&link, &mut *rng())?;
                vault.changed();
                Ok(())
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_come_in_bounds() {
        let mut limiter = Limiter::default();
        let admitted: Vec<u64> = (0..600).filter(|second| limiter.admits(*second)).collect();
        assert_eq!(admitted.get(..4), Some(&[0, 1, 2, 30][..]));
        assert_eq!(admitted.len(), 12);
        assert!(limiter.admits(600));
        // A clock that was set back does not lock anybody out.
        assert!(limiter.admits(10));
    }

    #[test]
    fn rings_that_were_wanted_do_not_count() {
        let mut limiter = Limiter::default();
        for _ in 0..20 {
            assert!(limiter.admits(5));
            limiter.agreed();
        }
        assert_eq!((0..9).filter(|_| limiter.admits(6)).count(), 3);
        limiter.agreed();
        assert!(limiter.admits(7) && !limiter.admits(7));
        limiter.agreed();
        (0..9).for_each(|_| limiter.agreed());
    }
}
