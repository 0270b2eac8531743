//! Silent partitions for a laboratory: frames vanish, and no carrier changes.
use std::net::IpAddr;

use crate::batch::{Batch, Family, Hook, HookPoint, Policy, Table};
use crate::error::Error;
use crate::expr::{Expr, Header, MetaKey, Test, Verdict};
use crate::read::read_counters;
use crate::sets::{Element, SetSpec, Type};
use crate::socket::Socket;

/// Which of a device's frames vanish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// Those that arrive.
    Ingress,
    /// Those that leave.
    Egress,
    /// All.
    Both,
}

/// Drops a device's frames, or a share of them in a hundred, until [`unfence`] with the same name.
///
/// # Errors
/// When the kernel refuses.
pub fn fence_device(socket: &mut Socket, name: &str, device: &str, edge: Edge, percent: u32) -> Result<(), Error> {
    let table = Table::new(Family::Netdev, name);
    let of_all = (percent < 100).then(|| share(percent)).into_iter().flatten();
    let rule: Vec<Expr> = of_all.chain([Expr::Counter, Expr::Verdict(Verdict::Drop)]).collect();
    let mut batch = Batch::new();
    batch.add_table(&table);
    let ends = [
        (edge != Edge::Egress, "in", HookPoint::Ingress(device.to_owned())),
        (edge != Edge::Ingress, "out", HookPoint::Egress(device.to_owned())),
    ];
    for (_, chain, point) in ends.into_iter().filter(|(wanted, ..)| *wanted) {
        let chain = format!("{chain}-{device}");
        batch.add_base_chain(&table, &chain, &Hook { point, priority: 0, policy: Policy::Accept });
        batch.flush_chain(&table, &chain).add_rule(&table, &chain, &rule);
    }
    batch.commit(socket)
}

/// Drops the frames that a bridge passes between any address of `left` and any of `right`, both ways.
///
/// # Errors
/// When the kernel refuses.
pub fn fence_macs(socket: &mut Socket, name: &str, left: &[[u8; 6]], right: &[[u8; 6]]) -> Result<(), Error> {
    let mut batch = Batch::new();
    let table = forwarding(&mut batch, name);
    for (set, all) in [("left", left), ("right", right)] {
        let spec = SetSpec::plain(set, Type::Mac);
        let elements: Vec<_> = all.iter().map(|mac| Element::key(*mac)).collect();
        batch.add_set(&table, &spec).flush_set(&table, set).add_elements(&table, set, &elements);
    }
    for (from, to) in [("left", "right"), ("right", "left")] {
        let mut rule = Vec::new();
        for (offset, set) in [(6, from), (0, to)] {
            rule.push(Expr::Payload { base: Header::Link, offset, length: 6, into: 0 });
            rule.push(Expr::Lookup { set: set.to_owned(), key: 0, inverted: false });
        }
        rule.extend([Expr::Counter, Expr::Verdict(Verdict::Drop)]);
        batch.add_rule(&table, "forward", &rule);
    }
    batch.commit(socket)
}

/// Drops so many of a hundred frames, at random, that a bridge passes between two addresses; until [`unfence`] with the same
/// name.
///
/// # Errors
/// When the kernel refuses.
pub fn lose_macs(socket: &mut Socket, name: &str, (one, other): ([u8; 6], [u8; 6]), percent: u8) -> Result<(), Error> {
    let mut batch = Batch::new();
    let table = forwarding(&mut batch, name);
    for (from, to) in [(one, other), (other, one)] {
        let mut rule = between(from, to);
        rule.extend(share(u32::from(percent)));
        rule.extend([Expr::Counter, Expr::Verdict(Verdict::Drop)]);
        batch.add_rule(&table, "forward", &rule);
    }
    batch.commit(socket)
}

/// What matches a share of all frames, in a hundred.
fn share(percent: u32) -> [Expr; 3] {
    let below = Expr::Cmp(0, Test::Less, percent.to_be_bytes().to_vec());
    // The generator counts in host order, and "less" compares bytes: the network's order is asked for.
    [Expr::Random { modulus: 100, into: 0 }, Expr::NetworkOrder(0), below]
}

/// What matches a frame from one address to another.
fn between(from: [u8; 6], to: [u8; 6]) -> Vec<Expr> {
    let is = |(offset, mac)| [Expr::Payload { base: Header::Link, offset, length: 6, into: 0 }, Expr::equal(0, mac)];
    [(6, from), (0, to)].into_iter().flat_map(is).collect()
}

/// Gives the frames that a bridge passes from one address to another a priority, by which the queueing discipline of the
/// port that they leave by finds their class; until [`unfence`] with the same name.
///
/// # Errors
/// When the kernel refuses.
pub fn rank_macs(socket: &mut Socket, name: &str, path: ([u8; 6], [u8; 6]), priority: u32) -> Result<(), Error> {
    let mut batch = Batch::new();
    let table = forwarding(&mut batch, name);
    let mut rule = between(path.0, path.1);
    rule.push(Expr::Immediate(0, priority.to_ne_bytes().to_vec()));
    rule.extend([Expr::SetMeta(MetaKey::Priority, 0), Expr::Counter]);
    batch.add_rule(&table, "forward", &rule);
    batch.commit(socket)
}

/// A table of a bridge with an empty chain for the frames that it passes.
fn forwarding(batch: &mut Batch, name: &str) -> Table {
    let table = Table::new(Family::Bridge, name);
    let hook = Hook { point: HookPoint::Forward, priority: 0, policy: Policy::Accept };
    batch.add_table(&table).add_base_chain(&table, "forward", &hook).flush_chain(&table, "forward");
    table
}

/// Whose frames a bridge takes from a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// The port's interface index.
    pub port: u32,
    /// The one link-layer address behind it.
    pub mac: [u8; 6],
    /// The addresses behind it; an IPv6 link-local one may be there as well.
    pub addresses: Vec<IpAddr>,
}

/// The set that counts what a guard stopped, and its only key.
const STOPPED: &str = "stopped";
const ALL: u32 = 1;

/// Drops, of what arrives at a port, the frames that say they are from somebody else: another link-layer or IP address, or an
/// ARP or neighbour message about one; until [`unfence`] with the same name. Laid again, it goes on counting.
///
/// # Errors
/// When the kernel refuses.
pub fn guard_port(socket: &mut Socket, name: &str, guard: &Guard) -> Result<(), Error> {
    let table = Table::new(Family::Bridge, name);
    let hook = Hook { point: HookPoint::Prerouting, priority: -300, policy: Policy::Accept };
    let mut batch = Batch::new();
    batch.add_table(&table).add_base_chain(&table, "arriving", &hook).flush_chain(&table, "arriving");
    batch.add_set(&table, &SetSpec::counted(STOPPED, Type::Mark));
    batch.add_elements(&table, STOPPED, &[Element::key(ALL.to_ne_bytes())]);
    let family = |six| guard.addresses.iter().filter(move |ip| ip.is_ipv6() == six);
    for (set, kind, six) in [("own4", Type::Ipv4, false), ("own6", Type::Ipv6, true)] {
        let spec = SetSpec::plain(set, kind);
        let elements: Vec<_> = family(six).map(|ip| Element::address(*ip)).collect();
        batch.add_set(&table, &spec).flush_set(&table, set).add_elements(&table, set, &elements);
    }
    for claim in claims(guard.mac) {
        let here = [Expr::Meta(MetaKey::InIndex, 0), Expr::word(0, Test::Equal, guard.port)];
        let count = Expr::Lookup { set: STOPPED.to_owned(), key: 0, inverted: false };
        let stop = [Expr::Immediate(0, ALL.to_ne_bytes().to_vec()), count, Expr::Verdict(Verdict::Drop)];
        let rule: Vec<Expr> = here.into_iter().chain(claim).chain(stop).collect();
        batch.add_rule(&table, "arriving", &rule);
    }
    batch.commit(socket)
}

/// How a frame may say that it is from somebody else: each a condition under which it is stopped.
fn claims(mac: [u8; 6]) -> Vec<Vec<Expr>> {
    let payload = |base, offset, length| Expr::Payload { base, offset, length, into: 0 };
    let of_type = |kind: u16| vec![payload(Header::Link, 12, 2), Expr::equal(0, kind.to_be_bytes())];
    let other_mac = Expr::Cmp(0, Test::NotEqual, mac.to_vec());
    let foreign = |set: &str| Expr::Lookup { set: set.to_owned(), key: 0, inverted: true };
    // The unspecified address of who has none yet; fe80::/10.
    let unless = |zeros: usize| Expr::Cmp(0, Test::NotEqual, vec![0; zeros]);
    let unless_local = |base, offset| {
        let masked = Expr::Bitwise { from: 0, into: 0, mask: vec![0xff, 0xc0], xor: vec![0, 0] };
        [payload(base, offset, 2), masked, Expr::Cmp(0, Test::NotEqual, vec![0xfe, 0x80])]
    };
    let four = [payload(Header::Network, 12, 4), unless(4), foreign("own4")];
    let six = [payload(Header::Network, 8, 16), unless(16), foreign("own6")];
    let advertised = [payload(Header::Network, 6, 1), Expr::equal(0, [58]), payload(Header::Network, 40, 1)];
    let target = [payload(Header::Network, 48, 16), foreign("own6")];
    vec![
        vec![payload(Header::Link, 6, 6), other_mac.clone()],
        [of_type(0x0806), vec![payload(Header::Network, 8, 6), other_mac]].concat(),
        [of_type(0x0806), vec![payload(Header::Network, 14, 4), unless(4), foreign("own4")]].concat(),
        [of_type(0x0800), four.to_vec()].concat(),
        [of_type(0x86dd), unless_local(Header::Network, 8).to_vec(), six.to_vec()].concat(),
        [
            of_type(0x86dd),
            advertised.to_vec(),
            vec![Expr::equal(0, [136])],
            unless_local(Header::Network, 48).to_vec(),
            target.to_vec(),
        ]
        .concat(),
    ]
}

/// How many frames a guard of this name has stopped; `None` where there is none.
///
/// # Errors
/// When the kernel refuses.
pub fn stopped(socket: &mut Socket, name: &str) -> Result<Option<u64>, Error> {
    match read_counters(socket, &Table::new(Family::Bridge, name), STOPPED) {
        Ok(all) => Ok(all.first().map(|one| one.packets)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Ends what [`fence_device`], [`fence_macs`], [`rank_macs`] or [`guard_port`] began under this name; nothing to end is no error.
///
/// # Errors
/// When the kernel refuses.
pub fn unfence(socket: &mut Socket, name: &str) -> Result<(), Error> {
    for family in [Family::Netdev, Family::Bridge] {
        let mut batch = Batch::new();
        batch.delete_table(&Table::new(family, name));
        match batch.commit(socket) {
            Err(error) if !error.is_absent() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
