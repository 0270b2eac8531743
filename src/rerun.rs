//! `eastwest rerun`: the scenarios of a recorded run again, all of them or those alone that did not pass.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use harness::Only;
use harness::scenario::Variant;
use reports::Run;
use reports::event::{Finding, ScenarioId, ScenarioOutcome};

use crate::args::RerunArgs;
use crate::discover::{self, Found};
use crate::ending::{Ending, Failure, Outcome};
use crate::manner::{Order, RunManner};
use crate::output;
use crate::recorded::recorded;
use crate::run::carry_out;

pub(crate) fn rerun(args: RerunArgs) -> Outcome {
    let run = recorded(&args.folder)?;
    if let Some(number) = args.cell {
        return one(&run, number, args);
    }
    let wanted = |outcome: ScenarioOutcome| outcome.is_failure() || !args.failed && outcome == ScenarioOutcome::Passed;
    let chosen: Vec<&ScenarioId> =
        run.scenarios.iter().filter(|scenario| wanted(scenario.outcome())).map(|scenario| &scenario.id).collect();
    let files: BTreeSet<&str> = chosen.iter().map(|id| id.file.as_str()).collect();
    if files.is_empty() {
        let which = if args.failed { "every scenario of it passed" } else { "it ran none" };
        output::note(&format!("nothing of {} is to be run again: {which}", args.folder.display()));
        return Ok(Ending::AsExpected);
    }
    if files.contains("-") {
        let why = "one of its scenarios came from standard input: save it as a file, and run that";
        return Err(Failure::Input(format!("run {} again: {why}", args.folder.display())));
    }
    let files: Vec<PathBuf> = files.into_iter().map(|file| Path::new(file).to_owned()).collect();
    let mut found = discover::discover(&files, None)?;
    // Of a file with axes those of its trials that are wanted; behind their names stand order and turn.
    let is_wanted = |found: &Found| {
        chosen.iter().any(|id| id.file == found.scenario.file && id.name.starts_with(&found.scenario.name))
    };
    let has_axes = |found: &Found| found.variant != Variant::default();
    found.retain(|found| !has_axes(found) || is_wanted(found));
    let seed = args.manner.seed.unwrap_or(run.seed);
    let order = order(&args, run.scenarios.iter().map(|scenario| &scenario.id));
    let manner = RunManner { model: args.manner.model || run.model, order, ..args.manner };
    carry_out(found, &[], &manner, seed)
}

/// In which order states are visited: as is asked for, else as the recorded run did.
fn order<'r>(args: &RerunArgs, mut recorded: impl Iterator<Item = &'r ScenarioId>) -> Option<Order> {
    args.manner.order.or_else(|| recorded.find_map(|id| Order::of_name(&id.name)))
}

/// The flows of a run that were not as expected, in its order; each once, however many findings are about it.
fn flows(run: &Run) -> Vec<(&ScenarioId, Only)> {
    let mut flows = Vec::new();
    for scenario in &run.scenarios {
        for finding in scenario.steps.iter().flat_map(|step| &step.findings) {
            let Some(only) = only(finding).map(|only| (&scenario.id, only)) else { continue };
            if !flows.contains(&only) {
                flows.push(only);
            }
        }
    }
    flows
}

fn only(finding: &Finding) -> Option<Only> {
    Some(Only {
        step: finding.step.clone(),
        source: finding.source.clone()?,
        destination: finding.destination.clone()?,
        service: finding.service.clone()?,
        family: finding.family?,
    })
}

/// Probes one flow alone.
fn one(run: &Run, number: usize, args: RerunArgs) -> Outcome {
    let flows = flows(run);
    let Some((id, only)) = number.checked_sub(1).and_then(|at| flows.get(at)) else {
        let line = |(at, (_, only)): (usize, &(&ScenarioId, Only))| {
            let Only { step, source, destination, service, family } = only;
            format!("\n  {}  {source} -> {destination} {service} {family}, step `{step}`", at + 1)
        };
        let all: String = flows.iter().enumerate().map(line).collect();
        let all = if all.is_empty() { " none".to_owned() } else { all };
        return Err(Failure::Input(format!("find flow {number}: those that were not as expected are{all}")));
    };
    let mut found = discover::discover(&[PathBuf::from(&id.file)], None)?;
    found.retain(|found| id.name.starts_with(&found.scenario.name));
    let seed = args.manner.seed.unwrap_or(run.seed);
    let order = order(&args, std::iter::once(*id));
    carry_out(found, &[], &RunManner { order, only: Some(only.clone()), ..args.manner }, seed)
}
