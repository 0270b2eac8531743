//! The inventory: which VMs there are, how they are labelled, which addresses are theirs.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{Key, Mode, Name};

/// One VM of the inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vm {
    /// Its labels.
    pub labels: BTreeMap<Key, String>,
    /// The addresses bound to it.
    pub addresses: Vec<IpAddr>,
    /// Whether an agent enforces at this VM. An unmanaged VM passes everything; its labels still match.
    pub managed: bool,
    /// Whether it is quarantined: every flow of it but the center's channel is denied at its own end.
    pub quarantined: bool,
    /// Whether it may renew its address by DHCP (`eastwest/address`): from its client's port to servers' ports, and back.
    #[serde(default)]
    pub dhcp: bool,
    /// Monitor: every rule at this end only records, and no match ends in allow by `eastwest/monitor`.
    #[serde(default)]
    pub mode: Mode,
}

/// All VMs, and the networks within which an unbound address is unknown (semantics 1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The managed networks.
    pub managed: Vec<IpNet>,
    /// The VMs by name.
    pub vms: BTreeMap<Name, Vm>,
}

impl Inventory {
    /// The VM to which an address is bound.
    #[must_use]
    pub fn owner(&self, address: IpAddr) -> Option<(&Name, &Vm)> {
        self.vms.iter().find(|(_, vm)| vm.addresses.contains(&address))
    }
}
