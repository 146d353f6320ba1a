//! A certificate by ACME (RFC 8555): got, kept, and renewed in time.
//!
//! Proofs are HTTP-01, answered by the listener that sends HTTP to HTTPS. TLS-ALPN-01 would need no second port, but a
//! certificate of its own within the handshakes of tunnels, and nobody between who ends TLS. A new certificate
//! goes into a file, from where `reload` takes it as it takes those that an operator puts there, so that
//! tunnels that there are go on.
//!
//! `plan`, `challenges` and `setting` are pure; `folder` keeps files, `wire` speaks with the server, `order` gets one
//! certificate, and `trouble` is why there is none. This driver reads clock and chance.

mod challenges;
mod folder;
mod order;
mod plan;
mod setting;
mod trouble;
mod wire;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use self::challenges::Challenges;
use self::folder::{Folder, Kept};
use self::order::Desk;
use self::plan::Plan;
use self::trouble::Trouble;
use self::wire::Wire;
use super::config::AcmeConfig;
use super::connection::Shared;
use super::error::Error;
use super::page;
use super::random;
use super::reload::Reloading;
use super::status::Status;
use super::tls::{Pair, TlsFiles};
use super::validity::Validity;

/// How long a try may take.
const DEADLINE: Duration = Duration::from_secs(5 * 60);
/// How long to sleep at most before the clock is read again: it may be set, and machines sleep too.
const LONGEST_SLEEP: u64 = 60;

/// How this relay gets its certificate.
pub(super) struct Acme {
    config: AcmeConfig,
    folder: Folder,
    challenges: Challenges,
}

impl Acme {
    /// Checks the settings and what is kept; writes nothing and asks nobody.
    pub(super) fn new(config: &AcmeConfig) -> Result<Self, Error> {
        let config = setting::checked(config)?;
        let folder = Folder::new(&config)?;
        Wire::new(config.authority.as_deref()).map_err(Error::AcmeTls)?;
        Ok(Self { config, folder, challenges: Challenges::default() })
    }

    /// Makes the folder.
    pub(super) fn prepare(&self) -> Result<(), Error> {
        self.folder.prepare()
    }

    /// Where the certificate is, or will be.
    pub(super) fn files(&self) -> TlsFiles {
        let both = self.folder.path(Kept::Certificate);
        TlsFiles { certificate: both.clone(), key: both }
    }

    /// The whole answer to a GET over HTTP, if it is one for a proof.
    pub(super) fn answer(&self, path: &str) -> Option<String> {
        let proof = self.challenges.at(path)?;
        Some(proof.map_or_else(|| Status::NoPath.response(), |proof| page::proof(&proof)))
    }

    /// Whether there is a certificate that is valid.
    pub(super) fn is_certified(&self, files: &Reloading) -> bool {
        files.validity().is_some_and(|validity| validity.until > unix_time())
    }

    /// Sees to it that there always is one; never ends.
    pub(super) async fn run(&self, shared: Arc<Shared>) {
        // That there is something to complain of was said when it was set up.
        let tries = self.folder.read(Kept::Tries).ok().flatten().unwrap_or_default();
        let mut plan = Plan::new(&tries, random::chance());
        let mut told = false;
        loop {
            let (held, now) = (self.held(), unix_time());
            let wait = plan.due(held, now).saturating_sub(now);
            if held.is_none() && !told {
                told = true;
                self.tell(wait);
            }
            if wait > 0 {
                sleep(Duration::from_secs(wait.min(LONGEST_SLEEP))).await;
                continue;
            }
            self.attempt(&mut plan, held, &shared).await;
        }
    }

    /// What is kept, if it will do.
    fn held(&self) -> Option<Validity> {
        let kept = self.folder.read(Kept::Certificate).ok()??;
        usable(&kept, &self.config.domains)
    }

    fn tell(&self, wait: u64) {
        let (names, server) = (self.config.domains.join(", "), &self.config.directory);
        match wait {
            0 => tracing::warn!("there is no certificate for {names} yet: asking {server}"),
            wait => tracing::warn!(
                "there is no certificate for {names} yet, and {server} was asked too often: asking in {}",
                spoken(wait)
            ),
        }
    }

    async fn attempt(&self, plan: &mut Plan, held: Option<Validity>, shared: &Shared) {
        let tries = plan.begin(unix_time());
        let wire = Wire::new(self.config.authority.as_deref()).map_err(Trouble::Authority);
        let mut wish = None;
        let got = match wire {
            Ok(wire) => {
                let got = timeout(DEADLINE, self.obtain(tries, &wire)).await;
                wish = wire.take_wish();
                got.unwrap_or(Err(Trouble::Slow))
            }
            Err(trouble) => Err(trouble),
        };
        self.challenges.clear();
        shared.metrics.certificates.tried(got.is_ok());
        match got {
            Ok(()) => {
                plan.succeeded();
                tracing::info!("there is a new certificate");
                if let Some(files) = &shared.tls {
                    files.refresh(&shared.metrics).await;
                }
            }
            Err(trouble) => {
                if trouble.is_of_a_lost_account() {
                    // One that cannot be removed is complained of the next time.
                    let _ = self.folder.forget(Kept::Account);
                }
                let now = unix_time();
                plan.failed(held, wish, now, random::chance());
                let wait = spoken(plan.due(held, now).saturating_sub(now));
                let (cause, hint) = (trouble.cause(), trouble.hint());
                tracing::warn!(
                    cause,
                    "no new certificate: {trouble}; {hint}; trying again in {wait}"
                );
            }
        }
    }

    /// Gets one and keeps it.
    async fn obtain(&self, tries: String, wire: &Wire) -> Result<(), Trouble> {
        let (config, folder, challenges) = (&self.config, &self.folder, &self.challenges);
        // First, so that whoever cannot write does not ask again and again.
        folder.keep(Kept::Tries, Zeroizing::new(tries)).await.map_err(Trouble::Folder)?;
        let got = Desk { config, folder, challenges, wire }.order().await?;
        let validity = usable(&got, &config.domains).ok_or(Trouble::Useless)?;
        if !(validity.from..validity.until).contains(&unix_time()) {
            return Err(Trouble::Useless);
        }
        folder.keep(Kept::Certificate, got).await.map_err(Trouble::Folder)
    }
}

/// When a certificate is valid, if it fits the key beside it and has all names.
fn usable(pem: &str, names: &[String]) -> Option<Validity> {
    let Pair { validity, .. } = Pair::parse(pem.as_bytes()).ok()?;
    let first = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let first = ParsedCertificate::try_from(&first).ok()?;
    let named = |name: &String| {
        let name = ServerName::try_from(name.as_str());
        name.is_ok_and(|name| verify_server_name(&first, &name).is_ok())
    };
    validity.filter(|_| names.iter().all(named))
}

/// Unix time in seconds; 0 on a machine whose clock stands before 1970.
#[allow(clippy::disallowed_methods, reason = "the relay is a driver")]
fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A wait for people.
fn spoken(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_will_do_with_its_own_key_and_all_names() {
        let make = |name: &str| rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let (ours, other) = (make("relay.example"), make("relay.example"));
        let pem = |key: &rcgen::KeyPair| format!("{}\n{}", ours.cert.pem(), key.serialize_pem());
        let whole = pem(&ours.signing_key);
        let names =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(usable(&whole, &names(&["relay.example"])).is_some());
        assert_eq!(usable(&whole, &names(&["relay.example", "other.example"])), None);
        assert_eq!(usable(&pem(&other.signing_key), &names(&["relay.example"])), None);
        assert_eq!(usable(&ours.cert.pem(), &names(&["relay.example"])), None);
        assert_eq!(usable(&whole[..whole.len() / 2], &names(&["relay.example"])), None);
        assert_eq!(usable("", &[]), None);
    }

    #[test]
    fn waits_are_said_as_people_do() {
        for (seconds, words) in [(0, "0 s"), (119, "119 s"), (750, "12 min"), (21_600, "6 h")] {
            assert_eq!(spoken(seconds), words);
        }
    }
}
