//! `eastwest prove`: one probe for each class of flow that a policy tells apart, and which rules that covers.

use std::path::PathBuf;

use harness::prove::{Coverage, Covered, Proving, coverage, proving};
use policy::Timestamp;

use crate::discover::{Found, discover};
use crate::ending::{Ending, Failure, Outcome};
use crate::manner::RunManner;
use crate::output;
use crate::run::{any_seed, carry_out};

/// What `prove` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eastwest prove scenario.yaml                      the policy against the kernel, class by class
  eastwest prove scenario.yaml --model              which rules that would cover, without a packet
  eastwest prove scenarios --strict --coverage c.json

In every state with a policy or a placement of its own, each two classes of endpoints that the policy tells apart (on one host
and on two, in each family) are asked for both edges of each range of services; beside that a sample is drawn that no class
chose. A rule is covered when it decided one of these flows and did not decide one next to it.")]
pub(crate) struct ProveArgs {
    /// Scenarios, or folders of them; one without steps will do
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// How many flows of each state are drawn at random beside its classes
    #[arg(long, value_name = "N", default_value_t = 64)]
    sample: usize,
    /// How many probes a scenario may take at most
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    most: usize,
    /// A rule that is not covered is a finding
    #[arg(long)]
    strict: bool,
    /// Write which rules are covered to this file, as JSON
    #[arg(long, value_name = "FILE")]
    coverage: Option<PathBuf>,
    /// Also those that are slow
    #[arg(long)]
    slow: bool,
    #[command(flatten)]
    manner: RunManner,
}

pub(crate) fn prove(args: ProveArgs) -> Outcome {
    let ProveArgs { paths, sample, most, strict, coverage: file, slow, manner } = args;
    let seed = manner.seed.unwrap_or_else(any_seed);
    let how = Proving { seed, sample, most };
    let mut chosen = discover(&paths, None)?;
    chosen.retain(|found| found.left_out(slow, false).is_none());
    let covered = chosen.iter().map(|found| covered(found, how)).collect::<Result<Vec<_>, Failure>>()?;
    let coverage = Coverage::joined(covered);
    if coverage.rules.is_empty() {
        return Err(Failure::Input("prove a policy: none of these scenarios has one with a rule".to_owned()));
    }
    let ending = carry_out(chosen, &[], &RunManner { proving: Some(how), ..manner }, seed)?;
    if let Some(file) = file {
        let text = serde_json::to_string(&coverage).map_err(|error| Failure::Fault(format!("write JSON: {error}")))?;
        std::fs::write(&file, text).map_err(|error| Failure::Input(format!("write {}: {error}", file.display())))?;
    }
    output::note(&told(&coverage));
    let lacks = strict && coverage.rules.iter().any(|rule| !rule.is_covered());
    if lacks {
        output::note("with --strict, a rule that is not covered is a finding");
    }
    Ok(if lacks && ending == Ending::AsExpected { Ending::Findings } else { ending })
}

fn covered(found: &Found, how: Proving) -> Result<Coverage, Failure> {
    let now = Timestamp::now();
    let steps = proving(&found.scenario, now, how)
        .map_err(|error| Failure::Input(format!("prove `{}`: {error}", found.scenario.name)))?;
    Ok(coverage(&steps, now))
}

fn told(coverage: &Coverage) -> String {
    let count = coverage.rules.iter().filter(|rule| rule.is_covered()).count();
    let mut text = format!("\nrule coverage: {count} of {} rules, {:.1} %\n", coverage.rules.len(), coverage.percent());
    for Covered { policy, rule, line, decided, .. } in coverage.rules.iter().filter(|rule| !rule.is_covered()) {
        let why = if *decided == 0 { "decided nothing" } else { "decided all that was next to what it decided" };
        text.push_str(&format!("  {policy}:{line}: `{rule}` {why}\n"));
    }
    text.trim_end().to_owned()
}
