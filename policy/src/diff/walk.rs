//! All pairs of cells, and what changes between them.

use std::collections::BTreeMap;

use super::Both;
use super::same::Changed;
use super::spread::{Ends, Ruled, held, meeting, spread};
use crate::Family;
use crate::classify::bits::Bits;
use crate::classify::cells::Cell;
use crate::classify::endpoints::Endpoint;
use crate::classify::judged::Outcome;
use crate::classify::narrow;
use crate::classify::pair::Pair;
use crate::classify::table::{Space, Table};

/// Services between two endpoints whose ruling changes in one way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Piece {
    pub(super) old: Ruled,
    pub(super) new: Ruled,
    pub(super) services: Bits,
}

/// What is looked up, and never gone through in the order in which it stands.
#[expect(clippy::disallowed_types, reason = "its order is nowhere seen")]
type Known<K, V> = std::collections::HashMap<K, V>;

/// From one cell: by the number of a piece, to which cell.
pub(super) type Hits = Vec<(u32, u32)>;

/// Two policies over one space.
pub(super) struct Walk<'a> {
    space: &'a Space,
    tables: &'a [Table; 2],
    names: &'a [Vec<String>; 2],
    cells: &'a [Cell],
    /// The services that exist in IPv4, in IPv6, in either.
    services: [Bits; 3],
    numbers: Known<Piece, u32>,
    /// The pieces of a pair, by the rules that hold for it.
    known: Known<([Ends; 2], usize), Vec<u32>>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(both: &'a Both, cells: &'a [Cell]) -> Self {
        let Both { space, tables, names } = both;
        let services = [(true, false), (false, true), (true, true)].map(|(v4, v6)| {
            Bits::of(space.services.count(), |class| {
                let nature = space.services.nature(class);
                !nature.neighbours && ((v4 && nature.v4) || (v6 && nature.v6))
            })
        });
        Self { space, tables, names, cells, services, numbers: Known::new(), known: Known::new() }
    }

    /// How many pairs of cells are looked at.
    pub(super) fn pairs(&self, sends: &dyn Fn(&Cell) -> bool) -> u64 {
        let (changed, classes) = (Changed::between(&self.tables[0], &self.tables[1]), self.by_class());
        let mut pairs = 0;
        for (source, senders) in &classes {
            let senders = senders.iter().filter(|&&cell| sends(&self.cells[cell])).count();
            let touched = classes.iter().filter(|(to, _)| changed.touches(*source as usize, **to as usize));
            pairs += touched.map(|(_, receivers)| senders as u64 * receivers.len() as u64).sum::<u64>();
        }
        pairs
    }

    /// The cells of each class.
    fn by_class(&self) -> BTreeMap<u32, Vec<usize>> {
        let mut classes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (number, cell) in self.cells.iter().enumerate() {
            classes.entry(self.endpoint(cell).class).or_default().push(number);
        }
        classes
    }

    /// For each cell what changes of its flows; and the pieces, by their numbers.
    pub(super) fn all(mut self, sends: &dyn Fn(&Cell) -> bool) -> (Vec<Hits>, Vec<Piece>) {
        let (changed, classes) = (Changed::between(&self.tables[0], &self.tables[1]), self.by_class());
        let mut hits = vec![Vec::new(); self.cells.len()];
        for (source, senders) in &classes {
            let senders: Vec<usize> = senders.iter().copied().filter(|&cell| sends(&self.cells[cell])).collect();
            let touched = classes.iter().filter(|(to, _)| changed.touches(*source as usize, **to as usize));
            touched.for_each(|(_, receivers)| self.classes(&senders, receivers, &mut hits));
        }
        let mut pieces: Vec<(u32, Piece)> = self.numbers.into_iter().map(|(piece, number)| (number, piece)).collect();
        pieces.sort_unstable_by_key(|(number, _)| *number);
        (hits, pieces.into_iter().map(|(_, piece)| piece).collect())
    }

    fn endpoint(&self, cell: &Cell) -> &'a Endpoint {
        &self.space.endpoints.all()[cell.endpoint]
    }

    /// All cells of two classes: what parts them is families, and values that rules compare.
    fn classes(&mut self, senders: &[usize], receivers: &[usize], hits: &mut [Hits]) {
        let mut found: BTreeMap<(Vec<bool>, usize), Vec<u32>> = BTreeMap::new();
        let cells = self.cells;
        let [Some(source), Some(destination)] = [senders, receivers].map(|cells| cells.first()) else { return };
        let pair = Pair::apart(self.endpoint(&cells[*source]), self.endpoint(&cells[*destination]));
        if !pair.source.standing.managed && !pair.destination.standing.managed {
            return;
        }
        let compared: Vec<usize> = (0..pair.source.values.len())
            .filter(|&key| self.tables.iter().any(|table| table.compares(&pair, key)))
            .collect();
        let all = senders.iter().flat_map(|source| receivers.iter().map(move |destination| (*source, *destination)));
        for (source, destination) in all {
            let Some(families) = families(&cells[source], &cells[destination]) else { continue };
            let pair = Pair::apart(self.endpoint(&cells[source]), self.endpoint(&cells[destination]));
            let equal = compared.iter().map(|&key| pair.equal(key)).collect();
            let pieces = found.entry((equal, families)).or_insert_with(|| self.pieces(&pair, families));
            hits[source].extend(pieces.iter().map(|piece| (*piece, narrow(destination))));
        }
    }

    /// The pieces of one pair.
    fn pieces(&mut self, pair: &Pair<'_>, families: usize) -> Vec<u32> {
        let ends = self.tables.each_ref().map(|table| held(table, pair));
        let key = (ends, families);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let pieces = self.changes(&key.0, families);
        self.known.insert(key, pieces.clone());
        pieces
    }

    fn changes(&mut self, [old, new]: &[Ends; 2], families: usize) -> Vec<u32> {
        let services = &self.services[families];
        let (old, new) = (spread(&self.tables[0], old, services), spread(&self.tables[1], new, services));
        let mut changes: BTreeMap<(Ruled, Ruled), Bits> = BTreeMap::new();
        for (before, after, services) in meeting(&old, &new) {
            if !self.alike(before, after) {
                changes.entry((before, after)).and_modify(|known| known.add(&services)).or_insert(services);
            }
        }
        let mut number = |((old, new), services)| {
            let next = narrow(self.numbers.len());
            *self.numbers.entry(Piece { old, new, services }).or_insert(next)
        };
        changes.into_iter().map(&mut number).collect()
    }

    /// Whether two rulings say the same, rules being the same by their names.
    fn alike(&self, before: Ruled, after: Ruled) -> bool {
        let [old, new] = self.names;
        let same = |one: Outcome, other: Outcome| {
            let name = |names: &'a [String], outcome: Outcome| {
                outcome.decider.map(|decider| crate::classify::name(names, decider))
            };
            (one.verdict, one.end) == (other.verdict, other.end) && name(old, one) == name(new, other)
        };
        let would = match (before.1, after.1) {
            (None, None) => true,
            (Some(one), Some(other)) => same(one, other),
            (Some(_), None) | (None, Some(_)) => false,
        };
        would && same(before.0, after.0)
    }
}

/// In which families flows from one cell to another are: the place of their services in [`Walk::services`].
fn families(from: &Cell, to: &Cell) -> Option<usize> {
    let common = [Family::V4, Family::V6].map(|family| from.towards(to, family).is_some());
    match common {
        [true, false] => Some(0),
        [false, true] => Some(1),
        [true, true] => Some(2),
        [false, false] => None,
    }
}
