//! The difference of two states: what the world must do to get from one to the other.

use std::sync::Arc;

use policy::Name;

use super::State;
use crate::scenario::{PolicyText, VmSpec};

/// What the world must do to get from one state to another, apart from processes, sessions and partitions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transition {
    /// The VMs to remove, before all else.
    pub removed: Vec<Name>,
    /// The VMs to add.
    pub added: Vec<Name>,
    /// The VMs to move, each with its new host.
    pub moved: Vec<(Name, Name)>,
    /// The inventory differs (labels, VMs, addresses, quarantines).
    pub inventory: bool,
    /// The policy to publish, where it differs.
    pub policy: Option<Arc<PolicyText>>,
}

impl Transition {
    /// The difference of two states.
    #[must_use]
    pub fn between(before: &State, after: &State) -> Self {
        let same = |a: &VmSpec, b: &VmSpec| {
            a.addresses == b.addresses && a.agent == b.agent && a.serves == b.serves && a.speaks == b.speaks
        };
        let kept = |from: &State, vm: &Name, spec: &VmSpec| from.vms.get(vm).is_some_and(|other| same(other, spec));
        let only = |state: &State, other: &State| -> Vec<Name> {
            state.vms.iter().filter(|(vm, spec)| !kept(other, vm, spec)).map(|(vm, _)| vm.clone()).collect()
        };
        let moved = |(vm, spec): (&Name, &VmSpec)| {
            let old = before.vms.get(vm).filter(|old| same(old, spec) && old.host != spec.host);
            old.map(|_| (vm.clone(), spec.host.clone()))
        };
        Self {
            removed: only(before, after),
            added: only(after, before),
            moved: after.vms.iter().filter_map(moved).collect(),
            inventory: before.inventory() != after.inventory(),
            policy: (before.policy != after.policy).then(|| after.policy.clone()).flatten(),
        }
    }
}
