//! `eastwest report merge`: the recordings of a run's parts as one run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use reports::event::{Event, ScenarioId, VERSION};

use crate::args::MergeArgs;
use crate::ending::{Failure, Outcome};
use crate::recorded::recording;
use crate::tellers::Tellers;

pub(crate) fn merge(args: &MergeArgs) -> Outcome {
    let parts = args.folders.iter().map(|folder| Ok((folder.clone(), recording(folder)?.events)));
    let events = merged(parts.collect::<Result<Vec<_>, Failure>>()?)?;
    let mut tellers = Tellers::new(&args.told)?;
    events.iter().for_each(|event| tellers.event(event));
    tellers.finish()
}

/// One run from several: all their scenarios, and as long as the longest of them. Where one was not told to its end, the
/// whole was not.
fn merged(parts: Vec<(PathBuf, Vec<Event>)>) -> Result<Vec<Event>, Failure> {
    let mut owners: HashMap<ScenarioId, PathBuf> = HashMap::new();
    let (mut all, mut between, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    let (mut first_seed, mut at_once, mut by_model) = (None, 0, false);
    let count = parts.len();
    for (folder, events) in parts {
        for event in events {
            match event {
                Event::RunStarted { version: _, scenarios, seed, jobs, model } => {
                    first_seed.get_or_insert(seed);
                    (at_once, by_model) = (at_once.max(jobs), by_model | model);
                    scenarios.iter().try_for_each(|id| own(&mut owners, id, &folder))?;
                    all.extend(scenarios);
                }
                Event::RunFinished { seconds, interrupted } => ends.push((seconds, interrupted)),
                told @ (Event::ScenarioStarted { .. }
                | Event::LabReady { .. }
                | Event::StepFinished { .. }
                | Event::ScenarioFinished { .. }) => between.push(told),
            }
        }
    }
    let mut events = vec![Event::RunStarted {
        version: VERSION,
        scenarios: all,
        seed: first_seed.unwrap_or_default(),
        jobs: at_once,
        model: by_model,
    }];
    events.extend(between);
    let seconds = ends.iter().map(|(seconds, _)| *seconds).fold(0.0, f64::max);
    let interrupted = ends.len() < count || ends.iter().any(|(_, interrupted)| *interrupted);
    events.push(Event::RunFinished { seconds, interrupted });
    Ok(events)
}

fn own(owners: &mut HashMap<ScenarioId, PathBuf>, id: &ScenarioId, folder: &Path) -> Result<(), Failure> {
    match owners.insert(id.clone(), folder.to_owned()) {
        None => Ok(()),
        Some(other) => {
            let (other, folder) = (other.display(), folder.display());
            Err(Failure::Input(format!("merge {other} and {folder}: both ran `{}` ({})", id.name, id.file)))
        }
    }
}
