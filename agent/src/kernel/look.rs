//! How a packet finds its outcome in the maps.
use nft::CtKey;

use super::maps::{Bank, MAPS};
use super::rules::{CLASSED, FOUND, ICMP, ICMPV6, Rule, TCP, UDP};
use super::skeleton::{BANKS, Side};

/// Class of the peer, class of the service, of what arrives the place that it is for, and the outcome of all; the scratch
/// mark is zero before each look-up. `sets` gives the sets of a map, each behind the condition that it is in force.
pub(crate) fn look_ups(side: Side, sets: impl Fn(&'static str) -> Vec<(Rule, String)>) -> Vec<Rule> {
    let (four, six) = match side {
        Side::In => (CtKey::Source4, CtKey::Source6),
        Side::Out => (CtKey::Destination4, CtKey::Destination6),
    };
    let mut rules = vec![Rule::new().set_mark(0)];
    for (key, map) in [(four, "peers4"), (six, "peers6")] {
        rules.extend(sets(map).into_iter().map(|(when, set)| when.classify(key, &set)));
    }
    for (key, map) in [(four, "networks4"), (six, "networks6")] {
        rules.extend(sets(map).into_iter().map(|(when, set)| when.mark_bits(u32::MAX, 0).classify(key, &set)));
    }
    // Each way to load what stands behind class and service in the key, and the map to look in.
    let others: Vec<Rule> = places(["places4", "places6"], &sets)
        .into_iter()
        .map(|place| Rule::new().mark_bits(FOUND, 0).and(place))
        .collect();
    let (behind, pairs) = match side {
        Side::In => (places(["own4", "own6"], &sets).into_iter().chain(others.clone()).collect(), "arriving"),
        Side::Out => (vec![Rule::new()], "outbound"),
    };
    let of = |protocol| Rule::new().protocol(protocol);
    for (protocol, key, map) in [
        (of(TCP), CtKey::DestinationPort, "tcp"),
        (of(UDP), CtKey::DestinationPort, "udp"),
        (of(ICMP), CtKey::DestinationPort, "icmp"),
        (of(ICMPV6), CtKey::DestinationPort, "icmpv6"),
        (Rule::new().other_protocol(&[TCP, UDP, ICMP, ICMPV6]), CtKey::Protocol, "protocols"),
    ] {
        for (when, services) in sets(map) {
            for (also, pairs) in sets(pairs) {
                let judge = Rule::new().judge(key, &services, &pairs);
                let one = |place: &Rule| protocol.clone().and(when.clone()).and(also.clone()).and(place.clone());
                rules.extend(behind.iter().map(|place| one(place).and(judge.clone())));
            }
        }
    }
    if side == Side::In {
        rules.extend(others.into_iter().map(Rule::unless_judged));
    }
    rules
}

/// The look-ups of the place that a packet is for, in these maps: one for each family and set.
fn places(maps: [&'static str; 2], sets: impl Fn(&'static str) -> Vec<(Rule, String)>) -> Vec<Rule> {
    let families = [CtKey::Destination4, CtKey::Destination6].into_iter().zip(maps);
    let of = |(key, map)| sets(map).into_iter().map(move |(when, set): (Rule, String)| when.place(key, &set));
    families.into_iter().flat_map(of).collect()
}

/// What is judged again, by maps alone (see `living`).
pub(crate) fn again(side: Side) -> Vec<Rule> {
    let sets = |map: &str| {
        let place = (0_u32..).zip(MAPS).find_map(|(place, one)| (one == map).then_some(place)).unwrap_or(u32::MAX);
        Bank::BOTH.map(|bank| (Rule::new().says(BANKS, place, bank as u32), bank.name(map))).into()
    };
    let mut rules = vec![Rule::new().counter()];
    rules.extend(look_ups(side, sets));
    rules.push(Rule::new().mark_bits(FOUND | CLASSED, 0).counter().drop());
    let default = |(when, set): (Rule, String)| Rule::new().mark_bits(FOUND, 0).and(when).default_of(side as u32, &set);
    rules.extend(sets("defaults").into_iter().map(default));
    rules.extend([
        Rule::new().mark_bits(FOUND, 0).counter().drop(),
        Rule::new().jump("stamp"),
        Rule::new().goto(&side.name("decide")),
    ]);
    rules
}
