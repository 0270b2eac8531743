//! Processes that end and begin, and partitions.

use policy::{Name, Outage};

use super::State;
use crate::scenario::{Act, Party, Process};

impl State {
    /// Without its center an agent ends its policy, where the policy says so.
    pub(super) fn lapse(&mut self, vm: &Name) -> Result<(), String> {
        if !self.is_alive(vm) || self.is_connected(vm) {
            return Err(format!("`{vm}` has no living agent that does not reach its center"));
        }
        let held = self.held.get(vm).and_then(|held| held.policy.as_ref());
        match held.map(|held| held.policy.outage) {
            None | Some(Outage::KeepLast) => Err(format!("the policy of `{vm}` is never over without the center")),
            Some(Outage::Closed | Outage::Lease(_)) if self.over.insert(vm.clone()) => Ok(()),
            Some(Outage::Closed | Outage::Lease(_)) => Err(format!("the policy of `{vm}` is over already")),
        }
    }

    pub(super) fn process(&mut self, act: Act, process: &Process) -> Result<(), String> {
        let (name, exists) = match process {
            Process::Agent(vm) => (format!("the agent of `{vm}`"), self.is_managed(vm)),
            Process::Center => ("the center".to_owned(), true),
        };
        if !exists {
            return Err(format!("there is no VM with an agent of that name at this point, so {name} is not there"));
        }
        let running = !self.down.contains(process);
        match (act, running) {
            (Act::Kill | Act::Stop, true) => drop(self.down.insert(process.clone())),
            (Act::Start, false) => drop(self.down.remove(process)),
            (Act::Restart, _) => drop(self.down.remove(process)),
            (Act::Kill | Act::Stop, false) => return Err(format!("{name} does not run at this point")),
            (Act::Start, true) => return Err(format!("{name} runs at this point")),
        }
        if let (Act::Start | Act::Restart, Process::Agent(vm)) = (act, process) {
            self.timeless.insert(vm.clone());
        }
        Ok(())
    }

    pub(super) fn partition(&mut self, a: &[Party], b: &[Party]) -> Result<(), String> {
        for party in a.iter().chain(b) {
            let (known, name) = match party {
                Party::Host(host) => (self.hosts.contains(host), host.as_str()),
                Party::Station(name) => (self.endpoints().any(|other| other == name), name.as_str()),
                Party::Center => (true, "center"),
            };
            if !known {
                return Err(format!("there is no `{name}` at this point"));
            }
        }
        if let Some(both) = a.iter().find(|party| b.contains(party)) {
            return Err(format!("a partition has two sides, and {both:?} stands on both"));
        }
        let pairs = a.iter().flat_map(|x| b.iter().map(move |y| (x.min(y).clone(), x.max(y).clone())));
        self.cuts.extend(pairs);
        Ok(())
    }
}
