//! Paths: cut, slow, and healed.

use std::sync::Arc;
use std::time::Duration;

use lab::{Cut, Place, Quality};
use policy::Name;

use super::{CENTER, Sabotage, World};
use crate::scenario::{Party, PathChange};
use crate::state::State;
use crate::witness::account::{Account, LAST_RESORT};

/// How much longer than its text a view may be, two of which may be on their way one behind the other.
const LONGER: u64 = 4;

impl World {
    pub(super) fn partition(&mut self, a: &[Party], b: &[Party]) -> Result<(), String> {
        if self.programs.sabotage == Some(Sabotage::WholePaths) {
            return Ok(());
        }
        let side = |parties: &[Party]| parties.iter().map(place).collect::<Vec<_>>();
        let cut = Cut::Silent { one: side(a), other: side(b) };
        self.cuts.push(self.lab.cut(cut).map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Undoes what was done to paths.
    pub(super) fn heal(&mut self, before: &State) -> Result<(), String> {
        self.cuts.clear();
        for (a, b) in before.paths.keys() {
            self.lab.qualify(a.as_str(), b.as_str(), Quality::default()).map_err(|error| error.to_string())?;
        }
        before
            .slow
            .keys()
            .try_for_each(|vm| self.lab.slow(vm.as_str(), CENTER, None))
            .map_err(|error| error.to_string())?;
        let (known, state) = (self.generation, Arc::clone(&self.state));
        self.lab.heal_all().map_err(|error| error.to_string())?;
        let unbound = before.vms.iter().filter(|(vm, spec)| !spec.unbound.is_empty() && state.is_connected(vm));
        for (vm, _) in unbound {
            self.await_learned(vm, known)?;
        }
        self.await_agents()?;
        let mut met = before.timeless.iter().filter(|vm| state.is_connected(vm));
        met.try_for_each(|vm| self.await_met(vm))
    }

    /// Lets the path between a VM and the center carry so much.
    pub(super) fn slow(&mut self, vm: &Name, rate: Option<u64>) -> Result<(), String> {
        self.lab.slow(vm.as_str(), CENTER, rate).map_err(|error| error.to_string())?;
        if rate.is_none() { self.await_agents() } else { Ok(()) }
    }

    /// Makes the path between two endpoints what it is to be.
    pub(super) fn path(&mut self, path: &PathChange) -> Result<(), String> {
        let quality = Quality { bits: path.rate, loss: path.loss, delay: path.delay };
        self.lab.qualify(path.a.as_str(), path.b.as_str(), quality).map_err(|error| error.to_string())
    }

    /// Waits until the agents on slow paths hold the newest generation as well; nobody else is made to wait for them.
    pub(super) fn await_slow(&mut self) -> Result<(), String> {
        let bits = self.state.policy.as_ref().map_or(0, |policy| policy.text.len() as u64 * 8);
        let (wanted, state) = (self.generation, Arc::clone(&self.state));
        for (vm, rate) in state.slow.iter().filter(|(vm, _)| state.is_connected(vm)) {
            let patience = LAST_RESORT + Duration::from_secs(LONGER * bits / (*rate).max(1));
            let holds = |account: &Account| account.acked(vm.as_str()) >= wanted;
            if !self.await_word(patience, holds) {
                let held = self.account.acked(vm.as_str());
                return Err(format!("bring generation {wanted} to {vm} on its slow path: it holds {held}"));
            }
        }
        Ok(())
    }
}

fn place(party: &Party) -> Place {
    match party {
        Party::Host(host) => Place::Host(host.to_string()),
        Party::Station(name) => Place::Station(name.to_string()),
        Party::Center => Place::Station(CENTER.to_owned()),
    }
}
