//! One station: a namespace with `eth0`, and the host's end of its wire.

use std::net::IpAddr;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::RouteNetlinkMessage::{DelAddress, NewAddress, NewRoute};

use crate::error::{Doing, Result};
use crate::marker::Marker;
use crate::message::{self, Link, Mac};
use crate::namespace::Namespace;
use crate::netlink::{Batch, How};
use crate::plan::Neighbours;
use crate::second::{ETH1, Second};
use crate::setting::{Setting, setting};
use crate::spawner::Spawner;
use crate::sys::{self, Listen};
use crate::tap::{Tap, TapWires};

/// `eth0`'s index in a station's namespace; `lo` is 1.
pub(crate) const ETH0: u32 = 2;
const LOOPBACK: u32 = 1;
/// The host's ends are numbered from here, uniquely over all hosts, so that an end keeps its number when it moves.
const FIRST_PORT: u32 = 1000;
/// The ends of relays are numbered so much beyond the ports.
const INNER: u32 = 1_000_000;
const OUTER: u32 = 2_000_000;

const SETTINGS: &[Setting] = &[
    Setting { path: "ipv4/ping_group_range", value: "0 2147483647", otherwise: "0 0" },
    setting("ipv4/icmp_ratelimit", "0"),
    setting("ipv4/ip_forward", "0"),
    setting("ipv4/conf/all/rp_filter", "0"),
    setting("ipv4/conf/default/rp_filter", "0"),
    setting("ipv6/icmp/ratelimit", "0"),
    setting("ipv6/conf/default/accept_dad", "0"),
];

/// With permanent neighbours nothing is learned from the wire, so nothing need be said on it.
const QUIET: &[Setting] =
    &[setting("ipv6/conf/default/accept_ra", "0"), setting("ipv6/conf/default/router_solicitations", "0")];

/// A VM, an outside endpoint or the center. Clones are handles to the same station.
#[derive(Debug, Clone)]
pub struct Station(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    number: u32,
    namespace: Arc<Namespace>,
    spawner: Spawner,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    host: usize,
    host_name: String,
    host_namespace: Arc<Namespace>,
    addresses: Vec<IpAddr>,
    second: Option<Second>,
    /// The port that has the wire's own one's place in the bridge.
    plugged: Option<u32>,
    taps: Vec<Weak<TapWires>>,
}

impl Station {
    /// Makes the namespace; the wire comes later.
    pub(crate) fn create(seed: &Seed<'_>) -> Result<Station> {
        let namespace = Namespace::create(match seed.neighbours {
            Neighbours::Permanent => &[SETTINGS, QUIET],
            Neighbours::Learned => &[SETTINGS, &[]],
        })?;
        Ok(Station(Arc::new(Inner {
            name: seed.name.to_owned(),
            number: seed.number,
            namespace: Arc::new(namespace),
            spawner: seed.spawner.clone(),
            state: Mutex::new(State {
                host: seed.host,
                host_name: seed.host_name.to_owned(),
                host_namespace: Arc::clone(&seed.host_namespace),
                addresses: seed.addresses.to_vec(),
                second: None,
                plugged: None,
                taps: Vec::new(),
            }),
        })))
    }

    /// The station's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The link-layer address of its `eth0`; no other station of this lab ever has it.
    #[must_use]
    pub fn mac(&self) -> Mac {
        mac_of(self.0.number)
    }

    /// The link-layer address of the interface that has this address.
    #[must_use]
    pub fn mac_at(&self, address: IpAddr) -> Mac {
        self.second_at(address).map_or(self.mac(), |second| second.mac())
    }

    /// The indices of its interfaces that have a wire.
    pub(crate) fn interfaces(&self) -> impl Iterator<Item = u32> + use<> {
        std::iter::once(ETH0).chain(self.second().map(|_| ETH1))
    }

    /// The link-layer addresses of all of them.
    pub(crate) fn macs(&self) -> Vec<Mac> {
        std::iter::once(self.mac()).chain(self.second().map(|second| second.mac())).collect()
    }

    /// The addresses of its `eth0`.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.state().addresses.clone()
    }

    /// The name of the host it stands on.
    #[must_use]
    pub fn host(&self) -> String {
        self.state().host_name.clone()
    }

    /// Runs a closure on the calling thread, which is inside the station's network namespace meanwhile (a few
    /// microseconds). Sockets made there stay there, and work from any thread afterwards. May be nested. Start
    /// no threads inside: they would stay.
    pub fn enter<T>(&self, f: impl FnOnce() -> T) -> Result<T> {
        self.0.namespace.enter(f)
    }

    /// Starts a program inside, from a thread that lives as long as the lab or any of its stations.
    pub fn spawn(&self, command: Command) -> Result<Child> {
        self.0.spawner.spawn(Arc::clone(&self.0.namespace), command)
    }

    /// Starts a program inside that can neither change the station's network nor send crafted packets.
    pub fn spawn_without_network_rights(&self, command: Command) -> Result<Child> {
        self.0.spawner.spawn_without_network_rights(Arc::clone(&self.0.namespace), command)
    }

    /// A tap on the host's side of the wire, seeing both directions: IPv4 and IPv6 alone.
    pub fn tap(&self) -> Result<Tap> {
        self.open_tap(None)
    }

    /// A tap that leaves out TCP segments from or to this port: the center's own channel.
    pub fn tap_except(&self, tcp_port: u16) -> Result<Tap> {
        self.open_tap(Some(tcp_port))
    }

    /// A socket for marker frames, inside the station.
    pub fn marker(&self) -> Result<Marker> {
        let socket = self.enter(|| Marker::listen(ETH0))?;
        Ok(Marker::new(socket.doing("open a marker socket")?, self.mac()))
    }

    /// Sends a whole Ethernet frame from the host's end of the wire into the station.
    pub fn inject(&self, frame: &[u8]) -> Result<()> {
        let listen = Listen { interface: self.port(), ethertype: 0, filter: &[], ignore_outgoing: false };
        let host = Arc::clone(&self.state().host_namespace);
        let sent = host.enter(|| sys::packet_socket(&listen)?.send(frame))?;
        sent.doing("inject a frame").map(drop)
    }

    /// Sends whole Ethernet frames out of the station, past all that judges what its ordinary sockets send. A frame that
    /// is dropped on its way out is no error.
    pub fn emit(&self, frames: &[Vec<u8>]) -> Result<()> {
        self.emit_by(ETH0, frames)
    }

    /// The same over the interface that has this address.
    pub fn emit_at(&self, address: IpAddr, frames: &[Vec<u8>]) -> Result<()> {
        self.emit_by(self.second_at(address).map_or(ETH0, |_| ETH1), frames)
    }

    fn emit_by(&self, interface: u32, frames: &[Vec<u8>]) -> Result<()> {
        let listen = Listen { interface, ethertype: 0, filter: &[], ignore_outgoing: false };
        let sent = self.enter(|| {
            let socket = sys::packet_socket(&listen)?;
            frames.iter().try_for_each(|frame| match socket.send(frame) {
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(()),
                sent => sent.map(drop),
            })
        })?;
        sent.doing("send a frame")
    }

    fn open_tap(&self, except: Option<u16>) -> Result<Tap> {
        let wires = Arc::new(TapWires::new(except));
        let mut state = self.state();
        let second = state.second.as_ref().map(Second::port);
        for port in std::iter::once(self.port()).chain(second) {
            state.host_namespace.enter(|| wires.attach(port))??;
        }
        state.taps.retain(|tap| tap.strong_count() > 0);
        state.taps.push(Arc::downgrade(&wires));
        Ok(Tap::new(wires))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index of the host's end of the wire, in whichever host's namespace it is.
    pub(crate) fn port(&self) -> u32 {
        port_of(self.0.number)
    }

    /// The port by which it is plugged into the host's bridge.
    pub(crate) fn plug(&self) -> u32 {
        self.state().plugged.unwrap_or_else(|| self.port())
    }

    pub(crate) fn plug_in(&self, instead: Option<u32>) {
        self.state().plugged = instead;
    }

    pub(crate) fn host_number(&self) -> usize {
        self.state().host
    }

    /// The wire, to be made in the host's namespace.
    pub(crate) fn wire(&self) -> Link {
        let peer = self.as_peer(Link::new(ETH0, "eth0").with_mac(self.mac()).one_queue());
        Link::new(self.port(), &format!("s{}", self.0.number)).one_queue().pair(peer)
    }

    /// Switches the interfaces on, and gives them addresses and routes.
    pub(crate) fn configure(&self, neighbours: Neighbours) -> Result<()> {
        let mut batch = Batch::default();
        if neighbours == Neighbours::Permanent && has_ipv6() {
            let quiet = Link::existing(ETH0).without_link_local().request();
            batch.push("keep a station's interface quiet", How::Change, quiet);
        }
        for interface in [LOOPBACK, ETH0] {
            let up = Link::existing(interface).up().request();
            batch.push("switch on a station's interface", How::Change, up);
        }
        for address in self.addresses() {
            batch.push("give a station an address", How::Replace, new_address(address));
        }
        push_routes(&mut batch);
        self.submit(batch)
    }

    /// Carries out routing requests inside the station.
    pub(crate) fn submit(&self, batch: Batch) -> Result<()> {
        self.0.namespace.submit(batch)
    }

    /// Makes the state of the wire and of the addresses hold at the station's end.
    pub(crate) fn settle(&self, up: bool) -> Result<()> {
        self.0.namespace.settle(&[ETH0], up)?;
        let addresses = self.addresses();
        let mut v6 = addresses.iter().filter(|address| address.is_ipv6());
        v6.try_for_each(|&address| self.0.namespace.await_local(address))
    }

    /// Changes the addresses. Those that stay are not touched; the routes are laid again, since the kernel drops
    /// them with a family's last address.
    pub(crate) fn readdress(&self, addresses: &[IpAddr]) -> Result<()> {
        let old = self.addresses();
        let mut batch = Batch::default();
        for &address in addresses.iter().filter(|address| !old.contains(address)) {
            batch.push("give a station an address", How::Replace, new_address(address));
        }
        for &address in old.iter().filter(|address| !addresses.contains(address)) {
            let gone = message::address(ETH0, address, bits(address));
            batch.remove("take an address from a station", DelAddress(gone));
        }
        push_routes(&mut batch);
        self.submit(batch)?;
        self.state().addresses = addresses.to_vec();
        Ok(())
    }

    /// Notes the new host, and lets the taps follow to it. The wire's end must be there already, still down.
    pub(crate) fn arrive(&self, host: usize, name: &str, namespace: Arc<Namespace>) -> Result<()> {
        let mut state = self.state();
        state.host = host;
        name.clone_into(&mut state.host_name);
        state.host_namespace = namespace;
        state.taps.retain(|tap| tap.strong_count() > 0);
        for tap in state.taps.iter().filter_map(Weak::upgrade) {
            state.host_namespace.enter(|| tap.follow(self.port()))??;
        }
        Ok(())
    }

    /// The second interface, if there is one.
    pub(crate) fn second(&self) -> Option<Second> {
        self.state().second.clone()
    }

    fn second_at(&self, address: IpAddr) -> Option<Second> {
        self.second().filter(|second| second.addresses().contains(&address))
    }

    /// Notes that there is a second interface, whose wire the taps see as well, or that there is none.
    pub(crate) fn set_second(&self, second: Option<Second>) -> Result<()> {
        let mut state = self.state();
        state.second = second;
        let Some(port) = state.second.as_ref().map(Second::port) else { return Ok(()) };
        state.taps.retain(|tap| tap.strong_count() > 0);
        for tap in state.taps.iter().filter_map(Weak::upgrade) {
            state.host_namespace.enter(|| tap.attach(port))??;
        }
        Ok(())
    }

    /// Waits until these interfaces carry packets.
    pub(crate) fn settle_interfaces(&self, interfaces: &[u32]) -> Result<()> {
        self.0.namespace.settle(interfaces, true)
    }

    /// As the far end of a wire, in the station's namespace.
    pub(crate) fn as_peer(&self, peer: Link) -> Link {
        peer.in_namespace(self.0.namespace.raw_fd())
    }
}

/// The link-layer address of a wire, by its number.
pub(crate) fn mac_of(number: u32) -> Mac {
    let [a, b, c, d] = number.to_be_bytes();
    [0x02, 0x98, a, b, c, d]
}

/// The index of the host's end of a wire, by its number.
pub(crate) fn port_of(number: u32) -> u32 {
    FIRST_PORT + number
}

/// What a station is made from.
pub(crate) struct Seed<'a> {
    pub(crate) name: &'a str,
    pub(crate) number: u32,
    pub(crate) addresses: &'a [IpAddr],
    pub(crate) neighbours: Neighbours,
    pub(crate) spawner: &'a Spawner,
    pub(crate) host: usize,
    pub(crate) host_name: &'a str,
    pub(crate) host_namespace: Arc<Namespace>,
}

/// The ends of a relay's wire beside a station's: the one that the relay has, and the one in the bridge.
pub(crate) fn inner_of(station: &Station) -> u32 {
    station.port() + INNER
}

pub(crate) fn outer_of(station: &Station) -> u32 {
    station.port() + OUTER
}

fn new_address(address: IpAddr) -> rtnetlink::packet_route::RouteNetlinkMessage {
    NewAddress(message::address(ETH0, address, bits(address)))
}

fn push_routes(batch: &mut Batch) {
    let families = [AddressFamily::Inet, AddressFamily::Inet6];
    for family in families.into_iter().take(1 + usize::from(has_ipv6())) {
        let route = message::on_link_default(ETH0, family);
        batch.push("give a station a route", How::Replace, NewRoute(route));
    }
}

/// Whether this kernel knows IPv6. One that does has it in all namespaces.
pub(crate) fn has_ipv6() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| std::path::Path::new("/proc/sys/net/ipv6").exists())
}

pub(crate) fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}
