//! The control API as gRPC, on loopback.
//!
//! Bounds: those of [`crate::frontend::serving`], [`MAX_REQUEST`] bytes a request. Depends on tonic, siblings.

use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status};

use super::calls::{Calls, MAX_WAIT};
use super::refusal::Refusal;
use super::v1::testbed_server::{Testbed, TestbedServer};
use super::{MAX_REQUEST, v1};
use crate::frontend::serving::{incoming, server};

/// Calls at a time on one connection: two for each phone that there may be.
const MAX_STREAMS: u32 = 64;
/// How long a call may take that does not wait.
const CALL: Duration = Duration::from_secs(30);
/// For calls that run when the bench is taken down.
const ENDING: Duration = Duration::from_secs(5);

/// Serves until what waits has to end.
pub(super) async fn serve(listener: TcpListener, calls: Calls, bearer: Arc<str>) {
    let stop = calls.stopped();
    let late = calls.stopped();
    let late = async move {
        late.await;
        tokio::time::sleep(ENDING).await;
    };
    let api = TestbedServer::new(Api(calls)).max_decoding_message_size(MAX_REQUEST);
    let api = InterceptedService::new(api, guard(bearer));
    let server = server(MAX_WAIT + CALL).max_concurrent_streams(MAX_STREAMS);
    let serving = server.serve_with_incoming_shutdown(api, incoming(listener), stop);
    tokio::select! {
        served = serving => if let Err(error) = served {
            tracing::warn!(%error, "the control API over gRPC ended");
        },
        () = late => {}
    }
}

/// Before everything else.
fn guard(bearer: Arc<str>) -> impl FnMut(Request<()>) -> Result<Request<()>, Status> + Clone {
    move |request| {
        let given = request.metadata().get("authorization").map(|value| value.as_bytes());
        match given.is_some_and(|given| given.ct_eq(bearer.as_bytes()).into()) {
            true => Ok(request),
            false => Err(Refusal::Token.into()),
        }
    }
}

struct Api(Calls);

type Answer<T> = Result<Response<T>, Status>;

fn answer<T>(how: Result<T, Refusal>) -> Answer<T> {
    how.map(Response::new).map_err(Status::from)
}

#[tonic::async_trait]
impl Testbed for Api {
    async fn get_bench(&self, _: Request<v1::GetBenchRequest>) -> Answer<v1::GetBenchResponse> {
        Ok(Response::new(self.0.bench()))
    }

    async fn add_phone(&self, asked: Request<v1::AddPhoneRequest>) -> Answer<v1::AddPhoneResponse> {
        answer(self.0.add_phone(asked.into_inner()).await)
    }

    async fn list_phones(
        &self,
        _: Request<v1::ListPhonesRequest>,
    ) -> Answer<v1::ListPhonesResponse> {
        Ok(Response::new(self.0.phones()))
    }

    async fn remove_phone(
        &self,
        asked: Request<v1::RemovePhoneRequest>,
    ) -> Answer<v1::RemovePhoneResponse> {
        let done = self.0.remove_phone(&asked.into_inner().name);
        answer(done.map(|()| v1::RemovePhoneResponse {}))
    }

    async fn list_passkeys(
        &self,
        asked: Request<v1::ListPasskeysRequest>,
    ) -> Answer<v1::ListPasskeysResponse> {
        answer(self.0.passkeys(&asked.into_inner().phone).await)
    }

    async fn plant_passkey(
        &self,
        asked: Request<v1::PlantPasskeyRequest>,
    ) -> Answer<v1::PlantPasskeyResponse> {
        answer(self.0.plant(asked.into_inner()).await)
    }

    async fn delete_passkey(
        &self,
        asked: Request<v1::DeletePasskeyRequest>,
    ) -> Answer<v1::DeletePasskeyResponse> {
        let done = self.0.delete_passkey(asked.into_inner()).await;
        answer(done.map(|()| v1::DeletePasskeyResponse {}))
    }

    async fn submit(&self, asked: Request<v1::SubmitRequest>) -> Answer<v1::Ceremony> {
        answer(self.0.submit(asked.into_inner()))
    }

    async fn scan(&self, asked: Request<v1::ScanRequest>) -> Answer<v1::Ceremony> {
        answer(self.0.scan(asked.into_inner()).await)
    }

    async fn get_ceremony(&self, asked: Request<v1::GetCeremonyRequest>) -> Answer<v1::Ceremony> {
        answer(self.0.ceremony(asked.into_inner()).await)
    }

    async fn list_ceremonies(
        &self,
        _: Request<v1::ListCeremoniesRequest>,
    ) -> Answer<v1::ListCeremoniesResponse> {
        Ok(Response::new(self.0.ceremonies()))
    }

    async fn take_screenshot(
        &self,
        _: Request<v1::TakeScreenshotRequest>,
    ) -> Answer<v1::TakeScreenshotResponse> {
        answer(self.0.screenshot().await.map(|png| v1::TakeScreenshotResponse { png }))
    }

    async fn gather_crowd(
        &self,
        asked: Request<v1::GatherCrowdRequest>,
    ) -> Answer<v1::GatherCrowdResponse> {
        let done = self.0.gather(asked.into_inner());
        answer(done.map(|()| v1::GatherCrowdResponse {}))
    }

    async fn disperse_crowd(
        &self,
        _: Request<v1::DisperseCrowdRequest>,
    ) -> Answer<v1::DisperseCrowdResponse> {
        self.0.disperse();
        Ok(Response::new(v1::DisperseCrowdResponse {}))
    }

    async fn set_bluetooth(
        &self,
        asked: Request<v1::SetBluetoothRequest>,
    ) -> Answer<v1::SetBluetoothResponse> {
        let done = self.0.bluetooth(asked.into_inner()).await;
        answer(done.map(|()| v1::SetBluetoothResponse {}))
    }
}
