//! Paths that are cut: silently, as when a switch between drops every frame, or with the carrier gone.
//!
//! A silent cut is a packet filter in each host's bridge, so both ends keep their carrier and every tap still
//! sees what leaves. It drops what goes to a station itself; broadcasts (address resolution where neighbours
//! are learned) still pass. Cuts are told by names, and hold for whoever has the name or stands on the host at
//! each moment.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::error::{LabError, Result};
use crate::filter::Filter;
use crate::message::{Link, Mac};
use crate::netlink::{Batch, How};
use crate::raised::Lab;
use crate::station::Station;

/// What is cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cut {
    /// No frame passes between the one side and the other, in either direction; links stay up.
    Silent {
        /// One side.
        one: Vec<Place>,
        /// The other side. A station on both sides keeps its paths to itself alone.
        other: Vec<Place>,
    },
    /// The station's link has no carrier.
    LinkDown(String),
}

/// Stations named by where they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// One station.
    Station(String),
    /// All stations on a host.
    Host(String),
    /// All stations.
    Everyone,
}

/// The number of a cut, by which it is healed.
#[must_use = "a cut lasts until it is healed or the lab is dropped"]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CutId(u64);

/// The cuts of a lab and what stands in the kernel for them.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    next: u64,
    active: BTreeMap<u64, Cut>,
    down: BTreeSet<String>,
}

impl Cuts {
    /// Whether a cut takes this station's carrier.
    pub(crate) fn link_is_down(&self, station: &str) -> bool {
        self.active.values().any(|cut| match cut {
            Cut::LinkDown(name) => name == station,
            Cut::Silent { .. } => false,
        })
    }
}

impl Lab {
    /// Cuts paths at once; several cuts add up. The cut lasts until [`Lab::heal`], or the lab's end.
    pub fn cut(&mut self, cut: Cut) -> Result<CutId> {
        self.check_names(&cut)?;
        let id = self.cuts.next;
        self.cuts.next += 1;
        self.cuts.active.insert(id, cut);
        self.refresh_cuts()?;
        Ok(CutId(id))
    }

    /// Undoes a cut; what another cut covers, too, stays cut.
    pub fn heal(&mut self, id: CutId) -> Result<()> {
        let healed = self.cuts.active.remove(&id.0);
        healed.ok_or(LabError::NoCut(id.0))?;
        self.refresh_cuts()
    }

    /// Undoes all cuts.
    pub fn heal_all(&mut self) -> Result<()> {
        self.cuts.active.clear();
        self.refresh_cuts()
    }

    /// Whether the lab itself has cut the path between two stations.
    #[must_use]
    pub fn path_is_cut(&self, a: &str, b: &str) -> bool {
        let (Ok(a), Ok(b)) = (self.station(a), self.station(b)) else {
            return false;
        };
        self.cuts.link_is_down(a.name())
            || self.cuts.link_is_down(b.name())
            || self.cuts.active.values().any(|cut| parts(cut, a, b))
    }

    /// Makes the kernel's state that of the cuts, after a change of these or of the stations.
    pub(crate) fn refresh_cuts(&mut self) -> Result<()> {
        self.refresh_links()?;
        let wanted = self.dropped().chain(self.classed()).chain(self.lossy()).chain(self.guards()).collect();
        self.filters.change(&self.hosts, wanted)
    }

    /// What each silent cut drops at this moment.
    fn dropped(&self) -> impl Iterator<Item = (String, Filter)> {
        let members = |side: &[Place]| -> Vec<Mac> {
            self.stations().filter(|station| holds(side, station)).flat_map(Station::macs).collect()
        };
        self.cuts.active.iter().filter_map(move |(id, cut)| match cut {
            Cut::Silent { one, other } => Some((format!("cut-{id}"), Filter::Drop(members(one), members(other)))),
            Cut::LinkDown(_) => None,
        })
    }

    fn refresh_links(&mut self) -> Result<()> {
        let wanted: BTreeSet<String> =
            self.stations().map(Station::name).filter(|name| self.cuts.link_is_down(name)).map(str::to_owned).collect();
        for name in wanted.symmetric_difference(&self.cuts.down) {
            let Ok(station) = self.station(name) else {
                continue;
            };
            let link = Link::existing(station.port());
            let link = if wanted.contains(name) { link.down() } else { link.up() };
            let mut batch = Batch::default();
            batch.push("switch a station's wire", How::Change, link.request());
            let host = self.hosts.get(station.host_number());
            host.namespace.submit(batch)?;
            self.settle(station)?;
        }
        self.cuts.down = wanted;
        Ok(())
    }

    fn check_names(&self, cut: &Cut) -> Result<()> {
        match cut {
            Cut::LinkDown(name) => self.station(name).map(drop),
            Cut::Silent { one, other } => one.iter().chain(other).try_for_each(|place| match place {
                Place::Station(name) => self.station(name).map(drop),
                Place::Host(name) => self.hosts.find(name).map(drop),
                Place::Everyone => Ok(()),
            }),
        }
    }
}

fn parts(cut: &Cut, a: &Station, b: &Station) -> bool {
    match cut {
        Cut::Silent { one, other } => {
            a.name() != b.name() && (holds(one, a) && holds(other, b) || holds(one, b) && holds(other, a))
        }
        Cut::LinkDown(_) => false,
    }
}

fn holds(side: &[Place], station: &Station) -> bool {
    side.iter().any(|place| match place {
        Place::Station(name) => name == station.name(),
        Place::Host(name) => *name == station.host(),
        Place::Everyone => true,
    })
}
