//! `eastwest run`: scenarios in labs of their own, or by the oracle alone.

use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::time::Instant;

use harness::{Job, Programs, RunError, RunOptions};
use policy::Timestamp;
use reports::event::{Event, ScenarioId, ScenarioOutcome, VERSION};

use crate::args::RunArgs;
use crate::discover::{Found, discover};
use crate::ending::{Ending, Failure, Outcome};
use crate::tellers::Tellers;

pub(crate) fn run(args: RunArgs) -> Outcome {
    let found = discover(&args.paths, args.filter.as_deref())?;
    let options = options(&args)?;
    let mut tellers = Tellers::new(args.format, args.report.as_deref(), args.junit.as_deref())?;
    let why = |found: &Found| found.left_out(args.slow, args.soak);
    let (out, chosen): (Vec<Found>, Vec<Found>) = found.into_iter().partition(|found| why(found).is_some());
    let left_out: Vec<Event> = out.iter().filter_map(|found| Some(skipped(found, why(found)?))).collect();
    let mut sink = |event: Event| with_left_out(event, &out, &left_out).iter().for_each(|event| tellers.event(event));
    let interrupted = if args.model {
        by_model(&chosen, options.seed, &mut sink);
        false
    } else {
        harness::run(chosen.iter().map(job).collect(), &options, &mut sink).map_err(failure)?.interrupted
    };
    let ending = tellers.finish()?;
    Ok(if interrupted { Ending::Interrupted } else { ending })
}

fn by_model(chosen: &[Found], seed: u64, sink: &mut dyn FnMut(Event)) {
    let (begun, now) = (Instant::now(), Timestamp::now());
    sink(Event::RunStarted {
        version: VERSION,
        scenarios: chosen.iter().map(id).collect(),
        seed,
        jobs: 1,
        model: true,
    });
    chosen.iter().flat_map(|found| harness::model::run(&found.scenario, now)).for_each(&mut *sink);
    sink(Event::RunFinished { seconds: begun.elapsed().as_secs_f64(), interrupted: false });
}

fn options(args: &RunArgs) -> Result<RunOptions, Failure> {
    let agent = args.agent.as_deref().map(program).transpose()?;
    Ok(RunOptions {
        jobs: args.jobs.map(usize::from),
        seed: args.seed.unwrap_or_else(any_seed),
        report_dir: args.report.clone(),
        programs: Programs {
            exe: own_program()?,
            agent,
            agent_args: args.agent_arg.clone(),
            agent_only: args.agent_only.clone(),
            sabotage: args.sabotage,
        },
        fail_fast: args.fail_fast,
    })
}

/// This very program: it holds the jail, the center and the agent as well.
pub(crate) fn own_program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::Environment(format!("find this very program: {error}")))
}

fn program(path: &Path) -> Result<PathBuf, Failure> {
    let wrong = |cause: String| Failure::Input(format!("use {} as the agent: {cause}", path.display()));
    let full = path.canonicalize().map_err(|error| wrong(error.to_string()))?;
    if full.is_file() { Ok(full) } else { Err(wrong("it is no file".to_owned())) }
}

/// A seed that differs from run to run, short enough to type.
pub(crate) fn any_seed() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish() % 1_000_000
}

pub(crate) fn failure(error: RunError) -> Failure {
    match error {
        RunError::Environment(cause) => {
            Failure::Environment(format!("start a lab: {cause}\n`eastwest doctor` tries each thing that a lab needs"))
        }
        RunError::Harness(cause) => Failure::Fault(format!("run: {cause}")),
    }
}

pub(crate) fn job(found: &Found) -> Job {
    Job { scenario: id(found), path: found.path.clone(), text: found.text.clone(), exclusive: found.scenario.exclusive }
}

fn id(found: &Found) -> ScenarioId {
    ScenarioId { name: found.scenario.name.clone(), file: found.scenario.file.clone() }
}

fn skipped(found: &Found, why: &str) -> Event {
    Event::ScenarioFinished {
        scenario: id(found),
        outcome: ScenarioOutcome::Skipped,
        seconds: 0.0,
        reason: Some(why.to_owned()),
        findings: Vec::new(),
    }
}

/// The event, and behind the run's first one what there is to say of the scenarios that are left out.
fn with_left_out(event: Event, out: &[Found], left_out: &[Event]) -> Vec<Event> {
    let Event::RunStarted { version, mut scenarios, seed, jobs, model } = event else { return vec![event] };
    scenarios.extend(out.iter().map(id));
    let mut events = vec![Event::RunStarted { version, scenarios, seed, jobs, model }];
    events.extend(left_out.iter().cloned());
    events
}
