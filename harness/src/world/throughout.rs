//! `throughout:` — probes that go on, round by round, while a step's `do` runs.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use lab::Lab;
use policy::Name;

use super::Wanted;
use crate::evidence::Probe;
use crate::probe::prober::{Attempt, Prober};
use crate::probe::tuple::Tuple;
use crate::state::State;
use crate::witness::account::Account;
use crate::witness::counters::{Counters, Counts, risen};
use crate::witness::testimony::Managed;

/// The most probes that one step's rounds send.
const MOST_PROBES: usize = 4000;

/// One round: its probes, and what was known of the agents when it was sent.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) managed: BTreeMap<String, Managed>,
}

/// The rounds of a step.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    wanted: Vec<Wanted>,
    pub(crate) done: Vec<Round>,
    sent: usize,
    /// An agent's life ends in this step: the kernel's counters are read around each round, to speak for it.
    counted: bool,
    /// The VMs whose agents are dead, or not yet where they left off.
    away: BTreeSet<String>,
}

/// What a round needs of the world.
#[derive(Debug)]
pub(crate) struct Hands<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) prober: &'a mut Prober,
    pub(crate) counters: &'a mut Counters,
    pub(crate) known: &'a mut HashSet<Tuple>,
    pub(crate) next_probe: &'a mut u64,
    pub(crate) state: &'a Arc<State>,
}

impl Rounds {
    /// A new step begins, with these flows to be probed throughout.
    pub(crate) fn begin(&mut self, wanted: Vec<Wanted>, counted: bool) {
        let away = std::mem::take(&mut self.away);
        *self = Self { wanted, done: Vec::new(), sent: 0, counted, away };
    }

    /// A VM's agent is dead: what it had seen and not told, it never tells.
    pub(crate) fn left(&mut self, vm: &Name) {
        self.away.insert(vm.to_string());
        let ones = self.done.iter_mut().filter_map(|round| round.managed.get_mut(vm.as_str()));
        ones.for_each(|one| one.alive = false);
    }

    /// Whether a VM's agent is dead, or not yet where it left off.
    pub(crate) fn is_away(&self, vm: &Name) -> bool {
        self.away.contains(vm.as_str())
    }

    /// A VM's agent is where it left off.
    pub(crate) fn returned(&mut self, vm: &Name) {
        self.away.remove(vm.as_str());
    }

    /// The step's items are done: no more rounds.
    pub(crate) fn stop(&mut self) {
        self.wanted.clear();
    }

    /// One round, if there is anything to probe; whether there was.
    pub(crate) fn go(&mut self, hands: &mut Hands<'_>, account: &Account) -> bool {
        if self.wanted.is_empty() || self.sent >= MOST_PROBES {
            return false;
        }
        let probes: Vec<Probe> = self.wanted.iter().map(|wanted| hands.probe(wanted)).collect();
        self.sent += probes.len();
        if let Err(error) = hands.prober.prepare(hands.lab, &probes) {
            tracing::warn!(error, "a round of probes was left out");
            return false;
        }
        let mut managed = managed(hands.state, account);
        self.away.iter().filter_map(|vm| managed.get_mut(vm).map(|one| one.alive = false)).for_each(drop);
        let before = self.read(hands);
        let attempts = hands.prober.run(hands.lab, probes);
        for (vm, after) in self.read(hands) {
            if let (Some(one), Some(before)) = (managed.get_mut(&vm), before.get(&vm)) {
                one.risen = risen(before, &after);
            }
        }
        hands.known.extend(attempts.iter().map(|attempt| attempt.tuple));
        self.done.push(Round { attempts, managed });
        true
    }

    /// The counters of the VMs that are probed, where they may have to speak for an agent.
    fn read(&self, hands: &mut Hands<'_>) -> BTreeMap<String, Counts> {
        let probed = self.wanted.iter().flat_map(|wanted| [&wanted.source, &wanted.destination]);
        let vms: BTreeSet<&String> = probed.filter(|_| self.counted).collect();
        let managed = |vm: &&&String| vm.parse().is_ok_and(|vm| hands.state.is_managed(&vm));
        let vms: Vec<&String> = vms.iter().filter(managed).copied().collect();
        vms.into_iter().filter_map(|vm| Some((vm.clone(), hands.counters.of(hands.lab, vm)?))).collect()
    }
}

impl Hands<'_> {
    fn probe(&mut self, wanted: &Wanted) -> Probe {
        *self.next_probe += 1;
        Probe {
            id: *self.next_probe,
            source: wanted.source.clone(),
            destination: wanted.destination.clone(),
            source_address: wanted.from,
            destination_address: wanted.to,
            service: wanted.service,
            family: policy::Family::of(wanted.from),
        }
    }
}

/// The managed VMs as they stand at this moment; barriers and counters come later.
pub(crate) fn managed(state: &State, account: &Account) -> BTreeMap<String, Managed> {
    let one = |vm: &Name| Managed {
        alive: state.is_alive(vm),
        connected: state.is_connected(vm),
        // Who lost what it had kept holds nothing, whatever its former life acknowledged.
        acked: if state.held.contains_key(vm) { account.acked(vm.as_str()) } else { 0 },
        ..Managed::default()
    };
    state.vms.keys().filter(|vm| state.is_managed(vm)).map(|vm| (vm.to_string(), one(vm))).collect()
}
