//! Expectations about agents, generations and the center.

use policy::Name;
use reports::event::FindingKind;
use wire::{AgentState, Presence};

use super::Fault;
use super::event::unmet;
use crate::evidence::{Answers, Observation};
use crate::scenario::{Glob, Standing};
use crate::state::State;

/// How agents stand to their center, or what they answered it.
pub(super) fn standing(state: &State, vms: &Glob, standing: Standing, seen: &Observation) -> Option<Fault> {
    state
        .vms
        .keys()
        .filter(|vm| vms.matches(vm) && state.is_listed(vm))
        .find_map(|vm| one(state, (vm, vms), standing, seen))
}

fn one(state: &State, (vm, among): (&Name, &Glob), standing: Standing, seen: &Observation) -> Option<Fault> {
    let agent = seen.agents.iter().find(|agent| agent.vm == vm.as_str());
    let lost = seen.disconnected.get(vm.as_str());
    let says = |says: fn(&AgentState) -> bool| agent.is_some_and(says);
    let holds = match standing {
        Standing::Online => says(|agent| agent.presence == Presence::Online),
        Standing::Offline => says(|agent| agent.presence != Presence::Online),
        Standing::Stale => says(|agent| agent.presence == Presence::Stale && agent.stale_since.is_some()),
        Standing::Disconnected => lost.is_some(),
        Standing::Cloned => says(|agent| agent.clones == 1),
        Standing::Skipped => return answered(seen, || skipped(vm, &seen.answers, seen.published)),
        Standing::Last => return answered(seen, || last(state, (vm, among), seen)),
        Standing::Unbroken => return answered(seen, || unbroken(vm, &seen.answers)),
    };
    if holds {
        return None;
    }
    let found = agent.map(|agent| format!("{:?}", agent.presence).to_lowercase());
    let itself = lost.map(|why| format!(", and says itself that it cannot {why}")).unwrap_or_default();
    let found = found.unwrap_or("unknown to the center".to_owned());
    unmet(format!("the agent of `{vm}` is {found}{itself}"))
}

/// What was answered is judged where all of it was heard.
fn answered(seen: &Observation, wrong: impl FnOnce() -> Option<String>) -> Option<Fault> {
    if seen.answers.incomplete {
        return Some(Fault::new(FindingKind::Unproven, "not all that the center told was heard".to_owned()));
    }
    wrong().and_then(unmet)
}

fn skipped(vm: &Name, answers: &Answers, published: u64) -> Option<String> {
    let own: Vec<u64> = acks(answers, vm).map(|(_, generation)| generation).collect();
    if !own.contains(&published) {
        return Some(format!("the agent of `{vm}` has not acknowledged generation {published}"));
    }
    let before = answers.from + 1..published;
    let all = before.clone().all(|generation| own.contains(&generation));
    all.then(|| format!("the agent of `{vm}` acknowledged each generation from {} to {published}", before.start))
}

fn last(state: &State, (vm, among): (&Name, &Glob), seen: &Observation) -> Option<String> {
    let newest = |vm: &Name| acks(&seen.answers, vm).find(|(_, generation)| *generation == seen.published);
    let Some((own, _)) = newest(vm) else {
        return Some(format!("the agent of `{vm}` has not acknowledged generation {} in this step", seen.published));
    };
    let others = state.vms.keys().filter(|other| state.is_listed(other) && state.is_connected(other));
    let mut others = others.filter(|other| !among.matches(other));
    let late = others.find(|other| newest(other).is_none_or(|(at, _)| at > own));
    late.map(|late| {
        format!("the agent of `{vm}` acknowledged generation {} before that of `{late}` did", seen.published)
    })
}

/// A VM's acknowledgements, each with its place among all.
fn acks<'s>(answers: &'s Answers, vm: &Name) -> impl Iterator<Item = (usize, u64)> + use<'s> {
    let vm = vm.as_str().to_owned();
    let own = answers.acks.iter().enumerate().filter(move |(_, (who, _))| *who == vm);
    own.map(|(at, (_, generation))| (at, *generation))
}

fn unbroken(vm: &Name, answers: &Answers) -> Option<String> {
    answers
        .away
        .contains(vm.as_str())
        .then(|| format!("the center did not call the agent of `{vm}` online all the while"))
}

/// `but`: these must be behind.
pub(super) fn acked(state: &State, but: Option<&Glob>, seen: &Observation) -> Option<Fault> {
    let acked = |vm: &str| seen.agents.iter().find(|agent| agent.vm == vm).map_or(0, |agent| agent.acked);
    let has_acked = |vm: &Name| acked(vm.as_str()) == seen.published;
    let should = |vm: &Name| but.is_none_or(|but| !but.matches(vm));
    let behind: Vec<String> = state
        .vms
        .keys()
        .filter(|vm| state.is_listed(vm) && has_acked(vm) != should(vm))
        .map(|vm| format!("`{vm}` {}", acked(vm.as_str())))
        .collect();
    if behind.is_empty() && seen.published > 0 {
        return None;
    }
    unmet(format!("generation {} is published; acknowledged: {}", seen.published, behind.join(", ")))
}

/// The center never held so much.
pub(super) fn below(bytes: u64, seen: &Observation) -> Option<Fault> {
    match seen.center_peak {
        Some(peak) if peak < bytes => None,
        Some(peak) => unmet(format!("the center held {} MiB", peak >> 20)),
        None => Some(Fault::new(FindingKind::Unproven, "what the center held could not be read".to_owned())),
    }
}
