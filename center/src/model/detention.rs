//! Quarantines for a time, which a policy's detectors ask for.

use std::time::Duration;

use policy::{Detector, Name, Response, Selector};
use wire::{Kind, Record};

use super::Model;
use super::binding::Standing;

/// What an alert asks of the center.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A VM is to be quarantined, so long.
    Detain(Name, Duration),
    /// A VM would be, but cannot be: why.
    Vain(String),
}

impl Model {
    /// What a record asks for. The policy decides, not the agent: it must have such a detector, which watches this
    /// source at this agent.
    pub(crate) fn asked(&self, record: &Record) -> Option<Asked> {
        let name = record.rule.strip_prefix(Detector::PREFIX).filter(|_| record.kind == Kind::Alert)?;
        let detector = self.policy.as_ref()?.detect.iter().find(|detector| detector.full_name() == name)?;
        let Response::Quarantine(time) = detector.then else { return None };
        let vm = record.source.vm.as_deref()?;
        let told_by = record.key.vm.as_str();
        let own = !detector.watch.is_at_source() || told_by == vm;
        let there = detector.watch.is_at_source() || self.is_in(&detector.to, told_by);
        if !own || !there || !self.is_in(&detector.from, vm) {
            return Some(Asked::Vain(format!("`{told_by}` names `{vm}`, which `{name}` does not watch there")));
        }
        match self.managed(vm) {
            Some(vm) => Some(Asked::Detain(vm.clone(), time)),
            None => Some(Asked::Vain(format!("`{vm}` has no agent that could keep it"))),
        }
    }

    fn is_in(&self, selector: &Selector, vm: &str) -> bool {
        let found = self.inventory.vms.iter().find(|(name, _)| name.as_str() == vm);
        found.is_some_and(|(_, vm)| selector.matches(&vm.labels))
    }

    /// The VMs whose time is over.
    pub(crate) fn due(&self, now: i64) -> Vec<Name> {
        let due = self.standing.detained.iter().filter(|(_, until)| **until <= now);
        due.map(|(vm, _)| vm.clone()).collect()
    }
}

impl Standing {
    /// After a VM was quarantined until an instant. Whom an operator quarantined stays so, and a longer time stands.
    pub(crate) fn detaining(&self, vm: &Name, until: i64) -> Self {
        let mut next = self.clone();
        let known = self.detained.get(vm).copied();
        if known.is_none() && self.quarantined.contains(vm) {
            return next;
        }
        next.quarantined.insert(vm.clone());
        next.detained.insert(vm.clone(), known.map_or(until, |known| known.max(until)));
        next
    }
}
