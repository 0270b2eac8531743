//! The exact difference of two policies: every flow whose ruling changes, none twice, in rows of sources, destinations and
//! services that change alike.
//!
//! A *flow* is an ordered pair of endpoints with one service: one port, one ICMP type, one protocol. A VM is one endpoint, and
//! two VMs with both families in common are one pair; a class of outside addresses of one family that no rule of either policy
//! tells apart is one endpoint. A VM to itself is never judged, and neither is neighbour discovery.

mod boxes;
mod labels;
mod rows;
mod same;
mod spread;
mod told;
mod walk;

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use crate::classify::table::{Space, Table};
use crate::classify::{Outside, ServiceRange, names};
use crate::{Flow, FlowService, Inventory, Key, Name, Policy, Ruling, Selector, Timestamp, Verdict};

pub use crate::kinds::TooMuch;
use labels::Kinds;
pub use labels::{LARGEST, MOST_PAIRS, Undecidable};

/// All that changes from one policy to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The rows; each changed flow stands in one.
    pub rows: Vec<Row>,
    /// Who there is: the inventory that was given, or made up of all kinds of VMs that the policies tell apart.
    pub inventory: Inventory,
    /// Whether it was made up.
    pub made_up: bool,
}

/// Flows that change alike: every source with every destination, but no VM with itself, for every one of the services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What kind of change it is.
    pub kind: Kind,
    /// The ruling by the old policy.
    pub old: Ruling,
    /// The ruling by the new policy.
    pub new: Ruling,
    /// From whom.
    pub sources: Vec<Party>,
    /// To whom.
    pub destinations: Vec<Party>,
    /// The services.
    pub services: Vec<ServiceRange>,
    /// How many flows they are; without an inventory, by kinds of VMs.
    pub count: u64,
    /// One of them.
    pub example: Example,
}

/// Kinds of change, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Intercepted before, allowed now.
    NewlyAllowed,
    /// Allowed before, intercepted now.
    NewlyIntercepted,
    /// Denied before and rejected now, or the reverse.
    OtherAction,
    /// The same verdict by another rule.
    OtherRule,
    /// The same verdict by the same rule, at the other end.
    OtherEnd,
    /// The same verdict, but rules in monitor would decide otherwise than before.
    OtherWould,
}

/// Some endpoints of one side of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// A VM of the inventory.
    Vm(Name),
    /// All VMs with such labels, where no inventory was given.
    Labelled(Labelled),
    /// Outside addresses.
    Outside(Outside),
}

/// All VMs that a selector matches and whose labels compare so to the source's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Labelled {
    /// The selector.
    #[serde(serialize_with = "as_text")]
    pub selector: Selector,
    /// Of a destination: keys of which it has the value that the source has.
    pub same: Vec<Key>,
    /// Of a destination: keys of which it has another value than the source.
    pub differing: Vec<Key>,
}

/// One flow of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// The VM that begins it; `None` where it is outside.
    pub from: Option<Name>,
    /// Its address.
    pub source: IpAddr,
    /// The VM that it is addressed to; `None` where it is outside.
    pub to: Option<Name>,
    /// Its address.
    pub destination: IpAddr,
    /// What it asks for.
    #[serde(serialize_with = "as_text")]
    pub service: FlowService,
}

impl Example {
    /// As a flow that can be judged, or tried.
    #[must_use]
    pub fn flow(&self) -> Flow {
        Flow { source: self.source, destination: self.destination, service: self.service }
    }
}

fn as_text<S: serde::Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl Difference {
    /// Whether some flow changes in one of these ways.
    #[must_use]
    pub fn has(&self, kinds: &[Kind]) -> bool {
        self.rows.iter().any(|row| kinds.contains(&row.kind))
    }

    /// How many flows change.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.rows.iter().map(|row| row.count).sum()
    }
}

impl Kind {
    /// What a change from one ruling to another is.
    #[must_use]
    pub fn of(old: &Ruling, new: &Ruling) -> Self {
        match (old.verdict, new.verdict) {
            (Verdict::Deny | Verdict::Reject, Verdict::Allow) => Self::NewlyAllowed,
            (Verdict::Allow, Verdict::Deny | Verdict::Reject) => Self::NewlyIntercepted,
            (before, after) if before != after => Self::OtherAction,
            _ if old.rule != new.rule => Self::OtherRule,
            _ if old.end != new.end => Self::OtherEnd,
            _ => Self::OtherWould,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NewlyAllowed => "newly allowed",
            Self::NewlyIntercepted => "newly intercepted",
            Self::OtherAction => "intercepted otherwise",
            Self::OtherRule => "by another rule",
            Self::OtherEnd => "at the other end",
            Self::OtherWould => "recorded otherwise",
        })
    }
}

/// What changes among the VMs of an inventory, and between them and outside addresses.
#[must_use]
pub fn diff(old: &Policy, new: &Policy, inventory: &Inventory, now: Timestamp) -> Difference {
    let kinds = Kinds::default();
    let rows = Both::of([old, new], inventory, now).map_or_else(Vec::new, |both| rows::all(&both, &kinds));
    Difference { rows, inventory: inventory.clone(), made_up: false }
}

/// What changes for any VMs whatsoever that have an agent that enforces, whatever their labels, and between them and
/// outside addresses.
///
/// # Errors
/// Policies that tell apart more kinds of VMs than [`LARGEST`], or a change that is about more pairs of them than
/// [`MOST_PAIRS`].
pub fn diff_all(old: &Policy, new: &Policy, now: Timestamp) -> Result<Difference, Undecidable> {
    let (inventory, kinds) = labels::all(&[old, new])?;
    let both = Both::of([old, new], &inventory, now);
    let pairs = both.as_ref().map_or(0, |both| rows::pairs(both, &kinds));
    if pairs > MOST_PAIRS {
        return Err(Undecidable::Pairs(pairs));
    }
    let rows = both.map_or_else(Vec::new, |both| rows::all(&both, &kinds));
    Ok(Difference { rows, inventory, made_up: true })
}

/// Two policies over the classes that they tell apart together.
struct Both {
    space: Space,
    tables: [Table; 2],
    names: [Vec<String>; 2],
}

impl Both {
    fn of(policies: [&Policy; 2], inventory: &Inventory, now: Timestamp) -> Option<Self> {
        let (space, tables) = Space::of(&policies, inventory, now);
        Some(Self { space, tables: tables.try_into().ok()?, names: policies.map(names) })
    }
}
