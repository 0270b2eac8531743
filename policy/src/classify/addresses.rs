//! Who an address is: the row of all addresses of a family, cut where any prefix or VM begins or ends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::bits::Bits;
use super::levels::Levels;
use crate::{AddressGroup, Family, Inventory, IpNet, Vm};

/// Whom an address stands for, and what it says by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Located {
    /// The endpoint: a VM by its place, then [`Addresses::unknown`], then the classes of outside addresses.
    pub(crate) endpoint: u32,
    pub(crate) nature: Nature,
}

/// What an address says by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Nature {
    pub(crate) link_local: bool,
    pub(crate) loopback: bool,
    /// Multicast, or the broadcast address: no VM's.
    pub(crate) groupcast: bool,
}

impl Nature {
    fn of(address: IpAddr) -> Self {
        let link_local = match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        let groupcast = address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST);
        Self { link_local, loopback: address.is_loopback(), groupcast }
    }

    /// Whether flows between VMs and other endpoints bear it.
    pub(crate) fn ordinary(self) -> bool {
        self == Self::default()
    }
}

/// Outside addresses that the same groups hold.
#[derive(Clone, Debug)]
pub(crate) struct OutsideClass {
    pub(crate) family: Family,
    pub(crate) nature: Nature,
    /// Which groups hold it.
    pub(crate) groups: Bits,
    /// Its addresses, from first to last.
    pub(crate) ranges: Vec<(IpAddr, IpAddr)>,
}

impl OutsideClass {
    /// An address of it that may stand for all, where flows between machines bear it; of those that are for examples, if it
    /// holds one.
    pub(crate) fn sample(&self, family: Family) -> Option<IpAddr> {
        let examples =
            [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];
        let carried = self.family == family && !self.nature.loopback && !self.nature.link_local;
        let (first, last) = *self.ranges.first().filter(|_| carried)?;
        let example = examples.into_iter().find(|address| self.holds(*address));
        // The first of a network is rarely a machine's.
        Some(example.unwrap_or(if first < last { address(family, number(first) + 1) } else { first }))
    }

    fn holds(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&address))
    }
}

/// All addresses.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    v4: Row<u32>,
    v6: Row<u128>,
    vms: usize,
    pub(crate) outside: Vec<OutsideClass>,
}

/// All addresses of a family, in segments.
#[derive(Clone, Debug)]
struct Row<K> {
    starts: Levels<K>,
    located: Vec<Located>,
}

impl<K: Copy + Ord> Row<K> {
    fn of(Segments { starts, located }: Segments, number: impl Fn(u128) -> K) -> Self {
        let starts: Vec<K> = starts.into_iter().map(number).collect();
        Self { starts: Levels::of(&starts), located }
    }

    #[inline]
    fn locate(&self, number: K) -> Located {
        self.located[self.starts.place(number)]
    }
}

impl Addresses {
    /// The addresses that an inventory and these groups tell apart.
    pub(crate) fn of(inventory: &Inventory, groups: &[&AddressGroup]) -> Self {
        let vms = inventory.vms.len();
        let mut outside = Outside { first: vms + 1, known: BTreeMap::new(), classes: Vec::new() };
        let [v4, v6] = [Family::V4, Family::V6].map(|family| Segments::of(family, inventory, groups, &mut outside));
        let (v4, v6) = (Row::of(v4, |start| u32::try_from(start).unwrap_or(u32::MAX)), Row::of(v6, |start| start));
        Self { v4, v6, vms, outside: outside.classes }
    }

    #[inline]
    pub(crate) fn locate(&self, address: IpAddr) -> Located {
        match address {
            IpAddr::V4(address) => self.v4.locate(address.into()),
            IpAddr::V6(address) => self.v6.locate(address.into()),
        }
    }

    /// The endpoint of all unknown addresses.
    pub(crate) fn unknown(&self) -> usize {
        self.vms
    }

    /// The outside class that an endpoint is.
    pub(crate) fn class(&self, endpoint: usize) -> Option<&OutsideClass> {
        self.outside.get(endpoint.checked_sub(self.vms + 1)?)
    }
}

/// The classes of outside addresses, as they are found.
struct Outside {
    /// The endpoint of the first.
    first: usize,
    known: BTreeMap<(Family, Nature, Bits), usize>,
    classes: Vec<OutsideClass>,
}

impl Outside {
    fn endpoint(&mut self, family: Family, nature: Nature, groups: Bits, range: (IpAddr, IpAddr)) -> usize {
        let class = *self.known.entry((family, nature, groups)).or_insert_with_key(|(_, _, groups)| {
            self.classes.push(OutsideClass { family, nature, groups: groups.clone(), ranges: Vec::new() });
            self.classes.len() - 1
        });
        self.classes[class].ranges.push(range);
        self.first + class
    }
}

/// Where segments begin, and whom each stands for.
struct Segments {
    starts: Vec<u128>,
    located: Vec<Located>,
}

impl Segments {
    fn of(family: Family, inventory: &Inventory, groups: &[&AddressGroup], outside: &mut Outside) -> Self {
        let owners = owners(family, inventory);
        let cuts = cuts(family, inventory, groups);
        let place = |number: u128| cuts.partition_point(|&cut| cut < number);
        let places = |net: &IpNet| -> Range<usize> {
            let (first, last) = ends(net);
            place(first)..last.checked_add(1).map_or(cuts.len(), place)
        };
        let mut holding = vec![Bits::none(groups.len()); cuts.len()];
        for (number, group) in groups.iter().enumerate() {
            paint(&mut holding, number, group, (family, &places));
        }
        let mut managed = vec![false; cuts.len()];
        for net in inventory.managed.iter().filter(|net| of(net) == family) {
            managed[places(net)].fill(true);
        }
        let mut segments = Self { starts: Vec::new(), located: Vec::new() };
        for (index, holding) in holding.into_iter().enumerate() {
            let (start, next) = (cuts[index], cuts.get(index + 1));
            let nature = Nature::of(address(family, start));
            let range = (address(family, start), address(family, next.map_or(last(family), |next| next - 1)));
            let endpoint = match owners.get(&start) {
                Some(&vm) if !nature.groupcast => vm,
                _ if managed[index] && !nature.groupcast => outside.first - 1,
                _ => outside.endpoint(family, nature, holding, range),
            };
            segments.push(start, Located { endpoint: super::narrow(endpoint), nature });
        }
        segments
    }

    fn push(&mut self, start: u128, located: Located) {
        if self.located.last() != Some(&located) {
            self.starts.push(start);
            self.located.push(located);
        }
    }
}

/// The segments of a prefix.
type Places<'a> = &'a dyn Fn(&IpNet) -> Range<usize>;

/// Says of each segment whether a group holds it: the longest prefix decides, and of two as long the exception.
fn paint(holding: &mut [Bits], number: usize, group: &AddressGroup, (family, places): (Family, Places<'_>)) {
    let included = group.includes.iter().map(|net| (net, true));
    let mut nets: Vec<(&IpNet, bool)> = included.chain(group.excludes.iter().map(|net| (net, false))).collect();
    nets.retain(|(net, _)| of(net) == family);
    nets.sort_by_key(|(net, included)| (net.prefix_len(), !included));
    for (net, included) in nets {
        let change = |bits: &mut Bits| if included { bits.put(number) } else { bits.take(number) };
        holding[places(net)].iter_mut().for_each(change);
    }
}

/// To which VM each address is bound: where several name it, to the first.
fn owners(family: Family, inventory: &Inventory) -> BTreeMap<u128, usize> {
    let mut owners = BTreeMap::new();
    for (place, Vm { addresses, .. }) in inventory.vms.values().enumerate() {
        for address in addresses.iter().filter(|address| Family::of(**address) == family) {
            owners.entry(number(*address)).or_insert(place);
        }
    }
    owners
}

/// Where segments begin, in their order; the first at 0.
fn cuts(family: Family, inventory: &Inventory, groups: &[&AddressGroup]) -> Vec<u128> {
    let special: &[(IpAddr, u8)] = match family {
        Family::V4 => &[
            (IpAddr::V4(Ipv4Addr::LOCALHOST), 8),
            (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
            (IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), 4),
            (IpAddr::V4(Ipv4Addr::BROADCAST), 32),
        ],
        Family::V6 => &[
            (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
            (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
            (IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8),
        ],
    };
    let special = special.iter().filter_map(|(address, length)| IpNet::new(*address, *length).ok());
    let vms = inventory.vms.values().flat_map(|vm| &vm.addresses).map(|address| IpNet::from(*address));
    let groups = groups.iter().flat_map(|group| group.includes.iter().chain(&group.excludes).copied());
    let nets = special.chain(vms).chain(groups).chain(inventory.managed.iter().copied());
    let mut cuts = BTreeSet::from([0]);
    for (first, after) in nets.filter(|net| of(net) == family).map(|net| ends(&net)) {
        cuts.insert(first);
        cuts.extend(after.checked_add(1).filter(|&after| after <= number(address(family, u128::MAX))));
    }
    cuts.into_iter().collect()
}

fn of(net: &IpNet) -> Family {
    Family::of(net.addr())
}

/// The first and the last address of a prefix.
fn ends(net: &IpNet) -> (u128, u128) {
    (number(net.network()), number(net.broadcast()))
}

fn last(family: Family) -> u128 {
    match family {
        Family::V4 => u128::from(u32::MAX),
        Family::V6 => u128::MAX,
    }
}

/// An address as a number.
pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The address of a number; above the last of a family, that one.
pub(crate) fn address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into(),
        Family::V6 => Ipv6Addr::from(number).into(),
    }
}
