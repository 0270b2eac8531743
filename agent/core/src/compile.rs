//! Turns a view into what the kernel shall hold: all first-match questions are settled here.
//!
//! The result is canonical: two views with the same verdicts, by the same rules, for the same peers give the same
//! ruleset. So comparing rulesets compares policies.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use policy::{Builtin, End, Services, Verdict};
use wire::{View, ViewRule};

use crate::addresses::{self, Standing};
use crate::decide::{self, Cell, Decider, Rules};
use crate::outcome::{Numbering, Outcome};
use crate::ruleset::{self, Class, IpRange, Ruleset, Service, Word};
use crate::services::{self, Partition, Ranges};

/// A compiled view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// What the kernel shall hold. Its epoch is 0 until the machine gives it one.
    pub ruleset: Ruleset,
    /// What this ruleset's numbers stand for.
    pub outcomes: BTreeMap<u32, Outcome>,
}

impl Program {
    /// Whether it asks of the kernel just what another does, but for the epoch and the names of past words.
    #[must_use]
    pub fn asks_as(&self, other: &Self) -> bool {
        let plain = |program: &Self| Ruleset {
            epoch: 0,
            outcomes_in: BTreeMap::new(),
            outcomes_out: BTreeMap::new(),
            ..program.ruleset.clone()
        };
        plain(self) == plain(other)
    }
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

/// The most (class, service class) pairs of one direction.
pub const MOST_PAIRS: usize = 1_000_000;
/// The most ranges of addresses, and the most addresses of peers.
pub const MOST_ADDRESSES: usize = 200_000;

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
    let services: Vec<&Services> = living.iter().map(|rule| &rule.services).collect();
    let partition = services::split(&services);
    let watched = [true, false].map(|at_source| watched(view, at_source));
    let named = living.iter().flat_map(|rule| rule.inbound.into_iter().chain(rule.outbound));
    let used: BTreeSet<u32> = named.chain(watched.iter().flatten().copied()).collect();
    let peers = addresses::peers(view, &used);
    let networks = addresses::networks(view, &used);
    within("addresses of peers", peers.len(), MOST_ADDRESSES)?;
    within("ranges of addresses", networks.len(), MOST_ADDRESSES)?;
    let rules = Rules { view, living, covered: &partition.covered, services: partition.classes, shut, watched };
    let matrix = Matrix::of(&rules, &peers, &networks)?;
    let mut words = Words { rules: &rules, numbering, outcomes: BTreeMap::new(), known: BTreeMap::new() };
    let mut ruleset = matrix.ruleset(&mut words, &partition)?;
    let outcomes = words.outcomes;
    ruleset.center = view.center;
    ruleset.own = view.addresses.clone();
    name_outcomes(&mut ruleset, numbering);
    Ok(Program { ruleset, outcomes })
}

/// What holds before the first policy: everything is denied but the center.
///
/// # Errors
/// [`TooBig`], if no number is free.
pub fn closed(center: Option<SocketAddr>, numbering: &mut Numbering) -> Result<Program, TooBig> {
    let mut outcomes = BTreeMap::new();
    let mut word = |end| {
        let outcome = Outcome::builtin(Verdict::Deny, Builtin::Closed.name(), end);
        let number = numbering.number(&outcome).ok_or_else(no_number)?;
        let word = outcome.word(number);
        outcomes.insert(number, outcome);
        Ok(word)
    };
    let (default_in, default_out) = (word(End::Destination)?, word(End::Source)?);
    let mut ruleset = empty(default_in, default_out);
    ruleset.center = center;
    name_outcomes(&mut ruleset, numbering);
    Ok(Program { ruleset, outcomes })
}

/// The first instant after `now` at which a rule of the view ends, by the center's time.
#[must_use]
pub fn next_change(view: &View, now: i64) -> Option<i64> {
    view.rules.iter().filter_map(|rule| rule.until).filter(|until| *until > now).min()
}

/// The sets of peers that detectors watch where this machine stands at one end.
fn watched(view: &View, at_source: bool) -> BTreeSet<u32> {
    let there = view.detectors.iter().filter(|detector| detector.watch.is_at_source() == at_source);
    there.map(|detector| detector.peers).collect()
}

fn within(what: &'static str, count: usize, limit: usize) -> Result<(), TooBig> {
    if count > limit { Err(TooBig { what, count, limit }) } else { Ok(()) }
}

fn no_number() -> TooBig {
    TooBig { what: "outcomes", count: Numbering::LIMIT + 1, limit: Numbering::LIMIT }
}

/// Gives outcomes their numbers, and remembers which ones this program uses.
struct Words<'a> {
    rules: &'a Rules<'a>,
    numbering: &'a mut Numbering,
    outcomes: BTreeMap<u32, Outcome>,
    known: BTreeMap<(Cell, End), Word>,
}

impl Words<'_> {
    fn word(&mut self, cell: Cell, end: End) -> Result<Word, TooBig> {
        if let Some(word) = self.known.get(&(cell, end)) {
            return Ok(*word);
        }
        let outcome = self.rules.outcome(cell, end);
        let number = self.numbering.number(&outcome).ok_or_else(no_number)?;
        let word = outcome.word(number);
        self.outcomes.insert(number, outcome);
        self.known.insert((cell, end), word);
        Ok(word)
    }
}

/// Both directions' rows of one class.
type Rows = (Vec<Cell>, Vec<Cell>);
/// The same, as words.
type WordRows = (Vec<Word>, Vec<Word>);

/// All cells, before classes that turn out alike are joined.
struct Matrix<'a> {
    rows: Vec<Rows>,
    peers: Vec<(IpAddr, usize)>,
    networks: Vec<(&'a IpRange, usize)>,
}

impl<'a> Matrix<'a> {
    fn of(
        rules: &Rules<'_>,
        peers: &'a BTreeMap<IpAddr, Standing>,
        networks: &'a [(IpRange, Standing)],
    ) -> Result<Self, TooBig> {
        let mut indices: BTreeMap<&Standing, usize> = BTreeMap::new();
        for standing in networks.iter().map(|(_, standing)| standing).chain(peers.values()) {
            let fresh = indices.len();
            indices.entry(standing).or_insert(fresh);
        }
        within("pairs of classes", indices.len() * rules.services, MOST_PAIRS)?;
        let mut rows = vec![Rows::default(); indices.len()];
        for (standing, index) in &indices {
            rows[*index] = (rules.row(standing, End::Destination), rules.row(standing, End::Source));
        }
        let index = |standing: &Standing| indices.get(standing).copied().unwrap_or_default();
        let peers = peers.iter().map(|(address, standing)| (*address, index(standing))).collect();
        let networks = networks.iter().map(|(range, standing)| (range, index(standing))).collect();
        Ok(Self { rows, peers, networks })
    }

    /// Joins what is alike, numbers it in the order of appearance, and writes it down.
    fn ruleset(&self, words: &mut Words<'_>, partition: &Partition) -> Result<Ruleset, TooBig> {
        let end = Decider::End;
        let last = words.rules.shut.map_or(end, Decider::Builtin);
        let default = Cell { decider: last, would: last, watched: false };
        let mut ruleset = empty(words.word(default, End::Destination)?, words.word(default, End::Source)?);
        ruleset.networks.clear();
        let rows = self.words(words)?;
        let columns = joined(partition, &rows);
        columns.write(&mut ruleset, partition);
        let mut classes: BTreeMap<&WordRows, Class> = BTreeMap::new();
        let mut class = |index: usize, ruleset: &mut Ruleset| {
            let fresh = Class(FIRST_CLASS + u32::try_from(classes.len()).unwrap_or(u32::MAX));
            let row = &rows[index];
            *classes.entry(row).or_insert_with(|| {
                columns.fill(&row.0, fresh, ruleset.default_in, &mut ruleset.inbound);
                columns.fill(&row.1, fresh, ruleset.default_out, &mut ruleset.outbound);
                fresh
            })
        };
        for (range, index) in &self.networks {
            let class = class(*index, &mut ruleset);
            push_range(&mut ruleset.networks, **range, class);
        }
        for (address, index) in &self.peers {
            let class = class(*index, &mut ruleset);
            ruleset.peers.insert(*address, class);
        }
        Ok(ruleset)
    }

    /// The rows as words.
    fn words(&self, words: &mut Words<'_>) -> Result<Vec<WordRows>, TooBig> {
        let mut out = Vec::with_capacity(self.rows.len());
        for (inbound, outbound) in &self.rows {
            let inbound = inbound.iter().map(|cell| words.word(*cell, End::Destination)).collect::<Result<_, _>>()?;
            let outbound = outbound.iter().map(|cell| words.word(*cell, End::Source)).collect::<Result<_, _>>()?;
            out.push((inbound, outbound));
        }
        Ok(out)
    }
}

/// The first class and the first service class; 0 is what a look-up leaves that finds nothing.
const FIRST_CLASS: u32 = 1;

/// Service classes after joining: for each class of the partition its number.
struct Columns {
    numbers: Vec<Service>,
}

/// Joins service classes whose columns are alike; numbers follow the order of appearance.
fn joined(partition: &Partition, rows: &[WordRows]) -> Columns {
    let mut seen: BTreeMap<Vec<(Word, Word)>, Service> = BTreeMap::new();
    let mut numbers = vec![Service(0); partition.classes];
    let lists = [&partition.tcp, &partition.udp, &partition.icmp, &partition.icmpv6, &partition.protocols];
    for (_, class) in lists.into_iter().flatten() {
        let column = rows.iter().map(|(inbound, outbound)| (inbound[*class], outbound[*class])).collect();
        let fresh = Service(FIRST_CLASS + u32::try_from(seen.len()).unwrap_or(u32::MAX));
        numbers[*class] = *seen.entry(column).or_insert(fresh);
    }
    Columns { numbers }
}

impl Columns {
    /// Writes the five interval maps.
    fn write(&self, ruleset: &mut Ruleset, partition: &Partition) {
        ruleset.tcp = self.ranges(&partition.tcp);
        ruleset.udp = self.ranges(&partition.udp);
        ruleset.icmp = self.ranges(&partition.icmp);
        ruleset.icmpv6 = self.ranges(&partition.icmpv6);
        ruleset.protocols = self.ranges(&partition.protocols);
    }

    /// One interval map; neighbours of one class are joined.
    fn ranges<T>(&self, ranges: &Ranges) -> Vec<(RangeInclusive<T>, Service)>
    where
        T: TryFrom<u32> + Copy,
    {
        let mut out: Vec<(u32, u32, Service)> = Vec::new();
        for (range, class) in ranges {
            let service = self.numbers[*class];
            match out.last_mut() {
                Some(before) if before.2 == service => before.1 = *range.end(),
                Some(_) | None => out.push((*range.start(), *range.end(), service)),
            }
        }
        let narrow = |(first, last, service): (u32, u32, Service)| {
            Some((T::try_from(first).ok()?..=T::try_from(last).ok()?, service))
        };
        out.into_iter().filter_map(narrow).collect()
    }

    /// Writes what of a row differs from the default.
    fn fill(&self, row: &[Word], class: Class, default: Word, map: &mut BTreeMap<(Class, Service), Word>) {
        for (word, service) in row.iter().zip(&self.numbers) {
            if *word != default {
                map.insert((class, *service), *word);
            }
        }
    }
}

/// A range more; joined with the one before if that is of the same family and class.
fn push_range(networks: &mut Vec<(IpRange, Class)>, range: IpRange, class: Class) {
    match networks.last_mut() {
        Some((before, same)) if *same == class && before.end.is_ipv4() == range.start.is_ipv4() => {
            before.end = range.end;
        }
        Some(_) | None => networks.push((range, class)),
    }
}

/// A ruleset in which every flow gets the default: one class of peers, one of services.
fn empty(default_in: Word, default_out: Word) -> Ruleset {
    let everything = |any: IpAddr, last: IpAddr| (IpRange { start: any, end: last }, Class(FIRST_CLASS));
    let service = Service(FIRST_CLASS);
    Ruleset {
        epoch: 0,
        center: None,
        own: Vec::new(),
        peers: BTreeMap::new(),
        networks: Vec::from([
            everything([0; 4].into(), [0xff; 4].into()),
            everything([0_u16; 8].into(), [0xffff_u16; 8].into()),
        ]),
        tcp: vec![(0..=u16::MAX, service)],
        udp: vec![(0..=u16::MAX, service)],
        icmp: vec![(0..=u8::MAX, service)],
        icmpv6: vec![(0..=u8::MAX, service)],
        protocols: vec![(0..=u8::MAX, service)],
        inbound: BTreeMap::new(),
        outbound: BTreeMap::new(),
        default_in,
        default_out,
        outcomes_in: BTreeMap::new(),
        outcomes_out: BTreeMap::new(),
    }
}

/// Lists every word that a packet may bear while an epoch lives, with its comment.
pub(crate) fn name_outcomes(ruleset: &mut Ruleset, numbering: &Numbering) {
    for fixed in ruleset::Builtin::ALL {
        let comment = |end| Outcome::of_fixed(fixed, end).comment();
        ruleset.outcomes_in.insert(fixed.word(), comment(End::Destination));
        ruleset.outcomes_out.insert(fixed.word(), comment(End::Source));
    }
    for (number, outcome) in numbering.iter() {
        let map = match outcome.end {
            End::Destination => &mut ruleset.outcomes_in,
            End::Source => &mut ruleset.outcomes_out,
        };
        map.insert(outcome.word(number), outcome.comment());
    }
}
