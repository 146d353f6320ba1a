//! The tunnel over TLS, with certificates that are believed and that are not.

use std::path::PathBuf;

use cabled::authenticator;
use cabled::channel::Error as ChannelError;
use cabled::channel::proxy::{Fault, Proxies};
use cabled::channel::tls::{self, Trust};
use cabled::client;
use cabled::hybrid::qr::Hint;
use cabled::relay::{self, TlsFiles};
use serde_json::json;

use crate::proxy::HttpProxy;
use crate::world::{Service, Told, World, options_for, soon};

/// A throw-away authority.
struct Authority {
    folder: tempfile::TempDir,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = parameters.self_signed(&key).unwrap().pem();
        std::fs::write(folder.path().join("ca.pem"), pem).unwrap();
        Self { folder, issuer: rcgen::Issuer::new(parameters, key) }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A relay on this machine with a certificate for `name`.
    async fn relay(&self, name: &str, expired: bool) -> Service {
        let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            parameters.not_after = rcgen::date_time_ymd(2001, 1, 1);
        }
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let path = |name: &str| self.folder.path().join(name);
        let files = TlsFiles { certificate: path("cert.pem"), key: path("key.pem") };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        Service::with(relay::Config { tls: Some(files), ..relay::Config::new(listen) }).await
    }
}

#[tokio::test]
async fn a_ceremony_runs_over_tls() {
    let authority = Authority::new();
    let mut world = World::with(&[], authority.relay("127.0.0.1", false).await);
    world.trust = Trust::Only(authority.file());
    assert!(world.laptop_url.is_secure() && world.phone_url.is_secure());
    world.registered(&options_for("anna", json!({}))).await;
    world.signed_in(&crate::world::request_for(&[], json!({}))).await;
    world.leaves_nothing().await;
}

#[tokio::test]
async fn a_ceremony_runs_over_tls_through_a_proxy_that_alone_knows_the_relay() {
    let authority = Authority::new();
    let mut world = World::with(&[], authority.relay("relay.invalid", false).await);
    let proxy = HttpProxy::to(world.relay.address).await;
    let url = format!("http://Aladdin:open%20sesame@{}", proxy.address);
    world.trust = Trust::Only(authority.file());
    world.proxies = Proxies::new(url.parse().unwrap(), "".parse().unwrap());
    world.laptop_url = "wss://relay.invalid".parse().unwrap();
    world.phone_url = "wss://relay.invalid".parse().unwrap();
    world.registered(&options_for("anna", json!({}))).await;
    world.signed_in(&crate::world::request_for(&[], json!({}))).await;
    let asked = proxy.stop();
    assert_eq!(asked.len(), 4, "two ceremonies of two sides");
    for head in asked {
        assert!(head.starts_with("CONNECT relay.invalid:443 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
    }
    world.leaves_nothing().await;
}

#[tokio::test]
async fn a_proxy_may_itself_be_reached_over_tls() {
    let authority = Authority::new();
    let mut world = World::with(&[], authority.relay("127.0.0.1", false).await);
    world.trust = Trust::Only(authority.file());
    // The relay is no proxy: its refusal comes through TLS, and the certificate is checked first.
    let url = format!("https://{}", world.relay.address);
    world.proxies = Proxies::new(url.parse().unwrap(), "".parse().unwrap());
    world.phone_url = "wss://relay.invalid".parse().unwrap();
    let fault = async |world: &World| {
        let (handle, _) = world.begin(Hint::MakeCredential);
        let error = world.scan(handle.qr_text().unwrap()).ends().await.unwrap_err();
        handle.cancel().await;
        match error {
            authenticator::Error::Tunnel { source, .. } => match *source {
                ChannelError::Proxy { source, .. } => source,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    let refused = fault(&world).await;
    assert!(matches!(refused, Fault::Status(405)), "{refused:?}");
    let stranger = Authority::new();
    world.trust = Trust::Only(stranger.file());
    let unknown = fault(&world).await;
    let Fault::Unreachable(why) = unknown else { panic!("{unknown:?}") };
    assert!(matches!(*why, ChannelError::Tls { source: tls::Error::UnknownAuthority(_), .. }));
}

/// The phone fails at such a relay, and so does a laptop whose phone got further.
async fn fails(relay: Service, trust: Trust) -> [tls::Error; 2] {
    let mut world = World::with(&[], relay);
    world.trust = trust;
    let (handle, _) = world.begin(Hint::MakeCredential);
    let phone = world.scan(handle.qr_text().unwrap()).ends().await.unwrap_err();
    handle.cancel().await;

    let good = Service::start(relay::Limits::default()).await;
    let mut other = World::with(&[], good);
    other.trust = world.trust.clone();
    other.laptop_url = world.laptop_url.clone();
    let (mut handle, _) = other.begin(Hint::MakeCredential);
    let mut scanning = other.scan(handle.qr_text().unwrap());
    let laptop = soon("a failure", handle.ready()).await.unwrap_err();
    scanning.tells(|told| *told == Told::Advertising).await;
    scanning.cancel();
    scanning.ends().await.unwrap_err();

    let sources = [
        match phone {
            authenticator::Error::Tunnel { source, .. } => source,
            other => panic!("{other:?}"),
        },
        match laptop {
            client::Error::Tunnel { source, .. } => source,
            other => panic!("{other:?}"),
        },
    ];
    sources.map(|source| match *source {
        ChannelError::Tls { source, .. } => source,
        other => panic!("{other:?}"),
    })
}

#[tokio::test]
async fn certificates_that_are_not_believed_are_told_apart() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let trust = Trust::Only(authority.file());
    let unknown = fails(stranger.relay("127.0.0.1", false).await, trust.clone()).await;
    assert!(unknown.iter().all(|e| matches!(e, tls::Error::UnknownAuthority(_))), "{unknown:?}");
    let name = fails(authority.relay("relay.example", false).await, trust.clone()).await;
    assert!(name.iter().all(|e| matches!(e, tls::Error::WrongName(_))), "{name:?}");
    let time = fails(authority.relay("127.0.0.1", true).await, trust).await;
    assert!(time.iter().all(|e| matches!(e, tls::Error::WrongTime(_))), "{time:?}");
}

#[tokio::test]
async fn a_plain_relay_does_not_speak_tls() {
    let authority = Authority::new();
    let mut world = World::new(&[]).await;
    world.trust = Trust::Only(authority.file());
    world.phone_url = format!("wss://{}", world.relay.address).parse().unwrap();
    let (handle, _) = world.begin(Hint::MakeCredential);
    let error = world.scan(handle.qr_text().unwrap()).ends().await.unwrap_err();
    assert!(
        matches!(&error, authenticator::Error::Tunnel { source, .. }
            if matches!(**source, ChannelError::Tls { source: tls::Error::Handshake(_), .. })),
        "{error:?}"
    );
    handle.cancel().await;
    world.leaves_nothing().await;
}
