//! Proving a policy: one probe for each class of flow that it tells apart, in every state of a scenario, and a seeded sample of
//! others that no classes chose.
//!
//! The probes are cells like all others, left to the oracle: what judges them is the same. What chooses them is the compiled
//! classifier, which agents know nothing of.

mod coverage;
mod flows;

use std::collections::BTreeSet;
use std::sync::Arc;

use policy::{Family, FlowService, Inventory, Name, Timestamp};
use serde::{Deserialize, Serialize};

pub use coverage::{Coverage, Covered, coverage};

use crate::jail;
use crate::plan::{Origin, PlannedCell, PlannedStep, plan};
use crate::scenario::{PolicyText, Scenario};
use crate::state::State;

/// What is to be proven, and how much at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proving {
    /// The seed of the sample.
    pub seed: u64,
    /// How many flows of each state are drawn at random, whatever their class.
    pub sample: usize,
    /// How many probes a scenario may have at most.
    pub most: usize,
}

/// More probes than may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the classes of flows of this scenario need {needed} probes, and at most {most} are made: raise --most, or prove a smaller topology"
)]
pub struct TooMany {
    needed: usize,
    most: usize,
}

/// One flow to probe.
pub(crate) type Asked = (Name, Name, FlowService, Family);

/// The plan of a scenario, with the probes that prove its policies in each state that has one of its own.
///
/// # Errors
/// When there would be more than may be.
pub fn proving(scenario: &Scenario, now: Timestamp, proving: Proving) -> Result<Vec<PlannedStep>, TooMany> {
    let mut steps = plan(scenario, now);
    let initial = Arc::new(State::initial(scenario));
    if !steps.iter().any(|step| same(&step.state, &initial)) {
        steps.insert(0, jail::reach::step(&initial, [], &[]));
    }
    let (mut known, mut needed) = (Vec::new(), 0);
    for (place, step) in steps.iter_mut().enumerate() {
        let key = key(&step.state);
        if !is_plain(&step.state) || known.contains(&key) {
            continue;
        }
        known.push(key);
        let seed = proving.seed.wrapping_add(place as u64);
        let flows = flows::of(&step.state, now, seed, proving.sample);
        let asked: BTreeSet<Asked> = step.cells.iter().map(asked).collect();
        let flows: Vec<Asked> = flows.into_iter().filter(|flow| !asked.contains(flow)).collect();
        needed += flows.len();
        let origin = Origin { step: Arc::clone(&step.name), line: step.line, text: "".into() };
        let cells = flows.into_iter().filter_map(|(source, destination, service, family)| {
            jail::reach::cell(&step.state, (&source, &destination), service, family, &origin)
        });
        step.cells.extend(cells);
    }
    if needed > proving.most { Err(TooMany { needed, most: proving.most }) } else { Ok(steps) }
}

fn asked(cell: &PlannedCell) -> Asked {
    (cell.source.clone(), cell.destination.clone(), cell.service, cell.family)
}

/// What makes a state one of its own: the policy, who there is, and where.
type Key = (Option<Arc<PolicyText>>, Inventory, Vec<Option<Name>>, Option<Timestamp>);

fn key(state: &State) -> Key {
    let places = state.endpoints().map(|name| state.host(name).cloned()).collect();
    (state.policy.clone(), state.inventory(), places, state.now)
}

fn same(one: &State, other: &State) -> bool {
    key(one) == key(other)
}

/// Whether every agent there holds the newest policy, and nothing stands in a flow's way but that.
pub(crate) fn is_plain(state: &State) -> bool {
    let all_there =
        state.down.is_empty() && state.over.is_empty() && state.suspended.is_empty() && state.timeless.is_empty();
    let all_open = state.cuts.is_empty() && state.slow.is_empty() && state.paths.is_empty() && state.floods.is_empty();
    let held =
        |name: &Name| !state.is_managed(name) || state.held.get(name).is_some_and(|held| held.policy == state.policy);
    state.policy.is_some() && all_there && all_open && state.vms.keys().all(held)
}
