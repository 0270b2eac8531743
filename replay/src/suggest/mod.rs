//! A small set of label rules that allows what was seen, with what else it would allow. It is a beginning to read and
//! change, and nothing here publishes it.
//!
//! VMs with the same labels are one class: no rule by labels can tell them apart. For each service the pairs of classes
//! that were seen are covered greedily by rectangles, `from` times `to`, of selectors of one or two labels.

mod cover;
mod outside;
mod selectors;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use policy::{Builtin, FlowService, IpNet};
use serde::Serialize;

use crate::judge::Decider;
use crate::party::{Party, Who};
use crate::replay::Replay;
use selectors::Classes;

/// How a suggestion is made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// So many of a hundred pairs that a rule allows may be unseen, beyond what equal labels force; 0 for none.
    pub slack: u8,
    /// The most rules.
    pub rules: usize,
    /// The most address groups; what else comes from outside gets `outside`.
    pub groups: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { slack: 0, rules: 500, groups: 64 }
    }
}

/// One rule of a suggestion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suggested {
    /// Its name.
    pub name: String,
    /// The sources, as a selector is written.
    pub from: String,
    /// The destinations.
    pub to: String,
    /// The services.
    pub services: Vec<String>,
    /// How many flows it covers.
    pub flows: u64,
    /// How many pairs with a service it covers.
    pub pairs: u64,
    /// How many pairs with a service that were not seen it allows, too.
    pub excess: u64,
    /// Some of those.
    pub examples: Vec<String>,
    /// Whether it also allows addresses outside of which none was seen.
    pub any_outside: bool,
}

/// A suggestion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// The rules, the most flows first.
    pub rules: Vec<Suggested>,
    /// Groups of outside addresses.
    pub groups: BTreeMap<String, Vec<IpNet>>,
    /// Flows that were recorded as intercepted, and are not allowed for that.
    pub intercepted: u64,
    /// Flows that no rule can allow: of unknown addresses, of quarantined VMs, on link-local addresses.
    pub hopeless: u64,
    /// Flows between two ends outside, which no agent judges.
    pub elsewhere: u64,
    /// Flows that are not covered, for there was no room for more pairs or rules.
    pub uncovered: u64,
    /// How many pairs with a service that were not seen all rules allow together.
    pub excess: u64,
    /// It as a policy file.
    pub text: String,
}

/// A party of a suggestion: a class of VMs, a prefix outside, or all others outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Class(usize),
    Prefix(IpNet),
    Others,
}

/// What was seen between two sides: how many flows, and which parties of them.
#[derive(Clone, Debug, Default)]
struct Cell {
    flows: u64,
    pairs: BTreeSet<(Party, Party)>,
}

/// What was seen of one service.
type Cells = BTreeMap<(Side, Side), Cell>;

/// What is to be allowed, and what is not.
#[derive(Default)]
struct Wanted {
    services: BTreeMap<FlowService, Cells>,
    intercepted: u64,
    hopeless: u64,
    elsewhere: u64,
    uncovered: u64,
}

/// A rule in the making: `from` and `to` by their sides, with how they are written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rectangle {
    from: Chosen,
    to: Chosen,
}

/// A selector with what it denotes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Chosen {
    /// VMs by labels: the selector's text, and the classes.
    Vms(String, BTreeSet<usize>),
    /// A group of prefixes.
    Group(BTreeSet<IpNet>),
    /// All that is outside.
    Outside,
}

/// Suggests rules for the flows that were seen.
#[must_use]
pub fn suggest(replay: &Replay<'_>, options: &Options) -> Suggestion {
    let classes = Classes::of(replay.inventory);
    let mut wanted = Wanted::of(replay, &classes);
    let mut rules: BTreeMap<Rectangle, BTreeSet<FlowService>> = BTreeMap::new();
    let mut groups: BTreeSet<BTreeSet<IpNet>> = BTreeSet::new();
    for (service, cells) in &wanted.services {
        let mut rectangles = cover::between_vms(cells, &classes, options);
        rectangles.extend(outside::with_outside(cells, &classes));
        for mut rectangle in rectangles {
            rectangle.bound_groups(&mut groups, options.groups);
            if rules.len() >= options.rules && !rules.contains_key(&rectangle) {
                continue;
            }
            rules.entry(rectangle).or_default().insert(*service);
        }
    }
    wanted.uncovered += wanted.left(&rules);
    write::suggestion(&wanted, &rules, &classes, replay)
}

impl Wanted {
    fn of(replay: &Replay<'_>, classes: &Classes) -> Self {
        let mut wanted = Self { uncovered: replay.tally.beyond.flows, ..Self::default() };
        for (pair, sums) in replay.tally.pairs.iter() {
            let ends = (replay.parties.who(pair.source), replay.parties.who(pair.destination));
            let flows = sums.flows - sums.recorded_intercepted;
            wanted.intercepted += sums.recorded_intercepted;
            let (Some(source), Some(destination)) = (Side::of(&ends.0, classes), Side::of(&ends.1, classes)) else {
                wanted.hopeless += flows;
                continue;
            };
            match pair.ruled.now.by {
                Decider::Builtin(Builtin::Loopback | Builtin::Neighbours) => continue,
                Decider::Builtin(
                    Builtin::Quarantine | Builtin::LinkLocal | Builtin::Unknown | Builtin::Invalid | Builtin::Address,
                ) => {
                    wanted.hopeless += flows;
                    continue;
                }
                Decider::Builtin(Builtin::Center | Builtin::Barrier | Builtin::Monitor | Builtin::Closed)
                | Decider::Rule(_)
                | Decider::Default
                | Decider::Nobody => {}
            }
            if flows == 0 {
                continue;
            }
            if source.is_outside() && destination.is_outside() {
                wanted.elsewhere += flows;
                continue;
            }
            let cell = wanted.services.entry(pair.service).or_default().entry((source, destination)).or_default();
            cell.flows += flows;
            cell.pairs.insert((pair.source, pair.destination));
        }
        wanted
    }

    /// The flows that no rule covers.
    fn left(&self, rules: &BTreeMap<Rectangle, BTreeSet<FlowService>>) -> u64 {
        let cells = self.services.iter().flat_map(|(service, cells)| cells.iter().map(move |cell| (service, cell)));
        let covered = |service: &FlowService, ends: &(Side, Side)| {
            rules.iter().any(|(rectangle, services)| services.contains(service) && rectangle.holds(ends))
        };
        cells.filter(|(service, (ends, _))| !covered(service, ends)).map(|(_, (_, cell))| cell.flows).sum()
    }
}

impl Side {
    /// The side of a party; `None` for unknown addresses.
    fn of(who: &Who, classes: &Classes) -> Option<Self> {
        match who {
            Who::Vm(name) => classes.class(name).map(Self::Class),
            Who::Outside(network) => Some(Self::Prefix(*network)),
            Who::Others => Some(Self::Others),
            Who::Unknown(_) | Who::UnknownOthers => None,
        }
    }

    fn is_outside(self) -> bool {
        match self {
            Self::Class(_) => false,
            Self::Prefix(_) | Self::Others => true,
        }
    }

    fn class(self) -> Option<usize> {
        match self {
            Self::Class(class) => Some(class),
            Self::Prefix(_) | Self::Others => None,
        }
    }
}

impl Rectangle {
    fn holds(&self, (from, to): &(Side, Side)) -> bool {
        self.from.holds(*from) && self.to.holds(*to)
    }

    /// Turns a group that has no room into `outside`.
    fn bound_groups(&mut self, groups: &mut BTreeSet<BTreeSet<IpNet>>, most: usize) {
        for chosen in [&mut self.from, &mut self.to] {
            let Chosen::Group(prefixes) = chosen else { continue };
            if groups.len() >= most && !groups.contains(prefixes) {
                *chosen = Chosen::Outside;
            } else {
                groups.insert(prefixes.clone());
            }
        }
    }
}

impl Chosen {
    fn holds(&self, side: Side) -> bool {
        match (self, side) {
            (Self::Vms(_, classes), Side::Class(class)) => classes.contains(&class),
            (Self::Group(prefixes), Side::Prefix(prefix)) => prefixes.contains(&prefix),
            (Self::Outside, Side::Prefix(_) | Side::Others) => true,
            (Self::Vms(..) | Self::Group(_) | Self::Outside, _) => false,
        }
    }
}
