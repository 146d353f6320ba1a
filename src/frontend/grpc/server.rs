//! The calls of the schema, each a call of the service.
//!
//! Bounds: [`MAX_MESSAGE`] a request, a deadline for every call but the stream of events, as many
//! streams and connections as one owner needs. Depends on `authenticator::service`, tonic, siblings.

use std::future::Future;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::{Semaphore, watch};
use tonic::{Request, Response, Status};

use super::convert::Advise;
use super::status::{bad_request, busy, status};
use super::v1::phone_server::{Phone, PhoneServer};
use super::{convert, moving, v1};
use crate::authenticator::service::{MoveId, QuestionId, Service, TransactionId};
use crate::authenticator::{CredentialId, Pin};
use crate::frontend::dial::SocketError;
use crate::frontend::socket::{Listener, server};

/// Bytes of the longest request: a code and a PIN are far below.
pub const MAX_MESSAGE: usize = 16 << 10;

/// Passkeys in one request that names several.
pub const MAX_IDS: usize = 256;

/// Serves until `stop` resolves; then streams end and calls that run are finished. Clients are told
/// what to do about a failure in the words of `advise`.
///
/// # Errors
///
/// [`SocketError::Serve`] if the transport fails as a whole.
pub async fn serve(
    service: Service,
    listener: Listener,
    advise: Advise,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), SocketError> {
    let (tell, stopping) = watch::channel(false);
    let api = Api { service, stopping, advise, import: Semaphore::new(1) };
    let api = PhoneServer::new(api).max_decoding_message_size(MAX_MESSAGE);
    let stop = async move {
        stop.await;
        tell.send_replace(true);
    };
    let stopped = server().serve_with_incoming_shutdown(api, listener.incoming(), stop);
    stopped.await.map_err(|error| SocketError::Serve(Box::new(error)))
}

struct Api {
    service: Service,
    stopping: watch::Receiver<bool>,
    advise: Advise,
    /// A file to import is held in memory: one at a time.
    import: Semaphore,
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
            locked: self.service.vault().is_locked(),
            open_questions: u32::try_from(open).unwrap_or(u32::MAX),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            store: self.service.vault().folder().display().to_string(),
        }))
    }

    async fn unlock(&self, request: Request<v1::UnlockRequest>) -> Answer<v1::UnlockResponse> {
        let pin = pin(request.into_inner().pin)?;
        done(self.service.vault().unlock(pin).await)?;
        Ok(Response::new(v1::UnlockResponse {}))
    }

    async fn lock(&self, _: Request<v1::LockRequest>) -> Answer<v1::LockResponse> {
        self.service.vault().lock();
        Ok(Response::new(v1::LockResponse {}))
    }

    async fn change_pin(
        &self,
        request: Request<v1::ChangePinRequest>,
    ) -> Answer<v1::ChangePinResponse> {
        let request = request.into_inner();
        let (old, new) = (pin(request.old_pin)?, pin(request.new_pin)?);
        done(self.service.vault().change_pin(old, new).await)?;
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
        let advise = self.advise;
        let events = stream::unfold(events, move |mut events| async move {
            events.next().await.map(|event| (Ok(convert::event(&event, advise)), events))
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
        request: Request<v1::ListPasskeysRequest>,
    ) -> Answer<v1::ListPasskeysResponse> {
        let request = request.into_inner();
        let mut passkeys = done(self.service.vault().passkeys().await)?;
        if request.only_orphans {
            passkeys.retain(|passkey| passkey.may_be_orphaned(request.unused));
        }
        let passkeys = passkeys.into_iter().map(convert::passkey).collect();
        Ok(Response::new(v1::ListPasskeysResponse { passkeys }))
    }

    async fn get_passkey(
        &self,
        request: Request<v1::GetPasskeyRequest>,
    ) -> Answer<v1::GetPasskeyResponse> {
        let id = credential(&request.into_inner().id)?;
        let passkey = convert::passkey(done(self.service.vault().passkey(id).await)?);
        Ok(Response::new(v1::GetPasskeyResponse { passkey: Some(passkey) }))
    }

    async fn rename_passkey(
        &self,
        request: Request<v1::RenamePasskeyRequest>,
    ) -> Answer<v1::RenamePasskeyResponse> {
        let request = request.into_inner();
        let id = credential(&request.id)?;
        done(self.service.vault().rename(id, &request.label).await)?;
        Ok(Response::new(v1::RenamePasskeyResponse {}))
    }

    async fn delete_passkey(
        &self,
        request: Request<v1::DeletePasskeyRequest>,
    ) -> Answer<v1::DeletePasskeyResponse> {
        let id = credential(&request.into_inner().id)?;
        done(self.service.vault().delete(id).await)?;
        Ok(Response::new(v1::DeletePasskeyResponse {}))
    }

    async fn prune_passkeys(
        &self,
        request: Request<v1::PrunePasskeysRequest>,
    ) -> Answer<v1::PrunePasskeysResponse> {
        let request = request.into_inner();
        if request.ids.len() > MAX_IDS {
            return Err(bad_request("too many passkeys at once"));
        }
        let ids = request.ids.iter().map(|id| credential(id)).collect::<Result<_, _>>()?;
        let pruned = done(self.service.vault().prune(ids, request.unused).await)?;
        Ok(Response::new(v1::PrunePasskeysResponse { ids: convert::ids(&pruned) }))
    }

    async fn list_links(&self, _: Request<v1::ListLinksRequest>) -> Answer<v1::ListLinksResponse> {
        let links = done(self.service.vault().links().await)?;
        let links = links.into_iter().map(convert::link).collect();
        Ok(Response::new(v1::ListLinksResponse { links }))
    }

    async fn forget_link(
        &self,
        request: Request<v1::ForgetLinkRequest>,
    ) -> Answer<v1::ForgetLinkResponse> {
        let id = request.into_inner().id.try_into();
        let id = id.map_err(|_| bad_request("the ID of a computer has 8 bytes"))?;
        done(self.service.vault().forget_link(id).await)?;
        Ok(Response::new(v1::ForgetLinkResponse {}))
    }

    type ExportStream = BoxStream<'static, Result<v1::ExportPart, Status>>;

    async fn export(&self, request: Request<v1::ExportRequest>) -> Answer<Self::ExportStream> {
        let v1::ExportRequest { pin: text, passphrase, recipients } = request.into_inner();
        let (pin, lock) = (pin(text)?, moving::lock(passphrase, recipients)?);
        Ok(Response::new(moving::parts(done(self.service.export(pin, lock).await)?)))
    }

    async fn confirm_export(
        &self,
        request: Request<v1::ConfirmExportRequest>,
    ) -> Answer<v1::ConfirmExportResponse> {
        let id = MoveId(request.into_inner().export);
        done(self.service.vault().exported(id).await)?;
        Ok(Response::new(v1::ConfirmExportResponse {}))
    }

    async fn plan_import(
        &self,
        request: Request<tonic::Streaming<v1::PlanImportPart>>,
    ) -> Answer<v1::PlanImportResponse> {
        let _alone = self.import.try_acquire().map_err(|_| busy("another file is being read"))?;
        let (opener, sealed) = moving::file(request.into_inner()).await?;
        let planned = done(self.service.vault().plan_import(opener, sealed).await)?;
        Ok(Response::new(moving::planned(planned)))
    }

    async fn import(&self, request: Request<v1::ImportRequest>) -> Answer<v1::ImportResponse> {
        let count = done(self.service.vault().import(MoveId(request.into_inner().import)).await)?;
        let passkeys = u64::try_from(count).unwrap_or(u64::MAX);
        Ok(Response::new(v1::ImportResponse { passkeys }))
    }
}
