//! The agents' side of the channel: enrolment by a join token, and the session that the certificate opens. TLS 1.3 alone.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::client::WantsClientCert;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, version};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use crate::admin::chain;
use crate::proto::{self, enrolment_client::EnrolmentClient, session_client::SessionClient};
use crate::received::{Counted, Received};
use crate::trust::{Anchor, Trust, fingerprint};
use crate::{CENTER_NAME, DecodeError, FromAgent, FromCenter, JoinToken};

pub use crate::trust::WallClock;

/// How many messages to the center may wait.
const QUEUE: usize = 64;
/// The most bytes of one message: a view of thousands of VMs.
const MAX_MESSAGE: usize = 64 * 1024 * 1024;
/// As many bytes of a stream may be on their way: what is superseded before is not sent at all.
const WINDOW: u32 = 16 * 1024;
/// How long a connection may take to come up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the channel does not work.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChannelError {
    /// The center cannot be reached, or is not the one that it should be.
    #[error("reach the center: {0}")]
    Unavailable(String),
    /// The center refused.
    #[error("be let in: {0}")]
    Refused(String),
    /// The key or a certificate is unusable.
    #[error("use the credentials: {0}")]
    Credentials(String),
    /// What it says makes no sense.
    #[error("understand the center: {0}")]
    Decode(#[from] DecodeError),
}

impl From<Status> for ChannelError {
    fn from(status: Status) -> Self {
        let text = status.message().to_owned();
        match status.code() {
            tonic::Code::PermissionDenied | tonic::Code::Unauthenticated | tonic::Code::InvalidArgument => {
                Self::Refused(text)
            }
            tonic::Code::Ok
            | tonic::Code::Cancelled
            | tonic::Code::Unknown
            | tonic::Code::DeadlineExceeded
            | tonic::Code::NotFound
            | tonic::Code::AlreadyExists
            | tonic::Code::ResourceExhausted
            | tonic::Code::FailedPrecondition
            | tonic::Code::Aborted
            | tonic::Code::OutOfRange
            | tonic::Code::Unimplemented
            | tonic::Code::Internal
            | tonic::Code::Unavailable
            | tonic::Code::DataLoss => Self::Unavailable(text),
        }
    }
}

/// What an enrolment gives, to be kept in the agent's state folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// The VM that the token stood for.
    pub vm: String,
    /// The agent's certificate, DER.
    pub certificate: Vec<u8>,
    /// The center's authority, DER.
    pub authority: Vec<u8>,
}

/// What opens a session.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The agent's certificate, DER.
    pub certificate: Vec<u8>,
    /// The center's authority, DER.
    pub authority: Vec<u8>,
    /// The agent's private key, PKCS#8 DER.
    pub key: Vec<u8>,
}

/// Enrols: `request` is a PKCS#10 request in DER, signed by the agent's own key. The center must show the authority
/// whose fingerprint stands in the token.
///
/// # Errors
/// `Refused` for a token that is unknown, used or expired.
pub async fn enrol(center: SocketAddr, token: &JoinToken, request: Vec<u8>) -> Result<Enrolled, ChannelError> {
    enrol_by(WallClock::default(), center, token, request).await
}

/// The same by another clock.
///
/// # Errors
/// As [`enrol`].
pub async fn enrol_by(
    clock: WallClock,
    center: SocketAddr,
    token: &JoinToken,
    request: Vec<u8>,
) -> Result<Enrolled, ChannelError> {
    let config = trusting(Anchor::Pinned(token.authority), clock).map_err(unusable)?;
    let channel = open(center, config.with_no_client_auth(), Received::default()).await?;
    let request = proto::EnrolRequest { secret: token.secret.to_vec(), request };
    let reply = EnrolmentClient::new(channel).enrol(request).await?.into_inner();
    let proto::EnrolReply { vm, certificate, authority } = reply;
    if fingerprint(&authority) != token.authority {
        return Err(ChannelError::Refused("the center's authority is not the one of the token".into()));
    }
    Ok(Enrolled { vm, certificate, authority })
}

/// Opens a session. The agent's first word must be its hello.
///
/// # Errors
/// `Refused` where the center does not know the certificate.
pub async fn connect(center: SocketAddr, credentials: &Credentials) -> Result<Session, ChannelError> {
    connect_by(WallClock::default(), center, credentials).await
}

/// The same by another clock.
///
/// # Errors
/// As [`connect`].
pub async fn connect_by(
    clock: WallClock,
    center: SocketAddr,
    credentials: &Credentials,
) -> Result<Session, ChannelError> {
    let received = Received::default();
    let channel = open(center, session_config(credentials, clock).map_err(unusable)?, received.clone()).await?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    let mut stub = SessionClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
    let from_center = stub.connect(ReceiverStream::new(receiver)).await?.into_inner();
    Ok(Session { sender: SessionSender { sender }, receiver: SessionReceiver { from_center, received } })
}

fn session_config(credentials: &Credentials, clock: WallClock) -> Result<ClientConfig, rustls::Error> {
    let anchor = Anchor::Known(CertificateDer::from(credentials.authority.clone()));
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(credentials.key.clone()));
    trusting(anchor, clock)?.with_client_auth_cert(vec![CertificateDer::from(credentials.certificate.clone())], key)
}

fn trusting(anchor: Anchor, clock: WallClock) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let trust = Arc::new(Trust { anchor, provider: provider.clone() });
    let config = ClientConfig::builder_with_details(provider, Arc::new(clock));
    let config = config.with_protocol_versions(&[&version::TLS13])?;
    Ok(config.dangerous().with_custom_certificate_verifier(trust))
}

#[expect(clippy::needless_pass_by_value, reason = "it is a `map_err` argument")]
fn unusable(error: rustls::Error) -> ChannelError {
    ChannelError::Credentials(error.to_string())
}

async fn open(center: SocketAddr, mut config: ClientConfig, received: Received) -> Result<Channel, ChannelError> {
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tls = TlsConnector::from(Arc::new(config));
    let connector = tower::service_fn(move |_| {
        let (tls, received) = (tls.clone(), received.clone());
        async move {
            let stream = TcpStream::connect(center).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::try_from(CENTER_NAME).map_err(io::Error::other)?;
            let stream = Counted { stream, received };
            Ok::<_, io::Error>(TokioIo::new(tls.connect(name, stream).await?))
        }
    });
    let unavailable = |error: tonic::transport::Error| ChannelError::Unavailable(chain(&error));
    let endpoint = Endpoint::try_from(format!("http://{CENTER_NAME}")).map_err(unavailable)?;
    let endpoint = endpoint.initial_stream_window_size(WINDOW);
    endpoint.connect_timeout(PATIENCE).connect_with_connector(connector).await.map_err(unavailable)
}

/// An open session; both halves can be used at the same time.
#[derive(Debug)]
pub struct Session {
    /// To the center.
    pub sender: SessionSender,
    /// From the center.
    pub receiver: SessionReceiver,
}

/// The half that speaks to the center. Cheap to clone; the session's stream ends when the last one is dropped.
#[derive(Clone, Debug)]
pub struct SessionSender {
    sender: mpsc::Sender<proto::FromAgent>,
}

impl SessionSender {
    /// Says something, and waits while the queue is full.
    ///
    /// # Errors
    /// When the session has ended.
    pub async fn send(&self, message: FromAgent) -> Result<(), ChannelError> {
        let gone = |_| ChannelError::Unavailable("the session has ended".into());
        self.sender.send(message.into()).await.map_err(gone)
    }
}

/// The half that listens to the center.
#[derive(Debug)]
pub struct SessionReceiver {
    from_center: Streaming<proto::FromCenter>,
    received: Received,
}

impl SessionReceiver {
    /// How many bytes have come on the connection; a long word comes in many of them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.received.bytes()
    }

    /// The center's next word; `None` when it has ended the session. May be dropped and called again (cancel safe).
    ///
    /// # Errors
    /// When the connection breaks, or the word makes no sense.
    pub async fn receive(&mut self) -> Result<Option<FromCenter>, ChannelError> {
        let message = self.from_center.message().await?;
        Ok(message.map(FromCenter::try_from).transpose()?)
    }
}
