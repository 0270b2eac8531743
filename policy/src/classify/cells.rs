//! Cells: endpoints that neither rules nor agents tell apart, so that one stands for all.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use super::endpoints::{Endpoint, Endpoints};
use super::services::{ServiceClasses, ServiceRange};
use crate::{Family, Name};

/// VMs that are alike, or one class of outside addresses. Between two cells every flow of one class of services in one family
/// gets the same verdict by the same rules; within a cell too, but for a VM that speaks to itself.
///
/// What no policy judges stands in no cell: unknown, link-local and loopback addresses, and VMs without others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The VMs, in the order of their names; none where it is outside.
    pub vms: Vec<Name>,
    /// The addresses, where it is outside.
    pub outside: Option<Outside>,
    /// The first of its endpoints.
    pub(crate) endpoint: usize,
    addresses: [Option<IpAddr>; 2],
    /// The second VM's, so that one of them can speak to another.
    others: [Option<IpAddr>; 2],
}

/// Outside addresses of one family that no rule tells apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Outside {
    /// Their family.
    pub family: Family,
    /// Whether they are multicast or broadcast: nobody sends from them.
    pub groupcast: bool,
    /// The groups of the policy that hold them.
    pub groups: Vec<Name>,
    /// All of them, from first to last.
    pub ranges: Vec<(IpAddr, IpAddr)>,
}

/// Services that no rule tells apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceClass {
    /// All of them.
    pub ranges: Vec<ServiceRange>,
    /// Whether they exist in IPv4.
    pub v4: bool,
    /// Whether they exist in IPv6.
    pub v6: bool,
    /// Neighbour discovery, MLD and IGMP, which pass by a built-in rule.
    pub neighbours: bool,
}

impl Cell {
    /// The address that stands for the cell.
    #[must_use]
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        picked(self.addresses, family)
    }

    /// The addresses of a flow from this cell to one, in one family: of two VMs where it is the same cell.
    #[must_use]
    pub fn towards(&self, destination: &Self, family: Family) -> Option<(IpAddr, IpAddr)> {
        let to = if self.endpoint == destination.endpoint { destination.others } else { destination.addresses };
        let sends = self.outside.as_ref().is_none_or(|outside| !outside.groupcast);
        Some((self.address(family).filter(|_| sends)?, picked(to, family)?))
    }

    /// How many endpoints it stands for; outside addresses count as one.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.vms.len().max(1) as u64
    }
}

fn picked([v4, v6]: [Option<IpAddr>; 2], family: Family) -> Option<IpAddr> {
    match family {
        Family::V4 => v4,
        Family::V6 => v6,
    }
}

/// What endpoints of one cell share: class, values, families, and outside the endpoint itself.
type Likeness<'a> = (u32, &'a [u32], [bool; 2], Option<usize>);

/// All cells, in the order of their first endpoints.
pub(crate) fn of(endpoints: &Endpoints) -> Vec<Cell> {
    let mut known: BTreeMap<Likeness<'_>, usize> = BTreeMap::new();
    let mut cells: Vec<Cell> = Vec::new();
    for (number, endpoint) in endpoints.all().iter().enumerate() {
        let Endpoint { class, values, addresses, standing } = endpoint;
        if standing.unknown || *addresses == [None, None] {
            continue;
        }
        let alone = (!standing.vm).then_some(number);
        let cell =
            *known.entry((*class, values, addresses.map(|address| address.is_some()), alone)).or_insert_with(|| {
                let outside = outside(endpoints, number);
                cells.push(Cell {
                    vms: Vec::new(),
                    outside,
                    endpoint: number,
                    addresses: *addresses,
                    others: [None; 2],
                });
                cells.len() - 1
            });
        if cells[cell].vms.len() == 1 {
            cells[cell].others = *addresses;
        }
        cells[cell].vms.extend(endpoints.vm(number).cloned());
    }
    cells
}

fn outside(endpoints: &Endpoints, number: usize) -> Option<Outside> {
    let class = endpoints.outside(number)?;
    let groups = class.groups.iter().filter_map(|group| endpoints.groups().get(group).cloned());
    let mut groups: Vec<Name> = groups.collect();
    groups.dedup();
    let groupcast = class.nature.groupcast;
    Some(Outside { family: class.family, groupcast, groups, ranges: class.ranges.clone() })
}

impl ServiceClass {
    pub(crate) fn all(classes: &ServiceClasses) -> Vec<Self> {
        let all = (0..classes.count()).map(|class| (classes.nature(class), classes.ranges(class)));
        let exist = all.filter(|(nature, _)| nature.v4 || nature.v6);
        exist
            .map(|(nature, ranges)| Self { ranges, v4: nature.v4, v6: nature.v6, neighbours: nature.neighbours })
            .collect()
    }
}
