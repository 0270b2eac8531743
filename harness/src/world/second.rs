//! A second look at what was not as expected: whether it came late, or never. It changes no verdict.

use std::time::{Duration, Instant};

use reports::event::{Finding, FindingKind, Word};

use super::World;
use super::observe::wanted;
use crate::judge::{judge, seen_again};
use crate::plan::{PlannedCell, PlannedStep};

/// How often it is looked, and how long between two looks: a diagnosis, and no proof of anything.
const LOOKS: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(200);
/// How many flows are looked at.
const MOST: usize = 16;

impl World {
    /// Tells late from never for findings about the step's flows, as long as that is what they are about.
    pub(crate) fn look_again(&mut self, step: &PlannedStep, findings: &mut [Finding]) {
        let begun = Instant::now();
        for look in 1..=LOOKS {
            let mut open: Vec<_> = findings.iter_mut().filter(|finding| is_open(finding)).collect();
            let cells: Vec<&PlannedCell> =
                step.cells.iter().filter(|cell| open.iter().any(|one| is_of(cell, one))).collect();
            let cells = cells.get(..MOST.min(cells.len())).unwrap_or_default();
            if cells.is_empty() {
                return;
            }
            // There is nothing to wait for but time.
            self.await_word(BETWEEN, |_| false);
            let probes: Vec<_> = cells.iter().map(|cell| self.probe(wanted(cell))).collect();
            let made = self.prober.prepare(&self.lab, &probes).and_then(|()| self.settle(probes));
            let Ok(made) = made else { return };
            let millis = begun.elapsed().as_millis();
            for (cell, evidence) in cells.iter().zip(&made) {
                let fits = judge(cell, evidence).1.is_empty();
                let ours = open.iter_mut().filter(|finding| is_of(cell, finding));
                ours.filter(|_| fits || look == LOOKS).for_each(|finding| seen_again(finding, fits, millis));
            }
        }
    }
}

/// Whether time can tell more. A session is one of its kind: a fresh probe of its flow tells nothing of its cut.
fn is_open(finding: &Finding) -> bool {
    let is_session = finding.expected.as_ref().is_some_and(|side| side.verdict == Word::Cut);
    let kinds = [FindingKind::Leak, FindingKind::Overblock, FindingKind::Misattributed, FindingKind::Late];
    finding.diagnosis == Some(reports::diagnosis::Blame::Agent) && kinds.contains(&finding.kind) && !is_session
}

fn is_of(cell: &PlannedCell, finding: &Finding) -> bool {
    finding.source.as_deref() == Some(cell.source.as_str())
        && finding.destination.as_deref() == Some(cell.destination.as_str())
        && finding.service.as_deref() == Some(cell.service.to_string().as_str())
        && finding.family == Some(cell.family)
}
