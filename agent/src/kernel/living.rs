//! The chains that change with each ruleset.
//!
//! A packet keeps the rules of a chain with which it began it, however long it is under way: a virtual processor can be stopped
//! for several changes. But it finds each map as it is at the time of the look-up. So all from the first look-up to the verdict
//! stands in one chain, and each way through it ends with the question whether the epoch that these rules were written for is in force. Where it is
//! not, the packet may have met parts of several rulesets. It is judged again then, in chains that never change and take all
//! from maps: which set of each map is in force, and the default.
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use agent_core::Ruleset;
use nft::{Batch, CtKey, Direction, Element, Error, Header, Socket};

use super::common;
use super::dhcp;
use super::look::look_ups;
use super::maps::InForce;
use super::rules::{
    CLASSED, CUT, EPOCH, EPOCH_SHIFT, EXPECTED, FOUND, IPV4, IPV6, RELATED, Rule, TCP, TRANSLATED, table,
};
use super::skeleton::{BANKS, IN_FORCE, LIVING, Side};
use super::volumes;

/// The most addresses that are compared one by one.
const MOST_OWN: usize = 4;

/// The rules that look into maps, where it is known which these are, with the kernel's numbers for them. Those that stay are left
/// alone: for each rule that is to look into a map, the kernel walks all of the map (`nf_tables_bind_set`).
#[derive(Debug, Default)]
pub(super) struct Former(BTreeMap<String, Vec<(u64, Rule)>>);

/// Those of a ruleset that is in force.
///
/// # Errors
/// When the listing fails.
pub(super) fn former(socket: &mut Socket, ruleset: &Ruleset, maps: &InForce) -> Result<Former, Error> {
    let mut all = BTreeMap::new();
    for (chain, rules) in looking(ruleset, maps) {
        let handles = socket.handles(&table(), &chain)?;
        if handles.len() == rules.len() {
            all.insert(chain, handles.into_iter().zip(rules).collect());
        }
    }
    Ok(Former(all))
}

impl Former {
    /// Fills a chain with rules; of those that stand there, what differs is replaced.
    fn fill(&self, batch: &mut Batch, chain: &str, rules: &[Rule]) {
        let Some(former) = self.0.get(chain).filter(|former| former.len() == rules.len()) else {
            batch.flush_chain(&table(), chain);
            rules.iter().for_each(|rule| put(batch, chain, rule));
            return;
        };
        for ((handle, before), rule) in former.iter().zip(rules) {
            if before != rule {
                batch.replace_rule(&table(), chain, *handle, &rule.0);
            }
        }
    }
}

fn put(batch: &mut Batch, chain: &str, rule: &Rule) {
    batch.add_rule(&table(), chain, &rule.0);
}

/// The chains that carry the epoch, the defaults, the center, DHCP, and the names of the maps.
pub(super) fn lay(batch: &mut Batch, ruleset: &Ruleset, maps: &InForce, former: &Former) {
    let table = table();
    let looking = looking(ruleset, maps);
    for chain in LIVING.into_iter().filter(|chain| looking.iter().all(|(looks, _)| looks != chain)) {
        batch.flush_chain(&table, chain);
    }
    let epoch_in_force = [Element::key(u32::from(ruleset.epoch).to_ne_bytes())];
    batch.flush_set(&table, IN_FORCE).add_elements(&table, IN_FORCE, &epoch_in_force);
    batch.flush_set(&table, BANKS).add_elements(&table, BANKS, &maps.numbers());
    let epoch = u32::from(ruleset.epoch) << EPOCH_SHIFT;
    let current = || Rule::new().ct_bits(CtKey::Mark, CUT | EPOCH, epoch);
    let cut = || Rule::new().ct_bits(CtKey::Mark, CUT | EPOCH, CUT | epoch);
    for (chain, rules) in &looking {
        former.fill(batch, chain, rules);
    }
    let mut add = |chain: &str, rule: Rule| put(batch, chain, &rule);
    for side in [Side::In, Side::Out] {
        let chain = side.name("epoch");
        if side == Side::In {
            volumes::rules(ruleset).into_iter().for_each(|rule| add(&chain, rule));
        }
        // Of an error about a flow, it is the kind that is asked first.
        let of_itself = current().ct_bits(CtKey::State, RELATED, 0);
        let current = of_itself.ct_bits(CtKey::Status, EXPECTED | TRANSLATED, 0);
        add(&chain, if side == Side::In { current.accept() } else { current.goto("own") });
    }
    add("shut", cut().goto("late"));
    add("stamp", Rule::new().stamp(ruleset.epoch));
    for side in [Side::In, Side::Out] {
        ruleset.center.into_iter().for_each(|center| add(&side.name("center"), center_rule(center, side)));
        dhcp::rules(ruleset, side).into_iter().for_each(|rule| add(&side.name("dhcp"), rule));
    }
}

/// Lets what leaves pass: marks what does so from one of the machine's addresses, so that the last look need not ask for its
/// sender; where a machine has many, that is asked as ever.
pub(super) fn own(batch: &mut Batch, ruleset: &Ruleset, owned: u32) {
    let few = if ruleset.own.len() <= MOST_OWN { ruleset.own.as_slice() } else { &[] };
    for ip in few {
        let of = match ip {
            IpAddr::V4(ip) => Rule::new().family(IPV4).bytes(Header::Network, 12, &ip.octets()),
            IpAddr::V6(ip) => Rule::new().family(IPV6).bytes(Header::Network, 8, &ip.octets()),
        };
        put(batch, "own", &of.set_mark(owned).accept());
    }
    put(batch, "own", &Rule::new().goto("pass"));
}

/// The chains that look into maps.
fn looking(ruleset: &Ruleset, maps: &InForce) -> [(String, Vec<Rule>); 4] {
    let [one, other] = [Side::In, Side::Out].map(|side| {
        let judge = side.name("judge");
        let mut begin = Vec::from(common::rules(ruleset, side, |map| maps.bank(map).name(map)));
        begin.push(Rule::new().goto(&judge));
        [(side.name("begin"), begin), (judge, self::judge(ruleset, side, maps))]
    });
    let ([a, b], [c, d]) = (one, other);
    [a, b, c, d]
}

/// Finds the outcome and adds the epoch, if that is in force.
fn judge(ruleset: &Ruleset, side: Side, maps: &InForce) -> Vec<Rule> {
    let default = match side {
        Side::In => ruleset.default_in,
        Side::Out => ruleset.default_out,
    };
    let mut rules = vec![Rule::new().set_mark(0)];
    rules.extend(look_ups(side, |map| vec![(Rule::new(), maps.bank(map).name(map))]));
    rules.extend([
        Rule::new().in_force(ruleset.epoch, false, IN_FORCE).goto(&side.name("again")),
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
