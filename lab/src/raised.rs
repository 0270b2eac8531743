//! The lab itself: a plan raised into hosts, wires and stations, and what can be done to them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, mpsc};
use std::thread;

use rtnetlink::packet_route::RouteNetlinkMessage::{DelNeighbour, NewNeighbour};

use crate::cut::Cuts;
use crate::error::{Doing as _, LabError, Result};
use crate::filter::Filters;
use crate::host::{BRIDGE, Hosts, Placed};
use crate::message::{self, Link, Mac};
use crate::netlink::{Batch, How};
use crate::path::Paths;
use crate::plan::{Neighbours, Plan, Ports, StationSpec};
use crate::relay::Relay;
use crate::spawner::Spawner;
use crate::station::{Seed, Station};

/// A raised lab. Dropping it, and every [`Station`] taken from it, leaves nothing: the kernel clears a namespace
/// whose last descriptor is closed. Programs started inside keep theirs until they end.
#[derive(Debug)]
pub struct Lab {
    pub(crate) hosts: Hosts,
    pub(crate) stations: BTreeMap<String, Station>,
    pub(crate) cuts: Cuts,
    pub(crate) slow: BTreeMap<(String, String), u64>,
    pub(crate) paths: Paths,
    /// The relays in wires, by station.
    pub(crate) relays: BTreeMap<String, Relay>,
    pub(crate) filters: Filters,
    pub(crate) neighbours: Neighbours,
    pub(crate) ports: Ports,
    spawner: Spawner,
    pub(crate) next_number: u32,
}

impl Lab {
    /// Raises a plan. Blocks while it does, about a millisecond for a station.
    pub fn raise(plan: &Plan) -> Result<Lab> {
        let mut lab = Lab {
            hosts: Hosts::raise(&plan.hosts)?,
            stations: BTreeMap::new(),
            cuts: Cuts::default(),
            slow: BTreeMap::new(),
            paths: Paths::default(),
            relays: BTreeMap::new(),
            filters: Filters::default(),
            neighbours: plan.neighbours,
            ports: plan.ports,
            spawner: Spawner::start()?,
            next_number: 0,
        };
        lab.add_all(&plan.stations)?;
        lab.hosts.switch_on()?;
        Ok(lab)
    }

    /// The station with this name.
    pub fn station(&self, name: &str) -> Result<&Station> {
        self.stations.get(name).ok_or_else(|| LabError::NoStation(name.to_owned()))
    }

    /// All stations, by name.
    pub fn stations(&self) -> impl Iterator<Item = &Station> {
        self.stations.values()
    }

    /// Adds a station. One with the name of a removed one is another station, with another link-layer address.
    pub fn add(&mut self, spec: StationSpec) -> Result<()> {
        self.add_all(&[spec])
    }

    /// Removes a station: its wire is dead and all others forget it. Its namespace goes with the last handle to
    /// it and the last program in it, which the caller ends.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        let station = self.station(name)?.clone();
        self.remove_interface_if_any(name)?;
        self.forget_paths(name)?;
        let placed = placed(&station);
        let down = Link::existing(placed.port).down().request();
        let mut batch = Batch::default();
        batch.push("take down a station's wire", How::Change, down);
        self.hosts.get(placed.host).namespace.submit(batch)?;
        self.stations.remove(name);
        self.forget_slow(name)?;
        self.hosts.forget(placed)?;
        self.forget_neighbour(&station.addresses())?;
        self.refresh_cuts()
    }

    /// Moves a station to another host. Its own interface, addresses and sockets stay; its link has no carrier
    /// for a moment, and frames under way are lost. Taps follow.
    pub fn relocate(&mut self, name: &str, host: &str) -> Result<()> {
        let station = self.station(name)?.clone();
        let to = self.hosts.find(host)?;
        if station.host_number() == to {
            return Ok(());
        }
        if station.second().is_some() {
            return Err(LabError::Second(name.to_owned()));
        }
        let delays = self.unlay(name)?;
        let old = placed(&station);
        let target = self.hosts.get(to);
        let mut batch = Batch::default();
        let away = Link::existing(old.port).in_namespace(target.namespace.raw_fd());
        batch.push("move a station's wire", How::Change, away.request());
        self.hosts.get(old.host).namespace.submit(batch)?;
        self.hosts.forget_tunnel(to, old)?;
        station.arrive(to, &target.name, Arc::clone(&target.namespace))?;
        let mut batch = Batch::default();
        push_port(&mut batch, old.port);
        if self.cuts.link_is_down(name) {
            let down = Link::existing(old.port).down().request();
            batch.push("keep a wire down", How::Change, down);
        }
        target.namespace.submit(batch)?;
        self.hosts.place(&[placed(&station)])?;
        self.settle(&station)?;
        self.lay_queue(name)?;
        self.lay_again(name, delays)?;
        self.refresh_cuts()
    }

    /// Gives a station other addresses; those that stay are not touched.
    pub fn set_addresses(&mut self, name: &str, addresses: &[IpAddr]) -> Result<()> {
        let station = self.station(name)?.clone();
        let gone: Vec<IpAddr> =
            station.addresses().into_iter().filter(|address| !addresses.contains(address)).collect();
        station.readdress(addresses)?;
        self.forget_neighbour(&gone)?;
        self.introduce(std::slice::from_ref(&station))?;
        self.settle(&station)?;
        self.refresh_cuts()
    }

    /// Adds stations; if one cannot be added, none is.
    fn add_all(&mut self, specs: &[StationSpec]) -> Result<()> {
        let before: BTreeSet<String> = self.stations.keys().cloned().collect();
        let outcome = self.try_add_all(specs);
        if outcome.is_err() {
            self.stations.retain(|name, _| before.contains(name));
        }
        outcome
    }

    fn try_add_all(&mut self, specs: &[StationSpec]) -> Result<()> {
        let added = self.create(specs)?;
        let places: Vec<Placed> = added.iter().map(placed).collect();
        self.hosts.place(&places)?;
        self.introduce(&added)?;
        added.iter().try_for_each(|station| self.settle(station))?;
        self.refresh_cuts()
    }

    fn create(&mut self, specs: &[StationSpec]) -> Result<Vec<Station>> {
        let first = self.next_number;
        let mut names: BTreeSet<&str> = self.stations.keys().map(String::as_str).collect();
        if let Some(twin) = specs.iter().find(|spec| !names.insert(&spec.name)) {
            return Err(LabError::Duplicate(twin.name.clone()));
        }
        let seeds = (first..).zip(specs).map(|(number, spec)| self.seed(number, spec)).collect::<Result<Vec<_>>>()?;
        let next = seeds.last().map_or(first, |seed| seed.number + 1);
        let added = self.wired(&seeds);
        // What failed has used up its numbers: the kernel takes its time to remove what bears them.
        self.next_number = next;
        let added = added?;
        self.stations.extend(added.iter().map(|station| (station.name().to_owned(), station.clone())));
        Ok(added)
    }

    fn seed<'a>(&'a self, number: u32, spec: &'a StationSpec) -> Result<Seed<'a>> {
        let host = self.hosts.find(&spec.host)?;
        let home = self.hosts.get(host);
        Ok(Seed {
            name: &spec.name,
            number,
            addresses: &spec.addresses,
            neighbours: self.neighbours,
            spawner: &self.spawner,
            host,
            host_name: &home.name,
            host_namespace: Arc::clone(&home.namespace),
        })
    }

    /// Makes the namespaces of stations, and meanwhile lays the wires of those that are made: links wait for a lock of the kernel's
    /// that most of the making does without.
    fn wired(&self, seeds: &[Seed<'_>]) -> Result<Vec<Station>> {
        if let [only] = seeds {
            return Ok(vec![self.wire(Station::create(only)?)?]);
        }
        thread::scope(|scope| {
            let (made, making) = mpsc::sync_channel(seeds.len());
            let make = move || seeds.iter().map(Station::create).try_for_each(|station| made.send(station));
            let maker = thread::Builder::new().spawn_scoped(scope, make).doing("start a thread")?;
            let added = making.iter().map(|station| self.wire(station?)).collect();
            // Where one cannot be made or wired, no other is begun.
            drop((making, maker));
            added
        })
    }

    /// Lays the wire of a new station.
    fn wire(&self, station: Station) -> Result<Station> {
        let mut batch = Batch::default();
        batch.push("lay a station's wire", How::Create, station.wire().port_of(BRIDGE).up().request());
        push_fixed(&mut batch, station.port());
        self.hosts.get(station.host_number()).namespace.submit(batch)?;
        station.configure(self.neighbours)?;
        Ok(station)
    }

    /// Makes the state of a station's wire hold at both ends.
    pub(crate) fn settle(&self, station: &Station) -> Result<()> {
        let up = !self.cuts.link_is_down(station.name());
        let host = self.hosts.get(station.host_number());
        host.namespace.settle(&[station.port()], up)?;
        station.settle(up)
    }

    /// Makes stations known to all others, and all others to them.
    pub(crate) fn introduce(&self, added: &[Station]) -> Result<()> {
        if self.neighbours == Neighbours::Learned {
            return Ok(());
        }
        let known: Vec<_> = self.stations.values().flat_map(faces).collect();
        let new: Vec<_> = added.iter().flat_map(faces).collect();
        for station in self.stations.values() {
            let own = station.macs();
            let is_new = new.iter().any(|(mac, _)| own.contains(mac));
            let mut batch = Batch::default();
            let others = if is_new { &known } else { &new };
            for (mac, addresses) in others.iter().filter(|(mac, _)| !own.contains(mac)) {
                push_neighbours(&mut batch, station, (*mac, addresses));
            }
            station.submit(batch)?;
        }
        Ok(())
    }

    pub(crate) fn forget_neighbour(&self, addresses: &[IpAddr]) -> Result<()> {
        if self.neighbours == Neighbours::Learned {
            return Ok(());
        }
        for station in self.stations.values() {
            let mut batch = Batch::default();
            for (interface, address) in at_each_interface(station, addresses) {
                let entry = message::neighbour(interface, address, [0; 6]);
                batch.remove("forget a neighbour", DelNeighbour(entry));
            }
            station.submit(batch)?;
        }
        Ok(())
    }
}

/// The link-layer addresses of a station, each with the addresses that are found there.
fn faces(station: &Station) -> Vec<(Mac, Vec<IpAddr>)> {
    let second = station.second().map(|second| (second.mac(), second.addresses().to_vec()));
    std::iter::once((station.mac(), station.addresses())).chain(second).collect()
}

/// Each address with each of a station's interfaces.
fn at_each_interface(station: &Station, addresses: &[IpAddr]) -> impl Iterator<Item = (u32, IpAddr)> {
    station.interfaces().flat_map(|interface| addresses.iter().map(move |address| (interface, *address)))
}

fn push_neighbours(batch: &mut Batch, station: &Station, (mac, addresses): (Mac, &[IpAddr])) {
    for (interface, address) in at_each_interface(station, addresses) {
        let entry = message::neighbour(interface, address, mac);
        batch.push("introduce a station", How::Replace, NewNeighbour(entry));
    }
}

/// Makes a wire's end a port of its host's bridge, switched on.
pub(crate) fn push_port(batch: &mut Batch, port: u32) {
    let join = Link::existing(port).port_of(BRIDGE).up().request();
    batch.push("plug in a station's wire", How::Change, join);
    push_fixed(batch, port);
}

fn push_fixed(batch: &mut Batch, port: u32) {
    let settle = Link::existing(port).fixed_port().request();
    batch.push("settle a station's wire", How::Change, settle);
}

pub(crate) fn placed(station: &Station) -> Placed {
    Placed { host: station.host_number(), port: station.plug(), mac: station.mac() }
}
