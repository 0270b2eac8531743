//! The center's witness: the admin socket, by which the harness says what shall be and hears all that the center learns.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::{Stream, StreamExt};
use wire::admin::{AdminClient, AdminError, connect};
use wire::{CenterEvent, CenterStatus, InventoryFile, RecordQuery, StoredRecord};

use super::account::LAST_RESORT;
use super::relay::relay;

/// Events that may wait here; beyond it the center itself counts what its watcher misses.
const QUEUE: usize = 1 << 16;
/// How long a join token is good for: longer than any scenario.
const TOKEN: Duration = Duration::from_secs(3600);

/// A connection to the center, for a thread that is not asynchronous.
#[derive(Debug)]
pub(crate) struct Operator {
    runtime: Runtime,
    client: Option<AdminClient>,
    watch: Option<JoinHandle<()>>,
    sender: Sender<CenterEvent>,
    events: Receiver<CenterEvent>,
}

impl Operator {
    /// Starts the thread on which the connection lives.
    pub(crate) fn new() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("operator").enable_all().build()?;
        let (sender, events) = channel(QUEUE);
        Ok(Self { runtime, client: None, watch: None, sender, events })
    }

    /// Connects to the center's admin socket and watches it.
    pub(crate) fn connect(&mut self, socket: &Path) -> Result<(), AdminError> {
        self.disconnect();
        let sender = self.sender.clone();
        let (client, watch) = answered(&self.runtime, async {
            let mut client = connect(socket).await?;
            let events = client.watch().await?;
            let watch = tokio::spawn(forward(events, sender));
            Ok((client, watch))
        })?;
        self.client = Some(client);
        self.watch = Some(watch);
        Ok(())
    }

    /// Lets operators outside speak with the center at its socket, by a listener, for as long as this lives.
    pub(crate) fn relay(&self, listener: UnixListener, center: PathBuf) -> std::io::Result<()> {
        listener.set_nonblocking(true)?;
        let _inside = self.runtime.enter();
        drop(self.runtime.spawn(relay(tokio::net::UnixListener::from_std(listener)?, center)));
        Ok(())
    }

    /// Lets go of a center that is about to go away.
    pub(crate) fn disconnect(&mut self) {
        self.client = None;
        if let Some(watch) = self.watch.take() {
            watch.abort();
        }
    }

    /// The next event; `None` when none comes in this time.
    pub(crate) fn next(&mut self, patience: Duration) -> Option<CenterEvent> {
        if let Ok(event) = self.events.try_recv() {
            return Some(event);
        }
        if patience.is_zero() {
            return None;
        }
        let next = async { timeout(patience, self.events.recv()).await };
        self.runtime.block_on(next).ok().flatten()
    }

    /// Replaces the inventory.
    pub(crate) fn apply(&mut self, inventory: InventoryFile) -> Result<u64, AdminError> {
        let client = self.client.as_mut().ok_or_else(away)?;
        answered(&self.runtime, client.apply_inventory(inventory))
    }

    /// Publishes a policy.
    pub(crate) fn publish(&mut self, text: &str) -> Result<u64, AdminError> {
        let client = self.client.as_mut().ok_or_else(away)?;
        answered(&self.runtime, client.publish(text))
    }

    /// Quarantines a VM or releases it.
    pub(crate) fn quarantine(&mut self, vm: &str, on: bool) -> Result<u64, AdminError> {
        let client = self.client.as_mut().ok_or_else(away)?;
        answered(&self.runtime, async { if on { client.quarantine(vm).await } else { client.release(vm).await } })
    }

    /// What the center knows: its agents as they are, and a page of the records behind the one with this number.
    pub(crate) fn what_stands(&mut self, after: u64) -> Result<(CenterStatus, Vec<StoredRecord>), AdminError> {
        let client = self.client.as_mut().ok_or_else(away)?;
        answered(&self.runtime, async {
            let records = client.records(RecordQuery { after, ..RecordQuery::default() }).await?;
            Ok((client.status().await?, records))
        })
    }

    /// Makes join tokens, one for each VM.
    pub(crate) fn tokens(&mut self, vms: &[String]) -> Result<Vec<String>, AdminError> {
        let client = self.client.as_mut().ok_or_else(away)?;
        answered(&self.runtime, async {
            let mut tokens = Vec::with_capacity(vms.len());
            for vm in vms {
                tokens.push(client.token(vm, TOKEN).await?);
            }
            Ok(tokens)
        })
    }
}

/// Waits for the center's answer, but not for ever.
fn answered<T>(runtime: &Runtime, asked: impl Future<Output = Result<T, AdminError>>) -> Result<T, AdminError> {
    let silent = || AdminError::Unavailable(format!("no answer in {} s", LAST_RESORT.as_secs()));
    runtime.block_on(async { timeout(LAST_RESORT, asked).await }).unwrap_or_else(|_| Err(silent()))
}

fn away() -> AdminError {
    AdminError::Unavailable("it does not run".into())
}

/// Hands on what the center tells, until it ends or nobody listens.
async fn forward<S>(mut events: S, sender: Sender<CenterEvent>)
where
    S: Stream<Item = Result<CenterEvent, AdminError>> + Unpin,
{
    while let Some(Ok(event)) = events.next().await {
        if sender.send(event).await.is_err() {
            break;
        }
    }
}
