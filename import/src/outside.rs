//! Endpoints outside, so that what a policy says of addresses can be asked and probed: one elsewhere, and of each block one in it and
//! one in what is taken out of it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use policy::{Family, IpNet};

use crate::blocks::{Block, is_usable};
use crate::world::Vm;

/// Of how many blocks there are endpoints.
const MOST: usize = 16;
/// How many addresses of a range are looked at.
const LOOKED_AT: u32 = 64;

/// An endpoint outside.
pub(crate) struct Outside {
    pub(crate) name: String,
    pub(crate) addresses: Vec<IpAddr>,
}

/// Endpoints for the blocks of a policy.
pub(crate) fn endpoints(blocks: &[Block], vms: &[Vm]) -> Vec<Outside> {
    let mut taken: BTreeSet<IpAddr> = vms.iter().flat_map(|vm| vm.addresses.iter().copied()).collect();
    let mut found = Vec::new();
    let nowhere = |address: IpAddr| blocks.iter().all(|block| block.includes.iter().all(|net| !net.contains(&address)));
    found.push(("elsewhere".to_owned(), free(&known(), vms, &mut taken, &nowhere)));
    for (index, block) in blocks.iter().enumerate().take(MOST) {
        let number = index + 1;
        let inside = free(&candidates(&block.includes, &block.excludes), vms, &mut taken, &|one| block.holds(one));
        found.push((format!("in-block-{number}"), inside));
        let excepted = free(&candidates(&block.excludes, &[]), vms, &mut taken, &|one| {
            !block.holds(one) && block.excludes.iter().any(|net| net.contains(&one))
        });
        found.push((format!("not-in-block-{number}"), excepted));
    }
    let named = found.into_iter().filter(|(_, addresses)| !addresses.is_empty());
    named.map(|(name, addresses)| Outside { name: apart(name, vms), addresses }).collect()
}

/// A name that no VM has.
fn apart(mut name: String, vms: &[Vm]) -> String {
    while vms.iter().any(|vm| vm.name == name) {
        name.push_str("-outside");
    }
    name
}

/// The first address of each family that VMs speak, which is free and as it should be.
fn free(
    candidates: &[IpAddr],
    vms: &[Vm],
    taken: &mut BTreeSet<IpAddr>,
    wanted: &dyn Fn(IpAddr) -> bool,
) -> Vec<IpAddr> {
    let spoken = |family| {
        vms.iter().any(|vm| vm.addresses.is_empty() || vm.addresses.iter().any(|one| Family::of(*one) == family))
    };
    let mut addresses = Vec::new();
    for family in [Family::V4, Family::V6].into_iter().filter(|family| spoken(*family)) {
        let fits = |one: &&IpAddr| {
            Family::of(**one) == family
                && is_usable(**one)
                && !is_the_lab(**one)
                && !taken.contains(one)
                && wanted(**one)
        };
        let Some(address) = candidates.iter().find(fits).copied() else { continue };
        taken.insert(address);
        addresses.push(address);
    }
    addresses
}

/// Addresses for documentation and for benchmarks: nobody's.
fn known() -> Vec<IpAddr> {
    let v4 =
        [[203, 0, 113, 7], [198, 51, 100, 7], [192, 0, 2, 7], [198, 18, 0, 7], [172, 31, 255, 7], [10, 255, 255, 7]];
    let v6 =
        [[0x2001, 0xdb8, 0, 0, 0, 0, 0, 7], [0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 7], [0xfdff, 0xffff, 0, 0, 0, 0, 0, 7]];
    let v4 = v4.into_iter().map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
    v4.chain(v6.into_iter().map(|segments| IpAddr::V6(Ipv6Addr::from(segments)))).collect()
}

/// Addresses that may lie in ranges: those known, the first of each, and what follows what is taken out.
fn candidates(ranges: &[IpNet], excludes: &[IpNet]) -> Vec<IpAddr> {
    let firsts =
        ranges.iter().flat_map(|net| (1..LOOKED_AT).chain([0]).filter_map(|offset| plus(net.network(), offset)));
    let behind = excludes.iter().flat_map(|net| (1..=LOOKED_AT).filter_map(|offset| plus(net.broadcast(), offset)));
    let last = ranges.iter().map(IpNet::broadcast);
    known().into_iter().chain(firsts).chain(behind).chain(last).collect()
}

fn plus(address: IpAddr, offset: u32) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => address.to_bits().checked_add(offset).map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(address) => address.to_bits().checked_add(offset.into()).map(|bits| IpAddr::V6(bits.into())),
    }
}

/// The lab's own pool, and what no machine sends from.
fn is_the_lab(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => matches!(address.octets(), [0 | 240..=255, ..] | [10, 98, ..]),
        IpAddr::V6(address) => matches!(address.segments(), [0, ..] | [0xfd98, ..]),
    }
}
