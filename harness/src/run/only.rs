//! One flow of a run alone: the steps before its own are gone through, and nothing else is probed.

use policy::Family;
use serde::{Deserialize, Serialize};

use crate::plan::{PlannedCell, PlannedStep};

/// The flow, and the step in which it is probed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Only {
    /// The step's name.
    pub step: String,
    /// The source endpoint.
    pub source: String,
    /// The destination endpoint.
    pub destination: String,
    /// The service, as reports write it.
    pub service: String,
    /// The family.
    pub family: Family,
}

impl Only {
    /// The steps up to the flow's own, of which that alone probes, and this flow alone.
    pub(crate) fn narrow(&self, mut steps: Vec<PlannedStep>) -> Result<Vec<PlannedStep>, String> {
        let at = steps.iter().position(|step| *step.name == self.step);
        let at = at.ok_or_else(|| format!("find the step `{}`: the scenario has changed", self.step))?;
        steps.truncate(at + 1);
        for step in &mut steps {
            let is_own = *step.name == self.step;
            step.cells.retain(|cell| is_own && self.is(cell));
            step.throughout.retain(|cell| is_own && self.is(cell));
            step.events.clear();
            step.sessions.clear();
            step.findings.clear();
        }
        let has = steps.last().is_some_and(|step| !(step.cells.is_empty() && step.throughout.is_empty()));
        let Self { source, destination, service, family, .. } = self;
        let flow = || format!("find {source} -> {destination} {service} {family}: the scenario has changed");
        if has { Ok(steps) } else { Err(flow()) }
    }

    fn is(&self, cell: &PlannedCell) -> bool {
        cell.source.as_str() == self.source
            && cell.destination.as_str() == self.destination
            && cell.service.to_string() == self.service
            && cell.family == self.family
    }
}
