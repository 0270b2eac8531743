//! Where everything meets: one model, one store, the live sessions, the watchers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use policy::{Mode, Name, Policy};
use tokio::sync::{Mutex, MutexGuard, broadcast, watch};
use wire::{Ack, AgentState, CenterEvent, CenterStatus, Hello, InventoryFile, PROTOCOL, Record, Suspension};

use crate::live::{Registry, Seat};
use crate::model::{Asked, Change, Model, Snapshot, failed, faults, prefixes};
use crate::pki::Authority;
use crate::store::{Advance, Store, StoreError};

/// How many events a watcher may be behind before it misses some.
const WATCHER_QUEUE: usize = 32_768;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HubError {
    /// The asker is at fault.
    #[error("{0}")]
    Refused(String),
    /// The store is.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The center's heart.
pub(crate) struct Hub<S> {
    pub(crate) store: S,
    pub(crate) authority: Authority,
    pub(crate) heartbeat: Duration,
    pub(crate) listen: SocketAddr,
    model: Mutex<Model>,
    live: Registry,
    snapshots: watch::Sender<Arc<Snapshot>>,
    events: broadcast::Sender<Arc<CenterEvent>>,
}

/// The most prefixes of a policy's selectors: what an agent is sent stays well below a message's limit.
const MOST_PREFIXES: usize = 1_000_000;

/// The center's time, in milliseconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

impl<S: Store> Hub<S> {
    /// A hub over what the store holds.
    pub(crate) async fn open(
        store: S,
        authority: Authority,
        listen: SocketAddr,
        heartbeat: Duration,
    ) -> Result<Self, StoreError> {
        let loaded = store.load().await?;
        let parse = |text: &String| policy::parse("the stored policy", text);
        let policy = loaded.policy.as_ref().map(parse).transpose();
        let policy = policy.map_err(|errors| StoreError::Content(policy::render_plain(&errors)))?.map(Arc::new);
        let model = Model::restore(loaded.generation, policy, loaded.inventory, loaded.standing, &loaded.enrolled);
        let snapshots = watch::Sender::new(Arc::new(model.snapshot()));
        let events = broadcast::Sender::new(WATCHER_QUEUE);
        let (model, live) = (Mutex::new(model), Registry::default());
        Ok(Self { store, authority, heartbeat, listen, model, live, snapshots, events })
    }

    /// Publishes a policy text.
    pub(crate) async fn publish(&self, text: &str) -> Result<u64, HubError> {
        let parsed = policy::parse("policy", text);
        let policy = parsed.map_err(|errors| HubError::Refused(policy::render_plain(&errors)))?;
        let prefixes = prefixes(&policy);
        if prefixes > MOST_PREFIXES {
            return Err(HubError::Refused(format!(
                "the selectors of this policy hold {prefixes} prefixes, and at most {MOST_PREFIXES} are sent to an agent"
            )));
        }
        let policy = Arc::new(policy);
        self.hold_claims(&policy).await?;
        self.change(Change::Policy(policy), Some(text)).await
    }

    /// Holds a policy against the claims of its authors, over the inventory as it is.
    async fn hold_claims(&self, policy: &Arc<Policy>) -> Result<(), HubError> {
        let (policy, inventory) = (Arc::clone(policy), self.model.lock().await.inventory().clone());
        // All pairs of VMs are looked at, beside what the sessions ask.
        let held = tokio::task::spawn_blocking(move || failed(&policy, &inventory, jiff::Timestamp::now())).await;
        let (failed, left_out) = held.map_err(|error| HubError::Refused(format!("hold the claims: {error}")))?;
        for why in left_out {
            self.audit("", &format!("a policy was not held against {why}")).await?;
        }
        if failed.is_empty() { Ok(()) } else { Err(HubError::Refused(failed.join("\n"))) }
    }

    /// Replaces the inventory.
    pub(crate) async fn apply_inventory(&self, file: InventoryFile) -> Result<u64, HubError> {
        let faults = faults(&file);
        if !faults.is_empty() {
            return Err(HubError::Refused(faults.join("\n")));
        }
        self.change(Change::Inventory(file), None).await
    }

    /// Quarantines a VM, or releases it.
    pub(crate) async fn quarantine(&self, vm: &str, on: bool) -> Result<u64, HubError> {
        let vm = self.managed(vm).await?;
        self.audit(vm.as_str(), if on { "quarantined" } else { "released from quarantine" }).await?;
        self.change(Change::Quarantine(vm, on), None).await
    }

    /// Has the rules at a VM act, or only record.
    pub(crate) async fn set_mode(&self, vm: &str, mode: Mode) -> Result<u64, HubError> {
        let vm = self.managed(vm).await?;
        let mut model = self.model.lock().await;
        let told = if mode == Mode::Monitor { "set to monitor" } else { "set to enforce" };
        self.audit(vm.as_str(), told).await?;
        let change = Change::Inventory(model.with_mode(&vm, mode));
        self.advance(&mut model, change, None).await?;
        self.release(&mut model).await?;
        Ok(model.generation())
    }

    /// An agent observes other addresses than before.
    pub(crate) async fn observes(&self, vm: &Name, addresses: &[IpAddr]) -> Result<(), StoreError> {
        let mut model = self.model.lock().await;
        self.observed(&mut model, vm, addresses).await?;
        self.release(&mut model).await
    }

    /// An agent's VM was suspended locally, or that has ended.
    pub(crate) async fn suspended(&self, vm: &Name, suspension: &Suspension) -> Result<(), StoreError> {
        let Suspension { left, by } = suspension;
        let mut model = self.model.lock().await;
        let until =
            (!left.is_zero()).then(|| now().saturating_add(i64::try_from(left.as_millis()).unwrap_or(i64::MAX)));
        let mut news = false;
        self.presence(&mut model, vm, |model| news = model.suspended(vm, until));
        if !news {
            return Ok(());
        }
        let detail = match until {
            Some(_) => format!("suspended locally for {} s by {by}: its rules only record", left.as_secs()),
            None => "its local suspension has ended".to_owned(),
        };
        self.alert(vm.as_str(), detail).await
    }

    /// A managed VM by its name.
    pub(crate) async fn managed(&self, vm: &str) -> Result<Name, HubError> {
        let model = self.model.lock().await;
        let unknown = || HubError::Refused(format!("the inventory has no managed vm `{vm}`"));
        model.managed(vm).cloned().ok_or_else(unknown)
    }

    /// What the center knows of its agents.
    pub(crate) async fn status(&self) -> CenterStatus {
        let model = self.model.lock().await;
        CenterStatus {
            generation: model.generation(),
            agents: model.agents(),
            listen: Some(self.listen),
            held: model.held(),
        }
    }

    /// The events from here on, and the states with which they begin.
    pub(crate) async fn watch(&self) -> (Vec<CenterEvent>, broadcast::Receiver<Arc<CenterEvent>>) {
        let model = self.model.lock().await;
        let mut first: Vec<CenterEvent> = model.agents().into_iter().map(CenterEvent::Agent).collect();
        if model.generation() > 0 {
            first.push(CenterEvent::Published { generation: model.generation() });
        }
        (first, self.events.subscribe())
    }

    /// The newest generation, now and whenever it changes.
    pub(crate) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }

    /// Notes something for the auditors.
    pub(crate) async fn audit(&self, vm: &str, detail: &str) -> Result<(), StoreError> {
        tracing::info!(vm, detail, "audit");
        self.store.audit(vm, detail, now()).await
    }

    /// Notes something, and tells the watchers of it.
    pub(crate) async fn alert(&self, vm: &str, detail: String) -> Result<(), StoreError> {
        tracing::warn!(vm, detail, "alert");
        self.store.audit(vm, &detail, now()).await?;
        self.tell(CenterEvent::Alert { vm: vm.to_owned(), detail });
        Ok(())
    }

    /// A VM has its certificate. A session that another certificate opened ends: its key may be why there is a new one.
    pub(crate) async fn enrolled(&self, vm: &Name) -> Result<(), StoreError> {
        let mut model = self.model.lock().await;
        let before = model.agents();
        model.enrolled(vm);
        self.live.stop(vm);
        self.advance(&mut model, Change::Rekeyed(vm.clone()), None).await?;
        self.tell_changes(&before, &model);
        Ok(())
    }

    /// Begins a session.
    pub(crate) async fn join(&self, vm: &str, hello: &Hello) -> Result<Seat, HubError> {
        speaks(hello.protocol).map_err(HubError::Refused)?;
        let vm = self.managed(vm).await?;
        let is_copy = self.model.lock().await.is_copy(&vm, &hello.boot);
        let seat = if is_copy { None } else { self.live.take(&vm, self.heartbeat * 2).await };
        let Some(seat) = seat else { return self.join_beside(&vm, hello).await };
        if let Err(error) = self.seated(&vm, hello).await {
            self.leave(seat).await?;
            return Err(error.into());
        }
        Ok(seat)
    }

    /// A key is in two places: the newer session goes on in quarantine. Each copy is noted and told once.
    async fn join_beside(&self, vm: &Name, hello: &Hello) -> Result<Seat, HubError> {
        let mut model = self.model.lock().await;
        let before = model.agents();
        let first = model.cloned(vm);
        self.tell_changes(&before, &model);
        // The same life of the same agent twice: which of the two it is nobody can tell, and who came first goes on.
        if model.is_life(vm, &hello.boot) {
            let detail = "a second live session of the same life was refused: the key may be cloned".to_owned();
            if first {
                self.alert(vm.as_str(), detail.clone()).await?;
            }
            return Err(HubError::Refused(detail));
        }
        let change = Change::Cloned(vm.clone(), hello.boot.clone());
        if model.is_news(&change) {
            let detail = "a second live session with the same key: the key is cloned, and the newer one quarantined";
            self.alert(vm.as_str(), detail.to_owned()).await?;
            self.advance(&mut model, change, None).await?;
        }
        self.live.beside(vm).ok_or_else(|| HubError::Refused("too many have this key".to_owned()))
    }

    async fn seated(&self, vm: &Name, hello: &Hello) -> Result<(), StoreError> {
        let mut model = self.model.lock().await;
        self.presence(&mut model, vm, |model| model.joined(vm, &hello.boot, hello.generation));
        self.observed(&mut model, vm, &hello.addresses).await?;
        self.release(&mut model).await
    }

    /// Ends a session, unless a newer one has its seat.
    pub(crate) async fn leave(&self, seat: Seat) -> Result<(), StoreError> {
        let mut model = self.model.lock().await;
        let vm = seat.vm().clone();
        if self.live.vacate(seat) {
            self.presence(&mut model, &vm, |model| model.left(&vm));
        }
        self.release(&mut model).await
    }

    /// A session fell silent then, or speaks again; of a copy's nothing follows.
    pub(crate) async fn silent(&self, seat: &Seat, since: Option<i64>) {
        if seat.is_copy() {
            return;
        }
        let mut model = self.model.lock().await;
        self.presence(&mut model, seat.vm(), |model| model.silent(seat.vm(), since));
    }

    /// An agent answered a generation.
    pub(crate) async fn acked(&self, vm: &Name, ack: &Ack) -> Result<(), StoreError> {
        let mut model = self.model.lock().await;
        let before = model.agent(vm);
        if let Err(error) = model.acked(vm, ack) {
            return self.alert(vm.as_str(), error.to_string()).await;
        }
        let after = model.agent(vm);
        if let Some(state) = after.filter(|after| before.as_ref() != Some(after)) {
            self.tell(CenterEvent::Agent(state));
        }
        self.release(&mut model).await
    }

    /// Keeps records, and tells the watchers those that are new.
    pub(crate) async fn append(&self, batch: Vec<Record>) -> Result<(), StoreError> {
        for record in self.store.append(batch).await? {
            self.heed(&record).await?;
            self.tell(CenterEvent::Record(Box::new(record)));
        }
        Ok(())
    }

    /// Does what an alert asks for.
    async fn heed(&self, record: &Record) -> Result<(), StoreError> {
        let mut model = self.model.lock().await;
        match model.asked(record) {
            None => Ok(()),
            Some(Asked::Vain(why)) => self.alert(&record.key.vm, format!("{}: {why}", record.rule)).await,
            Some(Asked::Detain(vm, time)) => {
                let detail =
                    format!("quarantined for {} s: {}, told by `{}`", time.as_secs(), record.rule, record.key.vm);
                self.audit(vm.as_str(), &detail).await?;
                let until = now().saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
                self.advance(&mut model, Change::Detain(vm, until), None).await
            }
        }
    }

    /// Releases those whose time in quarantine is over.
    pub(crate) async fn release_due(&self) -> Result<(), StoreError> {
        let mut model = self.model.lock().await;
        for vm in model.due(now()) {
            self.audit(vm.as_str(), "released from quarantine: its time is over").await?;
            self.advance(&mut model, Change::Quarantine(vm, false), None).await?;
        }
        Ok(())
    }

    async fn change(&self, change: Change, text: Option<&str>) -> Result<u64, HubError> {
        let mut model = self.model.lock().await;
        self.advance(&mut model, change, text).await?;
        self.release(&mut model).await?;
        Ok(model.generation())
    }

    /// Begins a generation, if the change changes anything.
    async fn advance(
        &self,
        model: &mut MutexGuard<'_, Model>,
        change: Change,
        text: Option<&str>,
    ) -> Result<(), StoreError> {
        if !model.is_news(&change) {
            return Ok(());
        }
        let before = model.agents();
        let inventory = if let Change::Inventory(file) = &change { Some(file) } else { None };
        let (standing, removed) = (model.propose(&change), model.removed_by(&change));
        let generation = self.store.advance(Advance { policy: text, inventory, standing, removed, now: now() }).await?;
        for vm in model.apply(change, generation) {
            self.live.stop(&vm);
        }
        self.snapshots.send_replace(Arc::new(model.snapshot()));
        self.tell(CenterEvent::Published { generation });
        self.tell_changes(&before, model);
        Ok(())
    }

    async fn release(&self, model: &mut MutexGuard<'_, Model>) -> Result<(), StoreError> {
        if model.release_is_due() { self.advance(model, Change::Release, None).await } else { Ok(()) }
    }

    async fn observed(
        &self,
        model: &mut MutexGuard<'_, Model>,
        vm: &Name,
        addresses: &[IpAddr],
    ) -> Result<(), StoreError> {
        for (address, owner) in model.conflicts(vm, addresses) {
            self.alert(vm.as_str(), format!("it observes {address}, which belongs to `{owner}`")).await?;
        }
        self.advance(model, Change::Observed(vm.clone(), addresses.to_vec()), None).await
    }

    fn presence(&self, model: &mut MutexGuard<'_, Model>, vm: &Name, change: impl FnOnce(&mut Model)) {
        let before = model.agent(vm);
        change(model);
        if let Some(state) = model.agent(vm).filter(|after| before.as_ref() != Some(after)) {
            self.tell(CenterEvent::Agent(state));
        }
    }

    fn tell_changes(&self, before: &[AgentState], model: &Model) {
        for state in model.agents().into_iter().filter(|state| !before.contains(state)) {
            self.tell(CenterEvent::Agent(state));
        }
    }

    /// Tells the watchers, if there are any.
    fn tell(&self, event: CenterEvent) {
        drop(self.events.send(Arc::new(event)));
    }
}

/// Whether this center speaks an agent's version of the protocol.
fn speaks(protocol: u32) -> Result<(), String> {
    if protocol > PROTOCOL {
        return Err(format!("the agent speaks protocol {protocol}, this center {PROTOCOL}: update the center first"));
    }
    if protocol + 1 < PROTOCOL || protocol == 0 {
        return Err(format!("the agent speaks protocol {protocol}, which this center of {PROTOCOL} no longer does"));
    }
    Ok(())
}
