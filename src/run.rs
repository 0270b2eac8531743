//! `eastwest run`: scenarios in labs of their own, or by the oracle alone.

use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use harness::scenario::Scenario;
use harness::{Job, Pause, Programs, RunError, RunOptions, RunOutcome};
use policy::Timestamp;
use reports::event::{Event, ScenarioId, ScenarioOutcome, VERSION};

use crate::args::RunArgs;
use crate::discover::{Found, discover, exactly};
use crate::ending::{Ending, Failure, Outcome};
use crate::manner::{MOST_REPEATS, Order, RunManner};
use crate::prompt::Prompt;
use crate::tellers::Tellers;
use crate::{kept, output, watch};

pub(crate) fn run(args: RunArgs) -> Outcome {
    if args.watch {
        return watch::watch(args);
    }
    let found = match &args.exact {
        Some(listed) => exactly(&args.paths, listed)?,
        None => discover(&args.paths, args.filter.as_deref())?,
    };
    let held = |found: &Found| args.partition.is_none_or(|part| part.holds(&found.scenario.file, &found.scenario.name));
    let lack = |found: &Found| if args.manner.model { None } else { harness::lack(&found.scenario) };
    let why = |found: &Found| found.left_out(args.slow, args.soak).map(str::to_owned).or_else(|| lack(found));
    let (out, chosen): (Vec<Found>, Vec<Found>) =
        found.into_iter().filter(held).partition(|found| why(found).is_some());
    let left_out: Vec<Event> = out.iter().filter_map(|found| Some(Event::skipped(id(found), &why(found)?))).collect();
    carry_out(chosen, &left_out, &args.manner, args.manner.seed.unwrap_or_else(any_seed))
}

/// Runs scenarios, and tells of those that are left out.
pub(crate) fn carry_out(mut chosen: Vec<Found>, left_out: &[Event], manner: &RunManner, seed: u64) -> Outcome {
    // The oracle alone judges each state by itself, whatever came before it.
    let visits = manner.order.filter(|_| !manner.model).unwrap_or(Order::Written).visits(seed);
    chosen.iter_mut().for_each(|found| found.visit(visits));
    let prompt = manner.pause_on_fail.then(Prompt::new).transpose()?.map(Arc::new);
    let kept = manner.keep.then(kept::take).transpose()?;
    let pause = prompt.as_ref().map(Prompt::pause).or_else(|| kept.as_ref().map(kept::pause));
    let options = options(manner, seed, pause)?;
    let mut tellers = Tellers::new(&manner.told)?;
    let mut sink = |event: Event| with_left_out(event, left_out).iter().for_each(|event| tellers.event(event));
    let RunOutcome { wrong_input, lacking, interrupted, packets, .. } = if manner.model {
        by_model(&chosen, manner, seed, &mut sink)?;
        RunOutcome::default()
    } else {
        let jobs = turns(manner).flat_map(|turn| chosen.iter().map(move |found| job(found, turn))).collect();
        harness::run(jobs, &options, &mut sink).map_err(failure)?
    };
    prompt.map_or(Ok(()), |prompt| prompt.end())?;
    kept.map_or(Ok(()), |kept| kept.end())?;
    let ending = tellers.finish()?;
    if manner.only.is_some() {
        let packets = packets.concat();
        let packets = if packets.is_empty() { "none: nothing left either of the two" } else { packets.trim_end() };
        output::note(&format!("\nits packets, each as it was at the host's end of a wire:\n{packets}"));
    }
    let evidence = manner.told.report.as_deref().map(|folder| folder.join("evidence")).filter(|folder| folder.is_dir());
    if let Some(evidence) = evidence.filter(|_| ending == Ending::Findings) {
        let folder = evidence.parent().unwrap_or(&evidence).display();
        let again = format!("a flow alone, with its packets: eastwest rerun {folder} --cell 1");
        output::note(&format!("evidence: {}\n{again}", evidence.display()));
    }
    Ok(match (interrupted, wrong_input, lacking) {
        (true, _, _) => Ending::Interrupted,
        (false, true, _) => Ending::WrongInput,
        (false, false, true) => Ending::Lacking,
        (false, false, false) => ending,
    })
}

/// Which turn it is, and of how many: where there is one alone, nobody speaks of turns.
type Turn = Option<(u32, u32)>;

fn turns(manner: &RunManner) -> impl Iterator<Item = Turn> + use<> {
    let times = manner.stress.unwrap_or(if manner.until_failure { MOST_REPEATS } else { 1 });
    (1..=times).map(move |turn| (times > 1).then_some((turn, times)))
}

fn by_model(chosen: &[Found], manner: &RunManner, seed: u64, sink: &mut dyn FnMut(Event)) -> Result<(), Failure> {
    let (begun, now) = (Instant::now(), Timestamp::now());
    let all = || turns(manner).flat_map(|turn| chosen.iter().map(move |found| (found, turn_of(found, turn))));
    sink(Event::RunStarted {
        version: VERSION,
        scenarios: all().map(|(_, id)| id).collect(),
        seed,
        jobs: 1,
        model: true,
    });
    let mut failed = false;
    for (found, id) in all() {
        if failed && manner.until_failure {
            sink(Event::skipped(id, harness::BEHIND_A_FAILURE));
            continue;
        }
        let events = match manner.proving {
            Some(how) => harness::model::prove(&found.scenario, &id, how, now)
                .map_err(|error| Failure::Input(format!("prove `{}`: {error}", found.scenario.name)))?,
            None => harness::model::run(&found.scenario, &id, now),
        };
        for event in events {
            failed |= matches!(&event, Event::ScenarioFinished { outcome, .. } if *outcome != ScenarioOutcome::Passed);
            sink(event);
        }
    }
    sink(Event::RunFinished { seconds: begun.elapsed().as_secs_f64(), interrupted: false });
    Ok(())
}

pub(crate) fn options(args: &RunManner, seed: u64, pause: Option<Pause>) -> Result<RunOptions, Failure> {
    let agent = args.agent.as_deref().map(program).transpose()?;
    Ok(RunOptions {
        // Of several that wait only one could be asked.
        jobs: if pause.is_some() { Some(1) } else { args.jobs.map(usize::from) },
        seed,
        report_dir: args.told.report.clone(),
        programs: Programs {
            exe: own_program()?,
            agent,
            agent_args: args.agent_arg.clone(),
            agent_only: args.agent_only.clone(),
            sabotage: args.sabotage,
        },
        fail_fast: args.fail_fast || args.keep,
        until_failure: args.until_failure || args.keep,
        pause,
        only: args.only.clone(),
        proving: args.proving,
    })
}

/// This very program: it holds the jail, the center and the agent as well.
pub(crate) fn own_program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::Environment(format!("find this very program: {error}")))
}

pub(crate) fn program(path: &Path) -> Result<PathBuf, Failure> {
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

pub(crate) fn job(found: &Found, turn: Turn) -> Job {
    Job {
        scenario: turn_of(found, turn),
        path: found.path.clone(),
        text: Arc::clone(&found.text),
        variant: found.variant,
        visits: found.visits,
        exclusive: found.scenario.exclusive,
        instead: None,
    }
}

fn id(found: &Found) -> ScenarioId {
    turn_of(found, None)
}

fn turn_of(found: &Found, turn: Turn) -> ScenarioId {
    let Scenario { name, file, .. } = &found.scenario;
    let name = turn.map_or_else(|| name.clone(), |(turn, times)| format!("{name} ({turn} of {times})"));
    ScenarioId { name, file: file.clone() }
}

/// The event, and behind the run's first one what there is to say of the scenarios that are left out.
fn with_left_out(event: Event, left_out: &[Event]) -> Vec<Event> {
    let Event::RunStarted { version, mut scenarios, seed, jobs, model } = event else { return vec![event] };
    let id = |event: &Event| {
        let Event::ScenarioFinished { scenario, .. } = event else { return None };
        Some(scenario.clone())
    };
    scenarios.extend(left_out.iter().filter_map(id));
    let mut events = vec![Event::RunStarted { version, scenarios, seed, jobs, model }];
    events.extend(left_out.iter().cloned());
    events
}
