//! The phone's service with a page, and who asks it something: here programs of this machine, because
//! a laptop's way to the service is tried in `tests/air`.

use std::path::Path;
use std::sync::Arc;

use cabled::authenticator::service::{Service, Setup, Sources};
use cabled::authenticator::store::KdfCost;
use cabled::authenticator::{
    AccountView, Config, Consent as _, ConsentRequest, CredentialId, Decision, Engine, Outcome,
    PhoneConfig, Pin, Store, Timestamp, Transport, Verification,
};
use cabled::ble::memory::MemoryRadio;
use cabled::ble::{Conditions, Radio};
use cabled::channel::tls::Trust;
use cabled::channel::websocket::Connector;
use cabled::ctap::{
    CredentialParameters, ES256, MakeCredentialRequest, Options, RpEntity, UserEntity,
};
use cabled::frontend::web;
use cabled::hybrid::tunnel::TunnelServiceId;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const PIN: &str = "a long enough PIN";
/// 25 November 2026.
pub(crate) const NOW: Timestamp = Timestamp(1_795_600_000);

pub(crate) struct Phone {
    pub(crate) service: Service,
    pub(crate) store: Store,
    pub(crate) link: String,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
    _folder: TempDir,
}

fn setup(folder: &Path) -> (Setup, Store) {
    let cost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
    let pin = Pin::new(PIN.to_owned()).unwrap();
    let store = Store::create_with_cost(folder, &pin, cost, &mut rand_core::OsRng).unwrap();
    let setup = Setup {
        locked: store.locked(),
        open: Some(store.clone()),
        radio: Radio::Memory(MemoryRadio::new(Conditions::default()).unwrap()),
        phone: PhoneConfig::new(
            Connector::new(Trust::System),
            "ws://127.0.0.1:1".parse().unwrap(),
            TunnelServiceId::GOOGLE,
        ),
        engine: Config::default(),
        name: None,
        standing: None,
        sources: Sources { clock: Arc::new(|| NOW), rng: Arc::new(|| Box::new(rand_core::OsRng)) },
    };
    (setup, store)
}

impl Phone {
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let (setup, store) = setup(folder.path());
        let service = Service::new(setup).unwrap();
        let web = web::phone::bind(service.clone(), 0, &mut rand_core::OsRng).await.unwrap();
        let link = web.links().fresh(&mut rand_core::OsRng);
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(web.serve(async {
            let _either = stopped.await;
        }));
        Self { service, store, link, stop: Some(stop), served, _folder: folder }
    }

    /// Saves a passkey as a laptop would make one; delivered or not.
    pub(crate) async fn has(&self, rp_id: &str, account: &str, delivered: bool) -> CredentialId {
        let request = MakeCredentialRequest {
            client_data_hash: [7; 32],
            rp: RpEntity { id: rp_id.to_owned(), name: None },
            user: UserEntity {
                id: account.as_bytes().to_vec(),
                name: Some(account.to_owned()),
                display_name: None,
            },
            pub_key_cred_params: vec![CredentialParameters::new(ES256)],
            exclude_list: Vec::new(),
            extensions: Vec::new(),
            options: Options { rk: Some(true), ..Options::default() },
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
            enterprise_attestation: None,
        };
        let mut engine = Engine::new(self.store.clone(), Approves, Config::default());
        let rng = &mut rand_core::OsRng;
        let reply = engine.handle(&request.encode(), Transport::Hybrid, NOW, rng).await;
        let Outcome::Saved { credential } = &reply.outcome else { panic!("{:?}", reply.outcome) };
        if delivered {
            engine.delivered(&reply.outcome, NOW, &mut rand_core::OsRng).unwrap();
        }
        credential.clone()
    }

    /// Somebody asks; the answer comes when there is one.
    pub(crate) fn is_asked(&self, request: ConsentRequest) -> JoinHandle<Decision> {
        let asking = self.service.asking_for_programs();
        tokio::spawn(async move { asking.ask(request).await })
    }

    pub(crate) async fn end(mut self) {
        drop(self.stop.take());
        crate::soon("the page's end", self.served).await.unwrap();
    }
}

struct Approves;

impl cabled::authenticator::Consent for Approves {
    async fn ask(&self, _: ConsentRequest) -> Decision {
        Decision::Approved { account: 0, verification: Verification::standing_approval() }
    }
}

pub(crate) fn accounts(names: &[&str]) -> Vec<AccountView> {
    let account = |(name, number): (&&str, u8)| AccountView {
        id: CredentialId::from_bytes(&[number; 16]).unwrap(),
        name: (*name).to_owned(),
        display_name: String::new(),
        label: None,
        created_at: NOW,
        last_used_at: None,
        state: cabled::authenticator::State::Delivered,
    };
    names.iter().zip(1..).map(account).collect()
}
