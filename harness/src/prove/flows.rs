//! Which flows of a state are probed.

use std::collections::{BTreeMap, BTreeSet};

use policy::classify::{Classifier, ServiceClass};
use policy::{Family, FlowService, Name, Timestamp};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::Asked;
use crate::state::State;

/// ICMP's echo request, and ICMPv6's: of ICMP's types the ones that probes can ask for.
const ECHOES: [FlowService; 2] = [FlowService::Icmp(8), FlowService::Icmpv6(128)];

/// One flow for each class: of two hosts and of one, in each family, at both edges of each range of services. Then as many
/// others as the sample asks for, which no class chose.
pub(super) fn of(state: &State, now: Timestamp, seed: u64, sample: usize) -> Vec<Asked> {
    let Some(policy) = &state.policy else { return Vec::new() };
    let classifier = Classifier::new(&policy.policy, &state.inventory(), state.now.unwrap_or(now));
    let classes = classifier.services();
    let mut random = StdRng::seed_from_u64(seed);
    let mut flows = Vec::new();
    for family in [Family::V4, Family::V6] {
        let edges: BTreeSet<FlowService> = classes.iter().flat_map(edges).filter(|one| one.exists_in(family)).collect();
        for (source, destination) in pairs(state, &classifier, family, &mut random) {
            flows.extend(edges.iter().map(|service| (source.clone(), destination.clone(), *service, family)));
        }
    }
    let chosen: BTreeSet<Asked> = flows.iter().cloned().collect();
    flows.extend(drawn(state, sample, &mut random).into_iter().filter(|flow| !chosen.contains(flow)));
    flows
}

/// Both edges of each range, as far as probes can ask for them: one off an edge is the edge of the next.
fn edges(class: &ServiceClass) -> Vec<FlowService> {
    let of_range = |range: &policy::classify::ServiceRange| match (range.first, range.last) {
        (FlowService::Tcp(first), last) => vec![FlowService::Tcp(first.max(1)), last],
        (FlowService::Udp(first), last) => vec![FlowService::Udp(first.max(1)), last],
        _ => ECHOES.into_iter().filter(|echo| range.holds(*echo)).collect(),
    };
    let all = class.ranges.iter().flat_map(of_range);
    all.filter(|service| !matches!(service, FlowService::Tcp(0) | FlowService::Udp(0))).collect()
}

/// Of each two classes of endpoints a pair on one host and a pair on two, where there are such.
fn pairs(state: &State, classifier: &Classifier, family: Family, random: &mut StdRng) -> Vec<(Name, Name)> {
    let classes = classes(state, classifier, family);
    let mut pairs = Vec::new();
    for sources in &classes {
        for destinations in &classes {
            let all =
                sources.iter().flat_map(|source| destinations.iter().map(move |destination| (source, destination)));
            let all = all.filter(|(source, destination)| source != destination);
            let (near, far): (Vec<_>, Vec<_>) = all.partition(|(one, other)| state.host(one) == state.host(other));
            let chosen = [near.choose(random), far.choose(random)];
            pairs.extend(chosen.into_iter().flatten().map(|(one, other)| (Name::clone(one), Name::clone(other))));
        }
    }
    pairs
}

/// The endpoints that have a family, in classes; whoever stands in none is one by itself.
fn classes<'s>(state: &'s State, classifier: &Classifier, family: Family) -> Vec<Vec<&'s Name>> {
    let cells = classifier.cells();
    let mut classes: BTreeMap<Result<usize, &Name>, Vec<&Name>> = BTreeMap::new();
    for name in state.endpoints() {
        let Some(address) = state.address(name, family) else { continue };
        let cell = cells.iter().position(|cell| match &cell.outside {
            Some(outside) => outside.ranges.iter().any(|(first, last)| (first..=last).contains(&&address)),
            None => cell.vms.binary_search(name).is_ok(),
        });
        classes.entry(cell.ok_or(name)).or_default().push(name);
    }
    classes.into_values().collect()
}

/// Flows of any two endpoints and any service that a probe can ask for.
fn drawn(state: &State, sample: usize, random: &mut StdRng) -> Vec<Asked> {
    let endpoints: Vec<&Name> = state.endpoints().collect();
    let mut flows = BTreeSet::new();
    // Where there are few flows, the same ones come again.
    for _ in 0..2 * sample {
        let two: Vec<&&Name> = endpoints.sample(random, 2).collect();
        let [source, destination] = two.as_slice() else { break };
        let families = state.families(source, destination);
        let Some(&family) = families.choose(random) else { continue };
        let port = random.random_range(1..=u16::MAX);
        let service = match random.random_range(0..9) {
            0..4 => FlowService::Tcp(port),
            4..8 => FlowService::Udp(port),
            _ => ECHOES[usize::from(family == Family::V6)],
        };
        flows.insert(((**source).clone(), (**destination).clone(), service, family));
        if flows.len() >= sample {
            break;
        }
    }
    flows.into_iter().collect()
}
