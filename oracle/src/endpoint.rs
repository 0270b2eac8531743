//! Who an address is, and which selectors match it (semantics 1, 2, 4).

use std::net::{IpAddr, Ipv4Addr};

use policy::{AddressGroup, Inventory, IpNet, Name, Selector, Vm};

/// Who an address is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Endpoint<'a> {
    /// Bound to a VM.
    Vm(&'a Name, &'a Vm),
    /// Bound to no VM and in no managed network; also every multicast and broadcast address.
    Outside(IpAddr),
    /// In a managed network and bound to no VM.
    Unknown,
}

impl<'a> Endpoint<'a> {
    pub(crate) fn of(inventory: &'a Inventory, address: IpAddr) -> Self {
        if address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
            return Self::Outside(address);
        }
        match inventory.owner(address) {
            Some((name, vm)) => Self::Vm(name, vm),
            None if inventory.managed.iter().any(|network| network.contains(&address)) => Self::Unknown,
            None => Self::Outside(address),
        }
    }

    /// The VM, if an agent judges there.
    pub(crate) fn managed(self) -> Option<(&'a Name, &'a Vm)> {
        match self {
            Self::Vm(name, vm) if vm.managed => Some((name, vm)),
            Self::Vm(..) | Self::Outside(_) | Self::Unknown => None,
        }
    }

    /// The value of a label; only VMs carry labels.
    pub(crate) fn label(self, key: &str) -> Option<&'a str> {
        match self {
            Self::Vm(_, vm) => vm.labels.get(key).map(String::as_str),
            Self::Outside(_) | Self::Unknown => None,
        }
    }

    /// Whether a selector matches. Label expressions match VMs alone, address groups outside addresses alone.
    pub(crate) fn is(self, selector: &Selector) -> bool {
        let vm = matches!(self, Self::Vm(..));
        match selector {
            Selector::Any => !matches!(self, Self::Unknown),
            Selector::Vms => vm,
            Selector::Outside => matches!(self, Self::Outside(_)),
            Selector::Addresses(group) => matches!(self, Self::Outside(address) if holds(group, address)),
            Selector::Has(key) => vm && self.label(key).is_some(),
            Selector::Equals(key, value) => vm && self.label(key) == Some(value),
            Selector::Differs(key, value) => vm && self.label(key) != Some(value),
            Selector::In(key, values) => vm && values.iter().any(|value| self.label(key) == Some(value)),
            Selector::Not(inner) => vm && !self.is(inner),
            Selector::And(parts) => parts.iter().all(|part| self.is(part)),
            Selector::Or(parts) => parts.iter().any(|part| self.is(part)),
        }
    }
}

/// The longest prefix that holds the address decides.
fn holds(group: &AddressGroup, address: IpAddr) -> bool {
    let longest = |nets: &[IpNet]| nets.iter().filter(|net| net.contains(&address)).map(IpNet::prefix_len).max();
    longest(&group.includes) > longest(&group.excludes)
}

/// fe80::/10 and 169.254/16.
pub(crate) fn link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Whether a selector matches who an address is: a VM by its labels, an outside address by its place.
#[must_use]
pub fn is_in(selector: &Selector, inventory: &Inventory, address: IpAddr) -> bool {
    Endpoint::of(inventory, address).is(selector)
}

/// The VMs of an inventory that a selector matches, in the order of their names.
#[must_use]
pub fn members<'a>(selector: &Selector, inventory: &'a Inventory) -> Vec<&'a Name> {
    let vms = inventory.vms.iter().filter(|(name, vm)| Endpoint::Vm(name, vm).is(selector));
    vms.map(|(name, _)| name).collect()
}
