//! `eastwest diff`: exactly which flows two policies judge differently.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use harness::RunOptions;
use policy::diff::{Difference, Kind, Row, diff as among, diff_all};
use policy::{Flow, FlowService, Timestamp};
use serde::Serialize;

use crate::discover;
use crate::ending::{Ending, Failure, Outcome};
use crate::given;
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
    /// The policy before; several tiers in their order, divided by commas; or a scenario
    pub(crate) old: PathBuf,
    /// The policy after, likewise
    pub(crate) new: PathBuf,
    /// A scenario, or a file with a `topology:` alone, that says which VMs there are [default: NEW, if it is a scenario]
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: Option<PathBuf>,
    /// The instant to judge at, such as 2026-11-24T12:00:00Z, for rules with `until` [default: the present]
    #[arg(long, value_name = "INSTANT")]
    pub(crate) at: Option<Timestamp>,
    /// End with exit code 1 if there is such a change
    #[arg(long, value_name = "CHANGE")]
    pub(crate) fail_on: Option<FailOn>,
    /// Try the example of each row on packets, under the old policy and under the new one
    #[arg(long)]
    packets: bool,
    /// What to write to standard output
    #[arg(long, default_value = "human")]
    pub(crate) format: DiffFormat,
}

#[derive(Serialize)]
struct Object<'a> {
    flows: u64,
    rows: &'a [Row],
    /// What packets showed of the rows' examples, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    packets: Option<Packets>,
}

/// What packets showed of the rows' examples, each under both policies.
#[derive(Serialize)]
struct Packets {
    /// The rows whose examples were tried.
    tried: usize,
    /// The rows about what no probe asks for.
    left: usize,
    /// What came out otherwise than the row says.
    differing: Vec<String>,
}

pub(crate) fn diff(args: &DiffArgs) -> Outcome {
    let (old, new) = (given::policy(&args.old)?, given::policy(&args.new)?);
    let now = args.at.unwrap_or_else(Timestamp::now);
    let inventory = given::inventory(args.inventory.as_deref(), &args.new);
    let difference = match inventory {
        Some(file) => among(&old, &new, &Known::from_file(Some(file))?.inventory, now),
        None => diff_all(&old, &new, now).map_err(|error| Failure::Input(error.to_string()))?,
    };
    // What was found is said before a lab is raised, which may not be possible here.
    if args.format == DiffFormat::Human {
        output::say(&difference.human());
    }
    let packets = match (args.packets, inventory) {
        (false, _) => None,
        (true, Some(file)) => Some(packets(args, file, &difference)?),
        (true, None) => return Err(Failure::Input("raise a lab without VMs: give --inventory FILE".to_owned())),
    };
    let confirmed = packets.as_ref().is_none_or(|packets| packets.differing.is_empty());
    let told = packets.as_ref().map(Packets::told);
    match args.format {
        DiffFormat::Human => told.iter().for_each(|told| output::note(told.trim_end())),
        DiffFormat::Markdown => output::say(&(difference.markdown() + &told.map_or_else(String::new, listed))),
        DiffFormat::Json => {
            output::say_json(&Object { flows: difference.count(), rows: &difference.rows, packets })?;
        }
    }
    let fails = args.fail_on.is_some_and(|kind| fails(kind, &difference));
    Ok(if fails || !confirmed { Ending::Findings } else { Ending::AsExpected })
}

/// What packets show of each row's example.
fn packets(args: &DiffArgs, file: &Path, difference: &Difference) -> Result<Packets, Failure> {
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
    let mut differing = Vec::new();
    for (path, is_old) in [(&args.old, true), (&args.new, false)] {
        let text = given::bundle(path)?.text();
        let cells = harness::flows_packets(job.clone(), text, flows.clone(), &options);
        let cells = cells.map_err(|error| failure(error).about(&format!("on packets, under {}", path.display())))?;
        for (row, cell) in rows.iter().zip(&cells) {
            let said = if is_old { &row.old } else { &row.new };
            let seen = &cell.observed;
            if (seen.verdict.to_string(), &seen.rule, seen.end) != (said.verdict.to_string(), &said.rule, said.end) {
                let Flow { source, destination, service } = row.example.flow();
                let (word, rule) = (seen.verdict, seen.rule.as_deref().unwrap_or("nothing"));
                let path = path.display();
                differing.push(format!("under {path}: {source} -> {destination} {service}: {word} by {rule}"));
            }
        }
    }
    Ok(Packets { tried: rows.len(), left: difference.rows.len() - rows.len(), differing })
}

impl Packets {
    /// A line for each that differs, and one for all.
    fn told(&self) -> String {
        let Self { tried, left, differing } = self;
        let told: String = differing.iter().map(|line| format!("by packets {line}\n")).collect();
        let left = if *left == 0 { String::new() } else { format!("; {left} are about what no probe asks for") };
        let rows = if *tried == 1 { "row" } else { "rows" };
        told + &format!("on packets: {tried} {rows}, each under both policies, {} not as told{left}\n", differing.len())
    }
}

/// Lines as a list of Markdown.
fn listed(told: String) -> String {
    let lines = told.lines().map(|line| format!("- {line}\n"));
    format!("\n{}", lines.collect::<String>())
}

fn fails(kind: FailOn, difference: &Difference) -> bool {
    match kind {
        FailOn::NewlyAllowed => difference.has(&[Kind::NewlyAllowed]),
        FailOn::NewlyIntercepted => difference.has(&[Kind::NewlyIntercepted]),
        FailOn::Any => !difference.rows.is_empty(),
    }
}
