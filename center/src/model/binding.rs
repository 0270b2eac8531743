//! Which address belongs to whom: the inventory, what agents observe, and addresses that wait for their new owner.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use policy::Name;
use serde::{Deserialize, Serialize};
use wire::InventoryFile;

use super::inventory::unusable;

/// How many copies of one VM are remembered.
const MOST_COPIES: usize = 16;

/// What stands beside policy and inventory, and is kept with each generation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// The quarantined VMs.
    pub(crate) quarantined: BTreeSet<Name>,
    /// Those of them that are so for a time, each with its end in milliseconds since the Unix epoch.
    #[serde(default)]
    pub(crate) detained: BTreeMap<Name, i64>,
    /// The VMs whose keys are in two places, each with the lives of the copies' agents.
    #[serde(default)]
    pub(crate) copies: BTreeMap<Name, BTreeSet<String>>,
    /// Addresses that agents observe and the center accepted.
    pub(crate) observed: BTreeMap<IpAddr, Name>,
    /// Reused addresses, each with the generation that withdrew it from its old owner; 0 stands for the generation that
    /// is being made. They are in nobody's view.
    pub(crate) held: BTreeMap<IpAddr, u64>,
}

impl Standing {
    /// Every address with its owner, held ones included.
    fn owners(&self, inventory: &InventoryFile) -> BTreeMap<IpAddr, Name> {
        let listed = inventory.vms.iter().flat_map(|(name, vm)| vm.addresses.iter().map(move |a| (*a, name.clone())));
        let mut owners = self.observed.clone();
        owners.extend(listed);
        owners
    }

    /// Every address with the VM to which views bind it.
    pub(crate) fn bindings(&self, inventory: &InventoryFile) -> BTreeMap<IpAddr, Name> {
        let mut owners = self.owners(inventory);
        owners.retain(|address, _| !self.held.contains_key(address));
        owners
    }

    /// After an inventory was replaced by another.
    pub(crate) fn moved(&self, old: &InventoryFile, new: &InventoryFile) -> Self {
        let mut next = self.clone();
        next.quarantined.retain(|vm| new.vms.contains_key(vm));
        next.detained.retain(|vm, _| new.vms.contains_key(vm));
        next.copies.retain(|vm, _| new.vms.contains_key(vm));
        next.observed.retain(|address, vm| may_have(new, vm, *address));
        next.hold(&self.owners(old), &next.owners(new));
        next
    }

    /// After an agent told which addresses it observes.
    pub(crate) fn observing(&self, inventory: &InventoryFile, vm: &Name, addresses: &[IpAddr]) -> Self {
        let mut next = self.clone();
        next.observed.retain(|_, owner| owner != vm);
        let old = self.owners(inventory);
        for address in addresses {
            let free = old.get(address).is_none_or(|owner| owner == vm);
            let listed = inventory.vms.get(vm).is_some_and(|vm| vm.addresses.contains(address));
            if free && !listed && may_have(inventory, vm, *address) {
                next.observed.insert(*address, vm.clone());
            }
        }
        next.hold(&old, &next.owners(inventory));
        next
    }

    /// After a VM was quarantined for good or released.
    pub(crate) fn quarantining(&self, vm: &Name, on: bool) -> Self {
        let mut next = self.clone();
        next.detained.remove(vm);
        if on {
            next.quarantined.insert(vm.clone());
        } else {
            next.quarantined.remove(vm);
        }
        next
    }

    /// After a copy of a VM was found; of very many, the first are remembered.
    pub(crate) fn cloning(&self, vm: &Name, boot: &str) -> Self {
        let mut next = self.clone();
        let boots = next.copies.entry(vm.clone()).or_default();
        if boots.len() < MOST_COPIES {
            boots.insert(boot.to_owned());
        }
        next
    }

    /// After a VM got a new key.
    pub(crate) fn rekeying(&self, vm: &Name) -> Self {
        let mut next = self.clone();
        next.copies.remove(vm);
        next
    }

    /// After every connected agent acknowledged the withdrawals.
    pub(crate) fn releasing(&self) -> Self {
        Self { held: BTreeMap::new(), ..self.clone() }
    }

    /// Whether all held addresses were withdrawn by a generation that the slowest agent has in force.
    pub(crate) fn is_due(&self, slowest: u64) -> bool {
        !self.held.is_empty() && self.held.values().all(|since| *since <= slowest)
    }

    /// Whether a held address has a new owner.
    pub(crate) fn is_awaited(&self, inventory: &InventoryFile) -> bool {
        let owners = self.owners(inventory);
        self.held.keys().any(|address| owners.contains_key(address))
    }

    /// Gives what began with the generation in the making its number.
    pub(crate) fn settle(&mut self, generation: u64) {
        for since in self.held.values_mut().filter(|since| **since == 0) {
            *since = generation;
        }
    }

    /// Holds every address whose owner changed; one that has no owner needs no holding, but stays withdrawn.
    fn hold(&mut self, old: &BTreeMap<IpAddr, Name>, new: &BTreeMap<IpAddr, Name>) {
        let changed = old.iter().filter(|(address, owner)| new.get(*address).is_none_or(|next| next != *owner));
        for (address, _) in changed {
            self.held.insert(*address, 0);
        }
    }
}

/// Whether an address can name a VM and lies within the VM's allowed prefixes.
fn may_have(inventory: &InventoryFile, vm: &Name, address: IpAddr) -> bool {
    let vm = inventory.vms.get(vm).filter(|vm| vm.managed);
    unusable(address).is_none() && vm.is_some_and(|vm| vm.allowed.iter().any(|prefix| prefix.contains(&address)))
}

/// The observed addresses that belong to another VM.
pub(crate) fn conflicts(
    inventory: &InventoryFile,
    standing: &Standing,
    vm: &Name,
    addresses: &[IpAddr],
) -> Vec<(IpAddr, Name)> {
    let owners = standing.owners(inventory);
    let foreign = |address: &IpAddr| owners.get(address).filter(|owner| *owner != vm).cloned();
    addresses.iter().filter_map(|address| foreign(address).map(|owner| (*address, owner))).collect()
}
