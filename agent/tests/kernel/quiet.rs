//! Most flows that are allowed are not recorded, and have a way of their own through the rules; in labs all are recorded. So random
//! rulesets are tried here, each once with records and once without, against what they say.
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use agent_core::{Action, Class, IpRange, Place, Ruleset, Service, Word};

use crate::rulesets::{GROUPS, PORT, closed};
use crate::world::{At, Fate, LATE, OTHER, PEER, VM, World};

const TRIALS: u16 = 60;
const CLASSES: u32 = 3;
const SERVICES: u32 = 4;
/// Where one service may end and the next begin.
const EDGES: [u16; 5] = [PORT - 1, PORT, PORT + 1, PORT + 2, PORT + 9];
const PROBED: [u16; 4] = [PORT, PORT + 1, PORT + 2, PORT + 5];

/// A sequence of numbers that looks random, from a seed (Knuth's MMIX).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap() % bound
    }
}

pub(crate) fn judged(world: &mut World) {
    world.give(LATE);
    let mut passed = 0;
    for (trial, record) in (0..TRIALS).flat_map(|trial| [(trial, true), (trial, false)]) {
        let ruleset = random(&mut Dice(trial.into()), 1 + 2 * trial + u16::from(record), record);
        world.kernel.apply(&ruleset, None).unwrap();
        passed += all_probes(world, &ruleset, &format!("trial {trial}, record {record}"));
        drop(world.events());
    }
    assert!(passed > usize::from(TRIALS) * 20, "hardly anything passes: {passed}");
}

/// A packet that holds rules of the past finds no epoch under their key: rules for other addresses have another.
pub(crate) fn keyed(world: &mut World) {
    let mut key = |epoch, own: &[&str]| {
        let mut ruleset = closed(epoch);
        own.iter().for_each(|ip| split(&mut ruleset.places, (ip.parse().unwrap(), Place::Own)));
        ruleset.own.extend(own.iter().map(|ip| ip.parse::<IpAddr>().unwrap()));
        world.kernel.apply(&ruleset, None).unwrap();
        world.enter(At::Vm);
        let banks = nft::Socket::open().unwrap().elements(&agent::kernel::table(), "banks").unwrap();
        let keys = banks.iter().map(|one| u32::from_ne_bytes(one.key.as_slice().try_into().unwrap()));
        keys.filter(|key| *key >= 1 << 31).collect::<Vec<_>>()
    };
    let (first, again, other) = (key(1, &[]), key(2, &[]), key(3, &LATE));
    assert_eq!((first.len(), &again), (1, &first), "the same rules");
    assert!(other.len() == 1 && other != first, "{other:?}");
}

/// Gives how many passed.
fn all_probes(world: &mut World, ruleset: &Ruleset, trial: &str) -> usize {
    let all: BTreeSet<IpAddr> = [VM, LATE, PEER, OTHER].into_iter().flatten().map(|ip| ip.parse().unwrap()).collect();
    world.enter(At::Vm);
    world.kernel.forget(&all).unwrap();
    let mut passed = 0;
    let others = [VM, LATE].into_iter().flat_map(|own| [PEER, OTHER].map(|other| (own, other)));
    let ends = others.flat_map(|(own, other)| [(At::Peer, other, own), (At::Vm, own, other)]);
    for ((from, source, target), family) in ends.flat_map(|ends| [(ends, 0), (ends, 1)]) {
        for (port, stream) in PROBED.into_iter().flat_map(|port| [(port, true), (port, false)]) {
            let ends = (source[family].parse().unwrap(), SocketAddr::new(target[family].parse().unwrap(), port));
            // What leaves with an address that is not the machine's is another matter.
            if from == At::Vm && !ruleset.own.contains(&ends.0) {
                continue;
            }
            let word = expected(ruleset, from, ends, stream);
            let before = world.count(word.0);
            let fate = probe(world, from, ends, stream);
            let after = world.count(word.0);
            let found = (fate, [after[0] - before[0], after[1] - before[1]]);
            let wanted = (fate_of(word), if from == At::Peer { [1, 0] } else { [0, 1] });
            assert_eq!(found, wanted, "{trial}: {from:?} {ends:?} stream {stream}: {word:?}");
            passed += usize::from(fate == Fate::Through);
        }
    }
    passed
}

/// What a ruleset says of a probe.
fn expected(ruleset: &Ruleset, from: At, (source, target): (IpAddr, SocketAddr), stream: bool) -> Word {
    let services = if stream { &ruleset.tcp } else { &ruleset.udp };
    let service = services.iter().find(|(range, _)| range.contains(&target.port())).unwrap().1;
    let class = |ip| ruleset.peers[&ip];
    if from == At::Vm {
        return ruleset.outbound.get(&(class(target.ip()), service)).copied().unwrap_or(ruleset.default_out);
    }
    let place = ruleset.places.iter().find(|(range, _)| (range.start..=range.end).contains(&target.ip())).unwrap().1;
    let word = match place {
        Place::Own => ruleset.inbound.get(&(class(source), service)),
        Place::Other(_) => ruleset.elsewhere.get(&(place, class(source), service)),
        Place::Denied(ref word) => Some(word),
    };
    word.copied().unwrap_or(ruleset.default_in)
}

fn fate_of(word: Word) -> Fate {
    match word.action().unwrap() {
        Action::Allow => Fate::Through,
        Action::Reject => Fate::Refused,
        Action::Deny => Fate::Silent,
    }
}

fn probe(world: &World, from: At, (source, target): (IpAddr, SocketAddr), stream: bool) -> Fate {
    let to = if from == At::Peer { At::Vm } else { At::Peer };
    if stream {
        let _listener = world.listen(to, target);
        return world.connect(from, source, target).1;
    }
    let receiver = world.receiver(to, target);
    world.datagram(from, source, &receiver).1
}

/// Services between random edges, words for most pairs; one or two addresses, of which the second may be another place.
fn random(dice: &mut Dice, epoch: u16, record: bool) -> Ruleset {
    let mut ruleset = closed(epoch);
    let [tcp, udp] = [(); 2].map(|()| services(dice));
    (ruleset.tcp, ruleset.udp) = (tcp, udp);
    let second = [None, Some(Place::Own), Some(GROUPS)][usize::try_from(dice.below(3)).unwrap()];
    for late in second.into_iter().flat_map(|place| LATE.map(|ip| (ip.parse::<IpAddr>().unwrap(), place))) {
        ruleset.own.push(late.0);
        split(&mut ruleset.places, late);
    }
    let words = words(record);
    words.iter().for_each(|word| {
        for outcomes in [&mut ruleset.outcomes_in, &mut ruleset.outcomes_out] {
            outcomes.insert(*word, "allow w".into());
        }
    });
    let mut pick = || words.get(usize::try_from(dice.below(6)).unwrap()).copied();
    for (class, service) in (0..CLASSES).flat_map(|class| (0..SERVICES).map(move |of| (Class(class), Service(of)))) {
        ruleset.inbound.extend(pick().map(|word| ((class, service), word)));
        ruleset.outbound.extend(pick().map(|word| ((class, service), word)));
        ruleset.elsewhere.extend(pick().map(|word| ((GROUPS, class, service), word)));
    }
    ruleset
}

fn words(record: bool) -> [Word; 4] {
    let allow = |number| Word::new(Action::Allow, record, number);
    [allow(40), allow(41), Word::new(Action::Deny, true, 42), Word::new(Action::Reject, true, 43)]
}

fn services(dice: &mut Dice) -> Vec<(RangeInclusive<u16>, Service)> {
    let mut first = 0;
    let mut all = Vec::new();
    for edge in EDGES {
        if dice.below(4) > 0 {
            all.push((first..=edge, Service(dice.below(SERVICES))));
            first = edge + 1;
        }
    }
    all.push((first..=u16::MAX, Service(dice.below(SERVICES))));
    all
}

/// Gives an address a place of its own.
fn split(places: &mut Vec<(IpRange, Place)>, (ip, place): (IpAddr, Place)) {
    let beside = |up: bool| match ip {
        IpAddr::V4(ip) => IpAddr::from((u32::from(ip).wrapping_add(if up { 1 } else { u32::MAX })).to_be_bytes()),
        IpAddr::V6(ip) => IpAddr::from((u128::from(ip).wrapping_add(if up { 1 } else { u128::MAX })).to_be_bytes()),
    };
    let at = places.iter().position(|(range, _)| (range.start..=range.end).contains(&ip)).unwrap();
    let (whole, around) = places.remove(at);
    let new = [
        (IpRange { start: whole.start, end: beside(false) }, around),
        (IpRange { start: ip, end: ip }, place),
        (IpRange { start: beside(true), end: whole.end }, around),
    ];
    places.splice(at..at, new);
}
