//! `eastwest rerun`: the scenarios of a recorded run again, all of them or those alone that did not pass.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reports::event::ScenarioOutcome;

use crate::args::{RerunArgs, RunManner};
use crate::discover;
use crate::ending::{Ending, Failure, Outcome};
use crate::output;
use crate::recorded::recorded;
use crate::run::carry_out;

pub(crate) fn rerun(args: RerunArgs) -> Outcome {
    let run = recorded(&args.folder)?;
    let wanted = |outcome: ScenarioOutcome| outcome.is_failure() || !args.failed && outcome == ScenarioOutcome::Passed;
    let chosen = run.scenarios.iter().filter(|scenario| wanted(scenario.outcome()));
    let files: BTreeSet<&str> = chosen.map(|scenario| scenario.id.file.as_str()).collect();
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
    let found = discover::discover(&files, None)?;
    let seed = args.manner.seed.unwrap_or(run.seed);
    let manner = RunManner { model: args.manner.model || run.model, ..args.manner };
    carry_out(&found, &[], &manner, seed)
}
