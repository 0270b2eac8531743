//! The chains that change with each ruleset.
//!
//! A packet keeps the rules of a chain with which it began it, however long it is under way: a virtual processor can be stopped
//! for several changes. But it finds each map as it is at the time of the look-up. So all from the first look-up to the verdict
//! stands in one chain, and begins and ends with the question whether the epoch that these rules were written for is in force (what has been under
//! way since two changes ago finds new rules a moment before new elements). Where it is
//! not, the packet may have met parts of several rulesets. It is judged again then, in chains that never change and take all
//! from maps: which set of each map is in force, and the default.
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use agent_core::Ruleset;
use nft::{Batch, CtKey, Direction, Element, Error, MetaKey, Socket};

use super::begin;
use super::dhcp;
use super::entry::entry;
use super::look::look_ups;
use super::maps::InForce;
use super::rules::{CLASSED, CUT, EPOCH, EPOCH_SHIFT, EXPECTED, FOUND, RELATED, Rule, TCP, TRANSLATED, table};
use super::skeleton::{BANKS, IN_FORCE, LIVING, Side};
use super::volumes;

/// What marks what was judged, and whether the kernel is recent enough for rules that make words of two.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means {
    pub(super) stamp: u32,
    pub(super) is_recent: bool,
}

/// The rules of the longer chains, where it is known which these are. Those that stay are left alone: for each rule that is to look
/// into a map, the kernel walks all of the map (`nf_tables_bind_set`).
#[derive(Debug, Default)]
pub(super) struct Former(BTreeMap<String, Standing>);

/// The rules of a chain.
#[derive(Debug)]
enum Standing {
    /// None of them is to change, unless others are to be looked into: it was not asked for the kernel's numbers of them.
    Whole(Vec<Rule>),
    /// With the kernel's numbers for them.
    Each(Vec<(u64, Rule)>),
}

/// Those of a ruleset that is in force, behind which comes another.
///
/// # Errors
/// When the listing fails.
pub(super) fn former(
    socket: &mut Socket,
    ruleset: &Ruleset,
    next: &Ruleset,
    maps: &InForce,
    means: Means,
) -> Result<Former, Error> {
    let mut all = BTreeMap::new();
    let key = |of| begin::key(of, |map| maps.set(map));
    let begins_alike = key(ruleset) == key(next);
    for (chain, rules) in kept(ruleset, maps, means) {
        if begins_alike && [Side::In, Side::Out].iter().any(|side| side.name("begin") == chain) {
            all.insert(chain, Standing::Whole(rules));
            continue;
        }
        let handles = socket.handles(&table(), &chain)?;
        if handles.len() == rules.len() {
            all.insert(chain, Standing::Each(handles.into_iter().zip(rules).collect()));
        }
    }
    Ok(Former(all))
}

impl Former {
    /// Fills a chain with rules; of those that stand there, what differs is replaced.
    fn fill(&self, batch: &mut Batch, chain: &str, rules: &[Rule]) {
        match self.0.get(chain) {
            Some(Standing::Whole(former)) if former == rules => {}
            Some(Standing::Each(former)) if former.len() == rules.len() => {
                for ((handle, _), rule) in former.iter().zip(rules).filter(|((_, before), rule)| before != *rule) {
                    batch.replace_rule(&table(), chain, *handle, &rule.0);
                }
            }
            _ => {
                batch.flush_chain(&table(), chain);
                rules.iter().for_each(|rule| put(batch, chain, rule));
            }
        }
    }
}

fn put(batch: &mut Batch, chain: &str, rule: &Rule) {
    batch.add_rule(&table(), chain, &rule.0);
}

/// The chains that carry the epoch, the defaults, the center, DHCP, and the names of the maps.
pub(super) fn lay(batch: &mut Batch, ruleset: &Ruleset, maps: &InForce, former: &Former, means: Means) {
    let table = table();
    let kept = kept(ruleset, maps, means);
    for chain in LIVING.into_iter().filter(|chain| kept.iter().all(|(name, _)| name != chain)) {
        batch.flush_chain(&table, chain);
    }
    let epoch = u32::from(ruleset.epoch) << EPOCH_SHIFT;
    let in_force = [ruleset.epoch.into(), epoch].map(|one: u32| Element::key(one.to_ne_bytes()));
    let key = begin::key(ruleset, |map| maps.set(map));
    let now = Element::key(key.to_ne_bytes()).value(epoch.to_ne_bytes());
    batch.flush_set(&table, IN_FORCE).add_elements(&table, IN_FORCE, &in_force);
    batch.flush_set(&table, BANKS).add_elements(&table, BANKS, &maps.numbers()).add_elements(&table, BANKS, &[now]);
    for (chain, rules) in &kept {
        former.fill(batch, chain, rules);
    }
    let mut add = |chain: &str, rule: Rule| put(batch, chain, &rule);
    // What leaves may have been judged by what came in a moment ago, and is to be stamped.
    add("shut", Side::In.pass(judged(ruleset.epoch).has(MetaKey::InIndex)));
    add("shut", Rule::new().ct_bits(CtKey::Mark, CUT | EPOCH, CUT | epoch).goto("late"));
    add("stamp", Rule::new().stamp(ruleset.epoch));
    for side in [Side::In, Side::Out] {
        current(ruleset, side, means.stamp).into_iter().for_each(|rule| add(&side.name("epoch"), rule));
        ruleset.center.into_iter().for_each(|center| add(&side.name("center"), center_rule(center, side)));
        dhcp::rules(ruleset, side).into_iter().for_each(|rule| add(&side.name("dhcp"), rule));
    }
}

/// What passes by the current epoch, before all else. It stands in `epoch_*`, into which `in` and `out` jump where they have been laid
/// without a ruleset, and in their own place as soon as there is one: that is a chain less for every packet.
fn current(ruleset: &Ruleset, side: Side, stamp: u32) -> Vec<Rule> {
    let judged = judged(ruleset.epoch);
    match side {
        // What is said to a group comes back as it left, with the stamp, which nobody here may see (see `shut`).
        Side::In => volumes::rules(ruleset).into_iter().chain([judged.unmarked(stamp).accept()]).collect(),
        Side::Out => vec![side.pass(judged)],
    }
}

/// A packet of a flow that this epoch has judged. Of an error about a flow, it is the kind that is asked first.
fn judged(epoch: u16) -> Rule {
    let judged = Rule::new().ct_bits(CtKey::Mark, CUT | EPOCH, u32::from(epoch) << EPOCH_SHIFT);
    judged.ct_bits(CtKey::State, RELATED, 0).ct_bits(CtKey::Status, EXPECTED | TRANSLATED, 0)
}

/// The chains of which rules are kept that do not change.
fn kept(ruleset: &Ruleset, maps: &InForce, means: Means) -> Vec<(String, Vec<Rule>)> {
    let of = |side: Side, base: &str| {
        let entry = current(ruleset, side, means.stamp).into_iter().chain(entry(side)).collect();
        let begin = begin::rules(ruleset, side, |map| maps.set(map));
        let begin = if means.is_recent { begin.into() } else { Vec::new() };
        [(base.to_owned(), entry), (side.name("begin"), begin), (side.name("judge"), judge(ruleset, side, maps))]
    };
    [(Side::In, "in"), (Side::Out, "out")].into_iter().flat_map(|(side, base)| of(side, base)).collect()
}

/// Finds the outcome and adds the epoch, if that is in force.
fn judge(ruleset: &Ruleset, side: Side, maps: &InForce) -> Vec<Rule> {
    let default = match side {
        Side::In => ruleset.default_in,
        Side::Out => ruleset.default_out,
    };
    let outdated = Rule::new().unless_in_force(ruleset.epoch, IN_FORCE).goto(&side.name("again"));
    let mut rules = vec![outdated.clone()];
    rules.extend(look_ups(side, |map| vec![(Rule::new(), maps.set(map))]));
    rules.extend([
        outdated,
        Rule::new().mark_bits(FOUND | CLASSED, 0).counter().drop(),
        Rule::new().mark_bits(FOUND, 0).set_mark(default.0),
        Rule::new().stamp(ruleset.epoch).goto(&side.name("decide")),
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
