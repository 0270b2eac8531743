//! Whom a flow is told of: a VM by its name, any other address by its prefix, and beyond a bound all the others.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use policy::{Inventory, IpNet, Name};

use crate::table::{Key, Table, mix};

/// How long the prefixes are to which addresses that are no VM's are put together.
const V4_PREFIX: u8 = 24;
const V6_PREFIX: u8 = 64;

/// A party by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Party(pub(crate) u32);

/// Outside addresses beyond the bound.
pub(crate) const OTHERS: Party = Party(u32::MAX);
/// Unknown addresses beyond the bound.
const UNKNOWN_OTHERS: Party = Party(u32::MAX - 1);

impl Party {
    /// Whether it is all those beyond the bound.
    #[inline]
    pub(crate) fn is_others(self) -> bool {
        self == OTHERS || self == UNKNOWN_OTHERS
    }
}

/// Who a party is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// A VM of the inventory.
    Vm(Name),
    /// Outside addresses of a prefix.
    Outside(IpNet),
    /// Addresses of a managed network that are bound to no VM.
    Unknown(IpNet),
    /// Outside addresses beyond the bound.
    Others,
    /// Unknown addresses beyond the bound.
    UnknownOthers,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vm(name) => write!(f, "{name}"),
            Self::Outside(network) => write!(f, "{network}"),
            Self::Unknown(network) => write!(f, "unknown in {network}"),
            Self::Others => f.write_str("others outside"),
            Self::UnknownOthers => f.write_str("others unknown"),
        }
    }
}

/// A prefix by its first address, and whether its addresses are unknown.
type Prefix = (IpAddr, bool);

/// All parties that were met.
pub(crate) struct Parties {
    vms: Vec<Name>,
    owners: Table<IpAddr, Party>,
    /// Bound addresses that found no place there.
    crowded_owners: BTreeMap<IpAddr, Party>,
    managed: Vec<IpNet>,
    prefixes: Vec<(IpNet, bool)>,
    known: Table<Prefix, Party>,
}

impl Parties {
    pub(crate) fn new(inventory: &Inventory, most_prefixes: usize) -> Self {
        let bound: usize = inventory.vms.values().map(|vm| vm.addresses.len()).sum();
        let (mut owners, mut crowded_owners) = (Table::new(bound), BTreeMap::new());
        let vms = (0..).map(Party).zip(inventory.vms.values());
        for (party, address) in vms.flat_map(|(party, vm)| vm.addresses.iter().map(move |address| (party, *address))) {
            if owners.place(address, || party).is_none() {
                crowded_owners.entry(address).or_insert(party);
            }
        }
        Self {
            vms: inventory.vms.keys().cloned().collect(),
            owners,
            crowded_owners,
            managed: inventory.managed.clone(),
            prefixes: Vec::new(),
            known: Table::new(most_prefixes),
        }
    }

    /// The party of an address.
    #[inline]
    pub(crate) fn of(&mut self, address: IpAddr) -> Party {
        if address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
            return self.prefix(address, false);
        }
        match self.owners.get(address).or_else(|| self.crowded_owners.get(&address)) {
            Some(party) => *party,
            None => self.prefix(address, self.managed.iter().any(|network| network.contains(&address))),
        }
    }

    fn prefix(&mut self, address: IpAddr, unknown: bool) -> Party {
        let length = if address.is_ipv4() { V4_PREFIX } else { V6_PREFIX };
        let Ok(network) = IpNet::new(address, length).map(|network| network.trunc()) else { return OTHERS };
        let next = Party((self.vms.len() + self.prefixes.len()) as u32);
        let prefixes = &mut self.prefixes;
        let place = self.known.place((network.addr(), unknown), || {
            prefixes.push((network, unknown));
            next
        });
        let others = if unknown { UNKNOWN_OTHERS } else { OTHERS };
        place.and_then(|place| self.known.at(place)).map_or(others, |party| *party)
    }

    /// Who a party is.
    pub(crate) fn who(&self, party: Party) -> Who {
        let place = party.0 as usize;
        let prefix = || self.prefixes.get(place.checked_sub(self.vms.len())?);
        match (party, self.vms.get(place)) {
            (_, Some(name)) => Who::Vm(name.clone()),
            (UNKNOWN_OTHERS, None) => Who::UnknownOthers,
            (_, None) => match prefix() {
                Some((network, true)) => Who::Unknown(*network),
                Some((network, false)) => Who::Outside(*network),
                None => Who::Others,
            },
        }
    }

    /// How many prefixes are told apart.
    pub(crate) fn prefixes(&self) -> usize {
        self.prefixes.len()
    }
}

/// The bits of an address, mixed.
#[inline]
fn spread(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => mix(u32::from(address).into(), 4),
        IpAddr::V6(address) => u128::from(address).spread(),
    }
}

impl Key for IpAddr {
    #[inline]
    fn spread(self) -> u64 {
        spread(self)
    }
}

impl Key for Prefix {
    fn spread(self) -> u64 {
        spread(self.0) ^ u64::from(self.1)
    }
}
