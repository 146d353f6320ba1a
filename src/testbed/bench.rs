//! All that a test of a relying party needs beside its browser, as one value.

mod phones;

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use self::phones::Phones;
use super::ceremony::Ceremonies;
use super::phone::Common;
use super::tunnel::Tunnel;
use super::{Ceremony, Error, FakeBluez, KEPT_CEREMONIES, PrivateBus, Script};
use crate::authenticator::PhoneConfig;
use crate::authenticator::service::Sources;
use crate::ble::{Conditions, Radio, RadioSpec};
use crate::channel::tls::Trust;
use crate::channel::websocket::Connector;
use crate::hybrid::tunnel::TunnelServiceId;

/// Phones that a bench may have.
pub const MAX_PHONES: usize = 32;
/// For what runs to end in order.
const PATIENCE: Duration = Duration::from_secs(5);

/// A private D-Bus with a fake BlueZ, a tunnel service with a certificate of a throw-away authority, and
/// phones that follow scripts. All of it is gone when this is dropped or the process ends, however it
/// ends: what is on disk lies in the bus's folder, which its keeper removes.
pub struct Bench {
    bluetooth: FakeBluez,
    phones: Phones,
    common: Common,
    /// The codes that phones were shown, as SHA-256: a code is the secret of its ceremony.
    shown: Mutex<VecDeque<[u8; 32]>>,
    /// How many phones were begun, for the names of their folders.
    made: AtomicUsize,
    folder: PathBuf,
    tunnel: Tunnel,
    // Last, since it takes the folder along.
    bus: PrivateBus,
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("bus", &self.bus).finish_non_exhaustive()
    }
}

impl Bench {
    /// Starts all of it, within some seconds, without a phone. Needs a tokio runtime, and `dbus-daemon`
    /// (Debian package: dbus). With [`seeded`](super::seeded) sources keys and nonces repeat themselves
    /// as far as the test asks for the same things in the same order.
    ///
    /// # Errors
    ///
    /// Those of [`PrivateBus::start`] and [`FakeBluez::start`]; [`Error::Relay`], [`Error::Radio`].
    pub async fn start(sources: Sources) -> Result<Self, Error> {
        let bus = PrivateBus::start().await?;
        let folder = bus.folder().to_owned();
        let tunnel = Tunnel::start(&folder, &mut *(sources.rng)()).await?;
        let air = RadioSpec::Air { folder: folder.join("air"), conditions: Conditions::default() };
        let radio = Radio::open(&air).map_err(Error::Radio)?;
        let bluetooth = FakeBluez::start(bus.address(), radio.clone(), &["hci0"]).await?;
        let connector = Connector::new(Trust::Only(tunnel.authority().to_owned()));
        let phone = PhoneConfig::new(connector, tunnel.url()?, TunnelServiceId::GOOGLE);
        let ceremonies = Ceremonies::new();
        Ok(Self {
            bluetooth,
            phones: Phones::default(),
            common: Common { radio, phone, sources, book: tunnel.book().clone(), ceremonies },
            shown: Mutex::default(),
            made: AtomicUsize::new(0),
            folder,
            tunnel,
            bus,
        })
    }

    /// The address of the bus with the fake BlueZ, for `DBUS_SYSTEM_BUS_ADDRESS`.
    #[must_use]
    pub fn bus(&self) -> &str {
        self.bus.address()
    }

    /// The simulated radio behind the fake BlueZ, for `--radio`.
    #[must_use]
    pub fn air(&self) -> String {
        format!("air:{}", self.folder.join("air").display())
    }

    /// The tunnel service, for `--relay`.
    #[must_use]
    pub fn relay(&self) -> String {
        self.tunnel.address()
    }

    /// The authority of its certificate, for `--ca`.
    #[must_use]
    pub fn authority(&self) -> &Path {
        self.tunnel.authority()
    }

    /// A folder for whatever goes when all goes.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What lets an unmodified Chromium find the tunnel service here, believe its certificate, and
    /// nothing else on the net.
    #[must_use]
    pub fn browser_arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            "--no-first-run".to_owned(),
            "--password-store=basic".to_owned(),
            "--ozone-platform=x11".to_owned(),
            format!("--user-data-dir={}", self.folder.join("browser").display()),
        ];
        arguments.extend(self.tunnel.browser_arguments());
        arguments
    }

    /// The fake BlueZ, to switch off, unplug or crowd.
    #[must_use]
    pub fn bluetooth(&self) -> &FakeBluez {
        &self.bluetooth
    }

    /// Shows a phone the text of a code (`FIDO:/...`), lets its person follow the script, and gives the
    /// ceremony's number.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPhone`]; [`Error::Phone`] when the text is no code or four codes are being answered.
    pub fn scan(&self, phone: &str, code: &str, script: Script) -> Result<u64, Error> {
        let id = self.phone(phone)?.scan(code, script)?;
        let mut shown = self.shown();
        shown.push_back(digest(code));
        if shown.len() > KEPT_CEREMONIES {
            shown.pop_front();
        }
        Ok(id)
    }

    /// Whether a phone was shown this code, among the last 1,024.
    #[must_use]
    pub fn was_shown(&self, code: &str) -> bool {
        self.shown().contains(&digest(code))
    }

    /// Nothing panics while it is held.
    fn shown(&self) -> MutexGuard<'_, VecDeque<[u8; 32]>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of a ceremony so far.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchCeremony`]: also when it is so long ago that it is not kept any more.
    pub fn ceremony(&self, id: u64) -> Result<Ceremony, Error> {
        self.common.ceremonies.get(id).ok_or(Error::NoSuchCeremony(id))
    }

    /// The ceremonies that are kept, oldest first.
    #[must_use]
    pub fn ceremonies(&self) -> Vec<Ceremony> {
        self.common.ceremonies.all()
    }

    /// Waits until a ceremony is over. Has no deadline of its own.
    ///
    /// # Errors
    ///
    /// As [`Self::ceremony`].
    pub async fn over(&self, id: u64) -> Result<Ceremony, Error> {
        let found = self.common.ceremonies.until(|| match self.ceremony(id) {
            Ok(ceremony) if !ceremony.over => None,
            other => Some(other),
        });
        found.await.unwrap_or(Err(Error::NoSuchCeremony(id)))
    }

    /// Waits for a ceremony that is over and whose number is not among `known`. Has no deadline.
    pub async fn another_over(&self, known: &BTreeSet<u64>) -> Option<Ceremony> {
        let fresh = |ceremony: &Ceremony| ceremony.over && !known.contains(&ceremony.id);
        self.common.ceremonies.until(|| self.ceremonies().into_iter().find(fresh)).await
    }

    /// Waits until the bus is gone, which ends every test.
    pub async fn bus_ended(&self) {
        self.bluetooth.ended().await;
    }

    /// Ends what phones do, in order as far as five seconds suffice, without an end to the rest.
    pub async fn rest(&self) {
        let phones = self.phones.open().clone();
        for phone in phones.into_values() {
            phone.stop(PATIENCE).await;
        }
    }

    /// Ends all of it, and returns when it is gone.
    ///
    /// # Errors
    ///
    /// Those of [`PrivateBus::stop`]: something may still be there.
    pub async fn stop(self) -> Result<(), Error> {
        self.rest().await;
        let Self { bluetooth, phones, tunnel, bus, .. } = self;
        drop(phones);
        tunnel.stop().await;
        drop(bluetooth);
        bus.stop().await
    }
}

fn digest(code: &str) -> [u8; 32] {
    Sha256::digest(code.trim().to_ascii_uppercase()).into()
}
