//! Where a changed policy says something else: between the endpoints of a topology, or for others.

use std::collections::BTreeSet;
use std::net::IpAddr;

use policy::classify::Classifier;
use policy::{End, Family, Flow, FlowService, Policy, Ruling, Timestamp, Verdict};

use super::{Fate, User};
use crate::plan::PlannedStep;
use crate::plan::ends::describe;
use crate::prove::is_plain;
use crate::scenario::PolicyText;
use crate::state::State;

/// What is left where nothing noticed a change.
pub(super) fn fate(policy: &PolicyText, users: &[&User<'_>], changed: &Policy, now: Timestamp) -> Fate {
    let mut elsewhere = None;
    for (scenario, steps) in users {
        for (at, step) in steps.iter().enumerate().filter(|(_, step)| in_force(step, policy)) {
            if steps[..at].iter().any(|before| in_force(before, policy) && alike(before, step)) {
                continue;
            }
            let both = Both::of(&step.state, [&policy.policy, changed], now);
            if let Some(expectation) = both.expectation(&step.state) {
                let (scenario, step) = (scenario.name.clone(), step.name.to_string());
                return Fate::Survived { scenario, step, expectation };
            }
            elsewhere = elsewhere.or_else(|| both.elsewhere(&step.state));
        }
    }
    elsewhere.map_or(Fate::Equivalent, |flow| Fate::Elsewhere { flow })
}

fn in_force(step: &PlannedStep, policy: &PolicyText) -> bool {
    is_plain(&step.state) && step.state.policy.as_ref().is_some_and(|one| one.text == policy.text)
}

fn alike(one: &PlannedStep, other: &PlannedStep) -> bool {
    one.state.inventory() == other.state.inventory()
        && one.state.outside == other.state.outside
        && one.state.now == other.state.now
}

/// A policy and the changed one in the same state.
struct Both {
    classifiers: [Classifier; 2],
    /// One service of each class that either tells apart.
    services: BTreeSet<FlowService>,
}

impl Both {
    fn of(state: &State, policies: [&Policy; 2], now: Timestamp) -> Self {
        let (inventory, now) = (state.inventory(), state.now.unwrap_or(now));
        let classifiers = policies.map(|policy| Classifier::new(policy, &inventory, now));
        let classes = classifiers.iter().flat_map(Classifier::services);
        let services = classes.flat_map(|class| class.ranges).map(|range| range.first).collect();
        Self { classifiers, services }
    }

    /// What both say of a flow, if that differs in what an expectation can claim: the old ruling, in words that notice.
    fn differ(&self, flow: &Flow) -> Option<String> {
        let judged = self.classifiers.each_ref().map(|one| one.judge(flow));
        let [old, new] = [0, 1].map(|at| self.classifiers[at].ruling(&judged[at]));
        let claimed = |ruling: &Ruling| (ruling.verdict, ruling.rule.clone(), ruling.end);
        let differ = claimed(&old) != claimed(&new) || old.would.is_some() && old.would != new.would;
        // An allow is by the rule of either end: where the other end's is the same, the expectation says which end is meant.
        let ends = [judged[1].source, judged[1].destination].into_iter().flatten();
        let mut deciders = ends.map(|end| self.classifiers[1].name(end.acted.decider));
        let both = old.verdict == new.verdict && deciders.any(|name| Some(name) == old.rule.as_deref());
        let end = if judged[0].destination.is_some() { End::Destination } else { End::Source };
        let meant = old.end.or((both && old.verdict == Verdict::Allow).then_some(end));
        differ.then(|| describe(&Ruling { end: meant, ..old }))
    }

    /// An expectation of the state that would notice.
    fn expectation(&self, state: &State) -> Option<String> {
        let mut pairs =
            state.endpoints().flat_map(|source| state.endpoints().map(move |destination| (source, destination)));
        pairs.find_map(|(source, destination)| {
            let families = state.families(source, destination);
            let differing = |family: &Family| {
                let (from, to) = (state.address(source, *family)?, state.address(destination, *family)?);
                self.service(from, to).filter(|_| source != destination)
            };
            let (family, (service, told)) = families.iter().find_map(|family| Some((family, differing(family)?)))?;
            let family = if families.len() > 1 { format!(" {family}") } else { String::new() };
            Some(format!("{source} -> {destination} {service}{family}: {told}"))
        })
    }

    /// A service that probes can ask for, of which they differ.
    fn service(&self, source: IpAddr, destination: IpAddr) -> Option<(FlowService, String)> {
        let family = Family::of(source);
        let possible = self.services.iter().filter_map(|service| match service {
            FlowService::Tcp(port) => Some(FlowService::Tcp((*port).max(1))),
            FlowService::Udp(port) => Some(FlowService::Udp((*port).max(1))),
            FlowService::Icmp(_) => Some(FlowService::Icmp(8)),
            FlowService::Icmpv6(_) => Some(FlowService::Icmpv6(128)),
            FlowService::Proto(_) => None,
        });
        possible
            .filter(|service| service.exists_in(family))
            .find_map(|service| self.differ(&Flow { source, destination, service }).map(|told| (service, told)))
    }

    /// A flow of any endpoints that there could be, of which they differ.
    fn elsewhere(&self, state: &State) -> Option<String> {
        let cells: Vec<_> = self.classifiers.iter().flat_map(Classifier::cells).collect();
        let ranges = cells.iter().filter_map(|cell| cell.outside.as_ref()).flat_map(|outside| &outside.ranges);
        let own = state.endpoints().flat_map(|name| state.addresses(name).iter().copied());
        let addresses: Vec<IpAddr> = ranges.flat_map(|range| [example(range), range.0]).chain(own).collect();
        let managed: Vec<IpAddr> = state.vms.values().flat_map(|spec| spec.addresses.iter().copied()).collect();
        let pairs = managed.iter().flat_map(|inside| addresses.iter().map(move |other| (*inside, *other)));
        let mut both = pairs
            .filter(|(one, other)| one.is_ipv4() == other.is_ipv4())
            .flat_map(|(one, other)| [(one, other), (other, one)]);
        both.find_map(|(source, destination)| {
            let family = Family::of(source);
            let mut services = self.services.iter().filter(|service| service.exists_in(family));
            let differs = |service| self.differ(&Flow { source, destination, service }).is_some();
            let service = services.find(|service| differs(**service))?;
            Some(format!("{source} -> {destination} {service}"))
        })
    }
}

/// An address of a range: one of those for examples (RFC 5737, RFC 3849) where it has one.
fn example((first, last): &(IpAddr, IpAddr)) -> IpAddr {
    let examples = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1_u16])];
    let is_in = |address: &IpAddr| address.is_ipv4() == first.is_ipv4() && (first..=last).contains(&address);
    examples.into_iter().find(is_in).unwrap_or(*first)
}
