//! Who can speak to whom, by packets: every ordered pair, in the state before the first step.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use policy::{Family, Flow, FlowService, Name, Timestamp};
use reports::event::Cell;

use super::course;
use super::protocol::{FromJail, NoWorld, Order, Speaker};
use crate::judge::judge_step;
use crate::plan::{Origin, PlannedCell, PlannedStep, ends};
use crate::run::Probing;
use crate::scenario::{Outside, PolicyText, Scenario};
use crate::state::State;

/// Answers with cells, or with why there are none.
pub(super) fn run(order: &Order, probing: &Probing, scratch: &Path, speaker: &mut Speaker<'_>) -> Result<(), String> {
    let answer = match cells(order, probing, scratch) {
        Ok(cells) => FromJail::Cells(cells),
        Err(none) => none.word(),
    };
    speaker.say(&answer)
}

fn cells(order: &Order, probing: &Probing, scratch: &Path) -> Result<Vec<Cell>, NoWorld> {
    let mut scenario = course::read(order)?;
    let step = match probing {
        Probing::Pairs(services) => {
            let state = Arc::new(State::initial(&scenario));
            step(&state, pairs(&state), services)
        }
        Probing::Flows { policy, flows } => {
            let parsed = policy::parse("the policy", policy).map_err(|errors| errors.to_string())?;
            let source = "the policy".to_owned();
            scenario.policy = Some(Arc::new(PolicyText { source, text: policy.clone(), policy: parsed }));
            flows.iter().for_each(|(from, to, _)| [from, to].into_iter().for_each(|one| place(&mut scenario, *one)));
            single(&Arc::new(State::initial(&scenario)), flows)?
        }
    };
    let mut world = course::raise(order, &scenario, scratch)?;
    world.begin(&step)?;
    let (observation, _) = world.observe(&step)?;
    let (cells, _) = judge_step(&step, &observation);
    Ok(cells)
}

fn pairs(state: &State) -> impl Iterator<Item = (&Name, &Name)> {
    state.endpoints().flat_map(|source| {
        state
            .endpoints()
            .filter(move |destination| *destination != source)
            .map(move |destination| (source, destination))
    })
}

/// Gives an address that no endpoint has one outside, on the first host.
fn place(scenario: &mut Scenario, address: IpAddr) {
    let topology = &mut scenario.topology;
    let mut known = topology.vms.values().flat_map(|vm| &vm.addresses);
    let mut outside = topology.outside.values().flat_map(|outside| &outside.addresses);
    if known.any(|one| *one == address) || outside.any(|one| *one == address) {
        return;
    }
    let (Some(host), Ok(name)) = (topology.hosts.first(), format!("outside-{}", topology.outside.len() + 1).parse())
    else {
        return;
    };
    topology.outside.insert(name, Outside { host: host.clone(), addresses: vec![address] });
}

/// A step that probes single flows.
fn single(state: &Arc<State>, flows: &[(IpAddr, IpAddr, FlowService)]) -> Result<PlannedStep, String> {
    let mut step = step(state, [], &[]);
    let origin = Origin { step: Arc::clone(&step.name), line: 1, text: "".into() };
    let owner = |address: IpAddr| {
        let found = state.endpoints().find(|name| state.addresses(name).contains(&address));
        found.ok_or(format!("find an endpoint for {address}"))
    };
    for &(from, to, service) in flows {
        let ends = (owner(from)?, owner(to)?);
        let cell = cell(state, ends, service, Family::of(from), &origin);
        step.cells.push(cell.ok_or(format!("probe {from} -> {to}: they have no family in common"))?);
    }
    Ok(step)
}

/// A step that does nothing and claims nothing, and probes these pairs.
pub(crate) fn step<'n>(
    state: &Arc<State>,
    pairs: impl IntoIterator<Item = (&'n Name, &'n Name)>,
    services: &[FlowService],
) -> PlannedStep {
    let name: Arc<str> = "as it stands".into();
    let origin = Origin { step: Arc::clone(&name), line: 1, text: "".into() };
    let mut cells = Vec::new();
    for (source, destination) in pairs {
        for family in state.families(source, destination) {
            let flows = services.iter().filter(|service| service.exists_in(family));
            cells.extend(flows.filter_map(|&service| cell(state, (source, destination), service, family, &origin)));
        }
    }
    let (before, state) = (Arc::clone(state), Arc::clone(state));
    PlannedStep {
        index: 0,
        name,
        line: 1,
        before,
        prelude: Vec::new(),
        acts: Vec::new(),
        state,
        cells,
        throughout: Vec::new(),
        sessions: Vec::new(),
        events: Vec::new(),
        marked: Vec::new(),
        findings: Vec::new(),
        left_out: 0,
    }
}

pub(crate) fn cell(
    state: &State,
    (source, destination): (&Name, &Name),
    service: FlowService,
    family: Family,
    origin: &Origin,
) -> Option<PlannedCell> {
    let (from, to) = (state.address(source, family)?, state.address(destination, family)?);
    let flow = Flow { source: from, destination: to, service };
    let ends = ends(state, source, destination, &flow, Timestamp::now());
    Some(PlannedCell {
        source: source.clone(),
        destination: destination.clone(),
        service,
        family,
        source_address: from,
        destination_address: to,
        expected: ends::expected(None, &ends, false),
        claimed: None,
        ends,
        also: Vec::new(),
        cut: false,
        origin: origin.clone(),
    })
}
