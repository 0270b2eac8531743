//! The last look at what leaves, in a table of the devices: a frame bears addresses of this machine alone, and an IP packet
//! has crossed the output chain, whatever socket it was sent by (an `AF_PACKET` socket passes the output chain by).
//!
//! All is read at fixed places of the frame: what a sender says of its frame beside it (its protocol, where its headers
//! begin) is not believed. Frames of other protocols than IP, ARP and VLAN are not looked at but for the sender's link address.
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use agent_core::{Builtin, Ruleset};
use nft::{Batch, Element, Expr, Family, Header, Hook, HookPoint, MetaKey, Policy, SetSpec, Table, Test, Type};

use super::dhcp;
use super::rules::{ICMPV6, Rule};
use super::skeleton::{LOG_RATE, LOOPBACK, ROOM};

/// The set of counters.
pub(crate) const OUTCOMES: &str = "outcomes_egress";
const BASE: &str = "egress";
/// Chains whose rules change with each ruleset.
const LIVING: [&str; 3] = ["stamp", "sources", "known"];
/// The most pairs of own addresses, of link and IP, that are compared one by one.
const MOST_KNOWN: usize = 8;
const SETS: [(&str, Type); 5] =
    [("own4", Type::Ipv4), ("own6", Type::Ipv6), ("seen6", Type::Ipv6), ("macs", Type::Mac), ("stacked", Type::Name)];
/// Kinds of devices that hand their frames to another, at whose egress they are looked at once more.
const STACKED: [&str; 7] = ["bond", "bridge", "ipvlan", "macsec", "macvlan", "team", "vlan"];
pub(super) const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const ARP: [u8; 2] = [0x08, 0x06];
/// A tag says nothing of what is below it, and one without a number is taken off by who receives it.
pub(crate) const TAGGED: [[u8; 2]; 2] = [[0x81, 0x00], [0x88, 0xa8]];

/// Places in a frame.
const SENDER: u32 = 6;
const ETHERTYPE: u32 = 12;
const SOURCE4: u32 = 26;
const SOURCE6: u32 = 22;
const NEXT6: u32 = 20;
const ARP_SENDER: u32 = 22;
const ARP_SOURCE: u32 = 28;
const ICMP_TYPE: u32 = 54;
const TARGET: u32 = 62;
const OPTION: u32 = 78;
const OPTION_SENDER: u32 = 80;
const SOLICITATIONS: [u8; 2] = [133, 135];
const ADVERTISEMENT: u8 = 136;
const SOURCE_OPTION: u8 = 1;
const TARGET_OPTION: u8 = 2;

/// What frames may leave with, beside the addresses of the inventory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Senders {
    macs: BTreeSet<[u8; 6]>,
    link_local: BTreeSet<Ipv6Addr>,
}

impl Senders {
    /// Those of the calling thread's interfaces.
    pub(crate) fn here() -> Self {
        let mut senders = Self::default();
        for address in nix::ifaddrs::getifaddrs().into_iter().flatten().filter_map(|one| one.address) {
            senders.macs.extend(address.as_link_addr().and_then(|link| link.addr()));
            let six = address.as_sockaddr_in6().map(nix::sys::socket::SockaddrIn6::ip);
            senders.link_local.extend(six.filter(Ipv6Addr::is_unicast_link_local));
        }
        senders
    }
}

/// The devices' table.
#[must_use]
pub fn devices() -> Table {
    Table::new(Family::Netdev, "eastwest")
}

/// Lays table, sets and chains; what stands of them is kept, but for the rules that stay the same.
pub(crate) fn lay(batch: &mut Batch, stamp: u32) {
    let table = devices();
    batch.add_table(&table);
    let hook = Hook { point: HookPoint::EgressAll, priority: 0, policy: Policy::Drop };
    batch.add_base_chain(&table, BASE, &hook);
    for (name, key) in SETS {
        let set = SetSpec::plain(name, key);
        batch.add_set(&table, &if name == "stacked" { set.sized(ROOM) } else { set });
    }
    batch.add_elements(&table, "stacked", &STACKED.map(|kind| Element::key(named(kind))));
    batch.add_set(&table, &SetSpec::counted(OUTCOMES, Type::Mark));
    let words = [("deny", Builtin::Spoofed), ("deny", Builtin::Bypass), ("allow", Builtin::Asked)];
    let counter = |(verdict, one): (_, Builtin)| {
        Element::key(one.word().0.to_ne_bytes()).comment(&format!("{verdict} {}", one.rule()))
    };
    let counters = words.map(counter);
    batch.add_elements(&table, OUTCOMES, &counters);
    for living in LIVING {
        batch.add_chain(&table, living);
    }
    let chains = chains(stamp);
    for (chain, _) in &chains {
        batch.add_chain(&table, chain).flush_chain(&table, chain);
    }
    batch.flush_chain(&table, BASE);
    for (chain, rules) in chains.into_iter().chain([(BASE, base(stamp))]) {
        add(batch, chain, &rules);
    }
}

/// All chains but the base chain and the changing ones.
fn chains(stamp: u32) -> [(&'static str, Vec<Rule>); 8] {
    [
        ("spoofed", refused(Builtin::Spoofed)),
        ("bypass", refused(Builtin::Bypass)),
        ("leave", leave()),
        ("address", asked(stamp)),
        ("judged", judged(stamp)),
        ("four", vec![foreign(Rule::new(), SOURCE4, 4, &["own4"]), Rule::new().goto("judged")]),
        ("six", six()),
        ("arp", arp()),
    ]
}

/// The table, its chains and its sets.
pub(crate) fn names() -> (Table, Vec<String>, Vec<String>) {
    let chains = chains(0).map(|(name, _)| name).into_iter().chain(LIVING).chain([BASE]).map(str::to_owned);
    let sets = SETS.map(|(name, _)| name).into_iter().chain([OUTCOMES]).map(str::to_owned);
    (devices(), chains.collect(), sets.collect())
}

fn add(batch: &mut Batch, chain: &str, rules: &[Rule]) {
    for rule in rules {
        batch.add_rule(&devices(), chain, &rule.0);
    }
}

/// Brings epoch and addresses to a ruleset's; `held` is the one that stands, where that is known.
pub(crate) fn apply(batch: &mut Batch, ruleset: &Ruleset, held: Option<&Ruleset>, senders: &Senders) {
    let table = devices();
    batch.flush_chain(&table, "stamp").add_rule(&table, "stamp", &Rule::new().stamp(ruleset.epoch).0);
    if held.is_some_and(|held| (&held.own, held.dhcp) == (&ruleset.own, ruleset.dhcp)) {
        return;
    }
    let own = |six| {
        ruleset.own.iter().filter(move |ip| ip.is_ipv6() == six).map(|ip| Element::address(*ip)).collect::<Vec<_>>()
    };
    for (set, elements) in [("own4", own(false)), ("own6", own(true))] {
        batch.flush_set(&table, set).add_elements(&table, set, &elements);
    }
    batch.flush_chain(&table, "sources");
    add(batch, "sources", &sources(ruleset));
    lay_known(batch, senders, &ruleset.own);
}

/// Writes the interfaces' own addresses, for a machine of these.
pub(crate) fn senders(batch: &mut Batch, senders: &Senders, own: &[IpAddr]) {
    let table = devices();
    let macs: Vec<_> = senders.macs.iter().map(|mac| Element::key(*mac)).collect();
    // The unspecified address asks whether an address is taken, and joins groups before there is one.
    let unspecified = std::iter::once(&Ipv6Addr::UNSPECIFIED);
    let seen: Vec<_> =
        senders.link_local.iter().chain(unspecified).map(|ip| Element::address(IpAddr::V6(*ip))).collect();
    batch.flush_set(&table, "macs").add_elements(&table, "macs", &macs);
    batch.flush_set(&table, "seen6").add_elements(&table, "seen6", &seen);
    lay_known(batch, senders, own);
}

fn lay_known(batch: &mut Batch, senders: &Senders, own: &[IpAddr]) {
    batch.flush_chain(&devices(), "known");
    add(batch, "known", &known(senders, own));
}

/// What most frames are that were judged: from one of this machine's link addresses and one of its IP addresses, and no neighbour
/// discovery. They are asked for the same as all, by comparison, which is quicker than look-ups.
fn known(senders: &Senders, own: &[IpAddr]) -> Vec<Rule> {
    let macs = senders.macs.iter().filter(|mac| **mac != [0; 6]);
    let frame = |mac: &[u8; 6], ip: &IpAddr| match ip {
        IpAddr::V4(ip) => from(mac, IPV4).bytes(Header::Link, SOURCE4, &ip.octets()).goto("leave"),
        IpAddr::V6(ip) => {
            from(mac, IPV6).bytes(Header::Link, SOURCE6, &ip.octets()).not_bytes(NEXT6, &[ICMPV6]).goto("leave")
        }
    };
    let pairs: Vec<Rule> = macs.flat_map(|mac| own.iter().map(move |ip| frame(mac, ip))).collect();
    if pairs.len() <= MOST_KNOWN { pairs } else { Vec::new() }
}

/// A frame of this kind from a link address.
fn from(mac: &[u8; 6], kind: [u8; 2]) -> Rule {
    Rule::new().bytes(Header::Link, SENDER, &[mac.as_slice(), &kind].concat())
}

fn base(stamp: u32) -> Vec<Rule> {
    let judged = Rule::new().mark_bits(u32::MAX, stamp).jump("known");
    let mut rules = vec![judged, Rule::new().device(MetaKey::OutType, LOOPBACK).accept(), Rule::new().jump("sources")];
    rules.extend([IPV4, IPV6].into_iter().chain(TAGGED).map(|kind| ethertype(kind).goto("judged")));
    // A device without link headers says what it carries.
    rules.extend([IPV4, IPV6].map(|kind| protocol(kind).goto("judged")));
    rules.push(Rule::new().accept());
    rules
}

fn judged(stamp: u32) -> Vec<Rule> {
    vec![Rule::new().unmarked(stamp).goto("bypass"), Rule::new().goto("leave")]
}

/// Behind this chain sockets see what leaves, with its mark, and may set one themselves: of devices that stand on others
/// alone does a packet take the stamp with it.
fn leave() -> Vec<Rule> {
    let lookup = Expr::Lookup { set: "stacked".to_owned(), key: 0, inverted: false };
    vec![Rule(vec![Expr::Meta(MetaKey::OutKind, 0), lookup]).accept(), Rule::new().set_mark(0).accept()]
}

/// A name as the kernel compares it.
fn named(kind: &str) -> [u8; 16] {
    let mut name = [0; 16];
    name.iter_mut().zip(kind.bytes()).for_each(|(place, byte)| *place = byte);
    name
}

/// Who sends must be this machine: by link address, by IP address, and by what ARP and neighbour discovery claim.
fn sources(ruleset: &Ruleset) -> Vec<Rule> {
    let mut rules: Vec<Rule> = ruleset.dhcp.then(|| dhcp::broadcast().goto("address")).into_iter().collect();
    // A machine that does not know its addresses yet is closed, and says nothing but to its center.
    if !ruleset.own.is_empty() {
        rules.push(foreign(Rule::new(), SENDER, 6, &["macs"]));
        rules.extend([(IPV4, "four"), (IPV6, "six"), (ARP, "arp")].map(|(kind, chain)| ethertype(kind).goto(chain)));
    }
    rules
}

/// A DHCP client's question to all: from this machine's address or from none, whether the output chain has seen it or not.
fn asked(stamp: u32) -> Vec<Rule> {
    vec![
        foreign(Rule::new(), SENDER, 6, &["macs"]),
        foreign(Rule::new().not_bytes(SOURCE4, &Ipv4Addr::UNSPECIFIED.octets()), SOURCE4, 4, &["own4"]),
        Rule::new().mark_bits(u32::MAX, stamp).goto("leave"),
        Rule::new().set_builtin(Builtin::Asked),
        Rule::new().count(OUTCOMES),
        Rule::new().limit(LOG_RATE, false).log("allow"),
        Rule::new().set_mark(stamp).goto("leave"),
    ]
}

fn foreign(rule: Rule, at: u32, length: u32, sets: &[&str]) -> Rule {
    absent(rule, at, length, sets).goto("spoofed")
}

fn arp() -> Vec<Rule> {
    vec![
        foreign(Rule::new(), ARP_SENDER, 6, &["macs"]),
        // Who asks whether an address is taken does not claim it.
        foreign(Rule::new().not_bytes(ARP_SOURCE, &Ipv4Addr::UNSPECIFIED.octets()), ARP_SOURCE, 4, &["own4"]),
    ]
}

fn six() -> Vec<Rule> {
    let neighbour = |kind| Rule::new().bytes(Header::Link, ICMP_TYPE, &[kind]);
    let option = |kind, option| neighbour(kind).bytes(Header::Link, OPTION, &[option]);
    let mut rules = vec![
        foreign(Rule::new(), SOURCE6, 16, &["own6", "seen6"]),
        Rule::new().not_bytes(NEXT6, &[ICMPV6]).goto("judged"),
        foreign(neighbour(ADVERTISEMENT), TARGET, 16, &["own6", "seen6"]),
        foreign(option(ADVERTISEMENT, TARGET_OPTION), OPTION_SENDER, 6, &["macs"]),
    ];
    rules.extend(SOLICITATIONS.map(|kind| {
        // The option stands behind what the message asks for, which a router's solicitation does not have.
        let (at, sender) = if kind == SOLICITATIONS[0] { (TARGET, TARGET + 2) } else { (OPTION, OPTION_SENDER) };
        foreign(neighbour(kind).bytes(Header::Link, at, &[SOURCE_OPTION]), sender, 6, &["macs"])
    }));
    rules.push(Rule::new().goto("judged"));
    rules
}

fn refused(builtin: Builtin) -> Vec<Rule> {
    vec![
        Rule::new().set_builtin(builtin),
        Rule::new().count(OUTCOMES),
        Rule::new().limit(LOG_RATE, false).log("deny"),
        Rule::new().drop(),
    ]
}

pub(super) fn ethertype(kind: [u8; 2]) -> Rule {
    Rule::new().bytes(Header::Link, ETHERTYPE, &kind)
}

fn protocol(kind: [u8; 2]) -> Rule {
    Rule(vec![Expr::Meta(MetaKey::Protocol, 0), Expr::equal(0, kind)])
}

/// Bytes of the frame that stand in none of these sets.
fn absent(mut rule: Rule, offset: u32, length: u32, sets: &[&str]) -> Rule {
    rule.0.push(Expr::Payload { base: Header::Link, offset, length, into: 0 });
    rule.0.extend(sets.iter().map(|set| Expr::Lookup { set: (*set).to_owned(), key: 0, inverted: true }));
    rule
}

impl Rule {
    fn not_bytes(mut self, offset: u32, value: &[u8]) -> Self {
        let length = u32::try_from(value.len()).unwrap_or(0);
        self.0.push(Expr::Payload { base: Header::Link, offset, length, into: 0 });
        self.0.push(Expr::Cmp(0, Test::NotEqual, value.to_vec()));
        self
    }
}
