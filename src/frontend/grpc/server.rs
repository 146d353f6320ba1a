//! The calls of the schema, each a call of the service.
//!
//! Bounds: [`MAX_MESSAGE`] a request, a deadline for every call but the stream of events, as many
//! streams and connections as one owner needs. Depends on `authenticator::service`, tonic, siblings.

use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::socket::{Listener, SocketError};
use super::status::{bad_request, status};
use super::v1::phone_server::{Phone, PhoneServer};
use super::{convert, v1};
use crate::authenticator::service::{QuestionId, Service, TransactionId};
use crate::authenticator::{CredentialId, Pin};

/// Bytes of the longest request: a code and a PIN are far below.
pub const MAX_MESSAGE: usize = 16 << 10;

/// How long a call may take; the slowest tries a PIN.
const CALL: Duration = Duration::from_secs(30);

/// A client that does not answer pings within this time is gone.
const ALIVE: Duration = Duration::from_secs(20);

/// Calls at a time on one connection.
const MAX_STREAMS: u32 = 16;

/// Serves until `stop` resolves; then streams end and calls that run are finished.
///
/// # Errors
///
/// [`SocketError::Serve`] if the transport fails as a whole.
pub async fn serve(
    service: Service,
    listener: Listener,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), SocketError> {
    let (tell, stopping) = watch::channel(false);
    let api = PhoneServer::new(Api { service, stopping }).max_decoding_message_size(MAX_MESSAGE);
    let stop = async move {
        stop.await;
        tell.send_replace(true);
    };
    let server = Server::builder()
        .timeout(CALL)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(ALIVE))
        .http2_keepalive_timeout(Some(ALIVE))
        .http2_max_header_list_size(8 << 10);
    let stopped = server.serve_with_incoming_shutdown(api, listener.incoming(), stop);
    stopped.await.map_err(|error| SocketError::Serve(Box::new(error)))
}

struct Api {
    service: Service,
    stopping: watch::Receiver<bool>,
}

type Answer<T> = Result<Response<T>, Status>;

fn done<T>(result: Result<T, crate::authenticator::service::Error>) -> Result<T, Status> {
    result.map_err(|error| status(&error))
}

fn pin(text: String) -> Result<Pin, Status> {
    Pin::new(text).map_err(|error| bad_request(&error.to_string()))
}

fn credential(id: &[u8]) -> Result<CredentialId, Status> {
    CredentialId::from_bytes(id).ok_or_else(|| bad_request("the ID has no valid length"))
}

#[tonic::async_trait]
impl Phone for Api {
    async fn get_status(&self, _: Request<v1::GetStatusRequest>) -> Answer<v1::GetStatusResponse> {
        let open = self.service.questions().len();
        Ok(Response::new(v1::GetStatusResponse {
            locked: self.service.is_locked(),
            open_questions: u32::try_from(open).unwrap_or(u32::MAX),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }))
    }

    async fn unlock(&self, request: Request<v1::UnlockRequest>) -> Answer<v1::UnlockResponse> {
        let pin = pin(request.into_inner().pin)?;
        done(self.service.unlock(pin).await)?;
        Ok(Response::new(v1::UnlockResponse {}))
    }

    async fn lock(&self, _: Request<v1::LockRequest>) -> Answer<v1::LockResponse> {
        self.service.lock();
        Ok(Response::new(v1::LockResponse {}))
    }

    async fn change_pin(
        &self,
        request: Request<v1::ChangePinRequest>,
    ) -> Answer<v1::ChangePinResponse> {
        let request = request.into_inner();
        let (old, new) = (pin(request.old_pin)?, pin(request.new_pin)?);
        done(self.service.change_pin(old, new).await)?;
        Ok(Response::new(v1::ChangePinResponse {}))
    }

    async fn submit_qr(
        &self,
        request: Request<v1::SubmitQrRequest>,
    ) -> Answer<v1::SubmitQrResponse> {
        let request = request.into_inner();
        let id = done(self.service.submit_text(&request.text, request.any_age))?;
        Ok(Response::new(v1::SubmitQrResponse { transaction: id.0 }))
    }

    async fn cancel_transaction(
        &self,
        request: Request<v1::CancelTransactionRequest>,
    ) -> Answer<v1::CancelTransactionResponse> {
        done(self.service.cancel(TransactionId(request.into_inner().transaction)))?;
        Ok(Response::new(v1::CancelTransactionResponse {}))
    }

    type WatchStream = BoxStream<'static, Result<v1::Event, Status>>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Answer<Self::WatchStream> {
        let request = request.into_inner();
        let mut events = self.service.events(request.transaction.map(TransactionId));
        if request.only_new {
            events.skip_to_now();
        }
        let events = stream::unfold(events, |mut events| async {
            events.next().await.map(|event| (Ok(convert::event(&event)), events))
        });
        let mut stopping = self.stopping.clone();
        let stopped = Box::pin(async move {
            let _gone_is_stopped_too = stopping.wait_for(|stopping| *stopping).await;
        });
        Ok(Response::new(events.take_until(stopped).boxed()))
    }

    async fn list_questions(
        &self,
        _: Request<v1::ListQuestionsRequest>,
    ) -> Answer<v1::ListQuestionsResponse> {
        let questions = self.service.questions().iter().map(convert::question).collect();
        Ok(Response::new(v1::ListQuestionsResponse { questions }))
    }

    async fn approve(&self, request: Request<v1::ApproveRequest>) -> Answer<v1::ApproveResponse> {
        let request = request.into_inner();
        let account = usize::try_from(request.account).unwrap_or(usize::MAX);
        let (id, pin) = (QuestionId(request.question), pin(request.pin)?);
        done(self.service.approve(id, account, pin).await)?;
        Ok(Response::new(v1::ApproveResponse {}))
    }

    async fn decline(&self, request: Request<v1::DeclineRequest>) -> Answer<v1::DeclineResponse> {
        done(self.service.decline(QuestionId(request.into_inner().question)))?;
        Ok(Response::new(v1::DeclineResponse {}))
    }

    async fn list_passkeys(
        &self,
        _: Request<v1::ListPasskeysRequest>,
    ) -> Answer<v1::ListPasskeysResponse> {
        let passkeys = done(self.service.passkeys().await)?;
        let passkeys = passkeys.into_iter().map(convert::passkey).collect();
        Ok(Response::new(v1::ListPasskeysResponse { passkeys }))
    }

    async fn rename_passkey(
        &self,
        request: Request<v1::RenamePasskeyRequest>,
    ) -> Answer<v1::RenamePasskeyResponse> {
        let request = request.into_inner();
        let label = Some(request.label.trim().to_owned()).filter(|label| !label.is_empty());
        done(self.service.rename(credential(&request.id)?, label).await)?;
        Ok(Response::new(v1::RenamePasskeyResponse {}))
    }

    async fn delete_passkey(
        &self,
        request: Request<v1::DeletePasskeyRequest>,
    ) -> Answer<v1::DeletePasskeyResponse> {
        done(self.service.delete(credential(&request.into_inner().id)?).await)?;
        Ok(Response::new(v1::DeletePasskeyResponse {}))
    }
}
