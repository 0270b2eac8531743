//! From expectations to single cells, and the cells that nothing lists.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use policy::{Family, FlowService, Name, Problem, Span, Timestamp};
use reports::event::{Finding, FindingKind, Side, Word};

use super::claims::{Names, place};
use super::{Origin, PlannedCell, PlannedStep, detected, ends, services};
use crate::scenario::{Choice, Claim, Expectation, Expected, FlowClaim};
use crate::state::State;

/// How many cells that nothing lists are probed in a step.
const MOST: usize = 2000;

/// What makes a cell one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) source: Name,
    pub(super) destination: Name,
    pub(super) service: FlowService,
    pub(super) family: Family,
    pub(super) from: IpAddr,
}

/// What the scenario lists of a cell.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) key: Key,
    pub(super) claimed: Option<Expected>,
    pub(super) line: usize,
    pub(super) text: Arc<str>,
    pub(super) place: Span,
}

/// The cells that a step lists, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Table {
    cells: Vec<Listed>,
    index: BTreeMap<Key, usize>,
}

impl Table {
    pub(super) fn listed(&self) -> &[Listed] {
        &self.cells
    }

    pub(super) fn is_listed(&self, key: &Key) -> bool {
        self.index.contains_key(key)
    }

    /// Adds a cell; one that is listed twice must be listed alike.
    pub(super) fn add(&mut self, listed: Listed) -> Result<(), Problem> {
        let Some(&at) = self.index.get(&listed.key) else {
            self.index.insert(listed.key.clone(), self.cells.len());
            self.cells.push(listed);
            return Ok(());
        };
        let Some(known) = self.cells.get_mut(at) else { return Ok(()) };
        match (&known.claimed, &listed.claimed) {
            (_, None) => {}
            (None, Some(_)) => *known = listed,
            (Some(a), Some(b)) => match merged(a, b) {
                Some(both) => known.claimed = Some(both),
                None => return Err(conflict(known, &listed)),
            },
        }
        Ok(())
    }
}

fn conflict(known: &Listed, listed: &Listed) -> Problem {
    let Key { source, destination, service, family, .. } = &listed.key;
    let message = format!("{source} -> {destination} {service} {family} is expected to be two things");
    Problem::new(listed.place, message).also(known.place, "the other expectation of it")
}

/// Two claims of one cell as one; `None` if they cannot both hold.
fn merged(a: &Expected, b: &Expected) -> Option<Expected> {
    fn one<T: Clone + PartialEq>(a: &Option<T>, b: &Option<T>) -> Option<Option<T>> {
        match (a, b) {
            (Some(x), Some(y)) if x != y => None,
            (Some(x), _) | (None, Some(x)) => Some(Some(x.clone())),
            (None, None) => Some(None),
        }
    }
    // Of an allow, a rule at an end says more than the same rule at any; two ends may have two rules, which one cell cannot hold.
    let says_more = a.rule == b.rule && (a.end.is_none() || b.end.is_none());
    let both = a.rule.is_some() && b.rule.is_some();
    let rules_differ = a.word == Word::Allow && both && a.end != b.end && !says_more;
    (a.word == b.word && !rules_differ).then_some(())?;
    Some(Expected {
        word: a.word,
        rule: one(&a.rule, &b.rule)?,
        end: one(&a.end, &b.end)?,
        would: one(&a.would, &b.would)?,
    })
}

/// Takes an expectation of flows apart into cells.
pub(super) fn expand(names: &mut Names<'_>, expectation: &Expectation, claim: &FlowClaim, table: &mut Table) {
    let sources = names.endpoints(expectation, &claim.source);
    let destinations = names.endpoints(expectation, &claim.destination);
    if let Some(expected) = &claim.expected {
        names.rules_of(expectation, expected);
    }
    if sources.is_empty() || destinations.is_empty() {
        return;
    }
    let mut meant: Vec<Key> = Vec::new();
    for source in &sources {
        let others = destinations.iter().filter(|destination| *destination != source);
        meant.extend(others.flat_map(|destination| keys(names.state, claim, source, destination)));
    }
    if meant.is_empty() {
        nothing(names, expectation, claim);
    }
    meant.retain(|key| is_free(names, expectation, claim, key));
    let listed = |key| Listed {
        key,
        claimed: claim.expected.clone(),
        line: expectation.line,
        text: Arc::from(expectation.text.as_str()),
        place: Span::from(expectation.place.clone()),
    };
    for problem in meant.into_iter().filter_map(|key| table.add(listed(key)).err()) {
        names.problems.report(problem);
    }
}

/// Whether the harness can listen where a flow goes to. Where a program does, a scenario that asks for the flow by itself
/// is told so, and `any` leaves it out.
fn is_free(names: &mut Names<'_>, expectation: &Expectation, claim: &FlowClaim, key: &Key) -> bool {
    let Some(program) = names.state.listener_at(&key.destination, key.service) else { return true };
    if claim.services.contains(&Choice::One(key.service)) {
        let message = format!("the program `{program}` listens at {} of `{}`", key.service, key.destination);
        let help = "what it answers is seen by a program: `exec` one at the source, and expect what is `reported`";
        names.report(expectation, "", message, Some(help.to_owned()));
    }
    false
}

fn keys(state: &State, claim: &FlowClaim, source: &Name, destination: &Name) -> Vec<Key> {
    if is_outside(state, source) && is_outside(state, destination) {
        return Vec::new();
    }
    let wanted = claim.from.map(Family::of).or(claim.family);
    let own = |from: &IpAddr| state.addresses(source).contains(from);
    if claim.from.is_some_and(|from| !own(&from))
        || claim.from.is_some() && claim.family.is_some_and(|f| Some(f) != wanted)
    {
        return Vec::new();
    }
    let mut keys = Vec::new();
    for family in state.families(source, destination).into_iter().filter(|family| wanted.is_none_or(|w| w == *family)) {
        let Some(from) = claim.from.or_else(|| state.address(source, family)) else { continue };
        for choice in &claim.services {
            let services = services::chosen(*choice, state, destination, family);
            let key = |service| Key { source: source.clone(), destination: destination.clone(), service, family, from };
            keys.extend(services.into_iter().map(key));
        }
    }
    keys
}

fn is_outside(state: &State, name: &Name) -> bool {
    state.outside.contains_key(name)
}

/// An expectation of nothing is a mistake.
fn nothing(names: &mut Names<'_>, expectation: &Expectation, claim: &FlowClaim) {
    let message = match claim.from {
        Some(from) => format!("`{from}` is no address of `{}` that reaches `{}`", claim.source, claim.destination),
        None => format!("no flow from `{}` to `{}` is meant by this", claim.source, claim.destination),
    };
    let word = claim.from.map(|from| from.to_string()).unwrap_or_default();
    let help = "an endpoint does not speak to itself, two outside endpoints are not judged, \
                and both ends need an address of the service's family";
    names.report(expectation, &word, message, Some(help.to_owned()));
}

/// Adds the table of an earlier step as claims of this one.
pub(super) fn same_as(names: &mut Names<'_>, earlier: &PlannedStep, step: (usize, Span), table: &mut Table) {
    for cell in &earlier.cells {
        let key = key_now(names.state, cell);
        let Some(key) = key else {
            let (from, to) = (&cell.source, &cell.destination);
            let message = format!("`{}` tells of {from} -> {to}, which is not there in this step", earlier.name);
            names.problems.report(Problem::new(step.1, message));
            continue;
        };
        let Side { verdict, rule, end, would } = cell.expected.clone();
        let claimed = cell.claimed.clone().unwrap_or(Expected { word: verdict, rule, end, would });
        let text = match &*cell.origin.text {
            "" => format!("same as {}", earlier.name),
            said => format!("same as {}: {said}", earlier.name),
        };
        let listed = Listed { key, claimed: Some(claimed), line: step.0, text: Arc::from(text), place: step.1 };
        if let Err(problem) = table.add(listed) {
            names.problems.report(problem);
        }
    }
}

fn key_now(state: &State, cell: &PlannedCell) -> Option<Key> {
    let kept = state.addresses(&cell.source).contains(&cell.source_address).then_some(cell.source_address);
    let from = kept.or_else(|| state.address(&cell.source, cell.family))?;
    state.address(&cell.destination, cell.family)?;
    Some(Key {
        source: cell.source.clone(),
        destination: cell.destination.clone(),
        service: cell.service,
        family: cell.family,
        from,
    })
}

/// Every ordered pair of a state that can be judged, each with a family that it has in common.
pub(super) fn pairs(state: &State) -> Vec<(Name, Name, Family)> {
    let mut pairs = Vec::new();
    for source in state.endpoints() {
        for destination in state.endpoints().filter(|destination| *destination != source) {
            if !(is_outside(state, source) && is_outside(state, destination)) {
                let families = state.families(source, destination).into_iter();
                pairs.extend(families.map(|family| (source.clone(), destination.clone(), family)));
            }
        }
    }
    pairs
}

/// The cells that nothing lists, and how many of them are left out.
pub(super) fn unlisted(state: &State, table: &Table, line: usize) -> (Vec<Listed>, usize) {
    let named: BTreeSet<FlowService> = table.cells.iter().map(|listed| listed.key.service).collect();
    let asked = services::unlisted(state, &named);
    let (mut cells, mut left_out) = (Vec::new(), 0);
    for (source, destination, family) in pairs(state) {
        let Some(from) = state.address(&source, family) else { continue };
        for &service in asked.iter().filter(|service| service.exists_in(family)) {
            let key = Key { source: source.clone(), destination: destination.clone(), service, family, from };
            if table.is_listed(&key) || state.listener_at(&destination, service).is_some() {
                continue;
            }
            if cells.len() >= MOST {
                left_out += 1;
                continue;
            }
            cells.push(Listed { key, claimed: None, line, text: Arc::from(""), place: Span::default() });
        }
    }
    (cells, left_out)
}

/// A listed cell with what the oracle says of it.
pub(super) fn planned(state: &State, listed: &Listed, step: &Arc<str>, now: Timestamp) -> Option<PlannedCell> {
    let Key { source, destination, service, family, from } = &listed.key;
    let destination_address = state.address(destination, *family)?;
    let flow = ends::flow(*from, destination_address, *service);
    let decided = ends::ends(state, source, destination, &flow, now);
    let decided = detected::ends(state, listed.claimed.as_ref(), decided);
    let cut = state.is_cut(source, destination);
    let expected = ends::expected(listed.claimed.as_ref(), &decided, cut);
    Some(PlannedCell {
        source: source.clone(),
        destination: destination.clone(),
        service: *service,
        family: *family,
        source_address: *from,
        destination_address,
        expected,
        claimed: listed.claimed.clone(),
        ends: decided,
        also: Vec::new(),
        cut,
        origin: Origin { step: Arc::clone(step), line: listed.line, text: Arc::clone(&listed.text) },
    })
}

/// The finding of a cell whose claim the oracle does not share.
pub(super) fn disagreement(cell: &PlannedCell) -> Option<Finding> {
    let claimed = cell.claimed.as_ref()?;
    let judged = std::iter::once(&cell.ends).chain(&cell.also);
    let detail = judged.filter_map(|ends| ends::difference(claimed, ends, cell.cut)).next()?;
    let oracle = ends::side(&cell.ends, cell.cut);
    let detail = format!("the scenario and the oracle differ: {detail}");
    Some(cell.finding(FindingKind::Disagreement, Some(oracle), detail))
}

/// The table of a step's expectations.
pub(super) fn table<'e>(names: &mut Names<'_>, expectations: impl Iterator<Item = &'e Expectation>) -> Table {
    let mut table = Table::default();
    for expectation in expectations {
        match &expectation.claim {
            Claim::Flow(claim) if claim.expected.as_ref().is_some_and(|expected| expected.word == Word::Cut) => {}
            Claim::Flow(claim) => expand(names, expectation, claim, &mut table),
            Claim::Session { .. }
            | Claim::Report(_)
            | Claim::Agent { .. }
            | Claim::AckedByAll { .. }
            | Claim::CenterBelow { .. }
            | Claim::PortStopped { .. }
            | Claim::PathMtu { .. }
            | Claim::Balanced => {}
        }
    }
    table
}

/// The place of a step by its line, for what it says as a whole.
pub(super) fn line_place(source: &str, line: usize) -> Span {
    let start: usize = source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let text = source.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    place(source, &(start..start + text.len()), text.trim())
}
