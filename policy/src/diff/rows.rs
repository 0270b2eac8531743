//! Rows: changes of single pairs, put together where they are alike.

use std::collections::{BTreeMap, BTreeSet};

use super::labels::Kinds;
use super::walk::{Hits, Piece, Walk};
use super::{Both, Example, Kind, Party, Row};
use crate::classify::cells::{self, Cell};
use crate::classify::table::Space;
use crate::classify::{ServiceRange, ruling};
use crate::{Family, Name};

/// How many pairs of cells a change may be about.
pub(super) fn pairs(both: &Both, kinds: &Kinds) -> u64 {
    let cells = cells::of(&both.space.endpoints);
    Walk::new(both, &cells).pairs(&|cell| sends(cell, kinds))
}

/// All rows.
pub(super) fn all(both: &Both, kinds: &Kinds) -> Vec<Row> {
    let cells = cells::of(&both.space.endpoints);
    let (hits, pieces) = Walk::new(both, &cells).all(&|cell| sends(cell, kinds));
    let boxes = boxes(&cells, hits);
    let finish = Finish { space: &both.space, names: &both.names, cells: &cells, kinds };
    let rows = boxes
        .iter()
        .filter_map(|((piece, destinations), sources)| finish.row(&pieces[*piece as usize], sources, destinations));
    let mut rows: Vec<Row> = rows.collect();
    let order = |row: &Row| (row.kind, row.new.rule.clone(), row.old.rule.clone());
    rows.sort_by_cached_key(order);
    rows
}

fn sends(cell: &Cell, kinds: &Kinds) -> bool {
    cell.vms.first().is_none_or(|vm| kinds.sends(vm))
}

/// By a piece and the cells to which it is: from which cells.
type Boxes = BTreeMap<(u32, Vec<u32>), Vec<u32>>;

/// Cells from which the same piece goes to the same cells. One VM alone in its cell has no flow to its own cell, so that
/// this one may be there or not: it is put wherever more sources are alike by it.
fn boxes(cells: &[Cell], hits: Vec<Hits>) -> Boxes {
    let mut exact = Boxes::new();
    for (source, mut hits) in hits.into_iter().enumerate() {
        hits.sort_unstable();
        for piece in hits.chunk_by(|one, other| one.0 == other.0) {
            let destinations: Vec<u32> = piece.iter().map(|(_, destination)| *destination).collect();
            exact.entry((piece[0].0, destinations)).or_default().push(crate::classify::narrow(source));
        }
    }
    let with_itself = |key: &(u32, Vec<u32>), source: u32| {
        let alone = cells[source as usize].vms.len() == 1;
        let place = key.1.binary_search(&source).err().filter(|_| alone)?;
        let mut wider = key.clone();
        wider.1.insert(place, source);
        Some(wider)
    };
    let mut wider: BTreeMap<(u32, Vec<u32>), usize> = BTreeMap::new();
    for (key, sources) in &exact {
        for key in sources.iter().filter_map(|source| with_itself(key, *source)) {
            *wider.entry(key).or_default() += 1;
        }
    }
    let mut boxes = Boxes::new();
    let size = |key: &(u32, Vec<u32>)| exact.get(key).map_or(0, Vec::len) + wider.get(key).copied().unwrap_or(0);
    for (key, sources) in &exact {
        for source in sources {
            let other = with_itself(key, *source).filter(|other| size(other) > size(key));
            boxes.entry(other.unwrap_or_else(|| key.clone())).or_default().push(*source);
        }
    }
    boxes.values_mut().for_each(|sources| sources.sort_unstable());
    boxes
}

/// What a row is told by.
struct Finish<'a> {
    space: &'a Space,
    names: &'a [Vec<String>; 2],
    cells: &'a [Cell],
    kinds: &'a Kinds,
}

impl Finish<'_> {
    fn row(&self, piece: &Piece, sources: &[u32], destinations: &[u32]) -> Option<Row> {
        let Piece { old, new, services } = piece;
        let [old, new] =
            [(old, &self.names[0]), (new, &self.names[1])].map(|(said, names)| ruling(names, said.0, said.1));
        Some(Row {
            kind: Kind::of(&old, &new),
            old,
            new,
            sources: self.parties(sources, false),
            destinations: self.parties(destinations, true),
            services: self.space.services.joined(services),
            count: self.pairs(sources, destinations) * self.space.services.size(services),
            example: self.example(piece, sources, destinations)?,
        })
    }

    fn pairs(&self, sources: &[u32], destinations: &[u32]) -> u64 {
        if !self.kinds.is_empty() {
            let vms = |cells: &[u32]| cells.iter().map(|cell| self.cells[*cell as usize].vms.first()).collect();
            return self.kinds.pairs(vms(sources), vms(destinations));
        }
        let size = |cells: &[u32]| cells.iter().map(|cell| self.cells[*cell as usize].count()).sum::<u64>();
        let themselves: Vec<u32> =
            sources.iter().copied().filter(|source| destinations.binary_search(source).is_ok()).collect();
        size(sources) * size(destinations) - size(&themselves)
    }

    fn example(&self, piece: &Piece, sources: &[u32], destinations: &[u32]) -> Option<Example> {
        let cell = |number: &u32| &self.cells[*number as usize];
        let pairs = sources.iter().flat_map(|source| destinations.iter().map(move |to| (cell(source), cell(to))));
        let tried = pairs.flat_map(|pair| [Family::V4, Family::V6].map(|family| (pair, family)));
        tried.into_iter().find_map(|((from, to), family)| {
            let (source, destination) = from.towards(to, family)?;
            let service = piece.services.iter().flat_map(|class| self.space.services.ranges(class));
            let service = service.map(ServiceRange::sample).find(|service| service.exists_in(family))?;
            let own = from.vms.first();
            let other = to.vms.get(usize::from(std::ptr::eq(from, to)));
            Some(Example { from: own.cloned(), source, to: other.cloned(), destination, service })
        })
    }

    fn parties(&self, cells: &[u32], towards: bool) -> Vec<Party> {
        let cells = || cells.iter().map(|cell| &self.cells[*cell as usize]);
        let outside = cells().filter_map(|cell| cell.outside.clone()).map(Party::Outside);
        let vms: BTreeSet<&Name> = cells().flat_map(|cell| &cell.vms).collect();
        if self.kinds.is_empty() {
            return vms.into_iter().cloned().map(Party::Vm).chain(outside).collect();
        }
        self.kinds.told(vms.into_iter(), towards).into_iter().map(Party::Labelled).chain(outside).collect()
    }
}
