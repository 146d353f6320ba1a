//! The phone's service over its socket: a client that submits, watches and approves, and bad ones.

use std::path::PathBuf;
use std::sync::Arc;

use cabled::authenticator::Error;
use cabled::authenticator::service::{Service, Setup, Sources};
use cabled::authenticator::store::exchange::MAX_FILE;
use cabled::client::TransactionHandle;
use cabled::frontend::grpc::v1::event::What;
use cabled::frontend::grpc::v1::{
    ApproveRequest, Event, ExportRequest, GetPasskeyRequest, ListPasskeysRequest,
    ListQuestionsRequest, LockRequest, PasskeyState, PlanImportPart, PrunePasskeysRequest,
    SubmitQrRequest, UnlockRequest, WatchRequest,
};
use cabled::frontend::grpc::{
    self, Advice, CAUSE, Client, Listener, MAX_IDS, MAX_MESSAGE, PART, TRIES_LEFT,
};
use cabled::hybrid::qr::Hint;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::world::{NOW, PIN, World, options_for, rand_core_os, register, soon};

/// The words of whoever puts the service together.
fn advise(error: &Error) -> Advice {
    Advice { text: error.to_string(), hint: "try again".to_owned() }
}

/// A service on a socket.
struct Served {
    path: PathBuf,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Served {
    async fn start(world: &World) -> Self {
        let service = Service::new(Setup {
            locked: world.store.locked(),
            open: Some(world.store.clone()),
            radio: world.radio(),
            phone: world.phone_config(),
            engine: world.engine.clone(),
            name: None,
            standing: None,
            sources: Sources {
                clock: Arc::new(|| NOW),
                rng: Arc::new(|| Box::new(rand_core_os())),
            },
        });
        let path = world.folder.path().join("run/phone.sock");
        let listener = Listener::bind(&path).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            grpc::serve(service.unwrap(), listener, advise, stopped).await.unwrap();
        });
        Self { path, stop, served }
    }

    async fn client(&self) -> Client {
        grpc::connect(&self.path).await.unwrap()
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        soon("the end of the service", self.served).await.unwrap();
        assert!(!self.path.exists());
    }
}

async fn submit(client: &mut Client, handle: &TransactionHandle) -> u64 {
    let text = handle.qr_text().unwrap().to_owned();
    client
        .submit_qr(SubmitQrRequest { text, any_age: false })
        .await
        .unwrap()
        .into_inner()
        .transaction
}

async fn next(events: &mut tonic::Streaming<Event>) -> Option<What> {
    soon("an event", events.message()).await.unwrap().map(|event| event.what.unwrap())
}

#[tokio::test]
async fn a_client_submits_watches_approves_and_lists() {
    let world = World::new(&[]).await;
    let served = Served::start(&world).await;
    let mut client = served.client().await;
    let (mut handle, _) = world.begin(Hint::MakeCredential);
    let transaction = submit(&mut client, &handle).await;
    let request = WatchRequest { transaction: Some(transaction), only_new: false };
    let mut events = client.watch(request).await.unwrap().into_inner();
    // A second client looks too, and is gone in the middle.
    let mut other = served.client().await;
    let mut theirs = other.watch(request).await.unwrap().into_inner();
    assert!(matches!(next(&mut theirs).await, Some(What::Scanned(_))));
    drop((theirs, other));
    let info = world.info(&mut handle).await;
    let made = tokio::spawn(async move {
        register(handle, &info, &options_for("anna", json!({}))).await.unwrap()
    });
    let question = loop {
        if let What::Asked(question) = next(&mut events).await.unwrap() {
            break question;
        }
    };
    assert_eq!(
        (question.rp_id.as_str(), question.transaction),
        ("passkeys.example", Some(transaction))
    );
    assert_eq!(question.user.as_deref(), Some("anna"));
    assert!(question.warning.contains("nobody vouches"));
    let wrong = ApproveRequest { question: question.id, account: 0, pin: "not this".to_owned() };
    let refused = client.approve(wrong).await.unwrap_err();
    assert_eq!(refused.metadata().get(CAUSE).unwrap(), "wrong-pin");
    assert_eq!(refused.metadata().get(TRIES_LEFT).unwrap(), "7");
    let right = ApproveRequest { question: question.id, account: 0, pin: PIN.to_owned() };
    client.approve(right.clone()).await.unwrap();
    let late = client.approve(right).await.unwrap_err();
    assert_eq!(late.metadata().get(CAUSE).unwrap(), "no-such-question");
    made.await.unwrap();
    let mut rest = Vec::new();
    while let Some(what) = next(&mut events).await {
        rest.push(what);
    }
    assert!(rest.iter().any(|what| matches!(what, What::Answered(a) if a.what == "saved")));
    assert!(matches!(rest.last(), Some(What::Ended(end)) if end.failure.is_none()), "{rest:?}");
    let listed =
        client.list_passkeys(ListPasskeysRequest::default()).await.unwrap().into_inner().passkeys;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].state(), PasskeyState::Delivered);
    drop((events, client));
    served.end().await;
    world.leaves_nothing().await;
}

#[tokio::test]
async fn a_locked_service_says_so_and_unlocks_with_the_pin() {
    let world = World::new(&[]).await;
    let served = Served::start(&world).await;
    let mut client = served.client().await;
    client.lock(LockRequest {}).await.unwrap();
    let refused = client.list_passkeys(ListPasskeysRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    assert_eq!(refused.metadata().get(CAUSE).unwrap(), "locked");
    client.unlock(UnlockRequest { pin: PIN.to_owned() }).await.unwrap();
    client.list_passkeys(ListPasskeysRequest::default()).await.unwrap();
    drop(client);
    served.end().await;
    world.leaves_nothing().await;
}

#[tokio::test]
async fn bad_clients_hold_nobody_up() {
    let world = World::new(&[]).await;
    let served = Served::start(&world).await;
    let mut client = served.client().await;
    // One that says nothing, and one that speaks something else.
    let silent = tokio::net::UnixStream::connect(&served.path).await.unwrap();
    let mut noise = tokio::net::UnixStream::connect(&served.path).await.unwrap();
    noise.write_all(&[0xff; 4096]).await.unwrap();
    let mut rest = Vec::new();
    let _reset_is_an_end_too = soon("hanging up", noise.read_to_end(&mut rest)).await;
    let long = SubmitQrRequest { text: "0".repeat(MAX_MESSAGE + 1), any_age: false };
    let refused = client.submit_qr(long).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::OutOfRange);
    let nonsense = SubmitQrRequest { text: "FIDO:/xyz".to_owned(), any_age: false };
    let refused = client.submit_qr(nonsense).await.unwrap_err();
    assert_eq!(refused.metadata().get(CAUSE).unwrap(), "no-code");
    // A stream that is never read does not keep the service from ending.
    let request = WatchRequest { transaction: None, only_new: true };
    let events = client.watch(request).await.unwrap();
    assert!(
        client
            .list_questions(ListQuestionsRequest {})
            .await
            .unwrap()
            .into_inner()
            .questions
            .is_empty()
    );
    drop(silent);
    served.end().await;
    drop((events, client));
    world.leaves_nothing().await;
}

#[tokio::test]
async fn files_and_lists_are_bounded() {
    let world = World::new(&[]).await;
    let served = Served::start(&world).await;
    let mut client = served.client().await;
    let cause = |refused: &tonic::Status| refused.metadata().get(CAUSE).cloned().unwrap();
    let ids = vec![vec![1; 8]; MAX_IDS + 1];
    let refused = client.prune_passkeys(PrunePasskeysRequest { ids, unused: true }).await;
    assert_eq!(cause(&refused.unwrap_err()), "bad-request");
    let unknown = client.get_passkey(GetPasskeyRequest { id: vec![1; 8] }).await;
    assert_eq!(cause(&unknown.unwrap_err()), "no-such-passkey");
    let part = |passphrase: &str, identities: &str, data: &[u8]| PlanImportPart {
        passphrase: passphrase.to_owned(),
        identities: identities.to_owned(),
        data: data.to_vec(),
    };
    let plan = |parts: Vec<PlanImportPart>| {
        let mut client = client.clone();
        async move { client.plan_import(futures_util::stream::iter(parts)).await }
    };
    for parts in [vec![], vec![part("", "", b"x")], vec![part("a", "b", b"x")]] {
        assert_eq!(cause(&plan(parts).await.unwrap_err()), "bad-request");
    }
    let refused = plan(vec![part("a", "", b"age-encryption.org/v2")]).await.unwrap_err();
    assert_eq!(cause(&refused), "no-age-file");
    // One part more than a file may have.
    let count = usize::try_from(MAX_FILE).unwrap() / PART + 1;
    let head = [part("a", "", b"")].into_iter();
    let parts = head.chain(std::iter::repeat_n(part("", "", &[0; PART]), count));
    let refused = client.clone().plan_import(futures_util::stream::iter(parts)).await;
    assert_eq!(cause(&refused.unwrap_err()), "bad-request");
    // While somebody dawdles over a file, the next one is told to wait; afterwards it is served.
    let (tell, told) = oneshot::channel::<()>();
    let slow = futures_util::stream::once(async move {
        let _dropped = told.await;
        PlanImportPart { passphrase: "a".to_owned(), ..PlanImportPart::default() }
    });
    let mut other = served.client().await;
    let dawdling = tokio::spawn(async move { other.plan_import(slow).await });
    let busy = async {
        loop {
            let refused = plan(vec![part("a", "", b"x")]).await.unwrap_err();
            if cause(&refused) == "busy" {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    soon("the second one is refused", busy).await;
    drop(tell);
    assert_eq!(cause(&dawdling.await.unwrap().unwrap_err()), "no-age-file");
    assert_eq!(cause(&plan(vec![part("a", "", b"x")]).await.unwrap_err()), "no-age-file");
    drop(client);
    served.end().await;
    world.leaves_nothing().await;
}

#[tokio::test]
async fn nothing_secret_is_in_the_debug_of_a_message() {
    let shown = [
        format!("{:?}", UnlockRequest { pin: PIN.to_owned() }),
        format!("{:?}", ApproveRequest { question: 1, account: 0, pin: PIN.to_owned() }),
        format!("{:?}", ExportRequest { pin: PIN.to_owned(), ..ExportRequest::default() }),
        format!("{:?}", PlanImportPart { passphrase: PIN.to_owned(), ..PlanImportPart::default() }),
        format!("{:?}", SubmitQrRequest { text: "FIDO:/1".to_owned(), any_age: false }),
    ];
    assert!(shown.iter().all(|text| text.ends_with("(redacted)")), "{shown:?}");
}
