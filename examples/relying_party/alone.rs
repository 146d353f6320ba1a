//! What a machine lacks that has neither Bluetooth nor internet to try a browser and a phone on: a
//! tunnel service under the name that browsers look for, with a certificate of a throw-away authority,
//! and a fake Bluetooth. Both for this machine only, both gone with this value.
//!
//! The browser is not altered: its own flags say where the name is and which certificate is fine.

use std::error::Error;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use cabled::ble::Radio;
use cabled::relay::{self, Relay, TlsFiles};
use cabled::testbed::{FakeBluez, PrivateBus};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

/// The names of the public tunnel services, which are the only ones that stock browsers have.
const NAMES: [&str; 2] = ["cable.ua5v.com", "cable.auth.com"];

pub(crate) struct Alone {
    folder: PathBuf,
    /// Where the tunnel service is, for browsers and for phones.
    port: u16,
    pub(crate) phone_port: u16,
    /// SHA-256 of the certificate's key, base64: what Chromium is told to believe.
    spki: String,
    bus: PrivateBus,
    bluetooth: FakeBluez,
    relay: JoinHandle<()>,
}

impl Alone {
    /// Starts both; what they need is written into `folder`.
    pub(crate) async fn start(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let (tls, spki) = certify(folder)?;
        let config =
            relay::Config { tls: Some(tls), ..relay::Config::new(([127, 0, 0, 1], 0).into()) };
        let relay = Relay::bind(config).await?;
        let bus = PrivateBus::start().await?;
        let radio = Radio::open(&air(folder).parse()?)?;
        let bluetooth = FakeBluez::start(bus.address(), radio, &["hci0"]).await?;
        Ok(Self {
            folder: folder.to_owned(),
            port: relay.local_addr().port(),
            phone_port: relay.local_addr().port(),
            spki,
            bus,
            bluetooth,
            relay: tokio::spawn(relay.serve(std::future::pending())),
        })
    }

    /// Browsers and phones find the tunnel service at this port, in place of the one that was started; its certificate is
    /// the same.
    #[allow(dead_code, reason = "for tests of other tunnel services")]
    pub(crate) fn elsewhere(&mut self, port: u16) {
        (self.port, self.phone_port) = (port, port);
    }

    /// What a browser or a phone program needs in its environment to find this Bluetooth.
    pub(crate) fn environment(&self) -> [(&'static str, String); 1] {
        [("DBUS_SYSTEM_BUS_ADDRESS", self.bus.address().to_owned())]
    }

    /// Chromium's arguments: the tunnel service is here, its certificate is fine, and nothing else is
    /// on the net.
    pub(crate) fn browser_arguments(&self) -> Vec<String> {
        let here = NAMES.map(|name| format!("MAP {name} 127.0.0.1:{}", self.port)).join(", ");
        let rest = "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1";
        vec![
            "--no-first-run".to_owned(),
            "--password-store=basic".to_owned(),
            // Looks at the display from outside, and presses keys there, are X11's.
            "--ozone-platform=x11".to_owned(),
            format!("--user-data-dir={}", self.folder.join("browser").display()),
            format!("--host-resolver-rules={here}, {rest}"),
            format!("--ignore-certificate-errors-spki-list={}", self.spki),
        ]
    }

    /// The phone's side of the same: arguments of `cabled phone scan`.
    pub(crate) fn phone_arguments(&self) -> Vec<String> {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let relay = format!("wss://localhost:{}", self.phone_port);
        let arguments = ["--relay", &relay, "--ca", &path("ca.pem"), "--store", &path("phone")];
        arguments.map(ToOwned::to_owned).to_vec()
    }

    /// Ends both in order.
    pub(crate) async fn stop(self) -> Result<(), Box<dyn Error>> {
        self.relay.abort();
        self.bluetooth.stop().await?;
        self.bus.stop().await?;
        Ok(())
    }
}

/// The simulated radio behind the fake Bluetooth.
pub(crate) fn air(folder: &Path) -> String {
    format!("air:{}", folder.join("air").display())
}

/// A certificate for the tunnel service's names, of an authority that nobody else has.
fn certify(folder: &Path) -> Result<(TlsFiles, String), Box<dyn Error>> {
    let authority_key = rcgen::KeyPair::generate()?;
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    std::fs::write(folder.join("ca.pem"), authority.self_signed(&authority_key)?.pem())?;
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate()?;
    let names = [&NAMES[..], &["localhost"]].concat().into_iter().map(ToOwned::to_owned);
    let certificate = rcgen::CertificateParams::new(names.collect::<Vec<_>>())?;
    let certificate = certificate.signed_by(&key, &issuer)?;
    let files = TlsFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.certificate, certificate.pem())?;
    std::fs::write(&files.key, key.serialize_pem())?;
    let hash = Sha256::digest(rcgen::PublicKeyData::subject_public_key_info(&key));
    Ok((files, base64::engine::general_purpose::STANDARD.encode(hash)))
}
