//! `eastwest rerun`: the scenarios of a recorded run again, all of them or those alone that did not pass.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use harness::scenario::Variant;
use reports::event::{ScenarioId, ScenarioOutcome};

use crate::args::RerunArgs;
use crate::discover::{self, Found};
use crate::ending::{Ending, Failure, Outcome};
use crate::manner::{Order, RunManner};
use crate::output;
use crate::recorded::recorded;
use crate::run::carry_out;

pub(crate) fn rerun(args: RerunArgs) -> Outcome {
    let run = recorded(&args.folder)?;
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
    let order =
        args.manner.order.or_else(|| run.scenarios.iter().find_map(|scenario| Order::of_name(&scenario.id.name)));
    let manner = RunManner { model: args.manner.model || run.model, order, ..args.manner };
    carry_out(found, &[], &manner, seed)
}
