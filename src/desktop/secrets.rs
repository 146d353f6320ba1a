//! A secret that the desktop keeps for its user: `org.freedesktop.secrets`, which GNOME Keyring, KWallet
//! and KeePassXC offer.
//!
//! Secrets cross the user's own bus in a `plain` session: whoever can read that bus can ask the service
//! as well. The service may ask its user for a password, in a dialog of its own. Depends on the sibling
//! `bus`.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::timeout;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value};
use zeroize::Zeroizing;

use super::Error;
use super::bus::{Bus, Caller, Peer, Service, read};

const NAME: &str = "org.freedesktop.secrets";
const PATH: &str = "/org/freedesktop/secrets";
const SERVICE: &str = "org.freedesktop.Secret.Service";
const COLLECTION: &str = "org.freedesktop.Secret.Collection";
const ITEM: &str = "org.freedesktop.Secret.Item";
const PROMPT: &str = "org.freedesktop.Secret.Prompt";
const OFFER: Service = Service { name: NAME, signals: PROMPT };
/// Where there is no object.
const NOTHING: &str = "/";
/// For the user to type a password into the service's dialog.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes of a secret that are read at most.
const MAX_SECRET: usize = 4 << 10;

/// By what a secret is found again: names and values.
pub type Attributes<'a> = HashMap<&'a str, &'a str>;

/// A secret in the protocol: session, parameters, value, type.
type Sealed = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

/// A conversation with the service.
pub struct Secrets {
    peer: Peer,
    caller: Caller,
    session: OwnedObjectPath,
}

impl Secrets {
    /// Begins one.
    ///
    /// # Errors
    ///
    /// [`Error::NoService`] if nobody keeps secrets here, and those of the bus.
    pub async fn open(bus: &Bus) -> Result<Self, Error> {
        let peer = Peer::find(bus, OFFER).await?;
        let caller = peer.caller();
        let plain = ("plain", Value::from(""));
        let (_, session): (OwnedValue, OwnedObjectPath) =
            caller.call(PATH, SERVICE, "OpenSession", &plain).await?;
        Ok(Self { peer, caller, session })
    }

    /// Keeps a secret, in the place of an earlier one with these attributes. `label` is what its user
    /// sees in a list.
    ///
    /// # Errors
    ///
    /// [`Error::Dismissed`] if the user did not unlock the keyring, [`Error::Refused`] if there is none,
    /// [`Error::NoAnswer`], and those of the bus.
    pub async fn keep(
        &mut self,
        label: &str,
        attributes: &Attributes<'_>,
        secret: &[u8],
    ) -> Result<(), Error> {
        let collection = self.collection().await?;
        self.unlock(&collection).await?;
        let properties = HashMap::from([
            ("org.freedesktop.Secret.Item.Label", Value::from(label)),
            ("org.freedesktop.Secret.Item.Attributes", Value::from(attributes.clone())),
        ]);
        let sealed = (&self.session, &[] as &[u8], secret, "application/octet-stream");
        let asked = (properties, sealed, true);
        let (_, prompt): (OwnedObjectPath, OwnedObjectPath) =
            self.caller.call(collection.as_str(), COLLECTION, "CreateItem", &asked).await?;
        self.prompted(&prompt).await
    }

    /// The secret with these attributes, if there is one.
    ///
    /// # Errors
    ///
    /// As [`Self::keep`]; [`Error::Nonsense`] for one that is too long.
    pub async fn find(
        &mut self,
        attributes: &Attributes<'_>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let Some(item) = self.item(attributes).await? else { return Ok(None) };
        self.unlock(&item).await?;
        let asked = (&self.session,);
        let (sealed,): (Sealed,) =
            self.caller.call(item.as_str(), ITEM, "GetSecret", &asked).await?;
        let secret = Zeroizing::new(sealed.2);
        match secret.len() <= MAX_SECRET {
            true => Ok(Some(secret)),
            false => Err(Error::Nonsense(NAME)),
        }
    }

    /// Deletes the secret with these attributes; false if there is none.
    ///
    /// # Errors
    ///
    /// As [`Self::keep`].
    pub async fn forget(&mut self, attributes: &Attributes<'_>) -> Result<bool, Error> {
        let Some(item) = self.item(attributes).await? else { return Ok(false) };
        self.unlock(&item).await?;
        let prompt: OwnedObjectPath = self.caller.call(item.as_str(), ITEM, "Delete", &()).await?;
        self.prompted(&prompt).await.map(|()| true)
    }

    /// Open ones before locked ones.
    async fn item(&self, attributes: &Attributes<'_>) -> Result<Option<OwnedObjectPath>, Error> {
        let (open, locked): (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) =
            self.caller.call(PATH, SERVICE, "SearchItems", &(attributes,)).await?;
        Ok(open.into_iter().chain(locked).next())
    }

    async fn collection(&self) -> Result<OwnedObjectPath, Error> {
        let default: OwnedObjectPath =
            self.caller.call(PATH, SERVICE, "ReadAlias", &("default",)).await?;
        match default.as_str() {
            NOTHING => Err(Error::NoKeyring),
            _ => Ok(default),
        }
    }

    async fn unlock(&mut self, object: &ObjectPath<'_>) -> Result<(), Error> {
        let asked = (vec![object],);
        let (_, prompt): (Vec<OwnedObjectPath>, OwnedObjectPath) =
            self.caller.call(PATH, SERVICE, "Unlock", &asked).await?;
        self.prompted(&prompt).await
    }

    /// Lets the service ask its user, if it wants to.
    async fn prompted(&mut self, prompt: &ObjectPath<'_>) -> Result<(), Error> {
        if prompt.as_str() == NOTHING {
            return Ok(());
        }
        let begun: Result<(), Error> =
            self.caller.call(prompt.as_str(), PROMPT, "Prompt", &("",)).await;
        begun?;
        let done = timeout(PATIENCE, self.completed(prompt.as_str())).await;
        match done {
            Ok(dismissed) => match dismissed? {
                false => Ok(()),
                true => Err(Error::Dismissed(NAME)),
            },
            Err(_) => {
                let _gone: Result<(), Error> =
                    self.caller.call(prompt.as_str(), PROMPT, "Dismiss", &()).await;
                Err(Error::NoAnswer(NAME, PATIENCE))
            }
        }
    }

    async fn completed(&mut self, prompt: &str) -> Result<bool, Error> {
        loop {
            let signal = self.peer.signal().await?;
            let header = signal.header();
            let ours = header.path().is_some_and(|own| own.as_str() == prompt);
            if ours && header.member().is_some_and(|member| member.as_str() == "Completed") {
                let (dismissed, _): (bool, OwnedValue) = read(&signal, NAME)?;
                return Ok(dismissed);
            }
        }
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}
