//! The chains that change with each ruleset.
//!
//! A packet keeps the rules of a chain with which it began it, however long it is under way: a virtual processor can be stopped
//! for several changes. But it finds each map as it is at the time of the look-up. So all from the first look-up to the verdict
//! stands in one chain, and ends with the question whether the epoch that these rules were written for is in force. Where it is
//! not, the packet may have met parts of several rulesets. It is judged again then, in chains that never change and take all
//! from maps: which set of each map is in force, and the default.
use std::net::{IpAddr, SocketAddr};

use agent_core::Ruleset;
use nft::{Batch, CtKey, Direction, Element, Error, Socket};

use super::look::look_ups;
use super::maps::InForce;
use super::rules::{CLASSED, CUT, EPOCH, EPOCH_SHIFT, EXPECTED, FOUND, RELATED, Rule, TCP, TRANSLATED, table};
use super::skeleton::{BANKS, IN_FORCE, LIVING, Side};
use super::volumes;

/// The rules that look into maps, where they are known: they are removed one by one, behind their successors. For the first rule
/// of a chain that looks into a map the kernel walks all of the map, and for no other (`nf_tables_bind_set`).
#[derive(Debug, Default)]
pub(super) struct Former(Vec<(String, Vec<u64>)>);

/// As the kernel lists them.
///
/// # Errors
/// When the listing fails.
pub(super) fn former(socket: &mut Socket) -> Result<Former, Error> {
    let chains = [Side::In, Side::Out].map(|side| side.name("judge"));
    let listed = chains.map(|chain| Ok((chain.clone(), socket.handles(&table(), &chain)?)));
    listed.into_iter().collect::<Result<_, _>>().map(Former)
}

impl Former {
    fn remove(&self, batch: &mut Batch) {
        for (chain, rules) in &self.0 {
            for rule in rules {
                batch.delete_rule(&table(), chain, *rule);
            }
        }
    }

    fn is_of(&self, chain: &str) -> bool {
        self.0.iter().any(|(one, _)| one == chain)
    }
}

/// The chains that carry the epoch, the defaults, the center, and the names of the maps.
pub(super) fn lay(batch: &mut Batch, ruleset: &Ruleset, maps: &InForce, former: &Former) {
    let table = table();
    for chain in LIVING.into_iter().filter(|chain| !former.is_of(chain)) {
        batch.flush_chain(&table, chain);
    }
    let epoch_in_force = [Element::key(u32::from(ruleset.epoch).to_ne_bytes())];
    batch.flush_set(&table, IN_FORCE).add_elements(&table, IN_FORCE, &epoch_in_force);
    batch.flush_set(&table, BANKS).add_elements(&table, BANKS, &maps.numbers());
    let epoch = u32::from(ruleset.epoch) << EPOCH_SHIFT;
    let current = || Rule::new().ct_bits(CtKey::Mark, CUT | EPOCH, epoch);
    let cut = || Rule::new().ct_bits(CtKey::Mark, CUT | EPOCH, CUT | epoch);
    let mut add = |chain: &str, rule: Rule| {
        batch.add_rule(&table, chain, &rule.0);
    };
    for side in [Side::In, Side::Out] {
        let chain = side.name("epoch");
        if side == Side::In {
            volumes::rules(ruleset).into_iter().for_each(|rule| add(&chain, rule));
        }
        // Of an error about a flow, it is the kind that is asked first.
        let of_itself = current().ct_bits(CtKey::State, RELATED, 0);
        add(&chain, side.pass(of_itself.ct_bits(CtKey::Status, EXPECTED | TRANSLATED, 0)));
        judge(ruleset, side, maps).into_iter().for_each(|rule| add(&side.name("judge"), rule));
    }
    add("shut", cut().goto("late"));
    add("stamp", Rule::new().stamp(ruleset.epoch));
    if let Some(center) = ruleset.center {
        add("center_out", center_rule(center, Side::Out));
        add("center_in", center_rule(center, Side::In));
    }
    former.remove(batch);
}

/// Finds the outcome and adds the epoch, if that is in force.
fn judge(ruleset: &Ruleset, side: Side, maps: &InForce) -> Vec<Rule> {
    let default = match side {
        Side::In => ruleset.default_in,
        Side::Out => ruleset.default_out,
    };
    let mut rules = look_ups(side, |map| vec![(Rule::new(), maps.bank(map).name(map))]);
    rules.extend([
        Rule::new().unless_in_force(ruleset.epoch, IN_FORCE).goto(&side.name("again")),
        Rule::new().mark_bits(FOUND | CLASSED, 0).counter().drop(),
        Rule::new().mark_bits(FOUND, 0).set_mark(default.0),
        Rule::new().stamp(ruleset.epoch),
        Rule::new().goto(&side.name("decide")),
    ]);
    rules
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
