//! A second interface of a station: `eth1`, with a wire of its own into the host's bridge, which comes and goes while all
//! that runs in the station goes on. What is sent from its addresses leaves by it.

use std::net::IpAddr;

use rtnetlink::packet_route::RouteNetlinkMessage::{DelRule, NewAddress, NewRoute, NewRule};

use crate::error::{LabError, Result};
use crate::host::Placed;
use crate::message::{self, Link, Mac};
use crate::netlink::{Batch, How};
use crate::plan::Neighbours;
use crate::raised::{Lab, push_port};
use crate::station::{Station, bits, has_ipv6, mac_of, port_of};

/// `eth1`'s index in a station's namespace.
pub(crate) const ETH1: u32 = 3;
/// The routes of what is sent from the second interface's addresses.
const TABLE: u8 = 98;

/// The second interface of one station.
#[derive(Debug, Clone)]
pub(crate) struct Second {
    number: u32,
    addresses: Vec<IpAddr>,
}

impl Second {
    pub(crate) fn mac(&self) -> Mac {
        mac_of(self.number)
    }

    pub(crate) fn port(&self) -> u32 {
        port_of(self.number)
    }

    pub(crate) fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    fn placed(&self, station: &Station) -> Placed {
        Placed { host: station.host_number(), port: self.port(), mac: self.mac() }
    }
}

impl Lab {
    /// Gives a station a second interface with these addresses, and a link-layer address that no other ever has.
    pub fn add_interface(&mut self, name: &str, addresses: &[IpAddr]) -> Result<()> {
        let station = self.station(name)?.clone();
        if station.second().is_some() {
            return Err(LabError::Second(name.to_owned()));
        }
        let second = Second { number: self.next_number, addresses: addresses.to_vec() };
        self.next_number += 1;
        let host = self.hosts.get(station.host_number());
        let peer = station.as_peer(Link::new(ETH1, "eth1").with_mac(second.mac()));
        let wire = Link::new(second.port(), &format!("s{}", second.number)).pair(peer);
        let mut batch = Batch::default();
        batch.push("lay a second wire", How::Create, wire.request());
        push_port(&mut batch, second.port());
        host.namespace.submit(batch)?;
        self.hosts.place(&[second.placed(&station)])?;
        station.set_second(Some(second.clone()))?;
        station.submit(configuration(&second, self.neighbours))?;
        self.introduce(std::slice::from_ref(&station))?;
        self.hosts.get(station.host_number()).namespace.settle(&[second.port()], true)?;
        station.settle_interfaces(&[ETH1])?;
        self.settle(&station)?;
        self.refresh_cuts()
    }

    /// Takes the second interface from a station, with its addresses.
    pub fn remove_interface(&mut self, name: &str) -> Result<()> {
        let station = self.station(name)?.clone();
        let second = station.second().ok_or_else(|| LabError::Second(name.to_owned()))?;
        self.hosts.forget(second.placed(&station))?;
        let mut batch = Batch::default();
        batch.remove("take a second wire", Link::existing(second.port()).removal());
        self.hosts.get(station.host_number()).namespace.submit(batch)?;
        let mut batch = Batch::default();
        for &address in &second.addresses {
            batch.remove("forget where an address sends", DelRule(message::from_address(address, TABLE)));
        }
        station.submit(batch)?;
        station.set_second(None)?;
        self.forget_neighbour(&second.addresses)?;
        self.refresh_cuts()
    }

    /// The addresses of a station's second interface.
    pub fn second_addresses(&self, name: &str) -> Result<Vec<IpAddr>> {
        Ok(self.station(name)?.second().map(|second| second.addresses).unwrap_or_default())
    }

    pub(crate) fn remove_interface_if_any(&mut self, name: &str) -> Result<()> {
        if self.station(name)?.second().is_some() { self.remove_interface(name) } else { Ok(()) }
    }
}

/// Switches the interface on, and has all that is sent from its addresses leave by it.
fn configuration(second: &Second, neighbours: Neighbours) -> Batch {
    let mut batch = Batch::default();
    if neighbours == Neighbours::Permanent && has_ipv6() {
        let quiet = Link::existing(ETH1).without_link_local().request();
        batch.push("keep a station's interface quiet", How::Change, quiet);
    }
    batch.push("switch on a station's interface", How::Change, Link::existing(ETH1).up().request());
    for &address in &second.addresses {
        let own = message::address(ETH1, address, bits(address));
        batch.push("give a station an address", How::Replace, NewAddress(own));
        let route = message::on_link_default_in(TABLE, ETH1, address);
        batch.push("give a station a route", How::Replace, NewRoute(route));
        batch.push("say where an address sends", How::Create, NewRule(message::from_address(address, TABLE)));
    }
    batch
}
