//! The common case, in one rule for each family: a new flow between this machine and one of the peers, to a port that is a service by
//! itself, which is allowed and not recorded. All is read from the packet, looked up, counted and admitted by that rule; where it
//! does not hold, it has done nothing, and the packet is judged as any other (see `look`).
//!
//! The rules do not name the epoch, so that they stay from one ruleset to the next: for each that comes, the kernel walks all of each map that
//! it looks into. They ask the kernel which is in force, before the first look-up, and behind the last whether it still is.
//!
//! So little need be asked of a packet because of where it comes from (`begins`): its flow is new, not translated and judged by nobody, so
//! that the packet bears the flow's addresses and ports, and goes the flow's way.
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use agent_core::{Ruleset, Word};
use nft::{Expr, Header, MetaKey, Test};

use super::contents;
use super::rules::{ACTION, ADDRESS, ALLOW, IPV4, IPV6, OWN, PLACE, RECORD, Rule, SERVICE};
use super::skeleton::{BANKS, IN_FORCE, Side};

/// The register of the epoch.
const EPOCH: u8 = 8;

/// The rules; `set` names the set of a map that is in force.
pub(super) fn rules(ruleset: &Ruleset, side: Side, set: impl Fn(&'static str) -> String) -> [Rule; 2] {
    let key = key(ruleset, &set);
    [(IPV4, "peers4", "own4"), (IPV6, "peers6", "own6")].map(|(family, peers, own)| {
        let (rule, six) = (Rule::new().family(family).begun(key), family == IPV6);
        let own = || match contents::own(ruleset, six).as_slice() {
            [one] => rule.clone().at(six, *one),
            _ => rule.clone().address(six, true).map(&set(own), ADDRESS, PLACE),
        };
        let (rule, pairs) = match side {
            Side::In => (own().address(six, false), "arriving"),
            Side::Out => (rule.address(six, true), "outbound"),
        };
        let found = rule.map(&set(peers), ADDRESS, 0).port(six).map(&set("ports"), SERVICE, 1).map(&set(pairs), 0, 0);
        let admitted = found.admit(&side.outcomes());
        // The scratch mark was not written.
        if side == Side::In { admitted.accept() } else { side.pass(admitted) }
    })
}

/// The key under which the rules find the epoch: another one for other rules. A packet that comes to rules of the past (it found them
/// before a change, and looks into maps behind it) finds nothing under theirs.
pub(super) fn key(ruleset: &Ruleset, set: impl Fn(&'static str) -> String) -> u32 {
    let mut hasher = DefaultHasher::new();
    for map in ["peers4", "peers6", "own4", "own6", "ports", "arriving", "outbound"] {
        set(map).hash(&mut hasher);
    }
    [false, true].iter().for_each(|six| contents::own(ruleset, *six).hash(&mut hasher));
    // The lower half belongs to the numbers of maps.
    1 << 31 | u32::try_from(hasher.finish() >> 33).unwrap_or(0)
}

impl Rule {
    /// Loads the packet's source or destination.
    fn address(self, six: bool, destination: bool) -> Self {
        let (source, length) = if six { (8, 16) } else { (12, 4) };
        let offset = if destination { source + length } else { source };
        self.with([Expr::Payload { base: Header::Network, offset, length, into: ADDRESS }])
    }

    /// A packet for this address of the machine's own; keeps its place.
    fn at(self, six: bool, own: IpAddr) -> Self {
        let bytes = match own {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        self.address(six, true).with([Expr::equal(ADDRESS, bytes), constant(ADDRESS, PLACE, OWN)])
    }

    fn map(self, set: &str, key: u8, into: u8) -> Self {
        self.with([Expr::Map { set: set.to_owned(), key, into }])
    }

    /// Loads protocol and destination port.
    fn port(self, six: bool) -> Self {
        let protocol = match six {
            true => Expr::Meta(MetaKey::Transport, SERVICE),
            false => Expr::Payload { base: Header::Network, offset: 9, length: 1, into: SERVICE },
        };
        self.with([protocol, Expr::Payload { base: Header::Transport, offset: 2, length: 2, into: SERVICE + 1 }])
    }

    /// Notes which epoch is in force, where that is one with these rules.
    fn begun(self, key: u32) -> Self {
        self.with([constant(0, EPOCH, key)]).map(BANKS, EPOCH, EPOCH)
    }

    /// Of an outcome that allows and is not recorded, if the epoch is still in force that was: counts it, and keeps it with its flow.
    fn admit(self, outcomes: &str) -> Self {
        let lookup = |set: &str, key| Expr::Lookup { set: set.to_owned(), key, inverted: false };
        let quiet = [Expr::bits(0, SERVICE, ACTION | RECORD, 0), Expr::word(SERVICE, Test::Equal, ALLOW)];
        let counted = [Expr::bits(0, 0, Word::MASK, 0), lookup(outcomes, 0)];
        let kept = [Expr::Or { from: 0, with: EPOCH, into: 0 }, Expr::SetCtMark(0)];
        self.with(quiet).with([lookup(IN_FORCE, EPOCH)]).with(counted).with(kept)
    }
}

/// A number in a register, by way of one that holds something: the kernel does this faster than it loads a number.
fn constant(from: u8, into: u8, number: u32) -> Expr {
    Expr::bits(from, into, 0, number)
}
