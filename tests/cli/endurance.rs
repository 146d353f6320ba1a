//! The daemon over many requests: its memory stays, and no scan does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cabled::frontend::control;
use cabled::frontend::control::v1::begin_request::What;
use cabled::frontend::control::v1::event::What as Step;
use cabled::frontend::control::v1::{BeginRequest, Registration, SignIn, TakeRequest};
use cabled::frontend::grpc;
use cabled::frontend::grpc::v1::SubmitQrRequest;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::program::Program;
use crate::three::{Place, relay};
use crate::world::{ORIGIN, PATIENCE, options_for, request_for, scans};

/// Requests one after the other: as many as a laptop has in some months with `tests/run --full`.
fn many() -> usize {
    match std::env::var("CABLED_FULL").is_ok_and(|value| value == "1") {
        true => 1000,
        false => 60,
    }
}

/// Kilobytes that a process keeps in memory.
fn resident(program: &Program) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn registration() -> BeginRequest {
    let (options, origin) = (options_for("anna", json!({})), ORIGIN.to_owned());
    let what = Some(What::Registration(Registration { options, origin }));
    BeginRequest { what, ..BeginRequest::default() }
}

fn sign_in() -> BeginRequest {
    let (options, origin) = (request_for(&[], json!({})), ORIGIN.to_owned());
    let what = Some(What::SignIn(SignIn { options, origin, account: None }));
    BeginRequest { what, ..BeginRequest::default() }
}

/// One request, and a phone that scans its code as soon as it has time for it.
async fn ceremony(
    request: BeginRequest,
    mut laptop: control::Client,
    mut phone: grpc::Client,
    hands: Arc<Semaphore>,
) {
    let mut events = laptop.begin(request).await.unwrap().into_inner();
    let (mut answered, mut hand) = (None, None);
    while let Some(event) = events.message().await.unwrap() {
        match event.what {
            Some(Step::Listening(code)) => {
                hand = Some(Arc::clone(&hands).acquire_owned().await.unwrap());
                // The last one may not be quite over on the phone.
                loop {
                    let scan = SubmitQrRequest { text: code.text.clone(), any_age: true };
                    match phone.submit_qr(scan).await {
                        Ok(_) => break,
                        Err(busy) if busy.code() == tonic::Code::ResourceExhausted => {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            }
            Some(Step::Answered(_)) => answered = Some(event.transaction),
            Some(Step::Ended(ended)) => assert_eq!(ended.failure, None),
            _ => {}
        }
    }
    let transaction = answered.unwrap();
    drop(hand);
    // Of a sign-in there is nothing to take.
    let _nothing = laptop.take(TakeRequest { transaction }).await;
}

#[tokio::test]
async fn many_requests_leave_the_daemon_as_it_was() {
    let mut place = Place::new();
    // All of the phone's tunnels come from one address, and faster than any one person's would.
    (place.relay, place.url) = relay(&["--tunnel-rate-per-address", "1000"]);
    let (radio, pin) = (place.radio(), place.path("pin"));
    let link = ["--radio", &radio, "--relay", &place.url];
    let (phones, laptops) = (place.path("run/phone.sock"), place.path("run/laptop.sock"));
    let (store, state) = (place.path("store"), place.path("state"));
    let own = ["--socket", &phones, "--store", &store, "--pin-file", &pin, "--auto-approve"];
    let mut phone = Program::start(&[&["phone", "run", "--json"][..], &link, &own].concat());
    phone.says(|line| line.contains("\"serving\""));
    let mut command = crate::program::binary();
    command.args([&["daemon", "--json", "--socket", &laptops][..], &link].concat());
    command.env("XDG_STATE_HOME", &state);
    let mut daemon = Program::of(command);
    daemon.says(|line| line.contains("\"serving\""));
    let phone = grpc::connect(Path::new(&phones)).await.unwrap();
    let laptop = control::connect(Path::new(&laptops)).await.unwrap();

    let hands = Arc::new(Semaphore::new(cabled::authenticator::service::MAX_RUNNING));
    let one = |request| {
        let ceremony = ceremony(request, laptop.clone(), phone.clone(), Arc::clone(&hands));
        async { tokio::time::timeout(PATIENCE, ceremony).await.unwrap() }
    };
    one(registration()).await;
    for _ in 0..20 {
        one(sign_in()).await;
    }
    let before = resident(&daemon);
    for _ in 0..many() {
        one(sign_in()).await;
    }
    let after = resident(&daemon);
    assert!(after < before + 2048, "{before} kB before, {after} kB after");

    // At once, over five connections: one takes 16 calls.
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let laptop = control::connect(Path::new(&laptops)).await.unwrap();
        for _ in 0..10 {
            all.spawn(ceremony(sign_in(), laptop.clone(), phone.clone(), Arc::clone(&hands)));
        }
    }
    let done = async { while all.join_next().await.is_some_and(|done| done.is_ok()) {} };
    tokio::time::timeout(PATIENCE, done).await.unwrap();
    assert!(all.is_empty(), "one of them panicked");
    let air = place.folder.path().join("air");
    let quiet = async {
        while scans(&air) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, quiet).await.unwrap();
    let receipts =
        cabled::client::receipts::Receipts::at(Path::new(&state).join("cabled/receipts.redb"));
    let taken: Vec<_> = receipts.list().unwrap();
    assert!(taken.len() == 1 && !taken[0].1.may_be_orphaned());
    println!("{} requests: {before} kB before, {after} kB after", many());
}
