//! `eastwest reach`: who can speak to whom in a scenario's state before its first step.

use std::collections::BTreeSet;
use std::path::PathBuf;

use harness::plan::probed;
use harness::scenario::Variant;
use harness::state::State;
use harness::{RunOptions, model, reach_packets};
use policy::{End, Family, FlowService, Name, Timestamp, Verdict, Would, parse_selector};
use reports::event::{self, Word};
use serde::Serialize;

use crate::args::Format;
use crate::discover::{self, Found};
use crate::ending::{Ending, Failure, Outcome};
use crate::output;
use crate::run::{any_seed, failure, job, own_program};
use crate::why::services;

/// What `reach` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eastwest reach scenario.yaml                                            each pair, on each service that the policy names
  eastwest reach scenario.yaml --services tcp/80,udp/53
  eastwest reach scenario.yaml --services tcp/5432 --to 'app = db'        who can speak to the databases
  eastwest reach scenario.yaml --services tcp/443 --from hr-1 --packets   what one VM can reach, on packets")]
pub(crate) struct ReachArgs {
    /// A scenario; one without steps will do
    file: PathBuf,
    /// The services to ask about [default: any, which is the ports that the policy names, of a range its ends, and echo requests]
    #[arg(long, value_delimiter = ',', value_name = "SERVICE,…", default_value = "any", hide_default_value = true)]
    services: Vec<String>,
    /// Only what these begin: a name, or a selector such as `dept = hr`
    #[arg(long, value_name = "WHO")]
    from: Option<String>,
    /// Only what is begun with these
    #[arg(long, value_name = "WHO")]
    to: Option<String>,
    /// By the oracle (this is the default)
    #[arg(long, conflicts_with = "packets")]
    model: bool,
    /// By real packets in a lab of the scenario's topology
    #[arg(long)]
    packets: bool,
    /// What to write to standard output
    #[arg(long, default_value = "human")]
    format: Format,
}

#[derive(Serialize)]
struct Object {
    cells: Vec<Cell>,
}

pub(crate) fn reach(args: &ReachArgs) -> Outcome {
    let mut all = Vec::new();
    for found in discover::trials(&args.file)? {
        let policy = found.scenario.policy.as_ref().map(|policy| &policy.policy);
        if policy.is_none() {
            output::note(&format!("{} has no policy: every VM with an agent is closed", found.path.display()));
        }
        let asked = args.services.iter().map(|text| match text.trim() {
            "any" => Ok(policy.map(probed).unwrap_or_default()),
            text => services(text, policy),
        });
        let mut services = asked.collect::<Result<Vec<_>, Failure>>()?.concat();
        let mut seen = BTreeSet::new();
        services.retain(|service| seen.insert(*service));
        if services.is_empty() {
            let help = "its policy names none, so name them: --services tcp/443,udp/53";
            return Err(Failure::Input(format!("find a service to ask about in {}: {help}", found.path.display())));
        }
        let trial = (found.variant != Variant::default()).then(|| found.variant.to_string());
        let mut cells = if args.packets { by_packets(&found, &services)? } else { by_model(&found, &services) };
        let (from, to) = (who(&found, args.from.as_deref())?, who(&found, args.to.as_deref())?);
        let asked = |who: &Option<BTreeSet<String>>, name: &str| who.as_ref().is_none_or(|who| who.contains(name));
        cells.retain(|cell| asked(&from, &cell.source) && asked(&to, &cell.destination));
        cells.iter_mut().for_each(|cell| cell.trial.clone_from(&trial));
        all.extend(cells);
    }
    match args.format {
        Format::Human => all.iter().for_each(|cell| output::say(&line(cell))),
        Format::Json => output::say_json(&Object { cells: all })?,
    }
    Ok(Ending::AsExpected)
}

/// The endpoints that an argument means: one by its name, or those that a selector matches. `None`: all.
fn who(found: &Found, text: Option<&str>) -> Result<Option<BTreeSet<String>>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let state = State::initial(&found.scenario);
    if state.endpoints().any(|name| name.as_str() == text) {
        return Ok(Some(BTreeSet::from([text.to_owned()])));
    }
    let groups = state.policy.as_ref().map(|policy| policy.policy.groups.clone()).unwrap_or_default();
    let selector = parse_selector(text, &groups).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::Input(format!("find `{text}`: no endpoint has that name, and as a selector: {}", errors.join("; ")))
    })?;
    let inventory = state.inventory();
    let is_in =
        |name: &&Name| state.addresses(name).iter().any(|address| oracle::is_in(&selector, &inventory, *address));
    let all: BTreeSet<String> = state.endpoints().filter(is_in).map(Name::to_string).collect();
    if all.is_empty() {
        output::note(&format!("nobody in {} is `{text}`", found.path.display()));
    }
    Ok(Some(all))
}

fn line(cell: &Cell) -> String {
    let Cell { trial, source, destination, service, family, verdict, rule, end, would } = cell;
    let trial = trial.as_ref().map(|trial| format!("[{trial}] ")).unwrap_or_default();
    let rule = rule.as_ref().map(|rule| format!(" by {rule}")).unwrap_or_default();
    let end = end.map(|end| format!(" at {end}")).unwrap_or_default();
    let would = would.as_ref().map(|would| {
        let rule = would.rule.as_ref().map(|rule| format!(" by {rule}")).unwrap_or_default();
        format!(", would {}{rule}", would.verdict)
    });
    format!("{trial}{source} -> {destination} {service} {family}: {verdict}{rule}{end}{}\n", would.unwrap_or_default())
}

fn by_packets(found: &Found, services: &[FlowService]) -> Result<Vec<Cell>, Failure> {
    let options = RunOptions::plain(own_program()?, any_seed());
    let cells = reach_packets(job(found, None), services, &options).map_err(failure)?;
    Ok(cells.into_iter().map(Cell::observed).collect())
}

fn by_model(found: &Found, services: &[FlowService]) -> Vec<Cell> {
    let cells = model::reach(&State::initial(&found.scenario), services, Timestamp::now());
    cells.into_iter().map(Cell::judged).collect()
}

/// One ordered pair, one service, one family: what it meets.
#[derive(Serialize)]
struct Cell {
    /// Of a file with axes: in which of its trials.
    #[serde(skip_serializing_if = "Option::is_none")]
    trial: Option<String>,
    source: String,
    destination: String,
    service: String,
    family: Family,
    verdict: Word,
    rule: Option<String>,
    end: Option<End>,
    would: Option<Would>,
}

impl Cell {
    fn judged(cell: model::ReachCell) -> Self {
        let model::ReachCell { source, destination, service, family, verdict, rule, end, would } = cell;
        let verdict = match verdict {
            Verdict::Allow => Word::Allow,
            Verdict::Deny => Word::Deny,
            Verdict::Reject => Word::Reject,
        };
        Self { trial: None, source, destination, service, family, verdict, rule, end, would }
    }

    fn observed(cell: event::Cell) -> Self {
        let event::Cell { source, destination, service, family, observed, .. } = cell;
        let event::Side { verdict, rule, end, would } = observed;
        Self { trial: None, source, destination, service, family, verdict, rule, end, would }
    }
}
