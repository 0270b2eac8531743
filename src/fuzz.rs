//! `eastwest fuzz`: random cases on packets, oracle against kernel; what fails is made small and kept as a scenario.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness::fuzz::{Case, history, policies, shrink};
use harness::plan::Visits;
use harness::scenario::Variant;
use harness::{Job, Programs, RunOptions};
use reports::event::{Event, ScenarioId, ScenarioOutcome};

use crate::ending::{Ending, Failure, Outcome};
use crate::output;
use crate::run::{any_seed, failure, own_program, program};

/// How many cases are started at once.
const BATCH: u64 = 16;
/// States of a case whose policies alone differ, and of a history.
const STATES: (usize, usize) = (10, 9);

/// What `fuzz` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eastwest fuzz                        a hundred cases, each from its seed
  eastwest fuzz --seed 7 --cases 1     one of them again
  eastwest fuzz --minutes 30

Half of the cases are one topology under a series of policies, with tiers, `pass` and `owns`; the others are histories, in which
sessions are open while policies and labels change, VMs move, agents are killed and the center is out of reach. Every pair is
probed in every state. What fails is taken apart as long as it still fails, and kept as a scenario: run it with `eastwest run`.")]
pub(crate) struct FuzzArgs {
    /// The seed of the first case; the others follow it [default: another each time, and shown]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many cases
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    cases: u64,
    /// Go on for so many minutes instead
    #[arg(long, value_name = "N", conflicts_with = "cases")]
    minutes: Option<u64>,
    /// Where what fails is kept
    #[arg(long, value_name = "DIR", default_value = ".")]
    keep: PathBuf,
    /// How many smaller cases are tried of one that fails
    #[arg(long, value_name = "N", default_value_t = 500)]
    shrink: usize,
    /// Another build of the agent to run in the VMs
    #[arg(long, value_name = "PATH")]
    agent: Option<PathBuf>,
    /// An argument to put before the other build's own
    #[arg(long, hide = true, value_name = "ARG", allow_hyphen_values = true, requires = "agent")]
    agent_arg: Vec<String>,
}

pub(crate) fn fuzz(args: &FuzzArgs) -> Outcome {
    let first = args.seed.unwrap_or_else(any_seed);
    let programs = Programs {
        exe: own_program()?,
        agent: args.agent.as_deref().map(program).transpose()?,
        agent_args: args.agent_arg.clone(),
        agent_only: None,
        sabotage: None,
    };
    let options = RunOptions { programs, jobs: None, ..RunOptions::plain(own_program()?, first) };
    let (begun, time) = (Instant::now(), args.minutes.map(|minutes| Duration::from_secs(60 * minutes)));
    let (mut next, mut cells) = (first, 0);
    let goes_on = |next: u64| match time {
        Some(time) => begun.elapsed() < time,
        None => next - first < args.cases,
    };
    output::note(&format!("eastwest: fuzz from seed {first}"));
    while goes_on(next) {
        let count = if time.is_some() { BATCH } else { BATCH.min(args.cases - (next - first)) };
        let cases: Vec<Case> = (next..next + count).map(case).collect();
        let ran = run(&cases, &options)?;
        if ran.interrupted {
            return Ok(Ending::Interrupted);
        }
        cells += ran.cells;
        if let Some(failed) =
            cases.into_iter().find(|case| ran.outcomes.get(&case.name) != Some(&ScenarioOutcome::Passed))
        {
            let kinds = ran.kinds.get(&failed.name).cloned().unwrap_or_default();
            return fails(failed, &kinds, args, &options);
        }
        next += count;
        let seconds = begun.elapsed().as_secs();
        output::note(&format!("{} cases, {cells} cells, 0 disagreements, {seconds} s", next - first));
    }
    output::say(&format!("{} cases from seed {first}: {cells} cells, oracle and kernel agree\n", next - first));
    Ok(Ending::AsExpected)
}

/// Every other case is a history.
fn case(seed: u64) -> Case {
    if seed.is_multiple_of(2) { policies(seed, STATES.0) } else { history(seed, STATES.1) }
}

/// A case does not pass: the smallest that brings about one of the same findings is kept.
fn fails(case: Case, kinds: &BTreeSet<String>, args: &FuzzArgs, options: &RunOptions) -> Outcome {
    output::note(&format!("`{}` does not pass; looking for the smallest case that does not", case.name));
    let written = keep(&case, &args.keep, "")?;
    let mut trouble = None;
    let mut still_fails = |case: &Case| match run(std::slice::from_ref(case), options) {
        Ok(ran) => !ran.interrupted && ran.kinds.get(&case.name).is_some_and(|found| !found.is_disjoint(kinds)),
        Err(error) => {
            trouble = Some(error);
            false
        }
    };
    let (smallest, tried) = shrink(case, args.shrink, &mut still_fails);
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    let small = keep(&smallest, &args.keep, "-small")?;
    output::say(&format!(
        "a case that fails: {}\nthe smallest like it, of {tried} tried: {}\n  eastwest run {}\n",
        written.display(),
        small.display(),
        small.display()
    ));
    Ok(Ending::Findings)
}

fn keep(case: &Case, folder: &Path, mark: &str) -> Result<PathBuf, Failure> {
    let path = folder.join(format!("fuzz-{}{mark}.yaml", case.name.replace(' ', "-")));
    let wrong = |error: std::io::Error| Failure::Input(format!("write {}: {error}", path.display()));
    std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, case.text())).map_err(wrong)?;
    Ok(path)
}

/// What a run of cases came to.
struct Ran {
    outcomes: BTreeMap<String, ScenarioOutcome>,
    /// The kinds of the findings of each case that has any.
    kinds: BTreeMap<String, BTreeSet<String>>,
    cells: usize,
    interrupted: bool,
}

fn run(cases: &[Case], options: &RunOptions) -> Result<Ran, Failure> {
    let job = |case: &Case| Job {
        scenario: ScenarioId { name: case.name.clone(), file: "-".to_owned() },
        path: PathBuf::from("-"),
        text: case.text().into(),
        variant: Variant::default(),
        visits: Visits::Written,
        exclusive: false,
        instead: None,
    };
    let (mut cells, mut kinds) = (0, BTreeMap::<String, BTreeSet<String>>::new());
    let mut sink = |event: Event| {
        if let Event::StepFinished { scenario, cells: judged, findings, .. } = event {
            cells += judged.len();
            let found = findings.iter().map(|finding| finding.kind.to_string());
            found.for_each(|kind| kinds.entry(scenario.name.clone()).or_default().extend([kind]));
        }
    };
    let outcome = harness::run(cases.iter().map(job).collect(), options, &mut sink).map_err(failure)?;
    let outcomes = outcome.outcomes.into_iter().map(|(id, outcome)| (id.name, outcome)).collect();
    Ok(Ran { outcomes, kinds, cells, interrupted: outcome.interrupted })
}
