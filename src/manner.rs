//! How scenarios are run, and where that is told: what `run` and `rerun` have in common.

use std::path::PathBuf;

use clap::ValueEnum;
use harness::plan::Visits;

use crate::args::Format;

/// The most times that a scenario runs in one run.
pub(crate) const MOST_REPEATS: u32 = 1000;

/// In which order the states of a scenario are visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// As its steps are written
    Written,
    /// Neighbouring states by chance
    Shuffled,
    /// The last of neighbouring states first, then those that were skipped
    Squashed,
    /// As written, each publication made twice
    Doubled,
    /// As written, center or agents restarted between two states
    Restarts,
}

impl Order {
    /// The order with its seed.
    pub(crate) fn visits(self, seed: u64) -> Visits {
        match self {
            Self::Written => Visits::Written,
            Self::Shuffled => Visits::Shuffled(seed),
            Self::Squashed => Visits::Squashed,
            Self::Doubled => Visits::Doubled,
            Self::Restarts => Visits::Restarts(seed),
        }
    }

    /// The order that the name of a trial tells of.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let orders = Self::value_variants().iter().filter(|order| **order != Self::Written);
        let told = |order: &Self| {
            let value = order.to_possible_value();
            value.is_some_and(|value| {
                [" ", "]"].iter().any(|end| name.contains(&format!(" [{}{end}", value.get_name())))
            })
        };
        orders.copied().find(told)
    }
}

/// How scenarios are run, whichever they are.
#[derive(Debug, clap::Args)]
pub(crate) struct RunManner {
    /// How many scenarios run at once [default: the number of CPUs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// The seed of every random choice [default: another each time, and shown]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// In which order the states of each scenario are visited [default: written; of `rerun`: the recorded run's]
    #[arg(long, value_name = "ORDER", conflicts_with = "model")]
    pub(crate) order: Option<Order>,
    /// Run each scenario so many times
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_REPEATS)))]
    pub(crate) stress: Option<u32>,
    /// Stop at the first scenario that does not pass; without `--stress`, each runs a thousand times until then
    #[arg(long)]
    pub(crate) until_failure: bool,
    #[command(flatten)]
    pub(crate) told: ToldArgs,
    /// Judge by the oracle alone: no packets, no privileges
    #[arg(long)]
    pub(crate) model: bool,
    /// End a scenario behind its first step with findings
    #[arg(long, conflicts_with = "model")]
    pub(crate) fail_fast: bool,
    /// Wait behind each step with findings, and take questions about the world as it stands: one scenario at a time
    #[arg(long, conflicts_with = "model")]
    pub(crate) pause_on_fail: bool,
    /// Keep the world of the first scenario with findings as a lab, as it stands behind that step, until `lab down` or Ctrl-C
    #[arg(long, conflicts_with_all = ["model", "pause_on_fail"])]
    pub(crate) keep: bool,
    /// The one flow that is probed
    #[arg(skip)]
    pub(crate) only: Option<harness::Only>,
    /// What is probed beside what scenarios ask for
    #[arg(skip)]
    pub(crate) proving: Option<harness::prove::Proving>,
    /// Another build of the agent to run in the VMs
    #[arg(long, value_name = "PATH", conflicts_with = "model")]
    pub(crate) agent: Option<PathBuf>,
    /// An argument to put before the other build's own
    #[arg(long, hide = true, value_name = "ARG", allow_hyphen_values = true, requires = "agent")]
    pub(crate) agent_arg: Vec<String>,
    /// The only VM that runs the other build
    #[arg(long, hide = true, value_name = "VM", requires = "agent")]
    pub(crate) agent_only: Option<String>,
    /// Break a part of the lab behind the judge's back: a test of the harness itself
    #[arg(long, hide = true, value_name = "PART", conflicts_with = "model", value_parser = sabotage)]
    pub(crate) sabotage: Option<harness::Sabotage>,
}

/// Where a run is told.
#[derive(Debug, clap::Args)]
pub(crate) struct ToldArgs {
    /// Keep the run in this folder: events.jsonl, report.html, report.txt, junit.xml, and evidence of what was not as expected
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// Write JUnit XML to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// What to write to standard output
    #[arg(long, default_value = "human")]
    pub(crate) format: Format,
}

fn sabotage(text: &str) -> Result<harness::Sabotage, String> {
    text.parse()
}
