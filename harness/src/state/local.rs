//! What changes at one VM: its addresses, its mode, its suspension, its agent's build.

use std::net::IpAddr;

use policy::{Mode, Name};

use super::State;
use crate::scenario::{Process, VmSpec};

impl State {
    /// Adds an address that the VM gets late, or takes one of those away. Only where the center hears of it at once is it
    /// known what it knows.
    pub(super) fn readdress(&mut self, vm: &Name, address: IpAddr, add: bool) -> Result<(), String> {
        self.must_be_managed(vm)?;
        if !self.is_connected(vm) {
            return Err(format!("the agent of `{vm}` does not reach its center, which so learns of no address"));
        }
        let owner = self.endpoints().find(|name| self.addresses(name).contains(&address)).cloned();
        let spec = self.vm(vm)?;
        match (add, owner) {
            (true, owner) => got_late(vm, spec, (address, owner.as_ref()))?,
            (false, _) if spec.second.contains(&address) => {
                return Err(format!("{address} is of the second interface of `{vm}`, which goes as a whole"));
            }
            (false, _) if !spec.late.remove(&address) => {
                return Err(format!("`{vm}` did not get {address} by `address`, so it cannot drop it"));
            }
            (false, _) => spec.addresses.retain(|other| *other != address),
        }
        Ok(())
    }

    /// Gives a VM a second interface, or takes it (without addresses). While its agent does not reach its center, nobody
    /// knows whose the addresses are.
    pub(super) fn interface(&mut self, vm: &Name, addresses: &[IpAddr]) -> Result<(), String> {
        let connected = self.is_connected(vm);
        if !self.is_alive(vm) || self.down.contains(&Process::Center) {
            return Err(format!("no agent runs in `{vm}`, or no center, that could be told later"));
        }
        let owner = |address: &IpAddr| self.endpoints().find(|name| self.addresses(name).contains(address)).cloned();
        let owners: Vec<(IpAddr, Option<Name>)> = addresses.iter().map(|one| (*one, owner(one))).collect();
        let spec = self.vm(vm)?;
        match (addresses.is_empty(), spec.second.is_empty()) {
            (false, false) => return Err(format!("`{vm}` has a second interface already")),
            (true, true) => return Err(format!("`{vm}` has no second interface")),
            (true, false) if !connected => {
                return Err(format!("the agent of `{vm}` does not reach its center, which so learns of no address"));
            }
            (true, false) => {
                let gone = std::mem::take(&mut spec.second);
                spec.addresses.retain(|address| !gone.contains(address));
                spec.late.retain(|address| !gone.contains(address));
            }
            (false, true) => {
                for (address, owner) in owners {
                    got_late(vm, spec, (address, owner.as_ref()))?;
                    spec.second.insert(address);
                }
                // Who reaches its center tells it at once.
                spec.unbound.clone_from(&spec.second);
            }
        }
        Ok(())
    }

    /// An address must be one of an endpoint's own.
    pub(super) fn must_own(&self, name: &Name, address: IpAddr) -> Result<(), String> {
        let owns = self.addresses(name).contains(&address);
        owns.then_some(()).ok_or_else(|| format!("`{name}` does not have {address} at this point"))
    }

    pub(super) fn set_mode(&mut self, vm: &Name, mode: Mode) -> Result<(), String> {
        self.must_be_managed(vm)?;
        let spec = self.vm(vm)?;
        if spec.mode == mode {
            return Err(format!("`{vm}` is in that mode already"));
        }
        spec.mode = mode;
        Ok(())
    }

    pub(super) fn suspend(&mut self, vm: &Name) -> Result<(), String> {
        if !self.is_alive(vm) {
            return Err(format!("no agent runs in `{vm}` that could be told"));
        }
        self.suspended.insert(vm.clone());
        Ok(())
    }

    pub(super) fn resume(&mut self, vm: &Name) -> Result<(), String> {
        if !self.is_connected(vm) {
            return Err(format!("the agent of `{vm}` does not reach its center, by whose word the end is known"));
        }
        if self.suspended.remove(vm) { Ok(()) } else { Err(format!("`{vm}` is not suspended")) }
    }

    pub(super) fn upgrade(&mut self, vm: &Name) -> Result<(), String> {
        if !self.is_connected(vm) || self.down.contains(&Process::Center) {
            return Err(format!("the agent of `{vm}` does not run and reach its center"));
        }
        let spec = self.vm(vm)?;
        spec.protocol.take().map(drop).ok_or_else(|| format!("the agent of `{vm}` is of the newest build"))
    }

    /// Restores topology, labels, policy and quarantines of an earlier state.
    pub(super) fn reset(&mut self, to: &Self) -> Result<(), String> {
        let late = |state: &Self, vm: &Name| {
            state.vms.get(vm).map(|spec| (spec.late.clone(), spec.second.clone())).unwrap_or_default()
        };
        if let Some(vm) = self.vms.keys().chain(to.vms.keys()).find(|vm| late(self, vm) != late(to, vm)) {
            return Err(format!("`{vm}` had other late addresses then: `address` and `interface` bring them back"));
        }
        let gone: Vec<Name> = self.vms.keys().filter(|vm| !to.vms.contains_key(*vm)).cloned().collect();
        gone.iter().try_for_each(|vm| self.forget(vm))?;
        self.vms.clone_from(&to.vms);
        self.policy.clone_from(&to.policy);
        self.now = to.now;
        self.quarantined.clone_from(&to.quarantined);
        Ok(())
    }
}

/// Notes an address that a VM gets late, which must be free, and one that the VM may have.
fn got_late(vm: &Name, spec: &mut VmSpec, (address, owner): (IpAddr, Option<&Name>)) -> Result<(), String> {
    if let Some(owner) = owner {
        return Err(format!("{address} belongs to `{owner}` at this point"));
    }
    if !spec.allowed.iter().any(|prefix| prefix.contains(&address)) {
        return Err(format!("`{vm}` may not have {address}: its `allowed` says which it may"));
    }
    spec.addresses.push(address);
    spec.late.insert(address);
    Ok(())
}
