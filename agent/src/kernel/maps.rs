//! The maps by which the kernel finds an outcome: what they hold, what they shall hold (see `contents`), and the difference.
use std::collections::BTreeSet;

use nft::{Batch, Element, ElementInfo, Error, Socket};

use super::rules::table;

/// The maps, each of which has two sets. Their places here are the keys of the map that says which set is in force.
pub(crate) const MAPS: [&str; 17] = [
    "defaults",
    "peers4",
    "peers6",
    "arriving",
    "outbound",
    "networks4",
    "networks6",
    "tcp",
    "udp",
    "icmp",
    "icmpv6",
    "protocols",
    "places4",
    "places6",
    "own4",
    "own6",
    "ports",
];

/// One of a map's two sets. Rules look into one; a change that cannot be made there fills the other, into which nobody looks,
/// and then turns the rules to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Bank {
    #[default]
    First,
    Second,
}

/// Which sets are in force: the second of the maps that are named here, the first of all others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct InForce(BTreeSet<&'static str>);

impl InForce {
    /// As the kernel's map of a number for each map says.
    pub(crate) fn read(numbers: &[ElementInfo]) -> Self {
        let second = |place: &u32| numbers.iter().any(|one| number_of(one) == Some((*place, Bank::Second as u32)));
        Self((0_u32..).zip(MAPS).filter(|(place, _)| second(place)).map(|(_, map)| map).collect())
    }

    /// The elements of that map.
    pub(crate) fn numbers(&self) -> Vec<Element> {
        let number =
            |(place, map): (u32, &str)| Element::key(place.to_ne_bytes()).value((self.bank(map) as u32).to_ne_bytes());
        (0_u32..).zip(MAPS).map(number).collect()
    }

    /// That of a map which is in force.
    pub(crate) fn bank(&self, map: &str) -> Bank {
        if self.0.contains(map) { Bank::Second } else { Bank::First }
    }

    /// The name of that.
    pub(crate) fn set(&self, map: &str) -> String {
        self.bank(map).name(map)
    }

    /// With these maps turned to their other sets.
    pub(crate) fn turned(&self, maps: &BTreeSet<&'static str>) -> Self {
        Self(self.0.symmetric_difference(maps).copied().collect())
    }
}

fn number_of(element: &ElementInfo) -> Option<(u32, u32)> {
    let value = element.value.as_deref()?.try_into().ok()?;
    Some((u32::from_ne_bytes(element.key.as_slice().try_into().ok()?), u32::from_ne_bytes(value)))
}

impl Bank {
    /// Both.
    pub(crate) const BOTH: [Self; 2] = [Self::First, Self::Second];

    /// The name of a map's set.
    pub(crate) fn name(self, map: &str) -> String {
        match self {
            Self::First => map.to_owned(),
            Self::Second => format!("{map}_b"),
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// A key, or an inclusive range of keys, with its value. Keys are numbers: of marks their own, of all else the number whose bytes
/// are those that the kernel compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(super) first: u128,
    pub(super) last: u128,
    pub(super) value: u32,
}

/// A map with its entries in order.
#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) name: &'static str,
    key_bytes: usize,
    kind: Kind,
    pub(crate) entries: Vec<Entry>,
}

/// What the keys of a map are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exact,
    /// Exact, and one or more numbers in the host's order.
    Marks,
    Ranges,
}

/// How many entries a map may have that is read back: the kernel walks a set from its beginning for every few hundred
/// elements that it lists, so that a list of 200,000 ranges takes it many seconds.
const MOST_READ: usize = 50_000;

/// What a change takes from a map, and what it puts there.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    pub(crate) gone: Vec<Entry>,
    pub(crate) come: Vec<Entry>,
}

impl Map {
    pub(super) fn exact(name: &'static str, key_bytes: usize, of: impl IntoIterator<Item = (u128, u32)>) -> Self {
        let entry = |(key, value)| Entry { first: key, last: key, value };
        let mut entries: Vec<Entry> = of.into_iter().map(entry).collect();
        // Most are given as one or two runs in order.
        entries.sort();
        Self { name, key_bytes, kind: Kind::Exact, entries }
    }

    pub(super) fn marks(name: &'static str, marks: usize, of: impl IntoIterator<Item = (u128, u32)>) -> Self {
        Self { kind: Kind::Marks, ..Self::exact(name, 4 * marks, of) }
    }

    pub(super) fn ranges(name: &'static str, key_bytes: usize, of: impl IntoIterator<Item = Entry>) -> Self {
        Self { name, key_bytes, kind: Kind::Ranges, entries: of.into_iter().collect() }
    }

    /// Adds entries to the map's set in a bank.
    pub(crate) fn add(&self, batch: &mut Batch, bank: Bank, entries: &[Entry]) {
        let value = |entry: &Entry| entry.value.to_ne_bytes();
        let elements: Vec<Element> = match self.is_of_ranges() {
            true => entries.iter().flat_map(|one| self.range(one, Some(&value(one)))).collect(),
            false => entries.iter().map(|one| Element::key(self.bytes(one.first)).value(value(one))).collect(),
        };
        batch.add_elements(&table(), &bank.name(self.name), &elements);
    }

    /// Removes entries from it.
    pub(crate) fn delete(&self, batch: &mut Batch, bank: Bank, entries: &[Entry]) {
        let elements: Vec<Element> = match self.is_of_ranges() {
            true => entries.iter().flat_map(|one| self.range(one, None)).collect(),
            false => self.keys(entries),
        };
        batch.delete_elements(&table(), &bank.name(self.name), &elements);
    }

    /// The keys of entries of an exact map.
    pub(crate) fn keys(&self, entries: &[Entry]) -> Vec<Element> {
        entries.iter().map(|one| Element::key(self.bytes(one.first))).collect()
    }

    fn range(&self, entry: &Entry, value: Option<&[u8]>) -> Vec<Element> {
        Element::range(&self.bytes(entry.first), &self.bytes(entry.last), value)
    }

    fn last_key(&self) -> u128 {
        u128::MAX >> (128 - 8 * self.key_bytes)
    }

    fn bytes(&self, key: u128) -> Vec<u8> {
        let bytes = key.to_be_bytes().into_iter().skip(16 - self.key_bytes);
        if self.kind == Kind::Marks { in_host_order(bytes.collect()) } else { bytes.collect() }
    }

    fn key(&self, bytes: &[u8]) -> u128 {
        if self.kind == Kind::Marks { number(&in_host_order(bytes.to_vec())) } else { number(bytes) }
    }

    /// What an element of an exact map says.
    pub(crate) fn entry(&self, one: &ElementInfo) -> Entry {
        let key = self.key(&one.key);
        Entry { first: key, last: key, value: value_of(one) }
    }

    /// Whether its keys are ranges.
    pub(crate) fn is_of_ranges(&self) -> bool {
        self.kind == Kind::Ranges
    }

    /// Whether it is too large to be read back.
    pub(crate) fn is_large(&self) -> bool {
        self.entries.len() > MOST_READ
    }

    /// What the map's set in a bank holds, in order; nothing where there is none.
    pub(crate) fn held(&self, socket: &mut Socket, bank: Bank) -> Result<Vec<Entry>, Error> {
        let read =
            socket.elements_as(&table(), &bank.name(self.name), |one| (self.key(&one.key), !one.end, value_of(&one)));
        let mut read = match read {
            Err(error) if error.is_absent() => return Ok(Vec::new()),
            other => other?,
        };
        read.sort_unstable();
        Ok(if self.is_of_ranges() {
            paired(&read, self.last_key())
        } else {
            read.into_iter().map(|(first, _, value)| Entry { first, last: first, value }).collect()
        })
    }

    /// What leads from what is held to what shall be.
    pub(crate) fn difference(&self, held: &[Entry]) -> Difference {
        let (gone, come) = difference(held.iter().copied(), self.entries.iter().copied());
        Difference { gone, come }
    }
}

/// What is among the old alone, and what among the new alone; both are in order.
pub(crate) fn difference<T: Ord>(old: impl Iterator<Item = T>, new: impl Iterator<Item = T>) -> (Vec<T>, Vec<T>) {
    let (mut old, mut new) = (old.peekable(), new.peekable());
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    loop {
        match (old.peek(), new.peek()) {
            (Some(one), Some(other)) if one == other => drop((old.next(), new.next())),
            (Some(one), Some(other)) if one < other => gone.extend(old.next()),
            (_, Some(_)) => come.extend(new.next()),
            (Some(_), None) => gone.extend(old.next()),
            (None, None) => return (gone, come),
        }
    }
}

impl Entry {
    /// Whether it stands where another does.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        (self.first, self.last) == (other.first, other.last)
    }
}

fn value_of(one: &ElementInfo) -> u32 {
    one.value.as_deref().and_then(|four| four.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

impl Difference {
    pub(crate) fn len(&self) -> usize {
        self.gone.len() + self.come.len()
    }
}

/// Ranges from the elements that stand for their starts and ends, in order; an end stands before a start at its place.
fn paired(elements: &[(u128, bool, u32)], last_key: u128) -> Vec<Entry> {
    let mut ranges = Vec::new();
    let mut open: Option<(u128, u32)> = None;
    for &(key, starts, value) in elements {
        ranges.extend(open.take().map(|(first, value)| Entry { first, last: key.saturating_sub(1), value }));
        open = starts.then_some((key, value));
    }
    ranges.extend(open.map(|(first, value)| Entry { first, last: last_key, value }));
    ranges
}

/// Turns marks from the network's order to the host's, or back.
fn in_host_order(mut bytes: Vec<u8>) -> Vec<u8> {
    for mark in bytes.chunks_exact_mut(4) {
        if cfg!(target_endian = "little") {
            mark.reverse();
        }
    }
    bytes
}

/// Bytes as the number that they are in the network's order.
pub(super) fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}
