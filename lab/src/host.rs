//! Physical hosts: a namespace with a bridge each, joined by VXLAN over an underlay namespace.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rtnetlink::packet_route::RouteNetlinkMessage::{DelNeighbour, NewAddress, NewNeighbour};

use rtnetlink::packet_route::neighbour::NeighbourMessage;

use crate::error::{LabError, Result};
use crate::message::{self, Link, Mac};
use crate::namespace::Namespace;
use crate::netlink::{Batch, How};
use crate::setting::{Setting, setting};

/// Interface indices in a host's namespace; the underlay's bridge takes the first, too.
pub(crate) const BRIDGE: u32 = 10;
const TUNNEL: u32 = 11;
const UNDERLAY_END: u32 = 12;
/// Ports of the underlay's bridge are numbered from here.
const FIRST_PORT: u32 = 1000;
/// The stations' own packets of 1,500 bytes fit into the tunnel without fragments.
const UNDERLAY_MTU: u32 = 9000;
/// As many hosts as the tunnel's addresses and the ports of one bridge allow.
const MOST_HOSTS: usize = 1000;

const SETTINGS: &[Setting] = &[
    setting("ipv6/conf/default/disable_ipv6", "1"),
    setting("ipv4/ip_forward", "0"),
    setting("ipv4/conf/all/rp_filter", "0"),
    setting("ipv4/conf/default/rp_filter", "0"),
    setting("bridge/bridge-nf-call-iptables", "0"),
    setting("bridge/bridge-nf-call-ip6tables", "0"),
    setting("bridge/bridge-nf-call-arptables", "0"),
];

/// One host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) namespace: Arc<Namespace>,
    number: u32,
}

/// The hosts and what joins them.
#[derive(Debug)]
pub(crate) struct Hosts {
    hosts: Vec<Host>,
    /// The namespace of the underlay's bridge; held, for it lives as long as its descriptor.
    underlay: Option<Namespace>,
}

impl Hosts {
    /// Raises hosts with these names.
    pub(crate) fn raise(names: &[String]) -> Result<Hosts> {
        if names.len() > MOST_HOSTS {
            return Err(LabError::TooMany("hosts"));
        }
        let mut hosts: Vec<Host> = Vec::with_capacity(names.len());
        for (number, name) in (0..).zip(names) {
            if hosts.iter().any(|host| host.name == *name) {
                return Err(LabError::Duplicate(name.clone()));
            }
            hosts.push(Host::raise(name, number)?);
        }
        let underlay = join(&hosts)?;
        Ok(Hosts { hosts, underlay })
    }

    /// The number of the host with this name.
    pub(crate) fn find(&self, name: &str) -> Result<usize> {
        self.hosts.iter().position(|host| host.name == name).ok_or_else(|| LabError::NoHost(name.to_owned()))
    }

    /// The host with a number from [`Hosts::find`].
    pub(crate) fn get(&self, number: usize) -> &Host {
        &self.hosts[number]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter()
    }

    /// Switches the hosts' bridges on. Until then a port costs the same however many there are; behind it the kernel goes through
    /// all of a bridge's ports whenever one comes up.
    pub(crate) fn switch_on(&self) -> Result<()> {
        for host in &self.hosts {
            let mut batch = Batch::default();
            batch.push("switch on a host's bridge", How::Change, Link::existing(BRIDGE).up().request());
            host.namespace.submit(batch)?;
        }
        Ok(())
    }

    /// Tells every host where link-layer addresses are found.
    pub(crate) fn place(&self, stations: &[Placed]) -> Result<()> {
        for host in &self.hosts {
            let mut batch = Batch::default();
            for station in stations {
                let entry = self.whereabouts(host, *station);
                batch.push("place a station", How::Replace, NewNeighbour(entry));
            }
            host.namespace.submit(batch)?;
        }
        Ok(())
    }

    /// Makes every host forget a station that is on this host.
    pub(crate) fn forget(&self, station: Placed) -> Result<()> {
        for host in &self.hosts {
            let mut batch = Batch::default();
            let entry = self.whereabouts(host, station);
            batch.remove("forget a station", DelNeighbour(entry));
            host.namespace.submit(batch)?;
        }
        Ok(())
    }

    /// Where one host finds a station.
    fn whereabouts(&self, host: &Host, station: Placed) -> NeighbourMessage {
        let home = self.get(station.host);
        if home.number == host.number {
            message::behind_port(station.port, station.mac)
        } else {
            message::behind_tunnel(TUNNEL, station.mac, home.tunnel_address())
        }
    }

    /// Makes one host forget that a station was elsewhere, since it arrives there.
    pub(crate) fn forget_tunnel(&self, to: usize, station: Placed) -> Result<()> {
        if self.underlay.is_none() {
            return Ok(());
        }
        let from = self.get(station.host).tunnel_address();
        let mut batch = Batch::default();
        let entry = message::in_tunnel(TUNNEL, station.mac, from);
        batch.remove("forget a station's tunnel", DelNeighbour(entry));
        self.get(to).namespace.submit(batch)
    }
}

/// Where a station stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) host: usize,
    pub(crate) port: u32,
    pub(crate) mac: Mac,
}

impl Host {
    fn raise(name: &str, number: u32) -> Result<Host> {
        let namespace = Arc::new(Namespace::create(&[SETTINGS])?);
        let mut batch = Batch::default();
        let bridge = Link::new(BRIDGE, "br0").bridge();
        batch.push("make a host's bridge", How::Create, bridge.request());
        namespace.submit(batch)?;
        Ok(Host { name: name.to_owned(), namespace, number })
    }

    fn tunnel_address(&self) -> Ipv4Addr {
        let [.., high, low] = (self.number + 1).to_be_bytes();
        Ipv4Addr::new(100, 64, high, low)
    }

    fn tunnel_mac(&self) -> Mac {
        let [.., high, low] = self.number.to_be_bytes();
        [0x02, 0x98, 0xff, 0, high, low]
    }

    /// The host's own part of the underlay: its address, its tunnel, and where the others are.
    fn enter_underlay(&self, hosts: &[Host]) -> Result<()> {
        let mut batch = Batch::default();
        let own = IpAddr::V4(self.tunnel_address());
        let end = Link::existing(UNDERLAY_END).up();
        let tunnel = Link::new(TUNNEL, "vx0").vxlan(self.tunnel_address()).port_of(BRIDGE).up();
        let address = message::address(UNDERLAY_END, own, 16);
        batch.push("switch on a host's uplink", How::Change, end.request());
        batch.push("give a host an address", How::Replace, NewAddress(address));
        batch.push("make a host's tunnel", How::Create, tunnel.request());
        let port = Link::existing(TUNNEL).fixed_port().request();
        batch.push("settle a host's tunnel", How::Change, port);
        for other in hosts.iter().filter(|other| other.number != self.number) {
            let address = other.tunnel_address();
            let neighbour = message::neighbour(UNDERLAY_END, IpAddr::V4(address), other.tunnel_mac());
            let flood = message::in_tunnel(TUNNEL, [0; 6], address);
            batch.push("tell a host of another", How::Replace, NewNeighbour(neighbour));
            batch.push("flood to another host", How::Append, NewNeighbour(flood));
        }
        self.namespace.submit(batch)?;
        self.namespace.settle(&[UNDERLAY_END, TUNNEL], true)
    }
}

/// Joins hosts by an underlay, if there is more than one.
fn join(hosts: &[Host]) -> Result<Option<Namespace>> {
    if hosts.len() < 2 {
        return Ok(None);
    }
    let underlay = Namespace::create(&[SETTINGS])?;
    let mut batch = Batch::default();
    let bridge = Link::new(BRIDGE, "ul0").bridge().with_mtu(UNDERLAY_MTU).up();
    batch.push("make the underlay's bridge", How::Create, bridge.request());
    for host in hosts {
        let port = FIRST_PORT + host.number;
        let peer = Link::new(UNDERLAY_END, "ul0")
            .with_mac(host.tunnel_mac())
            .with_mtu(UNDERLAY_MTU)
            .in_namespace(host.namespace.raw_fd());
        let link = Link::new(port, &format!("h{}", host.number)).with_mtu(UNDERLAY_MTU).port_of(BRIDGE).up().pair(peer);
        batch.push("wire a host to the underlay", How::Create, link.request());
        let place = message::behind_port(port, host.tunnel_mac());
        batch.push("place a host", How::Replace, NewNeighbour(place));
    }
    underlay.submit(batch)?;
    for host in hosts {
        host.enter_underlay(hosts)?;
        underlay.settle(&[FIRST_PORT + host.number], true)?;
    }
    Ok(Some(underlay))
}
