//! The operators' service, on the Unix socket.

use std::pin::Pin;
use std::sync::Arc;

use futures::StreamExt;
use policy::Mode;
use rand::Rng;
use tokio::sync::watch;
use tokio_stream::Stream;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};
use tonic::{Request, Response, Status};
use wire::proto::{self, admin_server::Admin};
use wire::{CenterEvent, InventoryFile, JoinToken, RecordQuery};

use crate::hub::{Hub, HubError, now};
use crate::pki::fingerprint;
use crate::store::{Store, StoreError};

/// The longest life of a join token.
const LONGEST: u64 = 30 * 24 * 3600;

/// The service.
pub(crate) struct AdminService<S> {
    pub(crate) hub: Arc<Hub<S>>,
    pub(crate) closing: watch::Receiver<bool>,
}

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl<S: Store> Admin for AdminService<S> {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<proto::CenterEvent, Status>> + Send>>;

    async fn apply_inventory(&self, request: Request<proto::InventoryFile>) -> Reply<proto::Generation> {
        let file = InventoryFile::try_from(request.into_inner()).map_err(|error| invalid(&error))?;
        generation(self.hub.apply_inventory(file).await)
    }

    async fn create_token(&self, request: Request<proto::TokenRequest>) -> Reply<proto::TokenReply> {
        let proto::TokenRequest { vm, seconds } = request.into_inner();
        self.hub.managed(&vm).await.map_err(|error| invalid(&error))?;
        let mut secret = [0; 32];
        rand::rng().fill_bytes(&mut secret);
        let seconds = i64::try_from(seconds.min(LONGEST)).unwrap_or_default();
        self.hub.store.keep_token(fingerprint(&secret), &vm, now() + 1000 * seconds).await.map_err(failed)?;
        self.hub.audit(&vm, "a join token was made").await.map_err(failed)?;
        let token = JoinToken { authority: fingerprint(self.hub.authority.certificate()), secret };
        Ok(Response::new(proto::TokenReply { token: token.to_string() }))
    }

    async fn publish(&self, request: Request<proto::PublishRequest>) -> Reply<proto::Generation> {
        generation(self.hub.publish(&request.into_inner().text).await)
    }

    async fn history(&self, _request: Request<proto::Empty>) -> Reply<proto::HistoryReply> {
        let versions = self.hub.store.history().await.map_err(failed)?;
        Ok(Response::new(proto::HistoryReply { versions: versions.into_iter().map(Into::into).collect() }))
    }

    async fn quarantine(&self, request: Request<proto::VmName>) -> Reply<proto::Generation> {
        generation(self.hub.quarantine(&request.into_inner().vm, true).await)
    }

    async fn release(&self, request: Request<proto::VmName>) -> Reply<proto::Generation> {
        generation(self.hub.quarantine(&request.into_inner().vm, false).await)
    }

    async fn set_mode(&self, request: Request<proto::VmMode>) -> Reply<proto::Generation> {
        let proto::VmMode { vm, monitor } = request.into_inner();
        generation(self.hub.set_mode(&vm, if monitor { Mode::Monitor } else { Mode::Enforce }).await)
    }

    async fn records(&self, request: Request<proto::RecordQuery>) -> Reply<proto::RecordsReply> {
        let query = RecordQuery::try_from(request.into_inner()).map_err(|error| invalid(&error))?;
        let records = self.hub.store.query(query).await.map_err(failed)?;
        Ok(Response::new(proto::RecordsReply { records: records.into_iter().map(Into::into).collect() }))
    }

    async fn status(&self, _request: Request<proto::Empty>) -> Reply<proto::CenterStatus> {
        Ok(Response::new(self.hub.status().await.into()))
    }

    async fn watch(&self, _request: Request<proto::Empty>) -> Reply<Self::WatchStream> {
        let (first, events) = self.hub.watch().await;
        let later = BroadcastStream::new(events).map(|event| match event {
            Ok(event) => event.as_ref().clone(),
            Err(BroadcastStreamRecvError::Lagged(count)) => CenterEvent::Missed { count },
        });
        let mut closing = self.closing.clone();
        let end = async move { drop(closing.wait_for(|closing| *closing).await) };
        let events = futures::stream::iter(first).chain(later).map(|event| Ok(event.into()));
        Ok(Response::new(Box::pin(events.take_until(Box::pin(end)))))
    }
}

/// A change's generation, or every reason why it was refused.
fn generation(result: Result<u64, HubError>) -> Reply<proto::Generation> {
    match result {
        Ok(generation) => Ok(Response::new(proto::Generation { generation, refused: None })),
        Err(HubError::Refused(reasons)) => {
            Ok(Response::new(proto::Generation { generation: 0, refused: Some(reasons) }))
        }
        Err(HubError::Store(error)) => Err(failed(error)),
    }
}

fn invalid(error: &dyn std::error::Error) -> Status {
    Status::invalid_argument(error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "it is a `map_err` argument")]
fn failed(error: StoreError) -> Status {
    Status::internal(error.to_string())
}
