//! The two doors: TLS for agents, a Unix socket for operators.

use std::fs;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::Server;
use wire::proto::admin_server::AdminServer;
use wire::proto::enrolment_server::EnrolmentServer;
use wire::proto::session_server::SessionServer;
use wire::{HEARTBEAT, MAX_FROM_AGENT};

use crate::door::{self, Incoming};
use crate::folder;
use crate::hub::Hub;
use crate::pki::{Authority, PkiError};
use crate::rpc::{AdminService, DEAD, EnrolmentService, Routes, SessionService};
use crate::store::{Sqlite, Store, StoreError};

/// How long open streams may take to end when the center stops.
const FAREWELL: Duration = Duration::from_secs(2);
/// The most bytes of an operator's request: an inventory of thousands of VMs.
const MAX_ADMIN: usize = 64 * 1024 * 1024;
/// The most bytes of an enrolment, which anybody may send.
const MAX_ENROLMENT: usize = 16 * 1024;
/// How many streams one agent's connection may carry; it needs one.
const STREAMS: u32 = 4;

/// Where and how to serve.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The state folder: database, authority, admin socket. Made (0700) if it is not there, and never open to others.
    pub state: PathBuf,
    /// Where agents find the center. An unspecified IPv6 address serves both families; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How often center and agents assure each other that they live.
    pub heartbeat: Duration,
}

impl ServeOptions {
    /// With the customary heartbeat.
    #[must_use]
    pub fn new(state: PathBuf, listen: SocketAddr) -> Self {
        Self { state, listen, heartbeat: HEARTBEAT }
    }

    /// The admin socket of a state folder.
    #[must_use]
    pub fn admin_socket(state: &Path) -> PathBuf {
        state.join("admin.sock")
    }
}

/// Why the center does not serve.
#[derive(Debug, thiserror::Error)]
pub enum CenterError {
    /// A file or folder of the state.
    #[error("use the state folder {path}: {error}")]
    State {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another center has this state.
    #[error("serve from {0}: another center does already")]
    Busy(PathBuf),
    /// The agents' port.
    #[error("listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The authority.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The transport.
    #[error("serve: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves until `stop` is ready; `on_ready` is called once, with the address for agents, when both doors are open.
///
/// # Errors
/// When the state is unusable or taken, or the port is.
pub async fn serve(
    options: ServeOptions,
    on_ready: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()>,
) -> Result<(), CenterError> {
    let ServeOptions { state, listen, heartbeat } = options;
    let at = |path: &Path, error| CenterError::State { path: path.to_owned(), error };
    folder::own(&state).map_err(|error| at(&state, error))?;
    let admin = bind_admin(&ServeOptions::admin_socket(&state))?;
    let authority = Authority::open(&state)?;
    let store = Sqlite::open(&state.join("center.db")).await?;
    let agents = TcpListener::bind(listen).await.map_err(|error| CenterError::Listen(listen, error))?;
    let address = agents.local_addr().map_err(|error| CenterError::Listen(listen, error))?;
    let tls = TlsAcceptor::from(Arc::new(authority.server(address)?));
    let hub = Arc::new(Hub::open(store, authority, address, heartbeat).await?);
    let (closer, closing) = watch::channel(false);
    let (connections, accepting) = door::open(agents, tls);
    let accepting = tokio::spawn(accepting);
    let releasing = tokio::spawn(release(hub.clone()));
    let serving = both(hub, connections, admin, closing);
    on_ready(address);
    let ended = serving_until(serving, stop, closer).await;
    accepting.abort();
    releasing.abort();
    ended
}

/// Releases, once a second, whose time in quarantine is over.
async fn release<S: Store>(hub: Arc<Hub<S>>) {
    let mut seconds = tokio::time::interval(std::time::Duration::from_secs(1));
    seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        if let Err(error) = hub.release_due().await {
            tracing::error!(%error, "a quarantine was not ended");
        }
    }
}

/// Serves until `stop`, and then lets what is open end.
async fn serving_until(
    serving: impl Future<Output = Result<(), CenterError>>,
    stop: impl Future<Output = ()>,
    closer: watch::Sender<bool>,
) -> Result<(), CenterError> {
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended,
        () = stop => {}
    }
    closer.send_replace(true);
    tokio::time::timeout(FAREWELL, serving).await.unwrap_or(Ok(()))
}

async fn both<S: Store>(
    hub: Arc<Hub<S>>,
    connections: Incoming,
    admin: UnixListener,
    closing: watch::Receiver<bool>,
) -> Result<(), CenterError> {
    let closed = |mut closing: watch::Receiver<bool>| async move { drop(closing.wait_for(|closing| *closing).await) };
    // Who is gone without a word leaves no connection; a session has its own, quicker signs of life.
    let trial = Some(hub.heartbeat * DEAD);
    let session = SessionService { hub: hub.clone(), closing: closing.clone() };
    let routes = Routes {
        enrolment: EnrolmentServer::new(EnrolmentService { hub: hub.clone() }).max_decoding_message_size(MAX_ENROLMENT),
        session: SessionServer::new(session).max_decoding_message_size(MAX_FROM_AGENT),
    };
    let operators = AdminServer::new(AdminService { hub, closing: closing.clone() });
    let operators = operators.max_decoding_message_size(MAX_ADMIN);
    let door = Server::builder()
        .max_concurrent_streams(STREAMS)
        .http2_keepalive_interval(trial)
        .http2_keepalive_timeout(trial);
    let agents = door.serve_with_incoming_shutdown(routes, ReceiverStream::new(connections), closed(closing.clone()));
    let admin =
        Server::builder().serve_with_incoming_shutdown(operators, UnixListenerStream::new(admin), closed(closing));
    tokio::try_join!(agents, admin)?;
    Ok(())
}

/// Opens the admin socket for its owner alone; one that a dead center left is replaced.
fn bind_admin(path: &Path) -> Result<UnixListener, CenterError> {
    let at = |error| CenterError::State { path: path.to_owned(), error };
    if UnixStream::connect(path).is_ok() {
        return Err(CenterError::Busy(path.to_owned()));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(error)),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(at)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(at)?;
    Ok(listener)
}
