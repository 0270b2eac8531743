//! The chains that stay. They are made once; laying them again replaces their rules in one step, without a gap.
//!
//! `in` and `out` send what is to be judged (see `entry`) to `judge_*`, which finds class, service and outcome, and `decide_*`, which
//! acts. `epoch_*`, `shut`, `stamp`, `begin_*`, `judge_*`, `center_*` and `dhcp_*` are empty here: they change with each
//! ruleset (see `living`). What `out` lets go ends in `pass`, which marks it for the last look (see `egress`).
use agent_core::Builtin;
use nft::{Batch, CtKey, Error, Header, Hook, HookPoint, MetaKey, Policy, Reject, SetSpec, Socket, Table, Type};

use super::dhcp;
use super::entry;
use super::look::again;
use super::maps::{Bank, InForce};
use super::rules::{ALLOW, CUT, ICMP, ICMPV6, IGMP, IPV4, IPV6, NEW, RECORD, REJECT, RELATED, Rule, TCP, table};
use super::volumes;

pub(crate) const LOOPBACK: u16 = 772;
/// Messages a second; counters stay exact beyond.
pub(crate) const LOG_RATE: u64 = 20_000;
const SAMPLE_RATE: u64 = 1_000;
const RELATED_RATE: u64 = 1_000;

const BASES: [(&str, HookPoint); 3] =
    [("in", HookPoint::Input), ("out", HookPoint::Output), ("forward", HookPoint::Forward)];
/// Chains whose rules change with each ruleset.
pub(crate) const LIVING: [&str; 12] = [
    "epoch_in",
    "epoch_out",
    "shut",
    "stamp",
    "begin_in",
    "begin_out",
    "judge_in",
    "judge_out",
    "center_in",
    "center_out",
    "dhcp_in",
    "dhcp_out",
];
/// The set that holds the epoch in force, also as flows bear it, and no other.
pub(crate) const IN_FORCE: &str = "living";
/// Room in sets of few elements, with those that one transaction adds before it removes others.
pub(super) const ROOM: u32 = 64;
/// The map that says which of a map's sets is in force, and under a key of its own (see `begin`) the epoch, as flows bear it.
pub(crate) const BANKS: &str = "banks";

/// The sets that count outcomes.
pub(crate) const COUNTERS: [&str; 2] = ["outcomes_in", "outcomes_out"];

/// The two directions of flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    In,
    Out,
}

impl Side {
    pub(crate) fn name(self, what: &str) -> String {
        match self {
            Self::In => format!("{what}_in"),
            Self::Out => format!("{what}_out"),
        }
    }

    pub(crate) fn outcomes(self) -> String {
        self.name("outcomes")
    }

    /// Lets a packet through; one that leaves is marked as judged, and no other is.
    pub(crate) fn pass(self, rule: Rule) -> Rule {
        match self {
            Self::In => rule.set_mark(0).accept(),
            Self::Out => rule.goto("pass"),
        }
    }
}

/// The maps of a bank, as sets.
pub(crate) fn maps(bank: Bank) -> Vec<SetSpec> {
    let mut maps = vec![
        SetSpec::map("peers4", &[Type::Ipv4], Type::Mark),
        SetSpec::map("peers6", &[Type::Ipv6], Type::Mark),
        SetSpec::ranges("networks4", Type::Ipv4, Type::Mark),
        SetSpec::ranges("networks6", Type::Ipv6, Type::Mark),
        SetSpec::ranges("tcp", Type::Port, Type::Mark),
        SetSpec::ranges("udp", Type::Port, Type::Mark),
        SetSpec::ranges("icmp", Type::Port, Type::Mark),
        SetSpec::ranges("icmpv6", Type::Port, Type::Mark),
        SetSpec::ranges("protocols", Type::Protocol, Type::Mark),
        SetSpec::map("own4", &[Type::Ipv4], Type::Mark),
        SetSpec::map("own6", &[Type::Ipv6], Type::Mark),
        SetSpec::ranges("places4", Type::Ipv4, Type::Mark),
        SetSpec::ranges("places6", Type::Ipv6, Type::Mark),
        SetSpec::map("arriving", &[Type::Mark, Type::Mark, Type::Mark], Type::Mark),
        SetSpec::map("outbound", &[Type::Mark, Type::Mark], Type::Mark),
        SetSpec::map("defaults", &[Type::Mark], Type::Mark),
        SetSpec::map("ports", &[Type::Protocol, Type::Port], Type::Mark),
    ];
    maps.iter_mut().for_each(|map| map.name = bank.name(&map.name));
    maps
}

/// The maps of both banks, the counters, and what is in force.
fn sets() -> Vec<SetSpec> {
    let mut sets: Vec<SetSpec> = Bank::BOTH.into_iter().flat_map(maps).collect();
    sets.extend(COUNTERS.map(|name| SetSpec::counted(name, Type::Mark)));
    sets.extend(volumes::sets());
    sets.push(SetSpec::map(BANKS, &[Type::Mark], Type::Mark).sized(ROOM));
    sets.push(SetSpec::plain(IN_FORCE, Type::Mark).sized(ROOM));
    sets
}

/// The sets into which the rules look.
pub(crate) fn in_force(socket: &mut Socket) -> Result<InForce, Error> {
    match socket.elements(&table(), BANKS) {
        Ok(numbers) => Ok(InForce::read(&numbers)),
        Err(error) if error.is_absent() => Ok(InForce::default()),
        Err(error) => Err(error),
    }
}

/// Lays table, sets and chains. What stands of them is kept: base chains, elements, the changing chains' rules.
pub(crate) fn lay(batch: &mut Batch, stamp: u32) {
    let table = table();
    batch.add_table(&table);
    for (name, point) in BASES {
        batch.add_base_chain(&table, name, &Hook { point, priority: 0, policy: Policy::Drop });
    }
    for set in sets() {
        batch.add_set(&table, &set);
    }
    for chain in LIVING {
        batch.add_chain(&table, chain);
    }
    let chains = chains(stamp);
    for (name, _) in &chains {
        batch.add_chain(&table, name).flush_chain(&table, name);
    }
    for (name, _) in BASES {
        batch.flush_chain(&table, name);
    }
    for (name, rules) in chains {
        fill(batch, &table, &name, &rules);
    }
    for (side, base) in [(Side::In, "in"), (Side::Out, "out")] {
        batch.add_rule(&table, base, &Rule::new().jump(&side.name("epoch")).0);
        fill(batch, &table, base, &entry::entry(side));
    }
    fill(batch, &table, "forward", &forward());
}

/// The table, its chains and its sets.
pub(crate) fn names() -> (Table, Vec<String>, Vec<String>) {
    let bases = BASES.map(|(name, _)| name.to_owned());
    let chains = chains(0).into_iter().map(|(name, _)| name).chain(LIVING.map(str::to_owned)).chain(bases);
    (table(), chains.collect(), sets().into_iter().map(|set| set.name).collect())
}

fn fill(batch: &mut Batch, table: &Table, chain: &str, rules: &[Rule]) {
    for rule in rules {
        batch.add_rule(table, chain, &rule.0);
    }
}

/// All chains but the base chains and the changing ones.
fn chains(stamp: u32) -> Vec<(String, Vec<Rule>)> {
    let mut all = vec![
        ("pass".to_owned(), vec![Rule::new().set_mark(stamp).accept()]),
        ("related_rate".to_owned(), vec![Rule::new().limit(RELATED_RATE, true).counter().drop()]),
        ("answers".to_owned(), answers()),
        ("late".to_owned(), late()),
        ("refuse".to_owned(), refuse()),
    ];
    for side in [Side::In, Side::Out] {
        all.extend([
            (side.name("stream"), entry::stream(side)),
            (side.name("other"), entry::other(side)),
            (side.name("flow"), entry::flow(side)),
            (side.name("fresh"), entry::fresh(side)),
            (side.name("neighbours"), neighbours(side)),
            (side.name("channel"), channel(side)),
            (side.name("address"), dhcp::passed(side)),
            (side.name("barrier"), barrier(side)),
            (side.name("invalid"), invalid(side)),
            (side.name("related"), related(side)),
            (side.name("nat"), nat(side)),
            (side.name("decide"), decide(side)),
            (side.name("admit"), admit(side)),
            (side.name("record"), first().map(|rule| rule.limit(LOG_RATE, false).log("allow")).into()),
            (side.name("cut"), cut(side)),
            (side.name("again"), again(side)),
        ]);
    }
    all
}

/// Neighbour and router discovery, group membership; never a redirect. No router can have passed such a packet on, and
/// what is said of groups is said to groups: else these types would carry anything between any two machines.
fn neighbours(side: Side) -> Vec<Rule> {
    let six = |hops| Rule::new().family(IPV6).transport(ICMPV6).bytes(Header::Network, 7, &[hops]);
    let group6 = || six(1).bytes(Header::Network, 24, &[0xff]);
    // Without extension headers: the last look finds the sender's claims at their place.
    let discovery = six(255).bytes(Header::Network, 6, &[ICMPV6]).icmp_type(133..=136);
    [
        discovery.bytes(Header::Transport, 1, &[0]),
        group6().icmp_type(130..=132),
        group6().icmp_type(143..=143),
        Rule::new().family(IPV4).transport(IGMP).bytes(Header::Network, 8, &[1]).toward_group4(),
    ]
    .map(|rule| side.pass(rule))
    .into()
}

/// Errors about a flow go on with it; redirects and source quench do not.
fn related(side: Side) -> Vec<Rule> {
    let invalid = side.name("invalid");
    vec![
        Rule::new().transport(ICMP).icmp_type(3..=3).goto("related_rate"),
        Rule::new().transport(ICMP).icmp_type(11..=12).goto("related_rate"),
        Rule::new().transport(ICMPV6).icmp_type(1..=4).goto("related_rate"),
        Rule::new().transport(ICMP).goto(&invalid),
        Rule::new().transport(ICMPV6).goto(&invalid),
    ]
}

/// The agent's own channel to the center.
fn channel(side: Side) -> Vec<Rule> {
    let first = Rule::new().ct_any(CtKey::State, NEW).count_builtin(Builtin::Center, "outcomes_out");
    vec![first, side.pass(Rule::new())]
}

/// What the kernel answers to what we refuse: an empty reset, "administratively prohibited". What a process sends by
/// itself is none of it, however alike.
fn answers() -> Vec<Rule> {
    let related = || Rule::new().ct_any(CtKey::State, RELATED);
    vec![
        Rule::new().of_process().back(),
        Side::Out.pass(related().reset().family(IPV4).bytes(Header::Network, 2, &40_u16.to_be_bytes())),
        Side::Out.pass(related().reset().family(IPV6).bytes(Header::Network, 4, &20_u16.to_be_bytes())),
        Side::Out.pass(related().transport(ICMP).bytes(Header::Transport, 0, &[3, 13])),
        Side::Out.pass(related().transport(ICMPV6).bytes(Header::Transport, 0, &[1, 1])),
    ]
}

/// Packets of a flow after the one that was cut.
fn late() -> Vec<Rule> {
    vec![Rule::new().counter(), Rule::new().transport(TCP).answer(Reject::TcpReset), Rule::new().drop()]
}

fn refuse() -> Vec<Rule> {
    vec![
        Rule::new().transport(TCP).answer(Reject::TcpReset),
        Rule::new().transport(TCP).drop(),
        Rule::new().answer(Reject::Prohibited),
        Rule::new().drop(),
    ]
}

fn barrier(side: Side) -> Vec<Rule> {
    vec![
        Rule::new().set_builtin(Builtin::Barrier),
        Rule::new().count(&side.outcomes()),
        Rule::new().limit(LOG_RATE, false).log_at_once("barrier"),
        Rule::new().drop(),
    ]
}

fn invalid(side: Side) -> Vec<Rule> {
    vec![
        Rule::new().set_builtin(Builtin::Invalid),
        Rule::new().count(&side.outcomes()),
        Rule::new().limit(SAMPLE_RATE, false).log("invalid"),
        Rule::new().drop(),
    ]
}

fn nat(side: Side) -> Vec<Rule> {
    builtin_deny(Builtin::Nat, &side.outcomes())
}

fn forward() -> Vec<Rule> {
    builtin_deny(Builtin::Forwarded, &Side::In.outcomes())
}

fn builtin_deny(builtin: Builtin, outcomes: &str) -> Vec<Rule> {
    vec![
        Rule::new().set_builtin(builtin),
        Rule::new().count(outcomes),
        Rule::new().limit(LOG_RATE, false).log("deny"),
        Rule::new().drop(),
    ]
}

fn decide(side: Side) -> Vec<Rule> {
    vec![
        Rule::new().action(ALLOW).goto(&side.name("admit")),
        Rule::new().living().goto(&side.name("cut")),
        Rule::new().count(&side.outcomes()),
        Rule::new().limit(LOG_RATE, false).log("deny"),
        Rule::new().action(REJECT).goto("refuse"),
        Rule::new().drop(),
    ]
}

fn admit(side: Side) -> Vec<Rule> {
    let mut rules: Vec<Rule> = first().map(|rule| rule.count(&side.outcomes())).into();
    // The flow's direction is not the packet's: an answer to a flow that came in leaves.
    let leaves = Rule::new().has(MetaKey::OutIndex).keep().goto("pass");
    let arrives = Side::In.pass(Rule::new().has(MetaKey::InIndex).keep());
    let ways = if side == Side::Out { [leaves, arrives] } else { [arrives, leaves] };
    rules.push(Rule::new().mark_bits(RECORD, RECORD).jump(&side.name("record")));
    rules.extend(ways);
    rules
}

/// A packet by which a flow is admitted: the first one, and of a stream that was cut, a segment that opens another (nothing
/// else of such a stream is judged).
fn first() -> [Rule; 2] {
    [Rule::new().unjudged().ct_any(CtKey::State, NEW), Rule::new().ct_any(CtKey::Mark, CUT).protocol(TCP)]
}

fn cut(side: Side) -> Vec<Rule> {
    vec![
        Rule::new().count(&side.outcomes()),
        Rule::new().cut(),
        Rule::new().transport(TCP).answer(Reject::TcpReset),
        Rule::new().drop(),
    ]
}
