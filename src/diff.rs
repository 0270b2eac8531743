//! `eastwest diff`: exactly which flows two policies judge differently.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use harness::RunOptions;
use policy::diff::{Difference, Kind, Row, diff as among, diff_all};
use policy::{Flow, FlowService, Timestamp};
use serde::Serialize;

use crate::check::{read_bundle, read_policy};
use crate::discover;
use crate::ending::{Ending, Failure, Outcome};
use crate::inventory::Known;
use crate::output;
use crate::run::{any_seed, failure, job, own_program};

/// The forms of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    /// For people
    Human,
    /// For programs, with every row, VM and address range
    Json,
    /// For the comment of a merge request, the gravest rows first, bounded in length
    Markdown,
}

/// The changes that end `diff` with exit code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Some flow is allowed that was not
    NewlyAllowed,
    /// Some flow is denied or rejected that was allowed
    NewlyIntercepted,
    /// Some flow has another verdict, rule or end
    Any,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eastwest diff old.yaml new.yaml --inventory scenario.yaml
  eastwest diff old.yaml new.yaml --inventory scenario.yaml --packets   and each row's example in a lab
  eastwest diff old.yaml new.yaml                                 for all labels that the two can tell apart
  eastwest diff old.yaml new.yaml --fail-on newly-allowed         exit code 1 if anything is newly exposed
  eastwest diff emergency.yaml,base.yaml emergency.yaml,new.yaml --format markdown > comment.md
  git show main:policy.yaml > old.yaml && eastwest diff old.yaml policy.yaml --format json

Every flow that changes is in one row, and no other. Without an inventory, policies that tell apart more than 20000 kinds of
VMs, and changes about more than 25000000 pairs of them, end in exit code 2 with the number.")]
pub(crate) struct DiffArgs {
    /// The policy before; several tiers in their order, divided by commas
    pub(crate) old: PathBuf,
    /// The policy after; several tiers in their order, divided by commas
    pub(crate) new: PathBuf,
    /// A scenario, or a file with a `topology:` alone, that says which VMs there are
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: Option<PathBuf>,
    /// The instant to judge at, such as 2026-11-24T12:00:00Z, for rules with `until` [default: the present]
    #[arg(long, value_name = "INSTANT")]
    pub(crate) at: Option<Timestamp>,
    /// End with exit code 1 if there is such a change
    #[arg(long, value_name = "CHANGE")]
    pub(crate) fail_on: Option<FailOn>,
    /// Try the example of each row on packets, under the old policy and under the new one
    #[arg(long, requires = "inventory")]
    packets: bool,
    /// What to write to standard output
    #[arg(long, default_value = "human")]
    pub(crate) format: DiffFormat,
}

#[derive(Serialize)]
struct Object<'a> {
    flows: u64,
    rows: &'a [Row],
}

pub(crate) fn diff(args: &DiffArgs) -> Outcome {
    let (old, new) = (read_policy(&args.old)?, read_policy(&args.new)?);
    let now = args.at.unwrap_or_else(Timestamp::now);
    let difference = match &args.inventory {
        Some(file) => among(&old, &new, &Known::from_file(Some(file))?.inventory, now),
        None => diff_all(&old, &new, now).map_err(|error| Failure::Input(error.to_string()))?,
    };
    match args.format {
        DiffFormat::Human => output::say(&difference.human()),
        DiffFormat::Markdown => output::say(&difference.markdown()),
        DiffFormat::Json => output::say_json(&Object { flows: difference.count(), rows: &difference.rows })?,
    }
    let confirmed = match args.inventory.as_deref().filter(|_| args.packets) {
        Some(file) => confirmed(args, file, &difference)?,
        None => true,
    };
    let fails = args.fail_on.is_some_and(|kind| fails(kind, &difference));
    Ok(if fails || !confirmed { Ending::Findings } else { Ending::AsExpected })
}

/// Whether packets show of each row's example what the row says.
fn confirmed(args: &DiffArgs, file: &Path, difference: &Difference) -> Result<bool, Failure> {
    let can = |row: &&Row| match row.example.service {
        FlowService::Tcp(port) | FlowService::Udp(port) => port > 0,
        FlowService::Icmp(kind) => kind == 8,
        FlowService::Icmpv6(kind) => kind == 128,
        FlowService::Proto(_) => false,
    };
    let rows: Vec<&Row> = difference.rows.iter().filter(can).collect();
    let flows: Vec<Flow> = rows.iter().map(|row| row.example.flow()).collect();
    let job = job(&discover::topology(file)?, None);
    let options = RunOptions::plain(own_program()?, any_seed());
    let mut differing = 0;
    for (path, is_old) in [(&args.old, true), (&args.new, false)] {
        let text = read_bundle(path)?.text();
        let cells = harness::flows_packets(job.clone(), text, flows.clone(), &options).map_err(failure)?;
        for (row, cell) in rows.iter().zip(&cells) {
            let said = if is_old { &row.old } else { &row.new };
            let seen = &cell.observed;
            if (seen.verdict.to_string(), &seen.rule, seen.end) != (said.verdict.to_string(), &said.rule, said.end) {
                differing += 1;
                let (rule, Flow { source, destination, service }) =
                    (seen.rule.as_deref().unwrap_or("nothing"), row.example.flow());
                let (word, path) = (seen.verdict, path.display());
                output::note(&format!(
                    "by packets under {path}: {source} -> {destination} {service}: {word} by {rule}"
                ));
            }
        }
    }
    let left = difference.rows.len() - rows.len();
    let left = if left == 0 { String::new() } else { format!("; {left} are about what no probe asks for") };
    output::note(&format!("on packets: {} rows, each under both policies, {differing} not as told{left}", rows.len()));
    Ok(differing == 0)
}

fn fails(kind: FailOn, difference: &Difference) -> bool {
    match kind {
        FailOn::NewlyAllowed => difference.has(&[Kind::NewlyAllowed]),
        FailOn::NewlyIntercepted => difference.has(&[Kind::NewlyIntercepted]),
        FailOn::Any => !difference.rows.is_empty(),
    }
}
