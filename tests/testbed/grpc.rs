//! The control API over gRPC, as a client in any language meets it, and its messages as JSON.

use std::path::Path;

use cabled::testbed::control::v1::testbed_client::TestbedClient;
use cabled::testbed::control::v1::{self, AddPhoneRequest, GetCeremonyRequest, ScanRequest};
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage};
use tokio::sync::oneshot;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::control::Desk;
use crate::laptop::{PATIENCE, register, soon};

type Client<I> = TestbedClient<InterceptedService<Channel, I>>;

/// A client of the desk's bench with this token.
async fn client(
    desk: &Desk,
    token: &str,
) -> Client<impl FnMut(Request<()>) -> Result<Request<()>, Status> + use<>> {
    let endpoint = Endpoint::from_shared(format!("http://{}", desk.grpc)).unwrap();
    let channel = soon("the connection", endpoint.connect()).await.unwrap();
    let bearer: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
    TestbedClient::with_interceptor(channel, move |mut request: Request<()>| {
        request.metadata_mut().insert("authorization", bearer.clone());
        Ok(request)
    })
}

fn cause(status: &Status) -> &str {
    status.metadata().get("cabled-cause").unwrap().to_str().unwrap()
}

#[tokio::test]
async fn a_whole_test_goes_over_it() {
    let desk = Desk::new(None).await;
    let mut client = client(&desk, &desk.token).await;
    let anna = AddPhoneRequest { name: "anna".to_owned(), ..AddPhoneRequest::default() };
    client.add_phone(anna.clone()).await.unwrap();
    let (shown, seen) = oneshot::channel();
    let laptop = register(&desk.bench, "anna", PATIENCE, |text| {
        shown.send(text.to_owned()).unwrap();
    });
    let phone = async {
        let qr = seen.await.unwrap();
        let answer = v1::Answer { r#do: "approve".to_owned(), account: None, delay_ms: 20 };
        let script = v1::Script { answers: vec![answer], ..v1::Script::default() };
        let asked = v1::SubmitRequest { phone: None, qr, script: Some(script) };
        let begun = client.submit(asked).await.unwrap().into_inner();
        assert!(!begun.over && begun.phone == "anna", "{begun:?}");
        let asked = GetCeremonyRequest { id: begun.id, wait_ms: 60_000 };
        client.get_ceremony(asked).await.unwrap().into_inner()
    };
    let (made, told) = tokio::join!(laptop, phone);
    made.unwrap();
    assert_eq!((told.outcome.as_deref(), told.as_scripted), (Some("registered"), Some(true)));
    assert_eq!(told.requests[0].command, "makeCredential");
    let passkeys = v1::ListPasskeysRequest { phone: "anna".to_owned() };
    let passkeys = client.list_passkeys(passkeys).await.unwrap().into_inner().passkeys;
    let saved = told.events.iter().find(|event| event.event == "answered").unwrap();
    assert_eq!(saved.credential.as_deref(), Some(&*passkeys[0].id));

    // The same over HTTP is that message in JSON, and nothing in it is unknown to the schema.
    let json =
        desk.done("GET", &format!("/v1/ceremonies/{}", told.id), serde_json::Value::Null).await;
    assert_eq!(serde_json::from_value::<v1::Ceremony>(json.clone()).unwrap(), told);
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let schema =
        protox::compile([proto.join("cabled/testbed/v1/testbed.proto")], [&proto]).unwrap();
    let pool = DescriptorPool::from_file_descriptor_set(schema).unwrap();
    let message = pool.get_message_by_name("cabled.testbed.v1.Ceremony").unwrap();
    let strict = DeserializeOptions::new().deny_unknown_fields(true);
    DynamicMessage::deserialize_with_options(message, &json, &strict).unwrap();

    let taken = v1::DeletePasskeyRequest { phone: "anna".to_owned(), id: passkeys[0].id.clone() };
    client.delete_passkey(taken).await.unwrap();
    let planted = v1::PlantPasskeyRequest {
        phone: "anna".to_owned(),
        rp_id: "passkeys.example".to_owned(),
        user_id: "YW5uYQ".to_owned(),
        ..v1::PlantPasskeyRequest::default()
    };
    assert!(client.plant_passkey(planted).await.unwrap().into_inner().public_key.len() > 100);
    let gone = v1::RemovePhoneRequest { name: "anna".to_owned() };
    client.remove_phone(gone).await.unwrap();
    let left = client.list_phones(v1::ListPhonesRequest {}).await.unwrap().into_inner();
    assert!(left.phones.is_empty(), "{left:?}");
    desk.stop().await;
}

#[tokio::test]
async fn refusals_have_a_status_and_a_cause() {
    let desk = Desk::new(None).await;
    let mut stranger = client(&desk, "00").await;
    let refused = stranger.get_bench(v1::GetBenchRequest {}).await.unwrap_err();
    assert_eq!((refused.code(), cause(&refused)), (Code::Unauthenticated, "token"));
    let mut client = client(&desk, &desk.token).await;
    let bench = client.get_bench(v1::GetBenchRequest {}).await.unwrap().into_inner();
    assert_eq!(bench.relay, desk.bench.relay());
    let refused = client.add_phone(AddPhoneRequest::default()).await.unwrap_err();
    assert_eq!((refused.code(), cause(&refused)), (Code::InvalidArgument, "request"));
    let refused = client.get_ceremony(GetCeremonyRequest { id: 9, wait_ms: 0 }).await.unwrap_err();
    assert_eq!((refused.code(), cause(&refused)), (Code::NotFound, "no-such-ceremony"));
    let refused = client.scan(ScanRequest::default()).await.unwrap_err();
    assert_eq!((refused.code(), cause(&refused)), (Code::FailedPrecondition, "no-display"));
    let long = AddPhoneRequest { name: "x".repeat(20_000), ..AddPhoneRequest::default() };
    let refused = client.add_phone(long).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "requests are bounded: {refused}");
    desk.stop().await;
}

#[tokio::test]
async fn whoever_waits_is_told_that_the_bench_is_taken_down() {
    let screen = cabled::testbed::control::Display {
        look: std::sync::Arc::new(|| Ok(None)),
        picture: std::sync::Arc::new(|| Ok(b"a picture".to_vec())),
    };
    let desk = Desk::new(Some(screen)).await;
    let mut client = client(&desk, &desk.token).await;
    let picture = client.take_screenshot(v1::TakeScreenshotRequest {}).await.unwrap();
    assert_eq!(picture.into_inner().png, b"a picture");
    let anna = AddPhoneRequest { name: "anna".to_owned(), ..AddPhoneRequest::default() };
    client.add_phone(anna).await.unwrap();
    let scanning = tokio::spawn(async move { client.scan(ScanRequest::default()).await });
    tokio::task::yield_now().await;
    desk.stop().await;
    let refused = soon("the refusal", scanning).await.unwrap().unwrap_err();
    // A call that had not arrived yet finds nobody.
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
}
