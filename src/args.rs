//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::center::CenterArgs;
use crate::demo::DemoArgs;
use crate::diff::DiffArgs;
use crate::fmt::FmtArgs;
use crate::fuzz::FuzzArgs;
use crate::importing::ImportCommand;
use crate::init::InitArgs;
use crate::lab::LabArgs;
use crate::manner::{RunManner, ToldArgs};
use crate::mutate::MutateArgs;
use crate::partition::Partition;
use crate::prove::ProveArgs;
use crate::reach::ReachArgs;
use crate::replay::ReplayArgs;
use crate::schema::SchemaArgs;
use crate::shells::{CompletionsArgs, ManArgs};
use crate::why::WhyArgs;

/// Firewall policy between virtual machines, proven on real packets.
#[derive(Debug, Parser)]
#[command(name = "eastwest", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 all as expected; 1 something was not; 2 the input is wrong; 3 the environment cannot do it (`eastwest doctor` \
says what to do about it); 130 interrupted, the evidence is kept.
Environment: NO_COLOR, EASTWEST_LOG (error, warn, info, debug, trace).";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// See the whole idea in two minutes, by a lab of four VMs
    Demo(DemoArgs),
    /// Write a scenario that passes, its policy and a file for CI, to begin with
    Init(InitArgs),
    /// Run scenarios and say what was not as expected
    Run(RunArgs),
    /// Run the scenarios of a recorded run again
    Rerun(RerunArgs),
    /// List scenarios
    List(ListArgs),
    /// Explain the verdict on one flow: the rule that decided, and the rules passed over
    Why(WhyArgs),
    /// Show who can speak to whom in a scenario's state before its first step
    Reach(ReachArgs),
    /// Probe one flow for each class that policies tell apart, and say which rules that covers
    Prove(ProveArgs),
    /// Change policies in small ways, and see whether a suite's expectations notice
    Mutate(MutateArgs),
    /// Try random topologies, policies and histories on packets, and make small what fails
    Fuzz(FuzzArgs),
    /// Look for mistakes in a policy, for what is hardly meant, and for claims of its authors that do not hold
    Check(CheckArgs),
    /// Show exactly which flows a new policy judges differently, with an example of each change
    Diff(DiffArgs),
    /// Write policies and scenarios in their canonical form
    Fmt(FmtArgs),
    /// Make a scenario of others' rules: of Kubernetes, or of AWS
    Import {
        #[command(subcommand)]
        command: ImportCommand,
    },
    /// Bring recorded traffic before a draft: what would pass, what would be intercepted, what would change
    Replay(ReplayArgs),
    /// Print the JSON Schema of a kind of file, for editors
    Schema(SchemaArgs),
    /// Render the reports of a recorded run again
    Report {
        #[command(subcommand)]
        command: ReportCommand,
    },
    /// Raise a lab in the background and try things in it
    Lab(LabArgs),
    /// Try each thing that a lab needs from this machine, and say what to do where it is missing
    Doctor(DoctorArgs),
    /// The agent that stands in a VM
    Agent {
        #[command(subcommand)]
        command: AgentCommand,
    },
    /// The control center
    Center(CenterArgs),
    /// Print a script by which a shell completes this command
    Completions(CompletionsArgs),
    /// Write the manual pages of this command
    Man(ManArgs),
    /// The process that holds a scenario's world (started by `run`)
    #[command(hide = true)]
    Jail,
}

/// The form of what is written to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Human,
    /// For programs
    Json,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eastwest run scenarios
  eastwest run scenarios --filter move --jobs 1
  eastwest run scenarios --slow             those that take long as well
  eastwest run my.yaml --report out && eastwest report render out
  eastwest run scenarios --model            by the oracle alone, without privileges
  eastwest run scenarios --partition hash:1/4 --report part-1     one of four machines; then `report merge`
  eastwest run my.yaml --watch              again at each save, in a lab that stands
  eastwest run flaky.yaml --stress 200 --until-failure
  eastwest run scenarios --order shuffled --seed 7     states in another order than they are written in
  generate-scenario | eastwest run -        the scenario comes from standard input

Of a folder, every `*.yaml` that begins with `eastwest: scenario/v1` is run. Those that say `slow: true` are
left out, unless `--slow`, the file itself or a folder of slow ones alone asks for them.")]
pub(crate) struct RunArgs {
    /// Scenario files or folders of them; `-` for standard input
    #[arg(value_name = "PATH", default_value = "scenarios")]
    pub(crate) paths: Vec<PathBuf>,
    /// Only scenarios whose name or file holds this text; with `*` or `?`, it must match whole
    #[arg(long, value_name = "EXPR")]
    pub(crate) filter: Option<String>,
    /// Only the scenario that `list --format terse` calls so, slow or not
    #[arg(long, value_name = "FILE::NAME", conflicts_with_all = ["filter", "partition"])]
    pub(crate) exact: Option<String>,
    /// Also the scenarios of a folder that say `slow: true`
    #[arg(long)]
    pub(crate) slow: bool,
    /// Also those that say `soak: true`: the full figures, for minutes
    #[arg(long)]
    pub(crate) soak: bool,
    /// Only one part of many, such as `hash:1/4`: each scenario is in the same part of four wherever it runs
    #[arg(long, value_name = "hash:M/N")]
    pub(crate) partition: Option<Partition>,
    /// Run one file again each time that it, or a file that it names, is saved, in a lab that stands; Ctrl-C ends
    #[arg(long, conflicts_with_all = NEVER_WATCHED)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) manner: RunManner,
}

/// What makes no sense of a scenario that is watched.
const NEVER_WATCHED: [&str; 12] = [
    "filter",
    "exact",
    "partition",
    "slow",
    "soak",
    "jobs",
    "order",
    "stress",
    "until_failure",
    "model",
    "fail_fast",
    "pause_on_fail",
];

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eastwest run scenarios --report out; eastwest rerun out --failed
  eastwest rerun out --failed --stress 20 --fail-fast
  eastwest rerun out --cell 1         the first flow that was not as expected, alone, with its packets

The scenarios are read anew from their files; the seed is the recorded run's, unless `--seed` says another.")]
pub(crate) struct RerunArgs {
    /// The folder given to `run --report`
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Only the scenarios that did not pass
    #[arg(long)]
    pub(crate) failed: bool,
    /// The N-th flow that was not as expected, alone: the steps before its own are gone through, and its packets are shown
    #[arg(long, value_name = "N", conflicts_with_all = ["failed", "model", "stress"])]
    pub(crate) cell: Option<usize>,
    #[command(flatten)]
    pub(crate) manner: RunManner,
}

/// The forms of a list of scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// For people
    Human,
    /// For programs
    Json,
    /// For runners of tests, as Rust's own harness lists its tests: `FILE::NAME: test`
    Terse,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eastwest list scenarios --filter ipv6
  eastwest list scenarios --format terse      each line, less `: test`, is what `run scenarios --exact` takes")]
pub(crate) struct ListArgs {
    /// Scenario files or folders of them; `-` for standard input
    #[arg(value_name = "PATH", default_value = "scenarios")]
    pub(crate) paths: Vec<PathBuf>,
    /// Only scenarios whose name or file holds this text; with `*` or `?`, it must match whole
    #[arg(long, value_name = "EXPR")]
    pub(crate) filter: Option<String>,
    /// Only those that `run` leaves out where nobody asks for them: slow ones and soaks
    #[arg(long)]
    pub(crate) ignored: bool,
    /// What to write to standard output
    #[arg(long, default_value = "human")]
    pub(crate) format: ListFormat,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eastwest check departments.yaml
  eastwest check departments.yaml --inventory scenario.yaml   over these VMs, not all that there can be
  eastwest check departments.yaml --format github             annotations of a change, in a workflow of GitHub

Without an inventory, all is held against VMs of every kind that the selectors can tell apart. Warnings and claims that do not
hold end with exit code 1.")]
pub(crate) struct CheckArgs {
    /// The policy file; several tiers in their order, divided by commas; or a scenario, for its policy and its VMs
    pub(crate) policy: PathBuf,
    /// A scenario, or a file with a `topology:` alone, that says which VMs there are
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: Option<PathBuf>,
    /// The instant to judge at, such as 2026-11-24T12:00:00Z, for rules with `until` [default: the present]
    #[arg(long, value_name = "INSTANT")]
    pub(crate) at: Option<policy::Timestamp>,
    /// What to write to standard output
    #[arg(long, default_value = "human")]
    pub(crate) format: CheckFormat,
}

/// The forms of what a check finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// For people
    Human,
    /// For programs
    Json,
    /// Workflow commands, which GitHub shows beside the lines of a change
    Github,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  eastwest doctor && eastwest run scenarios")]
pub(crate) struct DoctorArgs {
    /// What to write to standard output
    #[arg(long, default_value = "human")]
    pub(crate) format: Format,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Enforce the center's policy in this VM until SIGTERM or SIGINT; the rules stay in force
    #[command(after_help = "\
Examples:
  eastwest agent run --center 10.98.255.254:7443 --token ewt1.…   the first time
  eastwest agent run --center 10.98.255.254:7443                  from then on")]
    Run(agent::Options),
    /// What the agent says of itself; exit code 3 where it does not run
    Status {
        /// The agent's state folder
        #[arg(long, value_name = "DIR", default_value = "/var/lib/eastwest/agent")]
        state: PathBuf,
        /// What to write to standard output
        #[arg(long, default_value = "human")]
        format: Format,
    },
    /// Have the policy's rules at this VM only record for a time; built-in rules and quarantines stay in force
    #[command(after_help = "\
Examples:
  eastwest agent suspend --for 10m
  eastwest agent suspend --end

The center is told at once by whom and for how long. A suspension ends by itself, also while the agent does not run, and with a restart
of the VM.")]
    Suspend {
        /// How long, such as 90s, 10m or 2h; a day at most
        #[arg(long = "for", value_name = "TIME", required_unless_present = "end", value_parser = seconds)]
        time: Option<u64>,
        /// End it before its time
        #[arg(long, conflicts_with = "time")]
        end: bool,
        /// The agent's state folder
        #[arg(long, value_name = "DIR", default_value = "/var/lib/eastwest/agent")]
        state: PathBuf,
    },
    /// Take the agent away: its rules, its key and all that it kept; the VM passes everything then
    Uninstall {
        /// Yes, this VM is to be without a firewall
        #[arg(long, required = true)]
        yes: bool,
        /// The agent's state folder
        #[arg(long, value_name = "DIR", default_value = "/var/lib/eastwest/agent")]
        state: PathBuf,
    },
}

/// `90s`, `10m`, `2h` as seconds.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let units = [("s", 1), ("m", 60), ("h", 3600)];
    let parts = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)));
    let found = parts.and_then(|(number, seconds)| number.parse::<u64>().ok()?.checked_mul(seconds));
    found.filter(|found| (1..=86_400).contains(found)).ok_or_else(|| "a time from 1s to 24h, such as 10m".to_owned())
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// Render a recorded run from its events.jsonl alone
    Render(RenderArgs),
    /// Put the recordings of a run's parts together, and say how the whole ended
    Merge(MergeArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  eastwest report merge part-1 part-2 part-3 part-4 --report whole

A scenario may be in one part alone. The exit code is that of the whole: 1 if any scenario had findings.")]
pub(crate) struct MergeArgs {
    /// The folders given to each part's `run --report`
    #[arg(value_name = "DIR", required = true)]
    pub(crate) folders: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) told: ToldArgs,
}

/// The forms in which a recorded run is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RenderFormat {
    /// For people
    Human,
    /// For programs, as `run --format json` writes it
    Json,
    /// For CI systems
    Junit,
    /// For CI systems that read the Test Anything Protocol (version 14)
    Tap,
    /// For the comment of a merge request or the summary of a job, bounded in length
    Markdown,
    /// Workflow commands, which GitHub shows beside the lines of a change
    Github,
    /// One page that needs nothing else, for a browser and for print
    Html,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eastwest report render out
  eastwest report render out --format junit > junit.xml
  eastwest report render out --format github
  eastwest report render out --format markdown >> \"$GITHUB_STEP_SUMMARY\"
  eastwest report render out --format html --baseline yesterday > report.html
  eastwest report render out --format markdown --baseline main > comment.md     findings that are new, gone and still there")]
pub(crate) struct RenderArgs {
    /// The folder given to `run --report`
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// What to write to standard output
    #[arg(long, default_value = "human")]
    pub(crate) format: RenderFormat,
    /// Say what changed since the run that was kept in this folder (with `--format html` or `markdown`)
    #[arg(long, value_name = "OLDDIR")]
    pub(crate) baseline: Option<PathBuf>,
}
