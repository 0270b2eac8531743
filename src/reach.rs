//! `eastwest reach`: who can speak to whom in a scenario's state before its first step.

use harness::plan::{ends, ruling};
use harness::state::State;
use harness::{RunOptions, reach_packets};
use policy::{End, Family, Flow, FlowService, Ruling, Timestamp, Would};
use reports::event::{Cell, Word};
use serde::Serialize;

use crate::args::{Format, ReachArgs};
use crate::discover::{self, Found};
use crate::ending::{Ending, Failure, Outcome};
use crate::output;
use crate::run::{any_seed, failure, job, own_program};
use crate::why::service;

#[derive(Serialize)]
struct Object {
    cells: Vec<Reached>,
}

#[derive(Serialize)]
struct Reached {
    source: String,
    destination: String,
    service: String,
    family: Family,
    verdict: Word,
    rule: Option<String>,
    end: Option<End>,
    would: Option<Would>,
}

pub(crate) fn reach(args: &ReachArgs) -> Outcome {
    let found = discover::one(&args.file)?;
    let services = args.services.iter().map(|text| service(text)).collect::<Result<Vec<FlowService>, Failure>>()?;
    let cells = if args.packets { by_packets(&found, &services)? } else { by_model(&found, &services) };
    match args.format {
        Format::Human => cells.iter().for_each(|cell| output::say(&line(cell))),
        Format::Json => output::say_json(&Object { cells })?,
    }
    Ok(Ending::AsExpected)
}

fn line(cell: &Reached) -> String {
    let Reached { source, destination, service, family, verdict, rule, end, would } = cell;
    let rule = rule.as_ref().map(|rule| format!(" by {rule}")).unwrap_or_default();
    let end = end.map(|end| format!(" at {end}")).unwrap_or_default();
    let would = would.as_ref().map(|would| {
        let rule = would.rule.as_ref().map(|rule| format!(" by {rule}")).unwrap_or_default();
        format!(", would {}{rule}", would.verdict)
    });
    format!("{source} -> {destination} {service} {family}: {verdict}{rule}{end}{}\n", would.unwrap_or_default())
}

fn by_packets(found: &Found, services: &[FlowService]) -> Result<Vec<Reached>, Failure> {
    let options = RunOptions {
        jobs: Some(1),
        seed: any_seed(),
        report_dir: None,
        exe: own_program()?,
        agent: None,
        agent_args: Vec::new(),
    };
    let cells = reach_packets(job(found), services, &options).map_err(failure)?;
    Ok(cells.into_iter().map(Reached::of_cell).collect())
}

fn by_model(found: &Found, services: &[FlowService]) -> Vec<Reached> {
    let state = State::initial(&found.scenario);
    let now = Timestamp::now();
    let mut cells = Vec::new();
    for source in state.endpoints() {
        for destination in state.endpoints().filter(|destination| *destination != source) {
            for &service in services {
                for family in
                    state.families(source, destination).into_iter().filter(|&family| service.exists_in(family))
                {
                    let addresses = (state.address(source, family), state.address(destination, family));
                    let (Some(from), Some(to)) = addresses else { continue };
                    let flow = Flow { source: from, destination: to, service };
                    let ruling = ruling(&ends(&state, source, destination, &flow, now));
                    cells.push(Reached::of_ruling(source.as_str(), destination.as_str(), service, family, ruling));
                }
            }
        }
    }
    cells
}

impl Reached {
    fn of_ruling(source: &str, destination: &str, service: FlowService, family: Family, ruling: Ruling) -> Self {
        let Ruling { verdict, rule, end, would } = ruling;
        let verdict = match verdict {
            policy::Action::Allow => Word::Allow,
            policy::Action::Deny => Word::Deny,
            policy::Action::Reject => Word::Reject,
        };
        let (source, destination) = (source.to_owned(), destination.to_owned());
        Self { source, destination, service: service.to_string(), family, verdict, rule, end, would }
    }

    fn of_cell(cell: Cell) -> Self {
        let Cell { source, destination, service, family, observed, .. } = cell;
        let verdict = observed.verdict;
        Self {
            source,
            destination,
            service,
            family,
            verdict,
            rule: observed.rule,
            end: observed.end,
            would: observed.would,
        }
    }
}
