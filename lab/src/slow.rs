//! Slow paths: what two stations send each other passes at a rate of so many bits a second, each way by itself, and waits
//! in a bounded queue at the port of the one that it goes to. What others send them is not held up.
//!
//! A bridge tells by the link-layer addresses which class a frame is of; the port's queueing discipline does the rest.

use rtnetlink::packet_route::link::LinkAttribute;

use crate::error::{LabError, Result};
use crate::filter::Filter;
use crate::message::Link;
use crate::netlink::{Batch, How};
use crate::queue;
use crate::raised::Lab;
use crate::station::{ETH0, Station};

/// As many segments as a frame may hold that the kernel cuts later, where nothing is slow.
const MOST_SEGMENTS: u32 = 65_535;

impl Lab {
    /// Makes the path between two stations slow, both ways, or as quick as it was (`None`).
    pub fn slow(&mut self, one: &str, other: &str, bits: Option<u64>) -> Result<()> {
        for name in [one, other] {
            class(self.station(name)?)?;
        }
        for (from, to) in [(one, other), (other, one)] {
            let path = (from.to_owned(), to.to_owned());
            match bits {
                Some(bits) => drop(self.slow.insert(path, bits)),
                None => drop(self.slow.remove(&path)),
            }
            self.lay_queue(to)?;
            self.cut_small(from)?;
        }
        self.refresh_cuts()
    }

    /// What leaves a station by a slow path is cut into frames there, and not sent as one of many times their size: that
    /// would pass whole, or be dropped whole.
    fn cut_small(&self, name: &str) -> Result<()> {
        let is_slow = self.slow.keys().any(|(from, _)| from == name);
        let most = LinkAttribute::GsoMaxSegs(if is_slow { 1 } else { MOST_SEGMENTS });
        let mut batch = Batch::default();
        batch.push("cut what leaves a station", How::Change, Link::existing(ETH0).with(most).request());
        self.station(name)?.submit(batch)
    }

    /// Lays the queues at a station's port anew: what waited in them is lost, as it is when a wire is changed.
    pub(crate) fn lay_queue(&self, name: &str) -> Result<()> {
        let station = self.station(name)?;
        let port = station.plug();
        let mut batch = Batch::default();
        batch.remove("clear a port's queues", queue::no_root(port));
        let mut paths = self.slow.iter().filter(|((_, to), _)| to == name).peekable();
        if paths.peek().is_some() {
            batch.push("lay a port's queues", How::Create, queue::root(port));
        }
        for ((from, _), bits) in paths {
            let class = class(self.station(from)?)?;
            batch.push("slow a path", How::Create, queue::class(port, class, *bits));
            batch.push("bound a slow path's queue", How::Create, queue::leaf(port, class, *bits));
        }
        self.hosts.get(station.host_number()).namespace.submit(batch)
    }

    /// A station is gone: no path leads to it.
    pub(crate) fn forget_slow(&mut self, name: &str) -> Result<()> {
        let gone = |(from, to): &(String, String)| from == name || to == name;
        let others: Vec<String> =
            self.slow.keys().filter(|path| gone(path) && path.1 != name).map(|path| path.1.clone()).collect();
        self.slow.retain(|path, _| !gone(path));
        others.iter().try_for_each(|other| self.lay_queue(other).and_then(|()| self.cut_small(other)))
    }

    /// Which frames are of which class, by the bridges' word.
    pub(crate) fn classed(&self) -> impl Iterator<Item = (String, Filter)> {
        self.slow.keys().filter_map(|(from, to)| {
            let (from, to) = (self.station(from).ok()?, self.station(to).ok()?);
            let class = queue::priority(class(from).ok()?);
            Some((format!("slow-{}-{}", from.port(), to.port()), Filter::Class(from.mac(), to.mac(), class)))
        })
    }
}

/// The class of what comes from a station.
fn class(station: &Station) -> Result<u16> {
    u16::try_from(station.port()).map_err(|_| LabError::TooMany("stations on slow paths"))
}
