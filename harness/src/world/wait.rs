//! Waiting for the center's word: never for a time, always for an event; the clock is a last resort and is counted.

use std::time::Duration;

use policy::Name;
use wire::Presence;

use super::World;
use crate::witness::account::{Account, LAST_RESORT};

impl World {
    /// Waits until every agent that reaches the center has answered for the newest generation, but for those on slow paths.
    pub(super) fn await_agents(&mut self) -> Result<(), String> {
        // Without a policy the center sends no view, and an agent that is there is closed.
        let wanted = if self.state.policy.is_some() { self.generation } else { 0 };
        let state = std::sync::Arc::clone(&self.state);
        let vms: Vec<Name> =
            state.vms.keys().filter(|vm| state.is_listed(vm) && state.is_awaited(vm)).cloned().collect();
        let done = move |account: &Account| vms.iter().all(|vm| has_answered(account, vm, wanted));
        self.await_word(LAST_RESORT, done).then_some(()).ok_or_else(|| self.who_is_missing(wanted))
    }

    /// Waits until the center knows whether an agent is there.
    pub(super) fn await_presence(&mut self, vm: &Name, there: bool) -> Result<(), String> {
        let name = vm.to_string();
        let done = |account: &Account| {
            account.agents.get(&name).is_some_and(|agent| (agent.presence == Presence::Online) == there)
        };
        let met = self.await_word(LAST_RESORT, done);
        met.then_some(()).ok_or_else(|| format!("see the agent of {vm} {}", if there { "online" } else { "offline" }))
    }

    /// Waits until something holds of what the center tells; meanwhile the `throughout` probes go on.
    pub(super) fn await_word(&mut self, patience: Duration, holds: impl FnMut(&Account) -> bool) -> bool {
        let Self { account, operator, rounds, lab, prober, counters, taps, known, next_probe, agents, state, .. } =
            self;
        let mut hands = super::throughout::Hands { lab, prober, counters, known, next_probe, state };
        let dead = std::cell::Cell::new(false);
        let mut holds = holds;
        let met = account.wait(
            operator,
            patience,
            |account| dead.get() || holds(account),
            |account| {
                let lives = |vm: &Name| hands.state.is_alive(vm) && !rounds.is_away(vm);
                let ended = agents.iter_mut().any(|(vm, agent)| lives(vm) && agent.ended().is_some());
                dead.set(ended);
                let went = rounds.go(&mut hands, account);
                // Rounds may go on for longer than the taps have room for.
                if went && let Err(error) = taps.drain() {
                    tracing::warn!(%error, "the taps could not be read");
                }
                went
            },
        );
        met && !dead.get()
    }

    fn who_is_missing(&mut self, wanted: u64) -> String {
        let state = std::sync::Arc::clone(&self.state);
        for (vm, agent) in &mut self.agents {
            if let (true, Some(how)) = (state.is_alive(vm), agent.ended()) {
                return format!("keep the agent of {vm} alive: {how}");
            }
        }
        let missing = state.vms.keys().filter(|vm| state.is_listed(vm) && state.is_awaited(vm));
        let missing = missing.filter(|vm| !has_answered(&self.account, vm, wanted));
        let words: Vec<String> = missing.map(|vm| self.describe(vm)).collect();
        format!("bring generation {wanted} to every agent: {}", words.join("; "))
    }

    fn describe(&self, vm: &Name) -> String {
        match self.account.agents.get(vm.as_str()) {
            Some(agent) => format!("{vm} is {:?} and holds {}", agent.presence, agent.acked),
            None => format!("the center knows nothing of {vm}"),
        }
    }
}

fn has_answered(account: &Account, vm: &Name, wanted: u64) -> bool {
    account.agents.get(vm.as_str()).is_some_and(|agent| {
        let refused = agent.refused.as_ref().is_some_and(|(generation, _)| *generation >= wanted);
        agent.presence == Presence::Online && (agent.acked >= wanted || refused)
    })
}
