//! What paths between two stations are like: how much they carry, how long they take, and how much they lose; each way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{LabError, Result};
use crate::filter::Filter;
use crate::message::Link;
use crate::netlink::{Batch, How};
use crate::plan::Ports;
use crate::queue;
use crate::raised::{Lab, placed, push_port};
use crate::relay::{Delays, Relay};
use crate::station::{Station, inner_of, outer_of};

/// What a path is like; as it stands by default nothing is lost or waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quality {
    /// Bits a second.
    pub bits: Option<u64>,
    /// Frames of a hundred that are lost, at random.
    pub loss: u8,
    /// How long each frame takes.
    pub delay: Duration,
}

impl Lab {
    /// Makes a path what it shall be, both ways.
    pub fn qualify(&mut self, one: &str, other: &str, quality: Quality) -> Result<()> {
        if self.ports == Ports::Guarded && !quality.delay.is_zero() {
            return Err(LabError::Guarded(one.to_owned()));
        }
        let key = key(one, other);
        let (one, other) = key.clone();
        self.delay(&one, &other, quality.delay)?;
        match quality == Quality::default() {
            true => drop(self.paths.remove(&key)),
            false => drop(self.paths.insert(key, quality)),
        }
        self.slow(&one, &other, quality.bits)
    }

    /// What a path is like.
    #[must_use]
    pub fn quality(&self, one: &str, other: &str) -> Quality {
        // Asked of each probe: a lab in which all paths are as they were is not to make a key for it.
        let is_whole = self.paths.is_empty();
        if is_whole { Quality::default() } else { self.paths.get(&key(one, other)).copied().unwrap_or_default() }
    }

    /// Whether what goes between two stations may be under way when a sender's call returns.
    #[must_use]
    pub fn takes_time(&self, one: &str, other: &str) -> bool {
        let relayed = |name: &str| self.relays.contains_key(name);
        let is_slow = || self.slow.contains_key(&(one.to_owned(), other.to_owned()));
        relayed(one) || relayed(other) || !self.slow.is_empty() && is_slow()
    }

    /// Makes what goes between a station and another's address take so long, by a relay in the station's wire.
    fn delay(&mut self, name: &str, other: &str, delay: Duration) -> Result<()> {
        let (other, none) = (self.station(other)?.mac(), delay.is_zero());
        if !self.relays.contains_key(name) {
            if none {
                return Ok(());
            }
            self.lay_relay(name, Delays::default())?;
        }
        let Some(relay) = self.relays.get(name) else { return Ok(()) };
        let mut delays = relay.delays.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match none {
            true => delays.remove(&other),
            false => delays.insert(other, delay),
        };
        let needless = delays.is_empty();
        drop(delays);
        if needless { self.take_relay(name) } else { Ok(()) }
    }

    /// Puts a relay between a station's port and the bridge: a second pair of ends, of which one takes the port's place.
    fn lay_relay(&mut self, name: &str, delays: Delays) -> Result<()> {
        let station = self.station(name)?.clone();
        let (inner, outer) = (inner_of(&station), outer_of(&station));
        let namespace = Arc::clone(&self.hosts.get(station.host_number()).namespace);
        self.hosts.forget(placed(&station))?;
        let mut batch = Batch::default();
        batch.remove("clear a port's queues", queue::no_root(station.port()));
        batch.push("unplug a station's wire", How::Change, Link::existing(station.port()).port_of(0).request());
        let peer = Link::new(inner, &format!("i{inner}"));
        let pair = Link::new(outer, &format!("o{outer}")).pair(peer);
        batch.push("lay a relay's wire", How::Create, pair.request());
        batch.push("switch on a relay's end", How::Change, Link::existing(inner).up().request());
        push_port(&mut batch, outer);
        namespace.submit(batch)?;
        station.plug_in(Some(outer));
        let relay = Relay::begin(&namespace, station.port(), inner, delays)?;
        self.relays.insert(name.to_owned(), relay);
        self.replug(&station, &[inner, outer])
    }

    /// Takes the relay out of a station's wire.
    fn take_relay(&mut self, name: &str) -> Result<()> {
        let station = self.station(name)?.clone();
        self.hosts.forget(placed(&station))?;
        drop(self.relays.remove(name));
        let mut batch = Batch::default();
        batch.remove("take a relay's wire away", Link::existing(outer_of(&station)).removal());
        push_port(&mut batch, station.port());
        self.hosts.get(station.host_number()).namespace.submit(batch)?;
        station.plug_in(None);
        self.replug(&station, &[])
    }

    fn replug(&mut self, station: &Station, ends: &[u32]) -> Result<()> {
        self.hosts.place(&[placed(station)])?;
        self.hosts.get(station.host_number()).namespace.settle(ends, true)?;
        self.settle(station)?;
        self.lay_queue(station.name())?;
        self.refresh_cuts()
    }

    /// A station goes: so do its paths.
    pub(crate) fn forget_paths(&mut self, name: &str) -> Result<()> {
        let own: Vec<(String, String)> =
            self.paths.keys().filter(|(one, other)| one == name || other == name).cloned().collect();
        own.iter().try_for_each(|(one, other)| self.qualify(one, other, Quality::default()))
    }

    /// Takes the relay out of the wire of a station that moves; its delays, for behind the move.
    pub(crate) fn unlay(&mut self, name: &str) -> Result<Option<Delays>> {
        let delays = self.relays.get(name).map(|relay| Delays::clone(&relay.delays));
        if delays.is_some() {
            self.take_relay(name)?;
        }
        Ok(delays)
    }

    /// Puts the relay in again.
    pub(crate) fn lay_again(&mut self, name: &str, delays: Option<Delays>) -> Result<()> {
        delays.map_or(Ok(()), |delays| self.lay_relay(name, delays))
    }

    /// What bridges lose of each path.
    pub(crate) fn lossy(&self) -> impl Iterator<Item = (String, Filter)> {
        self.paths.iter().filter(|(_, quality)| quality.loss > 0).filter_map(|((one, other), quality)| {
            let (one, other) = (self.station(one).ok()?, self.station(other).ok()?);
            let name = format!("lossy-{}-{}", one.port(), other.port());
            Some((name, Filter::Lose(one.mac(), other.mac(), quality.loss)))
        })
    }
}

/// The paths of a lab that are not as they stand by default.
pub(crate) type Paths = BTreeMap<(String, String), Quality>;

fn key(one: &str, other: &str) -> (String, String) {
    let (one, other) = if one <= other { (one, other) } else { (other, one) };
    (one.to_owned(), other.to_owned())
}
