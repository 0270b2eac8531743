//! The pure model: which VM is who, what holds, and which view each agent gets. No clock, no store, no socket.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use policy::{Mode, Name, Policy};
use wire::{Ack, AckResult, AgentState, InventoryFile, InventoryVm, Presence};

mod binding;
mod claims;
mod detention;
mod distinct;
mod inventory;
mod resolve;
mod snapshot;
#[cfg(test)]
mod tests;

pub(crate) use binding::{Standing, conflicts};
pub(crate) use claims::failed;
pub(crate) use detention::Asked;
pub(crate) use inventory::faults;
pub(crate) use resolve::prefixes;
pub(crate) use snapshot::Snapshot;

/// The most characters of an agent's reason for refusing a generation.
const REASON: usize = 2000;

/// What may change with one generation.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// A policy was published.
    Policy(Arc<Policy>),
    /// The inventory was replaced.
    Inventory(InventoryFile),
    /// A VM was quarantined or released.
    Quarantine(Name, bool),
    /// A VM was quarantined until an instant, in milliseconds since the Unix epoch.
    Detain(Name, i64),
    /// An agent observes these addresses (semantics 32).
    Observed(Name, Vec<IpAddr>),
    /// A copy of a VM was found: the life of its agent has this name.
    Cloned(Name, String),
    /// A VM has a new key, which nobody has copied yet.
    Rekeyed(Name),
    /// Every connected agent has acknowledged a withdrawal: reused addresses go to their new owners (semantics 3).
    Release,
}

/// What the center knows of one agent while it runs.
#[derive(Clone, Debug, Default)]
struct Agent {
    presence: Option<Presence>,
    /// The life that had the last session.
    boot: String,
    /// A session stands.
    seated: bool,
    /// Nothing was heard since, and nothing says that it ended.
    stale_since: Option<i64>,
    enrolled: bool,
    acked: u64,
    refused: Option<(u64, String)>,
    /// Sessions of copies: another with the same key lived.
    clones: u64,
    /// Its VM is suspended locally until then, in milliseconds since the Unix epoch.
    suspended_until: Option<i64>,
}

/// Everything that holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    generation: u64,
    policy: Option<Arc<Policy>>,
    inventory: InventoryFile,
    standing: Standing,
    agents: BTreeMap<Name, Agent>,
}

/// Why an acknowledgement is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it acknowledged generation {acked}, and the newest is {newest}")]
pub(crate) struct FalseAck {
    acked: u64,
    newest: u64,
}

/// The beginning of a reason: it is kept and told to every watcher, and an agent may send a long one.
fn shortened(reason: &str) -> String {
    reason.chars().take(REASON).collect()
}

impl Model {
    /// The model as a store kept it.
    pub(crate) fn restore(
        generation: u64,
        policy: Option<Arc<Policy>>,
        inventory: InventoryFile,
        standing: Standing,
        enrolled: &[Name],
    ) -> Self {
        let mut model = Self { generation, policy, inventory, standing, agents: BTreeMap::new() };
        model.keep_agents();
        for vm in enrolled {
            model.enrolled(vm);
        }
        model
    }

    /// The newest generation; 0 before the first change.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The inventory.
    pub(crate) fn inventory(&self) -> &InventoryFile {
        &self.inventory
    }

    /// A managed VM of the inventory.
    pub(crate) fn managed(&self, vm: &str) -> Option<&Name> {
        let found = self.inventory.vms.iter().find(|(name, _)| name.as_str() == vm);
        found.filter(|(_, vm)| vm.managed).map(|(name, _)| name)
    }

    /// Whether a change would change anything. A published policy and an inventory always begin a generation.
    pub(crate) fn is_news(&self, change: &Change) -> bool {
        match change {
            Change::Policy(_) | Change::Inventory(_) => true,
            Change::Quarantine(..)
            | Change::Detain(..)
            | Change::Observed(..)
            | Change::Cloned(..)
            | Change::Rekeyed(_)
            | Change::Release => self.propose(change) != self.standing,
        }
    }

    /// What would stand beside policy and inventory after a change. Addresses that begin to be held carry generation 0
    /// until the store has given the number.
    pub(crate) fn propose(&self, change: &Change) -> Standing {
        match change {
            Change::Policy(_) => self.standing.clone(),
            Change::Inventory(file) => self.standing.moved(&self.inventory, file),
            Change::Quarantine(vm, on) => self.standing.quarantining(vm, *on),
            Change::Detain(vm, until) => self.standing.detaining(vm, *until),
            Change::Cloned(vm, boot) => self.standing.cloning(vm, boot),
            Change::Rekeyed(vm) => self.standing.rekeying(vm),
            Change::Observed(vm, addresses) => self.standing.observing(&self.inventory, vm, addresses),
            Change::Release => self.standing.releasing(),
        }
    }

    /// Takes a change over under the generation that the store gave it, and tells which managed VMs are gone.
    pub(crate) fn apply(&mut self, change: Change, generation: u64) -> Vec<Name> {
        self.standing = self.propose(&change);
        self.standing.settle(generation);
        self.generation = generation;
        match change {
            Change::Policy(policy) => self.policy = Some(policy),
            Change::Inventory(file) => self.inventory = file,
            Change::Quarantine(..)
            | Change::Detain(..)
            | Change::Observed(..)
            | Change::Cloned(..)
            | Change::Rekeyed(_)
            | Change::Release => {}
        }
        self.keep_agents()
    }

    /// The managed VMs that an inventory no longer has.
    pub(crate) fn removed_by(&self, change: &Change) -> Vec<Name> {
        let Change::Inventory(file) = change else { return Vec::new() };
        let stays = |name: &&Name| file.vms.get(*name).is_some_and(|vm| vm.managed);
        self.agents.keys().filter(|name| !stays(name)).cloned().collect()
    }

    fn keep_agents(&mut self) -> Vec<Name> {
        let managed = |vm: &InventoryVm| vm.managed;
        let gone = |name: &&Name| !self.inventory.vms.get(*name).is_some_and(managed);
        let gone: Vec<Name> = self.agents.keys().filter(gone).cloned().collect();
        self.agents.retain(|name, _| !gone.contains(name));
        for (name, _) in self.inventory.vms.iter().filter(|(_, vm)| vm.managed) {
            self.agents.entry(name.clone()).or_default();
        }
        gone
    }

    /// An agent has its certificate.
    pub(crate) fn enrolled(&mut self, vm: &Name) {
        if let Some(agent) = self.agents.get_mut(vm) {
            agent.enrolled = true;
            // A new key is in one place until the contrary is seen.
            agent.clones = 0;
        }
    }

    /// A copy of a VM came: its key is in two places. True for the first one since the center started.
    pub(crate) fn cloned(&mut self, vm: &Name) -> bool {
        let Some(agent) = self.agents.get_mut(vm) else { return false };
        agent.clones = agent.clones.saturating_add(1);
        agent.clones == 1
    }

    /// Whether a VM's last session was of this life of its agent.
    pub(crate) fn is_life(&self, vm: &Name, boot: &str) -> bool {
        self.agents.get(vm).is_some_and(|agent| agent.boot == boot)
    }

    /// Whether this life of an agent is known for that of a copy.
    pub(crate) fn is_copy(&self, vm: &Name, boot: &str) -> bool {
        self.standing.copies.get(vm).is_some_and(|boots| boots.contains(boot))
    }

    /// An agent's session began. What it holds already counts as acknowledged.
    pub(crate) fn joined(&mut self, vm: &Name, boot: &str, holds: u64) {
        let newest = self.generation;
        if let Some(agent) = self.agents.get_mut(vm) {
            (agent.presence, agent.seated, agent.stale_since) = (Some(Presence::Online), true, None);
            agent.acked = if holds <= newest { holds } else { 0 };
            boot.clone_into(&mut agent.boot);
        }
    }

    /// An agent's session ended. Whether one that was silent still lives, nobody knows.
    pub(crate) fn left(&mut self, vm: &Name) {
        if let Some(agent) = self.agents.get_mut(vm) {
            agent.seated = false;
            agent.presence = agent.stale_since.map_or(Some(Presence::Offline), |_| Some(Presence::Stale));
        }
    }

    /// An agent was last heard then, too long ago; `None`: it speaks again.
    pub(crate) fn silent(&mut self, vm: &Name, since: Option<i64>) {
        if let Some(agent) = self.agents.get_mut(vm) {
            agent.presence = Some(since.map_or(Presence::Online, |_| Presence::Stale));
            agent.stale_since = since;
        }
    }

    /// An agent's VM is suspended until then, or no longer. Whether that is news.
    pub(crate) fn suspended(&mut self, vm: &Name, until: Option<i64>) -> bool {
        let Some(agent) = self.agents.get_mut(vm) else { return false };
        let before = std::mem::replace(&mut agent.suspended_until, until);
        // Told again at each session, the end differs by what the word was under way.
        before.is_some() != until.is_some()
    }

    /// The inventory with one VM's mode.
    pub(crate) fn with_mode(&self, vm: &Name, mode: Mode) -> InventoryFile {
        let mut file = self.inventory.clone();
        if let Some(vm) = file.vms.get_mut(vm) {
            vm.mode = mode;
        }
        file
    }

    /// An agent answered a generation.
    pub(crate) fn acked(&mut self, vm: &Name, ack: &Ack) -> Result<(), FalseAck> {
        if ack.generation > self.generation {
            return Err(FalseAck { acked: ack.generation, newest: self.generation });
        }
        let Some(agent) = self.agents.get_mut(vm) else { return Ok(()) };
        match &ack.result {
            AckResult::InForce => agent.acked = ack.generation,
            AckResult::Refused { reason } => agent.refused = Some((ack.generation, shortened(reason))),
        }
        Ok(())
    }

    /// Forgets withdrawals that every connected agent has acknowledged. True where a new owner waits for such an
    /// address, which takes a generation ([`Change::Release`]).
    pub(crate) fn release_is_due(&mut self) -> bool {
        let slowest = self.agents.values().filter(|agent| agent.seated).map(|agent| agent.acked).min();
        if !self.standing.is_due(slowest.unwrap_or(self.generation)) {
            return false;
        }
        let awaited = self.standing.is_awaited(&self.inventory);
        if !awaited {
            self.standing.held.clear();
        }
        awaited
    }

    /// The reused addresses that wait for their new owner.
    pub(crate) fn held(&self) -> Vec<IpAddr> {
        self.standing.held.keys().copied().collect()
    }

    /// The addresses that an agent may not have though it observes them, each with its owner.
    pub(crate) fn conflicts(&self, vm: &Name, addresses: &[IpAddr]) -> Vec<(IpAddr, Name)> {
        conflicts(&self.inventory, &self.standing, vm, addresses)
    }

    /// The state of one agent.
    pub(crate) fn agent(&self, vm: &Name) -> Option<AgentState> {
        let agent = self.agents.get(vm)?;
        let unseen = if agent.enrolled { Presence::Offline } else { Presence::Unenrolled };
        Some(AgentState {
            vm: vm.to_string(),
            presence: agent.presence.unwrap_or(unseen),
            acked: agent.acked,
            refused: agent.refused.clone(),
            quarantined: self.standing.quarantined.contains(vm),
            clones: agent.clones.max(self.standing.copies.get(vm).map_or(0, |boots| boots.len() as u64)),
            stale_since: agent.stale_since,
            suspended_until: agent.suspended_until,
        })
    }

    /// The state of every agent.
    pub(crate) fn agents(&self) -> Vec<AgentState> {
        self.agents.keys().filter_map(|vm| self.agent(vm)).collect()
    }

    /// The state from which every agent's view is made.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.generation, self.policy.as_deref(), &self.inventory, &self.standing)
    }
}
