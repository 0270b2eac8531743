//! Who stands at the other end: a VM, or an address that is bound to none.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use wire::{FlowEnd, Outside, View};

use crate::addresses::is_link_local;

/// Somebody. A VM is one, however many addresses it has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Party {
    /// A VM.
    Vm(String),
    /// An address that is bound to none.
    Address(IpAddr),
}

impl Party {
    /// Who stands at an end of a record.
    pub(crate) fn of(end: &FlowEnd) -> Self {
        end.vm.clone().map_or(Self::Address(end.address), Self::Vm)
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vm(vm) => f.write_str(vm),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// A set of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parties {
    vms: BTreeSet<String>,
    outside: Outside,
    /// An address in one of these that is bound to no VM is unknown, and in no set.
    managed: Vec<IpNet>,
}

impl Parties {
    /// A set of a view.
    pub(crate) fn of(view: &View, set: u32) -> Self {
        let Some(set) = view.sets.get(set as usize) else { return Self::default() };
        let peers = set.vms.iter().filter_map(|vm| view.peers.get(*vm as usize));
        let vms = peers.map(|peer| peer.vm.clone()).collect();
        Self { vms, outside: set.outside.clone(), managed: view.managed.clone() }
    }

    /// Whether somebody is in it. A group of receivers is nobody.
    pub(crate) fn hold(&self, party: &Party) -> bool {
        match party {
            Party::Vm(vm) => self.vms.contains(vm),
            Party::Address(address) => self.is_outside(*address) && self.holds_address(*address),
        }
    }

    fn is_outside(&self, address: IpAddr) -> bool {
        let broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
        !is_link_local(address)
            && !address.is_multicast()
            && !broadcast
            && !self.managed.iter().any(|net| net.contains(&address))
    }

    fn holds_address(&self, address: IpAddr) -> bool {
        let longest = |nets: &[IpNet]| nets.iter().filter(|net| net.contains(&address)).map(IpNet::prefix_len).max();
        match &self.outside {
            Outside::None => false,
            Outside::All => true,
            Outside::Groups(groups) => groups.iter().any(|group| longest(&group.includes) > longest(&group.excludes)),
        }
    }
}
