//! `eastwest replay`: recorded traffic before a draft policy.

use std::fs::File;
use std::io::{BufRead, BufReader, stdin};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use policy::classify::Classifier;
use policy::{Inventory, Mode, Policy, Timestamp};
use replay::{Account, Bench, Bounds, Format, Options, ReadError, Reader, Replay, Report, RuleRow, Suggestion};
use serde::Serialize;

use crate::args::Format as Output;
use crate::ending::{Ending, Failure, Outcome};
use crate::given;
use crate::inventory::Known;
use crate::output;

/// So much of a file is read at once.
const BUFFER: usize = 256 * 1024;
/// That often it is shown how far it is.
const OFTEN: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eastwest replay draft.yaml conn.log --inventory scenario.yaml
  eastwest replay draft.yaml flows.log --inventory scenario.yaml --against in-force.yaml
  eastwest center events --format json | eastwest replay draft.yaml - --inventory scenario.yaml
  zcat *.log.gz | eastwest replay draft.yaml - --from vpc --inventory scenario.yaml
  eastwest replay draft.yaml capture.pcap --inventory scenario.yaml --suggest > suggestion.yaml

Exit code 1: with --against some flow would newly be intercepted or newly pass; or no flow was read at all.")]
pub(crate) struct ReplayArgs {
    /// The draft, a policy file; several tiers in their order, divided by commas; or a scenario, for its policy and its VMs
    pub(crate) policy: PathBuf,
    /// Recordings: the center's records, JSON lines, pcap and pcapng, VPC flow logs, Zeek's conn.log, `conntrack -L`; `-`
    /// for standard input
    #[arg(value_name = "FLOWS", required = true)]
    pub(crate) flows: Vec<PathBuf>,
    /// A scenario, or a file with a `topology:` alone, that says which VMs there are
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: Option<PathBuf>,
    /// The policy in force: say also what would be judged otherwise than under it
    #[arg(long, value_name = "POLICY")]
    pub(crate) against: Option<PathBuf>,
    /// The recordings' format, where their first bytes do not tell it: json, center, pcap, vpc, zeek or conntrack
    #[arg(long, value_name = "FORMAT")]
    pub(crate) from: Option<Format>,
    /// Take monitor rules, and VMs in monitor, as though they acted
    #[arg(long)]
    pub(crate) live: bool,
    /// Write a small policy by labels that allows what was seen, with what else it would allow; nothing publishes it
    #[arg(long)]
    pub(crate) suggest: bool,
    /// For fewer rules: so many of a hundred pairs that a suggested rule allows may be unseen
    #[arg(long, value_name = "PERCENT", requires = "suggest", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) slack: u8,
    /// The most rows of each list
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) top: usize,
    /// The instant to judge at, such as 2026-11-24T12:00:00Z, for rules with `until` [default: the present]
    #[arg(long, value_name = "INSTANT")]
    pub(crate) at: Option<Timestamp>,
    /// What to write to standard output
    #[arg(long, default_value = "human")]
    pub(crate) format: Output,
}

#[derive(Serialize)]
struct Object<'a> {
    recordings: &'a [Recording],
    #[serde(flatten)]
    report: &'a Report,
    suggestion: Option<&'a Suggestion>,
}

#[derive(Serialize)]
struct Recording {
    file: String,
    format: &'static str,
    #[serde(flatten)]
    account: Account,
    #[serde(skip)]
    told: String,
}

pub(crate) fn replay(args: &ReplayArgs) -> Outcome {
    let mut draft = given::policy(&args.policy)?;
    let mut against = args.against.as_deref().map(given::policy).transpose()?;
    let mut inventory = Known::from_file(given::inventory(args.inventory.as_deref(), &args.policy))?.inventory;
    if args.live {
        [Some(&mut draft), against.as_mut()].into_iter().flatten().for_each(|policy| enforce(policy, &mut inventory));
    }
    if !inventory.vms.values().any(|vm| vm.managed) {
        output::note("no VM is known, so no agent judges and every flow passes: --inventory FILE says which there are");
    }
    let now = args.at.unwrap_or_else(Timestamp::now);
    let judge = Classifier::new(&draft, &inventory, now);
    let judge_against = against.as_ref().map(|policy| Classifier::new(policy, &inventory, now));
    let in_force = against.as_ref().zip(judge_against.as_ref()).map(|(policy, judge)| Bench { policy, judge });
    let draft = Bench { policy: &draft, judge: &judge };
    let mut replay = Replay::new(draft, in_force, &inventory, Bounds::default());
    let recordings = args.flows.iter().map(|path| recording(path, args.from, &mut replay));
    let recordings = recordings.collect::<Result<Vec<Recording>, Failure>>()?;
    let options = Options { slack: args.slack, ..Options::default() };
    let suggestion = args.suggest.then(|| replay::suggest(&replay, &options));
    let report = replay.report();
    match args.format {
        Output::Human => say(args, &recordings, &report, suggestion.as_ref()),
        Output::Json => {
            output::say_json(&Object { recordings: &recordings, report: &report, suggestion: suggestion.as_ref() })?;
        }
    }
    let decided = |row: &RuleRow| row.said.rule.is_some();
    if inventory.vms.values().any(|vm| vm.managed) && report.all.flows > 0 && !report.rules.iter().any(decided) {
        output::note(
            "no flow has a managed VM at either end: does the inventory have the addresses that the recordings have?",
        );
    }
    let unread = recordings.iter().any(|recording| recording.account.flows == 0);
    // Who asks for a suggestion asks for no verdict on the changes.
    Ok(match (unread, suggestion) {
        (true, _) => Ending::Findings,
        (false, Some(_)) if report.all.flows > 0 => Ending::AsExpected,
        (false, _) => ending(&report),
    })
}

/// A suggestion stands alone on standard output, to be kept as a file; what was read is told beside it.
fn say(args: &ReplayArgs, recordings: &[Recording], report: &Report, suggestion: Option<&Suggestion>) {
    let told: String = recordings.iter().map(|recording| recording.told.as_str()).collect();
    match suggestion {
        None => output::say(&format!("{told}\n{}", replay::report(report, args.top))),
        Some(suggestion) => {
            output::note(told.trim_end());
            output::say(&suggestion.text);
        }
    }
}

fn ending(report: &Report) -> Ending {
    let changed = report.changes.is_some_and(|changes| changes.newly_intercepted + changes.newly_allowed > 0);
    if changed || report.all.flows == 0 { Ending::Findings } else { Ending::AsExpected }
}

/// Takes away that rules and VMs only record.
fn enforce(policy: &mut Policy, inventory: &mut Inventory) {
    policy.mode = Mode::Enforce;
    policy.rules.iter_mut().for_each(|rule| rule.mode = Mode::Enforce);
    inventory.vms.values_mut().for_each(|vm| vm.mode = Mode::Enforce);
}

fn recording(path: &Path, format: Option<Format>, replay: &mut Replay<'_>) -> Result<Recording, Failure> {
    let name = path.display().to_string();
    let failure = |error: ReadError| Failure::Input(format!("read {name}: {error}"));
    if path == Path::new("-") {
        return read(Reader::new(stdin().lock(), format).map_err(failure)?, (&name, None), replay);
    }
    let file = File::open(path).map_err(|error| Failure::Input(format!("read {name}: {error}")))?;
    let size = file.metadata().ok().map(|metadata| metadata.len()).filter(|size| *size > 0);
    let input = BufReader::with_capacity(BUFFER, file);
    read(Reader::new(input, format).map_err(failure)?, (&name, size), replay)
}

fn read<R: BufRead>(
    mut reader: Reader<R>,
    (name, size): (&str, Option<u64>),
    replay: &mut Replay<'_>,
) -> Result<Recording, Failure> {
    let (mut shown, mut seen) = (Instant::now(), Vec::new());
    while reader.read_some(&mut seen).map_err(|error| Failure::Input(format!("read {name}: {error}")))? {
        replay.see_all(&seen);
        if shown.elapsed() >= OFTEN {
            shown = Instant::now();
            let Account { flows, bytes, .. } = reader.account();
            let part = size.map(|size| format!(", {} %", bytes * 100 / size)).unwrap_or_default();
            output::progress(&format!("{name}: {flows} flows{part}"));
        }
    }
    output::progress("");
    let (format, account) = (reader.format(), reader.account().clone());
    let told = replay::account(name, format, &account);
    Ok(Recording { file: name.to_owned(), format: format.name(), account, told })
}
