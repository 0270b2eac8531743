//! The operators' side of the admin socket: the words of this crate in and out, nothing of the wire.

use std::path::Path;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use policy::Mode;
use tokio::net::UnixStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::proto::{self, admin_client};
use crate::{CenterEvent, CenterStatus, DecodeError, InventoryFile, PolicyVersion, RecordQuery, StoredRecord};

/// The most bytes of one answer.
const MAX_MESSAGE: usize = 64 * 1024 * 1024;

/// Why the center did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// The input is wrong; the text holds every reason, one a line.
    #[error("{0}")]
    Refused(String),
    /// The center cannot be reached, or went away.
    #[error("reach the center: {0}")]
    Unavailable(String),
    /// The center failed by itself.
    #[error("be served: {0}")]
    Failed(String),
    /// Its answer makes no sense.
    #[error("understand the center: {0}")]
    Decode(#[from] DecodeError),
}

impl From<Status> for AdminError {
    fn from(status: Status) -> Self {
        let text = status.message().to_owned();
        match status.code() {
            Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition => Self::Refused(text),
            Code::Unavailable | Code::Cancelled | Code::Unknown => Self::Unavailable(text),
            Code::Ok
            | Code::DeadlineExceeded
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss
            | Code::Unauthenticated => Self::Failed(text),
        }
    }
}

/// An open admin socket. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AdminClient {
    stub: admin_client::AdminClient<Channel>,
}

/// Opens the admin socket of the center with that state folder's `admin.sock`.
///
/// # Errors
/// When nobody listens there.
pub async fn connect(socket: &Path) -> Result<AdminClient, AdminError> {
    let path = socket.to_owned();
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(path).await?)) }
    });
    let unavailable =
        |error: tonic::transport::Error| AdminError::Unavailable(format!("{}: {}", socket.display(), chain(&error)));
    let endpoint = Endpoint::try_from("http://admin.eastwest").map_err(unavailable)?;
    let channel = endpoint.connect_with_connector(connector).await.map_err(unavailable)?;
    let stub = admin_client::AdminClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
    Ok(AdminClient { stub })
}

/// An error with its causes, as one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn generation(proto::Generation { generation, refused }: proto::Generation) -> Result<u64, AdminError> {
    refused.map_or(Ok(generation), |reasons| Err(AdminError::Refused(reasons)))
}

impl AdminClient {
    /// Replaces the inventory, and gives the generation that this made.
    ///
    /// # Errors
    /// `Refused` with every fault of the inventory.
    pub async fn apply_inventory(&mut self, file: InventoryFile) -> Result<u64, AdminError> {
        generation(self.stub.apply_inventory(proto::InventoryFile::from(file)).await?.into_inner())
    }

    /// Makes a join token for one VM, in its text form. It is shown only here.
    ///
    /// # Errors
    /// `Refused` where the inventory has no such managed VM.
    pub async fn token(&mut self, vm: &str, valid: Duration) -> Result<String, AdminError> {
        let request = proto::TokenRequest { vm: vm.to_owned(), seconds: valid.as_secs() };
        Ok(self.stub.create_token(request).await?.into_inner().token)
    }

    /// Publishes a policy, and gives its generation.
    ///
    /// # Errors
    /// `Refused` with every error of the text.
    pub async fn publish(&mut self, text: &str) -> Result<u64, AdminError> {
        let request = proto::PublishRequest { text: text.to_owned() };
        generation(self.stub.publish(request).await?.into_inner())
    }

    /// Every published version, the newest first.
    ///
    /// # Errors
    /// As the transport fails.
    pub async fn history(&mut self) -> Result<Vec<PolicyVersion>, AdminError> {
        let reply = self.stub.history(proto::Empty {}).await?.into_inner();
        Ok(reply.versions.into_iter().map(Into::into).collect())
    }

    /// Quarantines a VM, and gives the generation that this made.
    ///
    /// # Errors
    /// `Refused` where the inventory has no such managed VM.
    pub async fn quarantine(&mut self, vm: &str) -> Result<u64, AdminError> {
        generation(self.stub.quarantine(proto::VmName { vm: vm.to_owned() }).await?.into_inner())
    }

    /// Releases a VM from quarantine, and gives the generation that this made.
    ///
    /// # Errors
    /// `Refused` where the inventory has no such managed VM.
    pub async fn release(&mut self, vm: &str) -> Result<u64, AdminError> {
        generation(self.stub.release(proto::VmName { vm: vm.to_owned() }).await?.into_inner())
    }

    /// Has the rules at one VM's end act, or only record; gives the generation that this made. The next inventory says
    /// it anew.
    ///
    /// # Errors
    /// `Refused` where the inventory has no such managed VM.
    pub async fn set_mode(&mut self, vm: &str, mode: Mode) -> Result<u64, AdminError> {
        let request = proto::VmMode { vm: vm.to_owned(), monitor: mode == Mode::Monitor };
        generation(self.stub.set_mode(request).await?.into_inner())
    }

    /// The stored records that match, oldest first.
    ///
    /// # Errors
    /// As the transport fails.
    pub async fn records(&mut self, query: RecordQuery) -> Result<Vec<StoredRecord>, AdminError> {
        let reply = self.stub.records(proto::RecordQuery::from(query)).await?.into_inner();
        let records = reply.records.into_iter().map(StoredRecord::try_from);
        Ok(records.collect::<Result<_, _>>()?)
    }

    /// The newest generation and every agent.
    ///
    /// # Errors
    /// As the transport fails.
    pub async fn status(&mut self) -> Result<CenterStatus, AdminError> {
        Ok(self.stub.status(proto::Empty {}).await?.into_inner().try_into()?)
    }

    /// Everything that the center learns from here on, in its order. It begins with the state of every agent and the
    /// newest generation as they are.
    ///
    /// # Errors
    /// As the transport fails; the stream ends with an error when the center goes away.
    pub async fn watch(
        &mut self,
    ) -> Result<impl Stream<Item = Result<CenterEvent, AdminError>> + Unpin + use<>, AdminError> {
        let events = self.stub.watch(proto::Empty {}).await?.into_inner();
        Ok(events.map(|event| Ok(CenterEvent::try_from(event?)?)))
    }
}
