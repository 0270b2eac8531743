//! What the hosts' guarded ports stop, by the count of the hosts' kernels.

use std::collections::BTreeMap;

use policy::Name;

use super::World;
use crate::plan::PlannedStep;

impl World {
    /// How many frames the ports of which a step asks have stopped so far; without those that cannot be read.
    pub(super) fn stopped_for(&mut self, step: &PlannedStep) -> BTreeMap<String, u64> {
        let names: Vec<String> = step.wants_stopped().map(Name::to_string).collect();
        let read = |name: String| Some((name.clone(), self.lab.stopped(&name).ok()??));
        names.into_iter().filter_map(read).collect()
    }

    /// How many in this step.
    pub(super) fn newly_stopped(&mut self, step: &PlannedStep) -> BTreeMap<String, u64> {
        let mut now = self.stopped_for(step);
        for (name, count) in &mut now {
            *count = count.saturating_sub(self.stopped.get(name).copied().unwrap_or(0));
        }
        now
    }
}
