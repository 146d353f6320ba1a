//! `cabled phone scan`: from the text of a code to an answer that the laptop took.

#[cfg(feature = "camera")]
mod camera;
mod look;
mod open;
mod paste;
#[cfg(target_os = "linux")]
mod portal;
mod served;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use clap::{ArgGroup, Args};
pub(super) use open::Open;
use paste::Copied;
use served::Handover;

use super::consent::{LastSite, Owner, Way, somebody_decides};
use super::date::{SKEW, TOO_OLD};
use super::keeper::Place;
use super::making::Making;
use super::outcome::{End, Here, Record};
use super::unlock::Vault;
use super::{Reporter, blocking, date, or_interrupted};
use crate::authenticator::{Engine, Error, Phone, PhoneConfig, Store, Timestamp};
use crate::ble::Radio;
use crate::cli::args::{Link, read_fido_text, read_input};
use crate::cli::failure::{Failure, Status};
use crate::cli::terminal::Terminal;
use crate::cli::ui::Ui;
use crate::cli::{advice, image, system};
use crate::hybrid::qr::{ChannelKind, Hint, QrContents};
use crate::hybrid::tunnel::{ServiceUrl, TunnelServiceId};

/// Seconds after which a code is called old. Laptops wait for two minutes or a little more.
const OLD: u64 = 5 * 60;

/// Answers the code that a laptop shows
#[derive(Args, Clone, Debug)]
#[command(group(ArgGroup::new("source").required(true)))]
pub(super) struct Scan {
    /// The code's text, which begins with FIDO:/, or - to read it from standard input
    #[arg(value_name = "TEXT", group = "source")]
    text: Option<String>,
    /// Find the code in a picture or a screenshot, or - to read one from standard input
    #[arg(long, value_name = "FILE", group = "source")]
    image: Option<PathBuf>,
    /// Find the code on this machine's screen: under X11 waits for half a minute until it is there, under
    /// Wayland takes one picture through the desktop's portal
    #[arg(long, group = "source")]
    screen: bool,
    /// Take what was copied: a picture of the code, or its text, which is a link and no scan, so that it is
    /// asked first what you are looking at
    #[arg(long, group = "source")]
    clipboard: bool,
    /// Find the code before this camera, or before the first one that can be used
    #[cfg(feature = "camera")]
    #[arg(long, value_name = "DEVICE", group = "source", num_args = 0..=1, require_equals = true)]
    camera: Option<Option<PathBuf>>,
    /// Agree to everything without asking; for tests and machines that nobody sits at
    #[arg(long)]
    auto_approve: bool,
    #[command(flatten)]
    making: Making,
    /// Take a code that was shown more than 15 minutes ago, or that says so because of a wrong clock
    #[arg(long)]
    any_age: bool,
    #[command(flatten)]
    link: Link,
}

/// All that a transaction needs.
struct Ready {
    phone: Phone<Store, Owner>,
    record: Record,
    here: Here,
}

impl Scan {
    pub(super) async fn run(&self, ui: Ui, place: Place<'_>) -> Result<(), Failure> {
        // One for all, so that no Ctrl-C falls between two of them.
        self.answer(ui, place, std::pin::pin!(system::interrupted())).await
    }

    /// By the service if one runs, otherwise in this process.
    async fn answer(
        &self,
        ui: Ui,
        place: Place<'_>,
        mut interrupt: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Result<(), Failure> {
        let reporter = Reporter(ui);
        let text = or_interrupted(interrupt.as_mut(), self.text(reporter)).await?;
        let contents = QrContents::decode(text.trim()).map_err(|error| advice::qr(&error))?;
        self.check(reporter, &contents)?;
        let service = or_interrupted(interrupt.as_mut(), place.service()).await?;
        if let Some(client) = service {
            self.leave_to_the_service(reporter);
            let (vault, auto_approve, any_age) = (place.vault, self.auto_approve, self.any_age);
            let handover = Handover { reporter, vault, auto_approve, any_age };
            return handover.run(client, text, interrupt).await;
        }
        let Ready { mut phone, mut record, here } =
            or_interrupted(interrupt.as_mut(), self.prepare(reporter, place.vault)).await?;
        let clock = || Timestamp(system::unix_time());
        let rng = &mut system::random();
        let answered = phone.answer(contents, interrupt, clock, rng, |progress| {
            here.step(&progress).into_iter().for_each(|step| record.hear(step));
        });
        let result = answered.await;
        record.conclude(result.as_ref().err().map(End::from))
    }

    /// What is wrong or odd about the code itself.
    fn check(&self, reporter: Reporter, contents: &QrContents) -> Result<(), Failure> {
        let now = system::unix_time();
        if !self.any_age {
            young_enough(contents, now)?;
        }
        remarks(contents, now).iter().for_each(|remark| reporter.note(remark));
        match contents.offers(ChannelKind::Tunnel) || contents.offers(ChannelKind::L2cap) {
            true => Ok(()),
            false => Err(no_channel()),
        }
    }

    fn leave_to_the_service(&self, reporter: Reporter) {
        if !self.making.is_usual() || self.link.is_named() {
            reporter.note(
                "the running service answers, with its own radio, relay and attestation: what is \
                 said about them here does not count",
            );
        }
    }

    /// Everything that can fail for reasons of this side, the PIN last.
    async fn prepare(&self, reporter: Reporter, vault: &Vault) -> Result<Ready, Failure> {
        let terminal = Terminal::open();
        somebody_decides(self.auto_approve, terminal.is_some(), vault.pin_file.is_some())?;
        let config = phone_config(&self.link)?;
        let radio = radio(&self.link, &config)?;
        let unlocked = vault.open_or_create(reporter, terminal.as_ref()).await?;
        let site = LastSite::default();
        let record = Record::new(reporter, site.clone());
        let way = Way::of(self.auto_approve, terminal, &unlocked);
        let owner = Owner { reporter, site, way };
        let here = Here(unlocked.store.clone());
        let engine = Engine::new(unlocked.store, owner, self.making.config());
        let phone = Phone::new(radio, config, engine).map_err(|e| advice::authenticator(&e))?;
        Ok(Ready { phone, record, here })
    }

    async fn text(&self, reporter: Reporter) -> Result<String, Failure> {
        #[cfg(feature = "camera")]
        if let Some(named) = &self.camera {
            return camera::for_code(reporter, named.clone()).await;
        }
        Ok(match (&self.image, self.text.as_deref()) {
            _ if self.clipboard => match paste::copied().await? {
                Copied::Scanned(text) => text,
                Copied::Text(text) => open::meant(text, open::From::Clipboard).await?,
            },
            _ if self.screen => look::for_code(reporter).await?,
            (Some(file), _) => {
                let file = file.clone();
                blocking(move || picture(&file)).await??
            }
            (None, Some("-")) => blocking(read_fido_text).await??,
            (None, text) => text.unwrap_or_default().to_owned(),
        })
    }
}

/// Reads the code in a picture file, or in a picture on standard input.
fn picture(file: &std::path::Path) -> Result<String, Failure> {
    let found = match file.as_os_str() == "-" {
        true => image::read(&read_input(file, image::MAX_FILE)?),
        false => image::read_file(file),
    };
    found.map_err(|error| advice::image(&error))
}

/// How laptops are answered, as these options say.
pub(super) fn phone_config(link: &Link) -> Result<PhoneConfig, Failure> {
    let public = || ServiceUrl::for_service(TunnelServiceId::GOOGLE);
    let relay = link.relay().cloned().map_or_else(public, Ok).map_err(|error| {
        Failure::because(Status::Failure, &error, "name a tunnel service with --relay")
    })?;
    let service = relay.service_id().unwrap_or(TunnelServiceId::GOOGLE);
    let mut config = PhoneConfig::new(link.connector()?, relay, service);
    config.simulated_with_public = link.simulated_with_public;
    Ok(config)
}

/// The radio, unless it is a simulated one where that proves nothing.
pub(super) fn radio(link: &Link, config: &PhoneConfig) -> Result<Radio, Failure> {
    let radio = link.radio()?;
    match config.suits(&radio) {
        true => Ok(radio),
        false => Err(advice::authenticator(&Error::SimulatedRadio)),
    }
}

fn no_channel() -> Failure {
    let error = "the laptop offers no way to answer that this phone knows";
    Failure::new(Status::Usage, error, "let the laptop offer a tunnel too")
}

fn young_enough(contents: &QrContents, now: u64) -> Result<(), Failure> {
    let age = contents.shown_at.map_or(0, |shown| now.saturating_sub(shown));
    if age <= TOO_OLD {
        return Ok(());
    }
    let error = format!("this code is too old: it was shown {} ago", date::span(age));
    let hint = "show a new code on the laptop; if this one is new, one of the two clocks is wrong, \
                and --any-age takes it all the same";
    Err(Failure::new(Status::NotHeard, error, hint))
}

/// What is odd about a code and yet stops nothing.
fn remarks(contents: &QrContents, now: u64) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(shown) = contents.shown_at {
        let (age, ahead) = (now.saturating_sub(shown), shown.saturating_sub(now));
        if age > OLD {
            let age = date::span(age);
            remarks.push(format!("this code is {age} old; the laptop may have given up on it"));
        }
        if ahead > SKEW {
            let ahead = date::span(ahead);
            remarks.push(format!("this code comes from {ahead} ahead; one of the clocks is wrong"));
        }
    }
    let intent = contents.intent();
    if matches!(intent, Hint::DigitalCredentialPresentation | Hint::DigitalCredentialIssuance) {
        remarks.push("the laptop asks for a digital document; here are passkeys only".to_owned());
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hybrid::PrivateKey;
    use crate::hybrid::keys::QrSecret;
    use crate::secret::Secret;

    fn contents(shown_at: Option<u64>, hint: Hint) -> QrContents {
        let key = PrivateKey::from_scalar(&Secret::new([1; 32])).unwrap();
        QrContents {
            identity: *key.public(),
            secret: QrSecret::new([2; 16]),
            known_services: 2,
            shown_at,
            wants_linking: None,
            hint: Some(hint),
            channels: None,
            grease: None,
        }
    }

    #[test]
    fn old_codes_and_codes_from_the_future_are_remarked_upon() {
        let at = |shown| remarks(&contents(Some(shown), Hint::GetAssertion), 10_000);
        assert!(at(10_000).is_empty() && at(9_700).is_empty() && at(10_060).is_empty());
        assert_eq!(at(9_280), ["this code is 12 minutes old; the laptop may have given up on it"]);
        assert_eq!(
            at(10_120),
            ["this code comes from 2 minutes ahead; one of the clocks is wrong"]
        );
        assert!(remarks(&contents(None, Hint::MakeCredential), 10_000).is_empty());
    }

    #[test]
    fn codes_that_are_too_old_are_refused() {
        let at = |shown| young_enough(&contents(shown, Hint::GetAssertion), 10_000);
        assert!(at(None).is_ok() && at(Some(9_100)).is_ok() && at(Some(20_000)).is_ok());
        let failure = at(Some(9_099)).unwrap_err();
        assert_eq!(failure.error, "this code is too old: it was shown 15 minutes ago");
        assert_eq!(failure.status, Status::NotHeard);
    }

    #[test]
    fn digital_documents_are_remarked_upon() {
        let found = remarks(&contents(None, Hint::DigitalCredentialPresentation), 0);
        assert_eq!(found.len(), 1);
    }
}
