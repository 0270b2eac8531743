//! Covers the pairs of classes that one service was seen between by few rectangles of selectors.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::selectors::{Candidate, Classes};
use super::{Cells, Chosen, Options, Rectangle};

/// The most selectors that are tried at each side.
const MOST_TRIED: usize = 160;

/// How many pairs of VMs were seen, by classes.
type Seen = BTreeMap<(usize, usize), u64>;

/// What is to be covered, and by what.
struct Task<'a> {
    classes: &'a Classes,
    seen: Seen,
    uncovered: BTreeSet<(usize, usize)>,
    slack: u64,
}

/// How good a rectangle is: what it covers anew, what it allows beyond what was seen, how simple it is.
type Score<'a> = (u64, Reverse<u64>, Reverse<usize>, Reverse<(&'a str, &'a str)>);

/// The rectangles for what one service was seen between VMs.
pub(super) fn between_vms(cells: &Cells, classes: &Classes, options: &Options) -> Vec<Rectangle> {
    let pair = |(ends, cell): (&(super::Side, super::Side), &super::Cell)| {
        Some(((ends.0.class()?, ends.1.class()?), cell.pairs.len() as u64))
    };
    let seen: Seen = cells.iter().filter_map(pair).collect();
    let uncovered = seen.keys().copied().collect();
    let mut task = Task { classes, seen, uncovered, slack: u64::from(options.slack.min(100)) };
    let sources = task.tried(task.seen.keys().map(|(from, _)| *from).collect());
    let destinations = task.tried(task.seen.keys().map(|(_, to)| *to).collect());
    let mut rectangles = Vec::new();
    while let Some((from, to)) = task.best(&sources, &destinations) {
        task.take(from, to, &mut rectangles);
    }
    while let Some((from, to)) = task.uncovered.first().copied() {
        let (from, to) = (classes.exact(from), classes.exact(to));
        task.take(&from, &to, &mut rectangles);
    }
    rectangles
}

impl Task<'_> {
    /// The selectors worth trying at a side at which these classes were seen, the widest first.
    fn tried(&self, met: BTreeSet<usize>) -> Vec<Candidate> {
        let usable = |candidate: &&Candidate| {
            let here = candidate.classes.intersection(&met).count();
            here > 0 && (self.slack > 0 || here == candidate.classes.len())
        };
        let mut all: Vec<Candidate> = self.classes.candidates.iter().filter(usable).cloned().collect();
        let of_one: BTreeSet<usize> =
            all.iter().filter(|one| one.classes.len() == 1).flat_map(|one| one.classes.iter().copied()).collect();
        let exact = met.difference(&of_one).take(MOST_TRIED).map(|class| self.classes.exact(*class));
        all.extend(exact);
        all.sort_by_cached_key(|one| (Reverse(one.classes.intersection(&met).count()), one.terms, one.text.clone()));
        all.truncate(MOST_TRIED);
        all
    }

    fn best<'c>(
        &self,
        sources: &'c [Candidate],
        destinations: &'c [Candidate],
    ) -> Option<(&'c Candidate, &'c Candidate)> {
        let mut best: Option<(Score<'c>, (&Candidate, &Candidate))> = None;
        for (from, to) in sources.iter().flat_map(|from| destinations.iter().map(move |to| (from, to))) {
            let least = best.as_ref().map_or(1, |((gain, ..), _)| *gain);
            let Some((gain, excess)) = self.worth(from, to, least) else { continue };
            let words = Reverse((from.text.as_str(), to.text.as_str()));
            let score = (gain, Reverse(excess), Reverse(from.terms + to.terms), words);
            if best.as_ref().is_none_or(|(found, _)| score > *found) {
                best = Some((score, (from, to)));
            }
        }
        best.map(|(_, both)| both)
    }

    /// How many pairs of classes a rectangle covers anew, and how many pairs of VMs it allows that were not seen; `None`
    /// for one that covers fewer anew than asked, or allows too much.
    fn worth(&self, from: &Candidate, to: &Candidate, least: u64) -> Option<(u64, u64)> {
        let most = (from.classes.len() * to.classes.len()) as u64;
        if most < least {
            return None;
        }
        let (mut gain, mut seen, mut all, mut strange) = (0, 0, 0, false);
        let cells = from.classes.iter().flat_map(|source| to.classes.iter().map(move |other| (*source, *other)));
        for cell in cells {
            let found = self.seen.get(&cell);
            // A class of one VM has no pair with itself.
            strange |= found.is_none() && self.classes.pairs(cell) > 0;
            if strange && self.slack == 0 {
                return None;
            }
            seen += found.copied().unwrap_or_default();
            all += self.classes.pairs(cell);
            gain += u64::from(self.uncovered.contains(&cell));
        }
        let excess = all - seen.min(all);
        let admissible = !strange || excess * 100 <= self.slack * all;
        (gain >= least && admissible).then_some((gain, excess))
    }

    fn take(&mut self, from: &Candidate, to: &Candidate, rectangles: &mut Vec<Rectangle>) {
        self.uncovered
            .retain(|(source, destination)| !(from.classes.contains(source) && to.classes.contains(destination)));
        let chosen = |one: &Candidate| Chosen::Vms(one.text.clone(), one.classes.clone());
        rectangles.push(Rectangle { from: chosen(from), to: chosen(to) });
    }
}

impl Classes {
    /// How many ordered pairs of different VMs there are between two classes.
    pub(super) fn pairs(&self, (from, to): (usize, usize)) -> u64 {
        let same = if from == to { self.size(from) } else { 0 };
        self.size(from) * self.size(to) - same
    }
}
