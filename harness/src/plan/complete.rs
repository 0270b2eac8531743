//! What is said to be complete must be: `complete: true` for every ordered pair, a matrix for its service.

use policy::{FlowService, Name, Problem, Problems};

use super::cells::{Table, line_place, pairs};
use crate::scenario::Step;
use crate::state::State;

/// How many missing pairs an error names.
const SHOWN: usize = 3;

/// Reports the ordered pairs that a complete step does not list. A matrix owes the pairs of VMs; `complete: true` owes
/// those with outside endpoints as well.
pub(super) fn check(source: &str, step: &Step, state: &State, table: &Table, problems: &mut Problems) {
    let vms = |name: &Name| state.vms.contains_key(name);
    for (service, line) in &step.matrices {
        let owed = |(a, b): &(Name, Name)| vms(a) && vms(b);
        let missing: Vec<(Name, Name)> = ordered(state).into_iter().filter(owed).collect();
        let missing = missing.into_iter().filter(|pair| !lists(table, pair, Some(*service))).collect();
        report(source, *line, &format!("this matrix of {service} does not list"), missing, problems);
    }
    if step.complete {
        let missing = ordered(state).into_iter().filter(|pair| !lists(table, pair, None)).collect();
        report(source, step.line, "this step is complete and does not list", missing, problems);
    }
}

fn ordered(state: &State) -> Vec<(Name, Name)> {
    let mut pairs: Vec<(Name, Name)> = pairs(state).into_iter().map(|(a, b, _)| (a, b)).collect();
    pairs.dedup();
    pairs
}

fn lists(table: &Table, pair: &(Name, Name), service: Option<FlowService>) -> bool {
    let of = |key: &super::cells::Key| key.source == pair.0 && key.destination == pair.1;
    table.listed().iter().any(|listed| of(&listed.key) && service.is_none_or(|service| listed.key.service == service))
}

fn report(source: &str, line: usize, what: &str, missing: Vec<(Name, Name)>, problems: &mut Problems) {
    if missing.is_empty() {
        return;
    }
    let shown: Vec<String> = missing.iter().take(SHOWN).map(|(a, b)| format!("{a} -> {b}")).collect();
    let more = missing.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    problems.report(Problem::new(line_place(source, line), format!("{what} {}{more}", shown.join(", "))));
}
