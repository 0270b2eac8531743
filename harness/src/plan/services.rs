//! Which services are probed: what `any` stands for, and what pairs that nothing lists are asked.

use std::collections::BTreeSet;

use policy::{Family, FlowService, Name, Policy, ServiceMatch};

use crate::scenario::{Choice, PolicyText};
use crate::state::State;

/// ICMP's echo request.
const ECHO: u8 = 8;
/// ICMPv6's echo request.
const ECHO_V6: u8 = 128;
/// Where the search for a port that the policy does not name begins.
const UNNAMED: u16 = 47_001;
/// How many services a pair that nothing lists is asked, beyond those that the step's own expectations name.
const UNLISTED: usize = 4;

/// The services that an expectation's `any` or single service stands for, towards a destination.
pub(super) fn chosen(choice: Choice, state: &State, destination: &Name, family: Family) -> Vec<FlowService> {
    let services: BTreeSet<FlowService> = match choice {
        Choice::One(service) => [service].into(),
        Choice::Any => any(state, destination),
    };
    services.into_iter().filter(|service| service.exists_in(family)).collect()
}

/// Every service that the policy names, those that the destination serves, and one that the policy does not name.
fn any(state: &State, destination: &Name) -> BTreeSet<FlowService> {
    let policy = state.policy.as_deref();
    let mut services = policy.map(|policy| named(&policy.policy)).unwrap_or_default();
    services.extend(state.vms.get(destination).map(|vm| vm.serves.iter()).into_iter().flatten());
    services.extend(unnamed(policy));
    services
}

/// The services that a policy names, each range by its ends, as far as probes can ask for them.
#[must_use]
pub fn probed(policy: &Policy) -> Vec<FlowService> {
    named(policy).into_iter().collect()
}

fn named(policy: &Policy) -> BTreeSet<FlowService> {
    let rules = policy.rules.iter().flat_map(|rule| &rule.services);
    rules.chain(policy.services.values().flatten()).flat_map(|service| samples(*service)).collect()
}

/// Single services that stand for an item of a rule.
fn samples(item: ServiceMatch) -> Vec<FlowService> {
    match item {
        ServiceMatch::Any | ServiceMatch::Proto(_) => Vec::new(),
        ServiceMatch::Ports { tcp, first: 0, last: u16::MAX } => vec![port(tcp, UNNAMED)],
        ServiceMatch::Ports { tcp, first, last } => {
            let first = first.max(1);
            if first == last { vec![port(tcp, first)] } else { vec![port(tcp, first), port(tcp, last)] }
        }
        ServiceMatch::Icmp(None | Some(ECHO)) => vec![FlowService::Icmp(ECHO)],
        ServiceMatch::Icmpv6(None | Some(ECHO_V6)) => vec![FlowService::Icmpv6(ECHO_V6)],
        ServiceMatch::Icmp(Some(_)) | ServiceMatch::Icmpv6(Some(_)) => Vec::new(),
    }
}

fn port(tcp: bool, port: u16) -> FlowService {
    if tcp { FlowService::Tcp(port) } else { FlowService::Udp(port) }
}

/// One service that no rule names singly; a rule's `any` names nothing.
fn unnamed(policy: Option<&PolicyText>) -> Option<FlowService> {
    let rules = policy.map(|policy| policy.policy.rules.as_slice()).unwrap_or_default();
    let items = || rules.iter().flat_map(|rule| &rule.services).filter(|item| **item != ServiceMatch::Any);
    let free = |service: &FlowService| !items().any(|item| item.covers(*service));
    let ports = |tcp| (UNNAMED..=u16::MAX).map(move |number| port(tcp, number));
    ports(true).find(free).or_else(|| ports(false).find(free))
}

/// What pairs that nothing lists are asked: the services that the step names, filled up from the policy's.
pub(super) fn unlisted(state: &State, listed: &BTreeSet<FlowService>) -> Vec<FlowService> {
    let mut services: Vec<FlowService> = listed.iter().copied().collect();
    let policy = state.policy.as_deref();
    let more = policy.map(|policy| named(&policy.policy)).unwrap_or_default();
    for service in more.into_iter().chain(unnamed(policy)) {
        if services.len() >= UNLISTED {
            break;
        }
        if !services.contains(&service) {
            services.push(service);
        }
    }
    services
}
