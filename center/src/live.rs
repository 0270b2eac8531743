//! The live sessions: one seat a VM.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use policy::Name;
use tokio::sync::{Notify, watch};

/// How often a newcomer tries for a seat that others race for.
const TRIES: u32 = 4;

/// How many copies of one VM may have a session beside the VM's own.
const BESIDE: usize = 4;

/// Who sits where.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    seats: Mutex<BTreeMap<Name, Sitting>>,
    /// Copies of a VM, which have a session, and not its seat.
    beside: Mutex<BTreeMap<Name, Vec<Weak<Signals>>>>,
}

/// How the registry reaches a session.
#[derive(Clone, Debug)]
struct Sitting {
    heard: watch::Receiver<()>,
    signals: Arc<Signals>,
}

/// What others ask of a session.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Show that the agent lives: send it a heartbeat.
    pub(crate) nudge: Notify,
    /// End.
    pub(crate) stop: Notify,
}

/// A VM's one live session, or that of a copy beside it.
#[derive(Debug)]
#[must_use]
pub(crate) struct Seat {
    vm: Name,
    copy: bool,
    heard: watch::Sender<()>,
    signals: Arc<Signals>,
}

impl Seat {
    /// Whose it is.
    pub(crate) fn vm(&self) -> &Name {
        &self.vm
    }

    /// A copy of the VM has it: its key is in two places.
    pub(crate) fn is_copy(&self) -> bool {
        self.copy
    }

    /// Its agent said something.
    pub(crate) fn heard(&self) {
        self.heard.send_replace(());
    }

    /// What others ask of it.
    pub(crate) fn signals(&self) -> &Signals {
        &self.signals
    }
}

impl Registry {
    /// Takes a VM's seat. If another session has it, that one must show within `patience` that its agent lives, or it
    /// is ended; `None` where it does.
    pub(crate) async fn take(&self, vm: &Name, patience: Duration) -> Option<Seat> {
        for _ in 0..TRIES {
            let mut sitting = match self.sit(vm) {
                Ok(seat) => return Some(seat),
                Err(sitting) => sitting,
            };
            sitting.heard.mark_unchanged();
            sitting.signals.nudge.notify_one();
            match tokio::time::timeout(patience, sitting.heard.changed()).await {
                Ok(Ok(())) => return None,
                Ok(Err(_)) | Err(_) => self.evict(vm, &sitting.signals),
            }
        }
        None
    }

    /// Gives a seat back; false where a newer session has it.
    pub(crate) fn vacate(&self, seat: Seat) -> bool {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let own = seats.get(&seat.vm).is_some_and(|sitting| Arc::ptr_eq(&sitting.signals, &seat.signals));
        if own {
            seats.remove(&seat.vm);
        }
        own
    }

    /// A session for a copy of a VM; `None` where there are too many.
    pub(crate) fn beside(&self, vm: &Name) -> Option<Seat> {
        let mut beside = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        let copies = beside.entry(vm.clone()).or_default();
        copies.retain(|copy| copy.strong_count() > 0);
        let signals = Arc::new(Signals::default());
        let room = copies.len() < BESIDE;
        copies.extend(room.then(|| Arc::downgrade(&signals)));
        room.then(|| Seat { vm: vm.clone(), copy: true, heard: watch::channel(()).0, signals })
    }

    /// Ends a VM's session, if it has one, and those of its copies.
    pub(crate) fn stop(&self, vm: &Name) {
        let seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sitting) = seats.get(vm) {
            sitting.signals.stop.notify_one();
        }
        let mut beside = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        let copies = beside.remove(vm).unwrap_or_default();
        copies.iter().filter_map(Weak::upgrade).for_each(|signals| signals.stop.notify_one());
    }

    fn sit(&self, vm: &Name) -> Result<Seat, Sitting> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sitting) = seats.get(vm) {
            return Err(sitting.clone());
        }
        let (heard, receiver) = watch::channel(());
        let signals = Arc::new(Signals::default());
        seats.insert(vm.clone(), Sitting { heard: receiver, signals: signals.clone() });
        Ok(Seat { vm: vm.clone(), copy: false, heard, signals })
    }

    fn evict(&self, vm: &Name, signals: &Arc<Signals>) {
        signals.stop.notify_one();
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if seats.get(vm).is_some_and(|sitting| Arc::ptr_eq(&sitting.signals, signals)) {
            seats.remove(vm);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_seat_that_was_lost_is_free_again() {
        let (registry, vm) = (Registry::default(), "db".parse().unwrap());
        drop(registry.take(&vm, LONG).await.unwrap());
        let second = registry.take(&vm, LONG).await.expect("nobody sits there");
        assert!(registry.vacate(second), "it is its own");
        assert!(registry.seats.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_silent_session_gives_way_and_a_living_one_does_not() {
        let (registry, vm): (Registry, Name) = (Registry::default(), "db".parse().unwrap());
        let silent = registry.take(&vm, LONG).await.unwrap();
        let newer = registry.take(&vm, Duration::from_millis(1)).await.expect("the other is silent");
        silent.signals().stop.notified().await;
        assert!(!registry.vacate(silent), "a newer one has it");
        let living = async {
            newer.signals().nudge.notified().await;
            newer.heard();
        };
        let (refused, ()) = tokio::join!(registry.take(&vm, LONG), living);
        assert!(refused.is_none());
        registry.stop(&vm);
        newer.signals().stop.notified().await;
        assert!(registry.vacate(newer));
    }
}
