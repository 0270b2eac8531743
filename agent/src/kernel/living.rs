//! The chains that change with each ruleset.
use std::net::{IpAddr, SocketAddr};

use agent_core::Ruleset;
use nft::{Batch, CtKey, Direction};

use super::maps::Bank;
use super::rules::{CUT, EPOCH, EPOCH_SHIFT, EXPECTED, FOUND, Rule, TCP, TRANSLATED, table};
use super::skeleton::{LIVING, Side};

/// The chains of one or two rules that carry the epoch, the defaults and the center.
pub(crate) fn lay(batch: &mut Batch, ruleset: &Ruleset, bank: Bank) {
    let table = table();
    for chain in LIVING {
        batch.flush_chain(&table, chain);
    }
    let epoch = u32::from(ruleset.epoch) << EPOCH_SHIFT;
    let current = || Rule::new().ct_bits(CtKey::Mark, CUT | EPOCH, epoch);
    let cut = || Rule::new().ct_bits(CtKey::Mark, CUT | EPOCH, CUT | epoch);
    let mut add = |chain: &str, rule: Rule| {
        batch.add_rule(&table, chain, &rule.0);
    };
    for side in [Side::In, Side::Out] {
        let chain = side.name("epoch");
        add(&chain, side.pass(current().ct_bits(CtKey::Status, EXPECTED | TRANSLATED, 0)));
        add(&chain, cut().goto("late"));
    }
    add("steady", Rule::new().back_in_epoch(ruleset.epoch, &bank.name("living")));
    add("steady", Rule::new().set_mark(0));
    add("stamp", Rule::new().stamp(ruleset.epoch));
    add("default_in", Rule::new().set_mark(ruleset.default_in.0 | FOUND));
    add("default_out", Rule::new().set_mark(ruleset.default_out.0 | FOUND));
    if let Some(center) = ruleset.center {
        add("center_out", center_rule(center, Side::Out));
        add("center_in", center_rule(center, Side::In));
    }
}

fn center_rule(center: SocketAddr, side: Side) -> Rule {
    let direction = match side {
        Side::Out => Direction::Original,
        Side::In => Direction::Reply,
    };
    let (port, channel) = (center.port().to_be_bytes(), side.name("channel"));
    let rule = Rule::new().protocol(TCP).original(CtKey::DestinationPort, &port).direction(direction);
    match center.ip() {
        IpAddr::V4(ip) => rule.original(CtKey::Destination4, &ip.octets()).goto(&channel),
        IpAddr::V6(ip) => rule.original(CtKey::Destination6, &ip.octets()).goto(&channel),
    }
}
