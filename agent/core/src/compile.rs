//! Turns a view into what the kernel shall hold: all first-match questions are settled here.
//!
//! The result is canonical: two views with the same verdicts, by the same rules, for the same peers give the same
//! ruleset. So comparing rulesets compares policies.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use policy::{Builtin, End, Services, Verdict, Watch};
use wire::{View, ViewRule};

use crate::addresses;
use crate::decide::{self, BySet, Cell, Decider, Rules};
use crate::matrix::{FIRST_CLASS, Matrix};
use crate::outcome::{Numbering, Outcome};
use crate::places;
use crate::ruleset::{self, Class, IpRange, Place, Ruleset, Service, Word};
use crate::services;
use crate::volume::{self, MOST_WEIGHED};

/// A compiled view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// What the kernel shall hold. Its epoch is 0 until the machine gives it one.
    pub ruleset: Arc<Ruleset>,
    /// What this ruleset's numbers stand for.
    pub outcomes: BTreeMap<u32, Arc<Outcome>>,
}

/// A view that goes beyond what one kernel table may hold; it is refused whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this policy needs {count} {what}, and at most {limit} are possible")]
pub struct TooBig {
    /// Of what there is too much.
    pub what: &'static str,
    /// How much there is.
    pub count: usize,
    /// How much there may be.
    pub limit: usize,
}

impl TooBig {
    /// Whether there was no number left for an outcome.
    pub(crate) fn is_of_numbers(&self) -> bool {
        self.what == OUTCOMES
    }
}

/// What has numbers.
const OUTCOMES: &str = "outcomes";
/// The most (class, service class) pairs of one direction.
pub const MOST_PAIRS: usize = 1_000_000;
/// The most addresses of peers.
pub const MOST_ADDRESSES: usize = 200_000;
/// The most ranges of other addresses: those that a group holds, and those between them.
pub const MOST_RANGES: usize = 500_000;

/// Compiles a view. `now` is the center's time in milliseconds; `None` if it is not known since boot (semantics 14).
///
/// # Errors
/// [`TooBig`] with the numbers, if the view goes beyond a limit.
pub fn compile(view: &View, now: Option<i64>, numbering: &mut Numbering) -> Result<Program, TooBig> {
    let living = view.rules.iter().filter(|rule| decide::exists(rule, now)).collect();
    build(view, living, view.quarantined.then_some(Builtin::Quarantine), numbering)
}

/// What holds of a view whose policy is over: everything is denied but the center.
///
/// # Errors
/// As [`compile`].
pub(crate) fn over(view: &View, numbering: &mut Numbering) -> Result<Program, TooBig> {
    let rule = if view.quarantined { Builtin::Quarantine } else { Builtin::Closed };
    build(view, Vec::new(), Some(rule), numbering)
}

fn build(
    view: &View,
    living: Vec<&ViewRule>,
    shut: Option<Builtin>,
    numbering: &mut Numbering,
) -> Result<Program, TooBig> {
    let (services, service_of) = distinct(&living);
    let partition = services::split(&services);
    let watched = [true, false].map(|at_source| watched(view, at_source));
    let named = living.iter().flat_map(|rule| {
        let elsewhere = rule.elsewhere.into_iter().flat_map(|both| [both.from, both.to]);
        rule.inbound.into_iter().chain(rule.outbound).chain(elsewhere)
    });
    let used: BTreeSet<u32> = named.chain(watched.iter().flatten().copied()).collect();
    let peers = addresses::peers(view, &used);
    let networks = addresses::networks(view, &used);
    within("addresses of peers", peers.len(), MOST_ADDRESSES)?;
    within("ranges of addresses", networks.len(), MOST_RANGES)?;
    let weighed = volume::weighed(view);
    within("addresses whose bytes are counted", weighed.len(), MOST_WEIGHED)?;
    // Where everything is denied it is denied for every place.
    let targets = if shut.is_none() { places::targets(view, &living, &networks) } else { Vec::new() };
    let by_set = BySet::of(&living);
    let services = partition.classes;
    let rules = Rules { view, living, covered: &partition.covered, service_of, services, by_set, shut, watched };
    let matrix = Matrix::of(&rules, &peers, &networks, &targets)?;
    let mut words = Words {
        rules: &rules,
        numbering,
        outcomes: BTreeMap::new(),
        fresh: BTreeSet::new(),
        known: vec![None; FORMS * rules.living.len()],
    };
    let ruleset = matrix.ruleset(&mut words, &partition);
    let Words { outcomes, fresh, .. } = words;
    let mut ruleset = ruleset.inspect_err(|_| numbering.take_back(&fresh))?;
    ruleset.center = view.center;
    // Who is shut off speaks with nobody but the center.
    ruleset.dhcp = view.dhcp && shut.is_none();
    ruleset.own = view.addresses.clone();
    ruleset.weighed = weighed;
    name_outcomes(&mut ruleset, numbering);
    Ok(Program { ruleset: Arc::new(ruleset), outcomes })
}

/// The distinct services of rules, and for each rule the place of its own: most rules share theirs with others.
fn distinct<'v>(rules: &[&'v ViewRule]) -> (Vec<&'v Services>, Vec<usize>) {
    let (mut all, mut places) = (Vec::new(), BTreeMap::new());
    let place = |rule: &&'v ViewRule| {
        *places.entry(&rule.services).or_insert_with(|| {
            all.push(&rule.services);
            all.len() - 1
        })
    };
    let of = rules.iter().map(place).collect();
    (all, of)
}

/// What holds before the first policy: everything is denied but the center.
///
/// # Errors
/// [`TooBig`], if no number is free.
pub fn closed(center: Option<SocketAddr>, numbering: &mut Numbering) -> Result<Program, TooBig> {
    let mut outcomes = BTreeMap::new();
    let mut word = |end| {
        let outcome = Outcome::builtin(Verdict::Deny, Builtin::Closed.name(), end);
        let (number, outcome) = numbering.number(outcome).ok_or_else(no_number)?;
        let word = outcome.word(number);
        outcomes.insert(number, outcome);
        Ok(word)
    };
    let (default_in, default_out) = (word(End::Destination)?, word(End::Source)?);
    let mut ruleset = empty(default_in, default_out);
    ruleset.center = center;
    name_outcomes(&mut ruleset, numbering);
    Ok(Program { ruleset: Arc::new(ruleset), outcomes })
}

/// The first instant after `now` at which a rule of the view ends, by the center's time.
#[must_use]
pub fn next_change(view: &View, now: i64) -> Option<i64> {
    view.rules.iter().filter_map(|rule| rule.until).filter(|until| *until > now).min()
}

/// The sets of peers of whose first packets detectors are told where this machine stands at one end.
fn watched(view: &View, at_source: bool) -> BTreeSet<u32> {
    let told = |watch: Watch| !matches!(watch, Watch::Volume { .. }) && watch.is_at_source() == at_source;
    let there = view.detectors.iter().filter(|detector| told(detector.watch));
    there.map(|detector| detector.peers).collect()
}

pub(crate) fn within(what: &'static str, count: usize, limit: usize) -> Result<(), TooBig> {
    if count > limit { Err(TooBig { what, count, limit }) } else { Ok(()) }
}

fn no_number() -> TooBig {
    TooBig { what: OUTCOMES, count: Numbering::LIMIT + 1, limit: Numbering::LIMIT }
}

/// Gives outcomes their numbers, and remembers which ones this program uses.
pub(crate) struct Words<'a> {
    pub(crate) rules: &'a Rules<'a>,
    numbering: &'a mut Numbering,
    outcomes: BTreeMap<u32, Arc<Outcome>>,
    /// The numbers that were given for it.
    fresh: BTreeSet<u32>,
    /// Of cells in which one rule decides, as most are.
    known: Vec<Option<Word>>,
}

impl Words<'_> {
    /// A cell's word.
    pub(crate) fn word(&mut self, cell: Cell, end: End) -> Result<Word, TooBig> {
        let place = place(cell, end);
        if let Some(word) = place.and_then(|place| *self.known.get(place)?) {
            return Ok(word);
        }
        let outcome = self.rules.outcome(cell, end);
        let before = self.numbering.len();
        let (number, outcome) = self.numbering.number(outcome).ok_or_else(no_number)?;
        self.fresh.extend((self.numbering.len() > before).then_some(number));
        let word = outcome.word(number);
        self.outcomes.insert(number, outcome);
        if let Some(known) = place.and_then(|place| self.known.get_mut(place)) {
            *known = Some(word);
        }
        Ok(word)
    }
}

/// How many cells there are in which one rule decides: watched or not, at either end.
const FORMS: usize = 4;

/// Where the word of such a cell stands among those known.
fn place(cell: Cell, end: End) -> Option<usize> {
    match cell.decider {
        Decider::Rule(rule) if cell.would == cell.decider => {
            Some(FORMS * rule + 2 * usize::from(cell.watched) + usize::from(end == End::Source))
        }
        Decider::Rule(_) | Decider::Builtin(_) | Decider::End => None,
    }
}

/// A ruleset in which every flow gets the default: one class of peers, one of services.
pub(crate) fn empty(default_in: Word, default_out: Word) -> Ruleset {
    let whole = [
        IpRange { start: [0; 4].into(), end: [0xff; 4].into() },
        IpRange { start: [0_u16; 8].into(), end: [0xffff_u16; 8].into() },
    ];
    let service = Service(FIRST_CLASS);
    Ruleset {
        epoch: 0,
        center: None,
        dhcp: false,
        own: Vec::new(),
        peers: BTreeMap::new(),
        networks: whole.map(|range| (range, Class(FIRST_CLASS))).into(),
        places: whole.map(|range| (range, Place::Own)).into(),
        tcp: vec![(0..=u16::MAX, service)],
        udp: vec![(0..=u16::MAX, service)],
        icmp: vec![(0..=u8::MAX, service)],
        icmpv6: vec![(0..=u8::MAX, service)],
        protocols: vec![(0..=u8::MAX, service)],
        inbound: BTreeMap::new(),
        elsewhere: BTreeMap::new(),
        outbound: BTreeMap::new(),
        default_in,
        default_out,
        outcomes_in: BTreeMap::new(),
        outcomes_out: BTreeMap::new(),
        weighed: BTreeSet::new(),
    }
}

/// Lists every word that a packet may bear while an epoch lives, with its comment.
pub(crate) fn name_outcomes(ruleset: &mut Ruleset, numbering: &Numbering) {
    let all = |end| {
        let fixed = ruleset::Builtin::ALL.map(|fixed| (fixed.word(), Outcome::of_fixed(fixed, end).comment().into()));
        fixed.into_iter().chain(numbering.words(end)).collect()
    };
    ruleset.outcomes_in = all(End::Destination);
    ruleset.outcomes_out = all(End::Source);
}
