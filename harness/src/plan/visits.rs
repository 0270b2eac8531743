//! In which order the states of a scenario are visited (semantics 43): a state is a value, and the way to it from any other
//! is the difference of the two.

use std::fmt;
use std::sync::Arc;

use policy::Name;
use serde::{Deserialize, Serialize};

use super::{PlannedAct, PlannedStep};
use crate::scenario::{Act, Action, Claim, Doing, Process, Standing, soon};
use crate::state::{State, Transition};

/// How many agents are restarted at once.
const MOST: usize = 8;

/// In which order, and by which ways, the states of a scenario are visited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Visits {
    /// As the steps are written.
    #[default]
    Written,
    /// Neighbouring states in an order by chance, from this seed; never as they are written.
    Shuffled(u64),
    /// The last of neighbouring states first, from the state before them, then those that were skipped.
    Squashed,
    /// As written, each publication made twice.
    Doubled,
    /// As written; between two states the center, or agents by chance, from this seed, are restarted.
    Restarts(u64),
}

impl fmt::Display for Visits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written => f.pad("written"),
            Self::Shuffled(seed) => write!(f, "shuffled {seed}"),
            Self::Squashed => f.pad("squashed"),
            Self::Doubled => f.pad("doubled"),
            Self::Restarts(seed) => write!(f, "restarts {seed}"),
        }
    }
}

impl Visits {
    /// By what options of `eastwest run` it is asked for, if it needs any.
    #[must_use]
    pub fn options(self) -> Option<String> {
        let words = self.to_string();
        let (order, seed) = words.split_once(' ').map_or((words.as_str(), None), |(order, seed)| (order, Some(seed)));
        let seed = seed.map(|seed| format!(" --seed {seed}")).unwrap_or_default();
        (self != Self::Written).then(|| format!("--order {order}{seed}"))
    }

    /// The steps in this order; `None` where it is the written one, since nothing in them can be ordered otherwise.
    #[must_use]
    pub fn arrange(self, steps: &[PlannedStep]) -> Option<Vec<PlannedStep>> {
        match self {
            Self::Written => None,
            Self::Shuffled(seed) => {
                let mut dice = Dice(seed);
                permuted(steps, |number| dice.order(number))
            }
            Self::Squashed => permuted(steps, |number| (number - 1..number).chain(0..number - 1).collect()),
            Self::Doubled => doubled(steps),
            Self::Restarts(seed) => restarted(steps, &mut Dice(seed)),
        }
    }
}

/// Visits neighbouring states in an order that is given for so many.
fn permuted(steps: &[PlannedStep], mut order: impl FnMut(usize) -> Vec<usize>) -> Option<Vec<PlannedStep>> {
    let mut visited: Vec<PlannedStep> = Vec::new();
    let (mut here, mut is_other) = (Arc::clone(&steps.first()?.before), false);
    for neighbours in steps.chunk_by(|one, next| is_state(one) && is_state(next)) {
        let order = match neighbours.len() {
            1 => vec![0],
            number => {
                is_other = true;
                order(number)
            }
        };
        for step in order.into_iter().filter_map(|at| neighbours.get(at)) {
            // Where no state comes before it that it was not written behind, a step is gone through as it is written.
            visited.push(match (neighbours.len(), here == step.before) {
                (1, true) => step.clone(),
                (1, false) => PlannedStep { prelude: vec![way(&here, &step.before, step)], ..step.clone() },
                _ => PlannedStep { acts: vec![way(&here, &step.state, step)], before: here, ..step.clone() },
            });
            here = Arc::clone(&step.state);
        }
    }
    is_other.then_some(visited)
}

/// The way from one state to another, for a step.
pub(crate) fn way(from: &Arc<State>, to: &Arc<State>, step: &PlannedStep) -> PlannedAct {
    let text = format!("on the way to `{}`", step.name);
    PlannedAct {
        doing: Doing { line: step.line, place: 0..0, text, action: Action::Reset { step: step.index } },
        transition: Transition::between(from, to),
        state: Arc::clone(to),
    }
}

fn doubled(steps: &[PlannedStep]) -> Option<Vec<PlannedStep>> {
    let twice = |act: &PlannedAct| {
        let Transition { inventory, policy, .. } = act.transition.clone();
        let again = (is_change(&act.doing.action) && (inventory || policy.is_some())).then(|| PlannedAct {
            transition: Transition { inventory, policy, ..Transition::default() },
            ..act.clone()
        });
        std::iter::once(act.clone()).chain(again)
    };
    let step = |step: &PlannedStep| PlannedStep { acts: step.acts.iter().flat_map(twice).collect(), ..step.clone() };
    let visited: Vec<PlannedStep> = steps.iter().map(step).collect();
    (visited != steps).then_some(visited)
}

fn restarted(steps: &[PlannedStep], dice: &mut Dice) -> Option<Vec<PlannedStep>> {
    let restart = |process: Process, step: &PlannedStep| PlannedAct {
        doing: Doing {
            line: step.line,
            place: 0..0,
            text: match &process {
                Process::Agent(vm) => format!("restart: {{agent: {vm}}}"),
                Process::Center => "restart: center".to_owned(),
            },
            action: Action::Process { act: Act::Restart, process },
        },
        transition: Transition::default(),
        state: Arc::clone(&step.before),
    };
    let mut visited = Vec::new();
    for step in steps {
        let processes = if is_settled(&step.before) { dice.processes(&step.before) } else { Vec::new() };
        let prelude = processes.into_iter().map(|process| restart(process, step)).collect();
        visited.push(PlannedStep { prelude, ..step.clone() });
    }
    (visited != steps).then_some(visited)
}

/// Whether a step is a state: whatever came before it, it holds the same.
fn is_state(step: &PlannedStep) -> bool {
    let speaks_of_its_way = step.events.iter().any(|event| match &event.claim {
        Claim::Agent { standing, .. } => match standing {
            Standing::Online | Standing::Offline | Standing::Stale | Standing::Disconnected => false,
            Standing::Cloned | Standing::Skipped | Standing::Last | Standing::Unbroken => true,
        },
        Claim::Flow(_)
        | Claim::Session { .. }
        | Claim::Report(_)
        | Claim::AckedByAll { .. }
        | Claim::CenterBelow { .. }
        | Claim::PortStopped { .. }
        | Claim::PathMtu { .. }
        | Claim::Balanced => false,
    });
    let changes = |act: &PlannedAct| is_change(&act.doing.action) && is_settled(&act.state);
    !speaks_of_its_way && step.throughout.is_empty() && is_settled(&step.before) && step.acts.iter().all(changes)
}

/// Whether a state is a value that can be left and come back to: all is up and connected, nothing goes on, and nothing in
/// it depends on when it began or on what was tried before.
pub(crate) fn is_settled(state: &State) -> bool {
    let State {
        suspended, over, down, cuts, slow, paths, sessions, floods, programs, now, timeless, policy, vms, ..
    } = state;
    let nobody_is_away = suspended.is_empty() && over.is_empty() && down.is_empty() && timeless.is_empty();
    let is_whole = cuts.is_empty() && slow.is_empty() && paths.is_empty();
    let nothing_goes_on = sessions.is_empty() && floods.is_empty() && programs.is_empty() && now.is_none();
    let lasts = policy.as_ref().map(|policy| &policy.policy);
    let lasts = lasts.is_some_and(|policy| policy.detect.is_empty() && soon::next(policy, None).is_none());
    let listed = vms.values().all(|vm| vm.late.is_empty() && vm.copy_of.is_none());
    nobody_is_away && is_whole && nothing_goes_on && lasts && listed
}

/// Whether an item changes nothing but topology, inventory and policy.
fn is_change(action: &Action) -> bool {
    match action {
        Action::Policy(_)
        | Action::Label { .. }
        | Action::Move { .. }
        | Action::Add { .. }
        | Action::Remove { .. }
        | Action::Mode { .. }
        | Action::Quarantine { .. }
        | Action::Release { .. }
        | Action::Reset { .. } => true,
        Action::Clone { .. }
        | Action::Open { .. }
        | Action::Close { .. }
        | Action::SendOn { .. }
        | Action::Send { .. }
        | Action::SendRaw(_)
        | Action::Flood(_)
        | Action::EndFlood { .. }
        | Action::Bulk(_)
        | Action::Exec(_)
        | Action::EndProgram { .. }
        | Action::Publish(_)
        | Action::Tamper { .. }
        | Action::Lapse { .. }
        | Action::Address { .. }
        | Action::Interface { .. }
        | Action::Suspend { .. }
        | Action::Resume { .. }
        | Action::Upgrade { .. }
        | Action::Kept { .. }
        | Action::Process { .. }
        | Action::Partition { .. }
        | Action::Slow { .. }
        | Action::Path(_)
        | Action::Heal
        | Action::Expire { .. } => false,
    }
}

/// Numbers by chance that are the same for the same seed on every machine (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from((mixed ^ (mixed >> 31)) % bound).unwrap_or_default()
    }

    /// The numbers below this one in another order than their own.
    fn order(&mut self, number: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..number).collect();
        for last in (1..number).rev() {
            order.swap(last, self.below(last + 1));
        }
        if order.is_sorted() {
            order.rotate_left(1);
        }
        order
    }

    /// The center, or some of the agents; at least one where there are any.
    fn processes(&mut self, state: &State) -> Vec<Process> {
        let agents: Vec<&Name> = state.vms.keys().filter(|vm| state.is_managed(vm)).collect();
        if agents.is_empty() || self.below(2) == 0 {
            return vec![Process::Center];
        }
        let number = 1 + self.below(agents.len().min(MOST));
        let first = self.below(agents.len());
        agents.into_iter().cycle().skip(first).take(number).cloned().map(Process::Agent).collect()
    }
}
