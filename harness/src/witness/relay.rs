//! The way to a lab's center for operators outside the lab: a socket in a folder, of which every byte is handed on to the
//! center's socket for operators and to nothing else. It gives the lab no way out: who speaks first is always outside.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// How many connections may stand at once; more wait.
const MOST: usize = 16;

/// Hands on what comes, for as long as its task lives.
pub(super) async fn relay(listener: UnixListener, center: PathBuf) {
    let room = Arc::new(Semaphore::new(MOST));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((near, _)) => drop(tokio::spawn(hand_on(near, center.clone(), place))),
            Err(error) => {
                tracing::warn!(%error, "operators are heard no longer");
                return;
            }
        }
    }
}

/// Where the center does not run, the connection ends, and the operator sees that.
async fn hand_on(mut near: UnixStream, center: PathBuf, _place: tokio::sync::OwnedSemaphorePermit) {
    if let Ok(mut far) = UnixStream::connect(center).await {
        // However it ends, both ends are closed.
        let _ended = copy_bidirectional(&mut near, &mut far).await;
    }
}
