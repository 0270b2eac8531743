//! Silent partitions for a laboratory: frames vanish, and no carrier changes.
use crate::batch::{Batch, Family, Hook, HookPoint, Policy, Table};
use crate::error::Error;
use crate::expr::{Expr, Header, MetaKey, Verdict};
use crate::sets::{Element, SetKind, SetSpec, Type};
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
    let rule = if percent >= 100 {
        vec![Expr::Counter, Expr::Verdict(Verdict::Drop)]
    } else {
        let below = Expr::Cmp(0, crate::expr::Test::Less, percent.to_be_bytes().to_vec());
        // The generator counts in host order, and "less" compares bytes: the network's order is asked for.
        let turn = Expr::Random { modulus: 100, into: 0 };
        vec![turn, Expr::NetworkOrder(0), below, Expr::Counter, Expr::Verdict(Verdict::Drop)]
    };
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
        let spec = SetSpec { name: set.to_owned(), key: vec![Type::Mac], kind: SetKind::Plain, interval: false };
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

/// Gives the frames that a bridge passes from one address to another a priority, by which the queueing discipline of the
/// port that they leave by finds their class; until [`unfence`] with the same name.
///
/// # Errors
/// When the kernel refuses.
pub fn rank_macs(socket: &mut Socket, name: &str, path: ([u8; 6], [u8; 6]), priority: u32) -> Result<(), Error> {
    let mut batch = Batch::new();
    let table = forwarding(&mut batch, name);
    let mut rule = Vec::new();
    for (offset, mac) in [(6, path.0), (0, path.1)] {
        rule.extend([Expr::Payload { base: Header::Link, offset, length: 6, into: 0 }, Expr::equal(0, mac)]);
    }
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

/// Ends what [`fence_device`], [`fence_macs`] or [`rank_macs`] began under this name; nothing to end is no error.
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
