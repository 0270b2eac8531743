//! `eastwest diff`: exactly which flows two policies judge differently.

use std::path::PathBuf;

use clap::ValueEnum;
use policy::Timestamp;
use policy::diff::{Difference, Kind, Row, diff as among, diff_all};
use serde::Serialize;

use crate::check::read_policy;
use crate::ending::{Ending, Failure, Outcome};
use crate::inventory::Known;
use crate::output;

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
    Ok(if args.fail_on.is_some_and(|kind| fails(kind, &difference)) { Ending::Findings } else { Ending::AsExpected })
}

fn fails(kind: FailOn, difference: &Difference) -> bool {
    match kind {
        FailOn::NewlyAllowed => difference.has(&[Kind::NewlyAllowed]),
        FailOn::NewlyIntercepted => difference.has(&[Kind::NewlyIntercepted]),
        FailOn::Any => !difference.rows.is_empty(),
    }
}
