//! What policies and an inventory tell apart, found from the text of the rules alone.

use std::net::IpAddr;
use std::sync::Arc;

use policy::{AddressGroup, FlowService, Inventory, IpNet, Policy, Selector, ServiceMatch};

use super::GROUPS;

/// The service of a protocol by its port, type or number.
type Of<'a> = &'a dyn Fn(u32) -> FlowService;

/// Services that these policies cannot tell apart: the first, the last, and how many there are. Those that no flow has, or no
/// policy judges, are left out.
pub fn segments(policies: &[&Policy]) -> Vec<(FlowService, FlowService, u64)> {
    let mut ranges: [Vec<(u32, u32)>; 5] = Default::default();
    for item in policies.iter().flat_map(|policy| &policy.rules).flat_map(|rule| &rule.services) {
        let kind = |kind: Option<u8>| kind.map(|kind| (u32::from(kind), u32::from(kind)));
        match *item {
            ServiceMatch::Any => {}
            ServiceMatch::Ports { tcp, first, last } => ranges[usize::from(!tcp)].push((first.into(), last.into())),
            ServiceMatch::Icmp(number) => ranges[2].extend(kind(number)),
            ServiceMatch::Icmpv6(number) => ranges[3].extend(kind(number)),
            ServiceMatch::Proto(number) => ranges[4].extend(kind(Some(number))),
        }
    }
    let byte = |number: u32| u8::try_from(number).unwrap();
    let port = |number: u32| u16::try_from(number).unwrap();
    let neighbours: Vec<u32> = (130..=136).chain([143]).collect();
    let kinds: [(u32, &[u32], Of<'_>); 5] = [
        (65536, &[], &|number| FlowService::Tcp(port(number))),
        (65536, &[], &|number| FlowService::Udp(port(number))),
        (256, &[], &|number| FlowService::Icmp(byte(number))),
        (256, &neighbours, &|number| FlowService::Icmpv6(byte(number))),
        (256, &[1, 2, 6, 17, 58], &|number| FlowService::Proto(byte(number))),
    ];
    let all = kinds.iter().zip(ranges).flat_map(|((size, without, service), ranges)| {
        let cut = cut(*size, without, ranges.into_iter()).into_iter();
        cut.map(move |(first, last, count)| (service(first), service(last), count))
    });
    all.collect()
}

fn cut(size: u32, without: &[u32], ranges: impl Iterator<Item = (u32, u32)>) -> Vec<(u32, u32, u64)> {
    let mut cuts = std::collections::BTreeSet::from([0, size]);
    for (first, last) in ranges.chain(without.iter().map(|number| (*number, *number))) {
        cuts.extend([first, last + 1]);
    }
    let cuts: Vec<u32> = cuts.into_iter().collect();
    let all = cuts.windows(2).map(|ends| (ends[0], ends[1] - 1, u64::from(ends[1] - ends[0])));
    all.filter(|(first, ..)| !without.contains(first)).collect()
}

/// Outside addresses of which each stands for all that no group tells from it; by every edge of every prefix, and one off.
pub fn outsiders(inventory: &Inventory, policies: &[&Policy]) -> Vec<IpAddr> {
    let of_groups = GROUPS.iter().flat_map(|(_, includes, excludes)| includes.iter().chain(*excludes));
    let special =
        ["192.0.2.0/24", "2001:db8:7::/48", "127.0.0.0/8", "169.254.0.0/16", "fe80::/10", "ff00::/8", "::1/128"];
    let nets = of_groups.chain(&special).map(|text| text.parse::<IpNet>().unwrap());
    let nets = nets.chain(inventory.managed.iter().copied());
    let bound = inventory.vms.values().flat_map(|vm| &vm.addresses).map(|address| IpNet::from(*address));
    let mut all: Vec<IpAddr> = nets.chain(bound).flat_map(|net| near(net.network(), net.broadcast())).collect();
    all.sort_unstable();
    all.dedup();
    let (mut seen, groups) = (std::collections::BTreeSet::new(), groups(policies));
    all.retain(|address| outside(inventory, *address) && seen.insert(likeness(*address, &groups)));
    all
}

fn near(first: IpAddr, last: IpAddr) -> Vec<IpAddr> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let (first, last) = (u32::from(first), u32::from(last));
            let all = [first.checked_sub(1), Some(first), Some(last), last.checked_add(1)];
            all.into_iter().flatten().map(|number| IpAddr::V4(number.into())).collect()
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            let (first, last) = (u128::from(first), u128::from(last));
            let all = [first.checked_sub(1), Some(first), Some(last), last.checked_add(1)];
            all.into_iter().flatten().map(|number| IpAddr::V6(number.into())).collect()
        }
        _ => Vec::new(),
    }
}

/// Multicast, or the broadcast address.
pub fn groupcast(address: IpAddr) -> bool {
    address.is_multicast() || address.to_string() == "255.255.255.255"
}

/// Whether an address is outside, and carries flows between machines.
fn outside(inventory: &Inventory, address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let free = inventory.owner(address).is_none() && !inventory.managed.iter().any(|net| net.contains(&address));
    !link_local && !address.is_loopback() && (groupcast(address) || free)
}

/// What the groups of some policies tell of an address.
fn likeness(address: IpAddr, groups: &[Arc<AddressGroup>]) -> (bool, bool, Vec<bool>) {
    let longest = |nets: &[IpNet]| nets.iter().filter(|net| net.contains(&address)).map(IpNet::prefix_len).max();
    let held = groups.iter().map(|group| longest(&group.includes) > longest(&group.excludes));
    (address.is_ipv4(), groupcast(address), held.collect())
}

fn groups(policies: &[&Policy]) -> Vec<Arc<AddressGroup>> {
    let rules = policies.iter().flat_map(|policy| &policy.rules);
    let mut open: Vec<&Selector> =
        rules.flat_map(|rule| [Some(&rule.from), Some(&rule.to), rule.owns()]).flatten().collect();
    let mut found = Vec::new();
    while let Some(selector) = open.pop() {
        match selector {
            Selector::Addresses(group) => found.push(Arc::clone(group)),
            Selector::Not(inner) => open.push(inner),
            Selector::And(parts) | Selector::Or(parts) => open.extend(parts),
            Selector::Any | Selector::Vms | Selector::Outside | Selector::Has(_) => {}
            Selector::Equals(..) | Selector::Differs(..) | Selector::In(..) => {}
        }
    }
    found
}
