//! `eastwest mutate`: small changes of policies, and whether a suite's expectations notice them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use harness::mutate::{Fate, Mutation, Trial, mutate as judged};
use harness::scenario::Scenario;
use harness::{Job, RunOptions};
use policy::Timestamp;
use reports::event::{Event, FindingKind};

use crate::args::Format;
use crate::discover::{Found, discover};
use crate::ending::{Ending, Failure, Outcome};
use crate::output;
use crate::run::{any_seed, failure, job, own_program};

/// What `mutate` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eastwest mutate scenario.yaml
  eastwest mutate scenarios --at-least 95           a policy that several scenarios share is theirs together
  eastwest mutate scenarios --packets 10            ten of the changes on packets as well

Each rule is dropped, its action turned, its services widened by one, its selectors and ends changed, its neighbour put before
it. A change that no flow between the endpoints of a scenario can show counts for nothing, and is told apart.")]
pub(crate) struct MutateArgs {
    /// Scenarios, or folders of them
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// How many of a hundred changes must be noticed
    #[arg(long, value_name = "PERCENT", default_value_t = 100.0, value_parser = percentage)]
    at_least: f64,
    /// Try so many changes on packets as well, and hold what they show against the model
    #[arg(long, value_name = "N", default_value_t = 0)]
    packets: usize,
    /// The seed by which these are chosen [default: another each time, and shown]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Also those that are slow
    #[arg(long)]
    slow: bool,
    /// What to write to standard output
    #[arg(long, default_value = "human")]
    format: Format,
}

fn percentage(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "a number from 0 to 100".to_owned())
}

pub(crate) fn mutate(args: &MutateArgs) -> Outcome {
    let mut found = discover(&args.paths, None)?;
    found.retain(|found| found.left_out(args.slow, false).is_none());
    let scenarios: Vec<Scenario> = found.iter().map(|found| found.scenario.clone()).collect();
    let mutation =
        judged(&scenarios, Timestamp::now()).map_err(|error| Failure::Input(format!("ask the suite: {error}")))?;
    if mutation.trials.is_empty() {
        return Err(Failure::Input("change a policy: none of these scenarios has one".to_owned()));
    }
    match args.format {
        Format::Human => output::say(&human(&mutation)),
        Format::Json => output::say_json(&mutation)?,
    }
    let agreed = args.packets == 0 || packets_agree(args, &found, &mutation)?;
    let enough = percent(&mutation) >= args.at_least;
    Ok(if enough && agreed { Ending::AsExpected } else { Ending::Findings })
}

/// Whether packets show of some changes what the model says of them: that the suite notices, or does not.
fn packets_agree(args: &MutateArgs, found: &[Found], mutation: &Mutation) -> Result<bool, Failure> {
    let seed = args.seed.unwrap_or_else(any_seed);
    let mut chosen: Vec<&Trial> = mutation.trials.iter().filter(|trial| trial.on_packets().is_some()).collect();
    // Chosen by what they are, so that one change more or less leaves the others where they are.
    chosen.sort_by_cached_key(|trial| {
        let mut hasher = DefaultHasher::new();
        (seed, &trial.policy, &trial.rule, &trial.change).hash(&mut hasher);
        hasher.finish()
    });
    chosen.truncate(args.packets);
    let options = RunOptions::plain(own_program()?, seed);
    let mut differing = 0;
    for trial in &chosen {
        let Some((name, noticed)) = trial.on_packets() else { continue };
        let Some(found) = found.iter().find(|found| found.scenario.name == name) else { continue };
        let job = Job { instead: Some(trial.instead.clone()), ..job(found, None) };
        let mut seen = false;
        let mut sink = |event: Event| {
            if let Event::StepFinished { findings, .. } = event {
                seen |= findings.iter().any(|finding| finding.kind != FindingKind::Disagreement);
            }
        };
        harness::run(vec![job], &options, &mut sink).map_err(failure)?;
        if seen != noticed {
            differing += 1;
            let rule = trial.rule.as_deref().unwrap_or("default");
            let told = if seen { "notice" } else { "do not notice" };
            output::note(&format!("packets {told}: {rule}: {} (in `{name}`)", trial.change));
        }
    }
    output::note(&format!(
        "on packets, seed {seed}: {} of {} as the model says",
        chosen.len() - differing,
        chosen.len()
    ));
    Ok(differing == 0)
}

fn percent(mutation: &Mutation) -> f64 {
    let (killed, all) = mutation.score();
    if all == 0 { 100.0 } else { 100.0 * killed as f64 / all as f64 }
}

fn human(mutation: &Mutation) -> String {
    let mut text = String::new();
    let mut to_paste: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for trial in &mutation.trials {
        let Trial { policy, rule, line, change, fate, .. } = trial;
        let place = line.map(|line| format!(":{line}")).unwrap_or_default();
        let rule = rule.as_deref().unwrap_or("default");
        let mut say = |what: &str| text.push_str(&format!("{what}  {policy}{place}  {rule}: {change}\n"));
        match fate {
            Fate::Killed { .. } => {}
            Fate::Survived { scenario, step, expectation } => {
                say("survived  ");
                let all = to_paste.entry((scenario, step)).or_default();
                if !all.contains(&expectation.as_str()) {
                    all.push(expectation);
                }
            }
            Fate::Elsewhere { flow } => {
                say("elsewhere ");
                text.push_str(&format!("            it would show in {flow}\n"));
            }
            Fate::Equivalent => say("equivalent"),
        }
    }
    for ((scenario, step), expectations) in to_paste {
        text.push_str(&format!("\nto notice, in `{scenario}`, step `{step}`:\n"));
        expectations.iter().for_each(|one| text.push_str(&format!("      - {one}\n")));
    }
    let (killed, all) = mutation.score();
    let count = |is: fn(&Fate) -> bool| mutation.trials.iter().filter(|trial| is(&trial.fate)).count();
    let (elsewhere, same) =
        (count(|fate| matches!(fate, Fate::Elsewhere { .. })), count(|fate| matches!(fate, Fate::Equivalent)));
    text.push_str(&format!(
        "\n{} changes: {killed} noticed, {} not; {same} change nothing, {elsewhere} nothing between these endpoints\n\
         mutation score: {:.1} % of {all}\n",
        mutation.trials.len(),
        all - killed,
        percent(mutation),
    ));
    text
}
