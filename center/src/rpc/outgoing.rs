//! What goes out to one agent. A view is cut when the transport has room for it, and not before: while one is under way,
//! however long that takes, none waits, and those that are published meanwhile are skipped but for the newest.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::stream::{self, Stream};
use policy::Name;
use tokio::sync::{mpsc, watch};
use tonic::Status;
use wire::{FromCenter, Seal, proto};

use crate::hub::{Hub, now};
use crate::model::Snapshot;
use crate::store::Store;

/// The generation of which an agent is to have its view.
#[derive(Clone, Debug)]
pub(super) struct Due {
    pub(super) vm: Name,
    pub(super) snapshot: Arc<Snapshot>,
    /// It goes to a copy of the VM, which is left nothing but its channel.
    pub(super) copy: bool,
    /// The agent takes its views under seal.
    pub(super) seals: bool,
}

/// The outgoing half of a session.
pub(super) struct Outgoing<S> {
    pub(super) hub: Arc<Hub<S>>,
    pub(super) words: mpsc::Receiver<Result<proto::FromCenter, Status>>,
    pub(super) views: watch::Receiver<Option<Due>>,
    pub(super) center: Option<SocketAddr>,
}

impl<S: Store> Outgoing<S> {
    /// Words in their order, and views when they are due; ends with the session.
    pub(super) fn stream(self) -> impl Stream<Item = Result<proto::FromCenter, Status>> + Send {
        stream::unfold(self, |mut outgoing| async { Some((outgoing.next().await?, outgoing)) })
    }

    async fn next(&mut self) -> Option<Result<proto::FromCenter, Status>> {
        loop {
            tokio::select! {
                biased;
                word = self.words.recv() => return word,
                Ok(()) = self.views.changed() => {
                    let due = self.views.borrow_and_update().clone();
                    if let Some(view) = due.and_then(|due| self.view(&due)) {
                        return Some(Ok(view));
                    }
                }
            }
        }
    }

    fn view(&self, due: &Due) -> Option<proto::FromCenter> {
        let mut view = due.snapshot.view_for(due.vm.as_str(), self.center, now())?;
        view.quarantined |= due.copy;
        tracing::debug!(vm = %due.vm, generation = view.generation, "a view goes out");
        if !due.seals {
            return Some(FromCenter::View(Box::new(view)).into());
        }
        match Seal::new(view, |bytes| self.hub.authority.sign(bytes)) {
            Ok(seal) => Some(seal.into()),
            Err(error) => {
                tracing::error!(vm = %due.vm, %error, "a view was not sealed and does not go out");
                None
            }
        }
    }
}
