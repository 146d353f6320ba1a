//! The calls of the schema, each a call of the service.
//!
//! Bounds: [`MAX_MESSAGE`] a request, and those of the socket. Depends on `client::service`, tonic,
//! siblings.

use std::future::Future;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::{mpsc, watch};
use tonic::{Code, Request, Response, Status, Streaming};

use super::convert;
use super::v1::control_server::{Control, ControlServer};
use super::{begin, carry, v1};
use crate::client::ceremony::Ceremony;
use crate::client::phones;
use crate::client::receipts::{self, ReceiptNumber};
use crate::client::service::{self, Service, TransactionId, Way};
use crate::client::webauthn::{self, Origin};
use crate::frontend::dial::SocketError;
use crate::frontend::refusal::{bad_request, caused};
use crate::frontend::socket::{Listener, server};
use crate::frontend::words::Words;

/// Bytes of the longest request: a relying party's options of 1 MiB, and what is around them.
pub const MAX_MESSAGE: usize = (1 << 20) + (64 << 10);

/// Gives a link into the service's page.
pub type Doorkeeper = Arc<dyn Fn() -> String + Send + Sync>;

/// Serves until `stop` resolves; then streams end and calls that run are finished. `page` is there where
/// there is a page.
///
/// # Errors
///
/// [`SocketError::Serve`] if the transport fails as a whole.
pub async fn serve(
    service: Service,
    listener: Listener,
    words: Words,
    page: Option<Doorkeeper>,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), SocketError> {
    let (tell, stopping) = watch::channel(false);
    let api = ControlServer::new(Api { service, stopping, words, page });
    let api = api.max_decoding_message_size(MAX_MESSAGE);
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
    words: Words,
    page: Option<Doorkeeper>,
}

type Answer<T> = Result<Response<T>, Status>;
type Stream<T> = BoxStream<'static, Result<T, Status>>;

fn refused(error: service::Error) -> Status {
    let code = match error {
        service::Error::Busy => Code::ResourceExhausted,
        service::Error::Stopping => Code::Unavailable,
        service::Error::NoSuchTransaction => Code::NotFound,
    };
    caused(code, error.cause(), &error.to_string())
}

fn unsuitable(error: &webauthn::Error) -> Status {
    let mut text = error.to_string();
    if let Some(cause) = std::error::Error::source(error) {
        text = format!("{text}: {cause}");
    }
    caused(Code::InvalidArgument, "options", &text)
}

fn unkept(error: &receipts::Error) -> Status {
    match error {
        receipts::Error::NoSuchReceipt => {
            caused(Code::NotFound, "no-such-receipt", &error.to_string())
        }
        error => caused(Code::Internal, "storage", &error.to_string()),
    }
}

/// What comes out of a task, until it has nothing more to tell.
fn streamed<T: Send + 'static>(told: mpsc::Receiver<Result<T, Status>>) -> Stream<T> {
    stream::unfold(told, |mut told| async { told.recv().await.map(|part| (part, told)) }).boxed()
}

fn unlisted(error: &phones::Error) -> Status {
    let code = match error {
        phones::Error::NoSuchPhone(_) => Code::NotFound,
        phones::Error::NameTaken(_) => Code::AlreadyExists,
        phones::Error::NoName => Code::InvalidArgument,
        phones::Error::Key(_) => Code::FailedPrecondition,
        _ => Code::Internal,
    };
    caused(code, error.cause(), &error.to_string())
}

impl Api {
    async fn way(&self, phone: Option<String>, remember: bool) -> Result<Way, Status> {
        let Some(name) = phone else {
            return Ok(if remember { Way::code_to_remember() } else { Way::code() });
        };
        let found = match self.service.phones() {
            Some(phones) => phones.find(&name).await,
            None => Err(phones::Error::NoSuchPhone(name)),
        };
        found.map(Way::ring).map_err(|error| unlisted(&error))
    }
}

fn ceremony(request: v1::BeginRequest) -> Result<Ceremony, Status> {
    use v1::begin_request::What;
    let origin = |text: &str| -> Result<Origin, Status> {
        text.parse().map_err(|error| unsuitable(&webauthn::Error::Origin(error)))
    };
    let made = match request.what.ok_or_else(|| bad_request("nothing is asked for"))? {
        What::Registration(v1::Registration { options, origin: site }) => {
            Ceremony::register(options.as_bytes(), &origin(&site)?)
        }
        What::SignIn(v1::SignIn { options, origin: site, account }) => {
            Ceremony::sign_in(options.as_bytes(), &origin(&site)?, account)
        }
    };
    made.map_err(|error| unsuitable(&error))
}

#[tonic::async_trait]
impl Control for Api {
    async fn get_status(&self, _: Request<v1::GetStatusRequest>) -> Answer<v1::GetStatusResponse> {
        Ok(Response::new(v1::GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            transactions: self.service.running().into_iter().map(|id| id.0).collect(),
            offers_bluetooth: self.service.offers_l2cap(),
            proximity: self.service.proximity().name().to_owned(),
        }))
    }

    type BeginStream = Stream<v1::Event>;

    async fn begin(&self, request: Request<v1::BeginRequest>) -> Answer<Self::BeginStream> {
        let mut request = request.into_inner();
        let way = self.way(request.phone.take(), request.remember).await?;
        let ceremony = ceremony(request)?;
        let transaction = self.service.begin_by(way, ceremony).map_err(refused)?;
        let told = begin::follow(self.service.clone(), transaction, self.words);
        Ok(Response::new(streamed(told)))
    }

    type CarryStream = Stream<v1::CarryResponse>;

    async fn carry(
        &self,
        request: Request<Streaming<v1::CarryRequest>>,
    ) -> Answer<Self::CarryStream> {
        let mut parts = request.into_inner();
        let first = parts.message().await?.and_then(|first| first.part);
        let Some(v1::carry_request::Part::Open(open)) = first else {
            return Err(bad_request("the first part has to open it"));
        };
        let about = convert::about(&open).ok_or_else(|| bad_request("the purpose is missing"))?;
        let timeout = carry::timeout(&open);
        let way = match open.usual && open.phone.is_none() && !open.remember {
            true => self.service.usual_way().await,
            false => self.way(open.phone, open.remember).await?,
        };
        let carrier = self.service.carry_by(way, about, timeout).map_err(refused)?;
        let told = carry::follow(self.service.clone(), carrier, parts.boxed(), self.words);
        Ok(Response::new(streamed(told)))
    }

    async fn take(&self, request: Request<v1::TakeRequest>) -> Answer<v1::TakeResponse> {
        let id = TransactionId(request.into_inner().transaction);
        self.service.taken(id).await.map_err(refused)?;
        Ok(Response::new(v1::TakeResponse {}))
    }

    async fn cancel_transaction(
        &self,
        request: Request<v1::CancelTransactionRequest>,
    ) -> Answer<v1::CancelTransactionResponse> {
        let id = TransactionId(request.into_inner().transaction);
        self.service.cancel(id).map_err(refused)?;
        Ok(Response::new(v1::CancelTransactionResponse {}))
    }

    async fn touch(&self, _: Request<v1::TouchRequest>) -> Answer<v1::TouchResponse> {
        self.service.touch().map_err(refused)?;
        Ok(Response::new(v1::TouchResponse {}))
    }

    type WatchStream = Stream<v1::Event>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Answer<Self::WatchStream> {
        let mut events = self.service.events(None);
        if request.into_inner().only_new {
            events.skip_to_now();
        }
        let (service, words) = (self.service.clone(), self.words);
        let events = stream::unfold((events, service), move |(mut events, service)| async move {
            let event = events.next().await?;
            Some((Ok(convert::event(&event, &service, words)), (events, service)))
        });
        let mut stopping = self.stopping.clone();
        let stopped = Box::pin(async move {
            let _gone_is_stopped_too = stopping.wait_for(|stopping| *stopping).await;
        });
        Ok(Response::new(events.take_until(stopped).boxed()))
    }

    async fn list_receipts(
        &self,
        _: Request<v1::ListReceiptsRequest>,
    ) -> Answer<v1::ListReceiptsResponse> {
        let receipts = self.service.receipts().await.map_err(|error| unkept(&error))?;
        let receipts = receipts.into_iter().map(convert::receipt).collect();
        Ok(Response::new(v1::ListReceiptsResponse { receipts }))
    }

    async fn forget_receipt(
        &self,
        request: Request<v1::ForgetReceiptRequest>,
    ) -> Answer<v1::ForgetReceiptResponse> {
        let number = ReceiptNumber(request.into_inner().number);
        self.service.forget(number).await.map_err(|error| unkept(&error))?;
        Ok(Response::new(v1::ForgetReceiptResponse {}))
    }

    async fn list_phones(
        &self,
        _: Request<v1::ListPhonesRequest>,
    ) -> Answer<v1::ListPhonesResponse> {
        let phones = match self.service.phones() {
            Some(phones) => phones.list().await.map_err(|error| unlisted(&error))?,
            None => Vec::new(),
        };
        let phones = phones.into_iter().map(convert::phone).collect();
        Ok(Response::new(v1::ListPhonesResponse { phones }))
    }

    async fn rename_phone(
        &self,
        request: Request<v1::RenamePhoneRequest>,
    ) -> Answer<v1::RenamePhoneResponse> {
        let v1::RenamePhoneRequest { name, new_name } = request.into_inner();
        let renamed = self.service.rename_phone(&name, &new_name).await;
        renamed.map_err(|error| unlisted(&error))?;
        Ok(Response::new(v1::RenamePhoneResponse {}))
    }

    async fn forget_phone(
        &self,
        request: Request<v1::ForgetPhoneRequest>,
    ) -> Answer<v1::ForgetPhoneResponse> {
        let name = request.into_inner().name;
        let forgotten = match self.service.phones() {
            Some(phones) => phones.forget(&name).await,
            None => Err(phones::Error::NoSuchPhone(name)),
        };
        forgotten.map_err(|error| unlisted(&error))?;
        Ok(Response::new(v1::ForgetPhoneResponse {}))
    }

    async fn open_page(&self, _: Request<v1::OpenPageRequest>) -> Answer<v1::OpenPageResponse> {
        let page = self.page.as_ref().ok_or_else(|| {
            caused(Code::FailedPrecondition, "no-page", "the service shows no page")
        })?;
        Ok(Response::new(v1::OpenPageResponse { link: page() }))
    }
}
