//! Classes of peers by classes of services: what each pair gets, and which classes no rule tells apart.
//!
//! Few rules hold for a class of peers, so a row holds only what differs from its rest: thousands of rules on as many
//! classes cost as much as there are pairs that they name, not as many as there could be.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use policy::End;

use crate::addresses::Standing;
use crate::compile::{MOST_PAIRS, TooBig, Words, empty, within};
use crate::decide::{Cell, Decider, Found, Row, Rules};
use crate::ruleset::{Class, IpRange, Ruleset, Service, Word};
use crate::services::{Partition, Ranges};

/// The first class and the first service class; 0 is what a look-up leaves that finds nothing.
pub(crate) const FIRST_CLASS: u32 = 1;

/// All cells, before classes that turn out alike are joined.
pub(crate) struct Matrix<'a> {
    /// Of each class what it gets inbound, and outbound.
    rows: Vec<[Row; 2]>,
    peers: Vec<(IpAddr, usize)>,
    networks: Vec<(&'a IpRange, usize)>,
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
    ) -> Result<Self, TooBig> {
        let mut indices: BTreeMap<&Standing, usize> = BTreeMap::new();
        let (mut rows, mut pairs, mut found) = (Vec::new(), 0, Found::new(rules.services));
        for standing in networks.iter().map(|(_, standing)| standing).chain(peers.values()) {
            if indices.contains_key(standing) {
                continue;
            }
            let row = [End::Destination, End::Source].map(|end| rules.row(standing, end, &mut found));
            pairs += row.iter().map(|row| row.cells.len()).max().unwrap_or(0);
            within("pairs of classes", pairs, MOST_PAIRS)?;
            indices.insert(standing, rows.len());
            rows.push(row);
        }
        let index = |standing: &Standing| indices.get(standing).copied().unwrap_or_default();
        let peers = peers.iter().map(|(address, standing)| (*address, index(standing))).collect();
        let networks = networks.iter().map(|(range, standing)| (range, index(standing))).collect();
        Ok(Self { rows, peers, networks })
    }

    /// Joins what is alike, numbers it in the order of appearance, and writes it down.
    pub(crate) fn ruleset(&self, words: &mut Words<'_>, partition: &Partition) -> Result<Ruleset, TooBig> {
        let last = words.rules.shut.map_or(Decider::End, Decider::Builtin);
        let default = Cell { decider: last, would: last, watched: false };
        let mut ruleset = empty(words.word(default, End::Destination)?, words.word(default, End::Source)?);
        ruleset.networks.clear();
        let rows = self.words(words)?;
        let columns = joined(partition, &rows);
        columns.write(&mut ruleset, partition);
        let mut classes: BTreeMap<&[WordRow; 2], Class> = BTreeMap::new();
        // A row is compared with others once, however many addresses it stands for.
        let mut known: Vec<Option<Class>> = vec![None; rows.len()];
        let mut class = |index: usize, ruleset: &mut Ruleset| {
            if let Some(class) = known[index] {
                return class;
            }
            let fresh = Class(FIRST_CLASS + u32::try_from(classes.len()).unwrap_or(u32::MAX));
            let row = &rows[index];
            let class = *classes.entry(row).or_insert_with(|| {
                columns.fill(&row[0], fresh, ruleset.default_in, &mut ruleset.inbound);
                columns.fill(&row[1], fresh, ruleset.default_out, &mut ruleset.outbound);
                fresh
            });
            known[index] = Some(class);
            class
        };
        for (range, index) in &self.networks {
            let class = class(*index, &mut ruleset);
            push_range(&mut ruleset.networks, **range, class);
            few(&ruleset)?;
        }
        for (address, index) in &self.peers {
            let class = class(*index, &mut ruleset);
            ruleset.peers.insert(*address, class);
            few(&ruleset)?;
        }
        Ok(ruleset)
    }

    /// The rows as words.
    fn words(&self, words: &mut Words<'_>) -> Result<Vec<[WordRow; 2]>, TooBig> {
        let mut out = Vec::with_capacity(self.rows.len());
        for [inbound, outbound] in &self.rows {
            out.push([word_row(inbound, End::Destination, words)?, word_row(outbound, End::Source, words)?]);
        }
        Ok(out)
    }
}

fn few(ruleset: &Ruleset) -> Result<(), TooBig> {
    within("pairs of classes", ruleset.inbound.len().max(ruleset.outbound.len()), MOST_PAIRS)
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
}

/// Joins service classes whose columns are alike; numbers follow the order of appearance.
fn joined(partition: &Partition, rows: &[[WordRow; 2]]) -> Columns {
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
    fn fill(&self, row: &WordRow, class: Class, default: Word, map: &mut BTreeMap<(Class, Service), Word>) {
        if row.rest != default {
            map.extend(self.numbers.iter().map(|service| ((class, *service), row.rest)));
        }
        map.extend(row.words.iter().map(|(service, word)| ((class, self.numbers[*service]), *word)));
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
