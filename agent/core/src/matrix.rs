//! Classes of peers by classes of services: what each pair gets, and which classes no rule tells apart.
//!
//! Few rules hold for a class of peers, so a row holds only what differs from its rest: thousands of rules on as many
//! classes cost as much as there are pairs that they name, not as many as there could be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::RangeInclusive;

use policy::{Builtin, End};

use crate::addresses::Standing;
use crate::compile::{MOST_PAIRS, TooBig, Words, empty, within};
use crate::decide::{Cell, Decider, Found, Part, Row, Rules};
use crate::places::{Target, push_range};
use crate::ruleset::{Class, IpRange, Place, Ruleset, Service, Word};
use crate::services::{Partition, Ranges};

/// The first class and the first service class; 0 is what a look-up leaves that finds nothing.
pub(crate) const FIRST_CLASS: u32 = 1;
/// The parts that every machine has, and where their rows stand.
const OWN_PARTS: [Part<'static>; 2] = [Part::Destination, Part::Source];
const INBOUND: usize = 0;
const OUTBOUND: usize = 1;

/// All cells, before classes that turn out alike are joined.
pub(crate) struct Matrix<'a> {
    /// Of each class what it gets inbound, outbound, and for each of the other targets.
    rows: Vec<Vec<Row>>,
    peers: Vec<(IpAddr, usize)>,
    networks: Vec<(&'a IpRange, usize)>,
    targets: &'a [(IpRange, Target)],
    /// Those that have rows of their own.
    others: Vec<&'a Target>,
}

/// A row as words: those that differ from its rest, in the order of their service classes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct WordRow {
    rest: Word,
    words: Vec<(usize, Word)>,
}

impl<'a> Matrix<'a> {
    /// Settles what each class gets.
    pub(crate) fn of(
        rules: &Rules<'_>,
        peers: &'a BTreeMap<IpAddr, Standing>,
        networks: &'a [(IpRange, Standing)],
        targets: &'a [(IpRange, Target)],
    ) -> Result<Self, TooBig> {
        let mut seen = BTreeSet::new();
        let distinct = targets.iter().map(|(_, target)| target).filter(|target| seen.insert(*target));
        let others: Vec<&Target> = distinct.filter(|target| target.part().is_some()).collect();
        let parts: Vec<Part<'_>> = OWN_PARTS.into_iter().chain(others.iter().filter_map(|one| one.part())).collect();
        let mut indices: BTreeMap<&Standing, usize> = BTreeMap::new();
        let (mut rows, mut pairs, mut found) = (Vec::new(), 0, Found::new(rules.services));
        for standing in networks.iter().map(|(_, standing)| standing).chain(peers.values()) {
            if indices.contains_key(standing) {
                continue;
            }
            let row: Vec<Row> = parts.iter().map(|part| rules.row(standing, *part, &mut found)).collect();
            let cells: usize = row.iter().map(|row| row.cells.len()).sum();
            let outbound = row.get(OUTBOUND).map_or(0, |row| row.cells.len());
            // A row costs something even where it holds nothing.
            pairs += outbound.max(cells - outbound) + others.len();
            within("pairs of classes", pairs, MOST_PAIRS)?;
            indices.insert(standing, rows.len());
            rows.push(row);
        }
        let index = |standing: &Standing| indices.get(standing).copied().unwrap_or_default();
        let peers = peers.iter().map(|(address, standing)| (*address, index(standing))).collect();
        let networks = networks.iter().map(|(range, standing)| (range, index(standing))).collect();
        Ok(Self { rows, peers, networks, targets, others })
    }

    /// Joins what is alike, numbers it in the order of appearance, and writes it down.
    pub(crate) fn ruleset(&self, words: &mut Words<'_>, partition: &Partition) -> Result<Ruleset, TooBig> {
        let last = words.rules.shut.map_or(Decider::End, Decider::Builtin);
        let default = Cell { decider: last, would: last, watched: false };
        let mut ruleset = empty(words.word(default, End::Destination)?, words.word(default, End::Source)?);
        ruleset.networks.clear();
        let rows = self.words(words)?;
        let places = self.places(&rows, words, &mut ruleset)?;
        let columns = Columns { places, numbers: joined(partition, &rows) };
        columns.write(&mut ruleset, partition);
        let mut classes: BTreeMap<&[WordRow], Class> = BTreeMap::new();
        // A row is compared with others once, however many addresses it stands for.
        let mut known: Vec<Option<Class>> = vec![None; rows.len()];
        let mut pairs = Pairs::default();
        let mut class = |index: usize, pairs: &mut Pairs, ruleset: &Ruleset| {
            if let Some(class) = known[index] {
                return class;
            }
            let fresh = Class(FIRST_CLASS + u32::try_from(classes.len()).unwrap_or(u32::MAX));
            let row = &rows[index];
            let class = *classes.entry(row).or_insert_with(|| {
                pairs.add(row, fresh, &columns, ruleset);
                fresh
            });
            known[index] = Some(class);
            class
        };
        for (range, index) in &self.networks {
            let class = class(*index, &mut pairs, &ruleset);
            push_range(&mut ruleset.networks, **range, class);
            pairs.few()?;
        }
        for (address, index) in &self.peers {
            let class = class(*index, &mut pairs, &ruleset);
            ruleset.peers.insert(*address, class);
            pairs.few()?;
        }
        pairs.write(&mut ruleset);
        Ok(ruleset)
    }

    /// The rows as words.
    fn words(&self, words: &mut Words<'_>) -> Result<Vec<Vec<WordRow>>, TooBig> {
        let of_row = |row: &Vec<Row>, words: &mut Words<'_>| {
            let end = |place| if place == OUTBOUND { End::Source } else { End::Destination };
            row.iter().enumerate().map(|(place, row)| word_row(row, end(place), words)).collect()
        };
        self.rows.iter().map(|row| of_row(row, words)).collect()
    }

    /// Writes the places down, joined where no class tells them apart. What has rows of its own comes back.
    fn places(
        &self,
        rows: &[Vec<WordRow>],
        words: &mut Words<'_>,
        ruleset: &mut Ruleset,
    ) -> Result<Vec<PlaceColumn>, TooBig> {
        if self.targets.is_empty() {
            return Ok(Vec::new());
        }
        let [unknown, link_local] = [Builtin::Unknown, Builtin::LinkLocal].map(|rule| denied(rule, words));
        let (unknown, link_local) = (unknown?, link_local?);
        let column = |at: usize| rows.iter().map(|row| &row[at]).collect::<Vec<_>>();
        let mut seen = BTreeMap::from([(column(INBOUND), Place::Own)]);
        let mut of_target = |(at, target): (usize, &&Target)| match target {
            Target::Sets(_) => {
                let fresh = Place::Other(u32::try_from(seen.len()).unwrap_or(u32::MAX));
                let place = *seen.entry(column(at)).or_insert(fresh);
                PlaceColumn { at, place, default: ruleset.default_in }
            }
            Target::Own | Target::LinkLocal | Target::Unknown => {
                PlaceColumn { at, place: Place::Denied(unknown), default: unknown }
            }
        };
        let mut columns: Vec<_> = (OWN_PARTS.len()..).zip(&self.others).map(&mut of_target).collect();
        let places: BTreeMap<_, _> =
            self.others.iter().zip(&columns).map(|(target, one)| (*target, one.place)).collect();
        let place = |target| match target {
            &Target::Own => Place::Own,
            &Target::LinkLocal => Place::Denied(link_local),
            other @ (Target::Unknown | Target::Sets(_)) => places.get(other).copied().unwrap_or(Place::Denied(unknown)),
        };
        ruleset.places.clear();
        for (range, target) in self.targets {
            push_range(&mut ruleset.places, *range, place(target));
        }
        let mut written = BTreeSet::from([Place::Own]);
        columns.retain(|column| written.insert(column.place));
        Ok(columns)
    }
}

/// A place with rows of its own.
struct PlaceColumn {
    /// Where in a class's rows.
    at: usize,
    place: Place,
    /// What the rows are compared with.
    default: Word,
}

/// What everybody gets by a built-in rule where this machine is the destination.
fn denied(rule: Builtin, words: &mut Words<'_>) -> Result<Word, TooBig> {
    let decider = Decider::Builtin(rule);
    words.word(Cell { decider, would: decider, watched: false }, End::Destination)
}

/// What classes get that differs from the defaults, in the order of their coming: maps are made of it once it is whole.
#[derive(Default)]
struct Pairs {
    inbound: Vec<((Class, Service), Word)>,
    elsewhere: Vec<((Place, Class, Service), Word)>,
    outbound: Vec<((Class, Service), Word)>,
}

impl Pairs {
    /// Adds a class.
    fn add(&mut self, rows: &[WordRow], class: Class, columns: &Columns, of: &Ruleset) {
        let cells = |at: usize, default| rows.get(at).map(|row| columns.cells(row, default)).unwrap_or_default();
        let of_class = |(service, word)| ((class, service), word);
        self.inbound.extend(cells(INBOUND, of.default_in).into_iter().map(of_class));
        self.outbound.extend(cells(OUTBOUND, of.default_out).into_iter().map(of_class));
        for &PlaceColumn { at, place, default } in &columns.places {
            let of_place = |(service, word)| ((place, class, service), word);
            self.elsewhere.extend(cells(at, default).into_iter().map(of_place));
        }
    }

    /// Refuses what goes beyond the limit.
    fn few(&self) -> Result<(), TooBig> {
        within("pairs of classes", (self.inbound.len() + self.elsewhere.len()).max(self.outbound.len()), MOST_PAIRS)
    }

    fn write(self, ruleset: &mut Ruleset) {
        ruleset.inbound = self.inbound.into_iter().collect();
        ruleset.elsewhere = self.elsewhere.into_iter().collect();
        ruleset.outbound = self.outbound.into_iter().collect();
    }
}

fn word_row(row: &Row, end: End, words: &mut Words<'_>) -> Result<WordRow, TooBig> {
    let rest = words.word(row.rest, end)?;
    let mut differing = Vec::new();
    for (service, cell) in &row.cells {
        let word = words.word(*cell, end)?;
        if word != rest {
            differing.push((*service, word));
        }
    }
    Ok(WordRow { rest, words: differing })
}

/// Service classes after joining: for each class of the partition its number.
struct Columns {
    numbers: Vec<Service>,
    /// The places that have rows of their own.
    places: Vec<PlaceColumn>,
}

/// Joins service classes whose columns are alike; numbers follow the order of appearance.
fn joined(partition: &Partition, rows: &[Vec<WordRow>]) -> Vec<Service> {
    let mut columns: Vec<Vec<(usize, usize, Word)>> = vec![Vec::new(); partition.classes];
    for (place, row) in rows.iter().enumerate() {
        for (direction, row) in row.iter().enumerate() {
            row.words.iter().for_each(|(service, word)| columns[*service].push((place, direction, *word)));
        }
    }
    let mut seen: BTreeMap<&[(usize, usize, Word)], Service> = BTreeMap::new();
    let mut numbers = vec![Service(0); partition.classes];
    let lists = [&partition.tcp, &partition.udp, &partition.icmp, &partition.icmpv6, &partition.protocols];
    for (_, class) in lists.into_iter().flatten() {
        let fresh = Service(FIRST_CLASS + u32::try_from(seen.len()).unwrap_or(u32::MAX));
        numbers[*class] = *seen.entry(&columns[*class]).or_insert(fresh);
    }
    numbers
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

    /// What of a row differs from a default, by service.
    fn cells(&self, row: &WordRow, default: Word) -> BTreeMap<Service, Word> {
        let rest = (row.rest != default).then(|| self.numbers.iter().map(|service| (*service, row.rest)));
        let words = row.words.iter().map(|(service, word)| (self.numbers[*service], *word));
        // Of two for one service the later holds.
        rest.into_iter().flatten().chain(words).collect()
    }
}
