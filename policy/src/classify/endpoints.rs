//! The classes of endpoints: those that the same selectors match.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::addresses::{Addresses, Located, OutsideClass};
use super::bits::Bits;
use super::members::Members;
use super::terms::Terms;
use crate::{Family, Inventory, Mode, Name, Vm};

/// What an endpoint is, but for its labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing {
    pub(crate) vm: bool,
    pub(crate) unknown: bool,
    pub(crate) managed: bool,
    pub(crate) quarantined: bool,
    pub(crate) monitors: bool,
}

/// A VM, all unknown addresses, or a class of outside addresses.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// Endpoints of one class are matched by the same selectors and stand alike.
    pub(crate) class: u32,
    /// For each `within` key the number of its value; 0 where it has none.
    pub(crate) values: Vec<u32>,
    pub(crate) standing: Standing,
    /// An address of IPv4 and one of IPv6 with which it takes part in flows.
    pub(crate) addresses: [Option<IpAddr>; 2],
}

/// All endpoints: the VMs in the order of their names, the unknown addresses, the outside classes.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    all: Vec<Endpoint>,
    /// Which selectors match a class.
    signatures: Vec<Bits>,
    names: Vec<Name>,
    groups: Vec<Name>,
    addresses: Addresses,
}

impl Endpoints {
    pub(crate) fn of(inventory: &Inventory, terms: &Terms<'_>) -> Self {
        let groups = terms.groups();
        let addresses = Addresses::of(inventory, &groups.keys().copied().collect::<Vec<_>>());
        let members = Members::of(inventory, &addresses, &groups);
        let selectors = terms.selectors();
        let mut matched = vec![Bits::none(selectors.len()); members.size()];
        for (number, selector) in selectors.iter().enumerate() {
            members.matched(selector).iter().for_each(|endpoint| matched[endpoint].put(number));
        }
        let (vms, within): (Vec<&Vm>, _) = (inventory.vms.values().collect(), terms.within());
        let (mut classes, mut known) = (BTreeMap::<(Bits, Standing), u32>::new(), BTreeMap::new());
        let mut all = Vec::with_capacity(matched.len());
        for (place, signature) in matched.into_iter().enumerate() {
            let vm = vms.get(place).copied();
            let standing = standing(vm, place == addresses.unknown());
            let next = super::narrow(classes.len());
            let class = *classes.entry((signature, standing)).or_insert(next);
            let sample = |family| match vm {
                Some(vm) => bound(place, vm, family, &addresses),
                None => addresses.class(place).and_then(|class| class.sample(family)),
            };
            let addresses = [Family::V4, Family::V6].map(sample);
            all.push(Endpoint { class, values: values(vm, &within, &mut known), standing, addresses });
        }
        let mut signatures = vec![Bits::default(); classes.len()];
        for ((signature, _), class) in classes {
            signatures[class as usize] = signature;
        }
        let groups = groups.keys().map(|group| group.name.clone()).collect();
        Self { all, signatures, names: inventory.vms.keys().cloned().collect(), groups, addresses }
    }

    #[inline]
    pub(crate) fn locate(&self, address: IpAddr) -> (Located, &Endpoint) {
        let located = self.addresses.locate(address);
        (located, &self.all[located.endpoint as usize])
    }

    /// All of them, by their numbers.
    pub(crate) fn all(&self) -> &[Endpoint] {
        &self.all
    }

    /// How many classes there are.
    pub(crate) fn classes(&self) -> usize {
        self.signatures.len()
    }

    /// Which selectors match a class.
    pub(crate) fn signature(&self, class: usize) -> &Bits {
        &self.signatures[class]
    }

    /// The VM that an endpoint is.
    pub(crate) fn vm(&self, endpoint: usize) -> Option<&Name> {
        self.names.get(endpoint)
    }

    /// The names of the groups of addresses, by their numbers.
    pub(crate) fn groups(&self) -> &[Name] {
        &self.groups
    }

    /// The outside class that an endpoint is.
    pub(crate) fn outside(&self, endpoint: usize) -> Option<&OutsideClass> {
        self.addresses.class(endpoint)
    }
}

fn standing(vm: Option<&Vm>, unknown: bool) -> Standing {
    match vm {
        Some(vm) => Standing {
            vm: true,
            unknown: false,
            managed: vm.managed,
            quarantined: vm.quarantined,
            monitors: vm.mode == Mode::Monitor,
        },
        None => Standing { unknown, ..Standing::default() },
    }
}

/// For each `within` key the number of a VM's value, from 1; 0 where it has none.
fn values<'a>(vm: Option<&'a Vm>, within: &[&str], known: &mut BTreeMap<&'a str, u32>) -> Vec<u32> {
    let mut number = |value: &'a String| {
        let next = super::narrow(known.len() + 1);
        *known.entry(value).or_insert(next)
    };
    within.iter().map(|key| vm.and_then(|vm| vm.labels.get(*key)).map_or(0, &mut number)).collect()
}

/// The first address of a family that is bound to a VM and takes part in its flows with others.
fn bound(place: usize, vm: &Vm, family: Family, addresses: &Addresses) -> Option<IpAddr> {
    let bound = |address: &IpAddr| {
        let located = addresses.locate(*address);
        located.endpoint as usize == place && located.nature.ordinary()
    };
    vm.addresses.iter().copied().filter(|address| Family::of(*address) == family).find(bound)
}
