//! The routing-netlink messages that the lab sends, each made from what it is about.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::RawFd;

use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use rtnetlink::packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData,
    InfoPortKind, InfoVeth, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

/// A link-layer address.
pub type Mac = [u8; 6];

/// `NUD_NOARP | NUD_REACHABLE`: static for a bridge, permanent for a VXLAN device, which two take one message.
/// (`NUD_PERMANENT` would mean "the bridge's own address".)
const STATIC: u16 = 0x42;

/// A link of the lab before it exists.
pub(crate) struct Link {
    message: LinkMessage,
}

impl Link {
    /// A link with this index and name.
    pub(crate) fn new(index: u32, name: &str) -> Link {
        let mut link = Link::existing(index);
        link.message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        link
    }

    /// A link that exists, to be changed.
    pub(crate) fn existing(index: u32) -> Link {
        let mut message = LinkMessage::default();
        message.header.index = index;
        Link { message }
    }

    /// Adds an attribute.
    pub(crate) fn with(mut self, attribute: LinkAttribute) -> Link {
        self.message.attributes.push(attribute);
        self
    }

    /// As a port of a bridge.
    pub(crate) fn port_of(self, bridge: u32) -> Link {
        self.with(LinkAttribute::Controller(bridge))
    }

    /// In another namespace.
    pub(crate) fn in_namespace(self, namespace: RawFd) -> Link {
        self.with(LinkAttribute::NetNsFd(namespace))
    }

    /// With a link-layer address.
    pub(crate) fn with_mac(self, mac: Mac) -> Link {
        self.with(LinkAttribute::Address(mac.to_vec()))
    }

    /// With a largest packet size.
    pub(crate) fn with_mtu(self, mtu: u32) -> Link {
        self.with(LinkAttribute::Mtu(mtu))
    }

    /// Switched on.
    pub(crate) fn up(mut self) -> Link {
        self.message.header.flags |= LinkFlags::Up;
        self.message.header.change_mask |= LinkFlags::Up;
        self
    }

    /// Switched off: the other end of a pair loses its carrier.
    pub(crate) fn down(mut self) -> Link {
        self.message.header.change_mask |= LinkFlags::Up;
        self
    }

    /// Without an IPv6 address that nobody gave it. (The kernel setting of that name waits, by trying again and
    /// again, for a lock that any other namespace may hold.)
    pub(crate) fn without_link_local(self) -> Link {
        let mode = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
        self.with(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![mode])]))
    }

    /// As a bridge without spanning tree, snooping or a packet filter behind its back.
    pub(crate) fn bridge(self) -> Link {
        let data = InfoData::Bridge(vec![
            InfoBridge::MulticastSnooping(false),
            InfoBridge::NfCallIpTables(false),
            InfoBridge::NfCallIp6Tables(false),
            InfoBridge::NfCallArpTables(false),
        ]);
        self.with(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(data)]))
    }

    /// With one queue each way, whatever the number of processors: each has files of its own.
    pub(crate) fn one_queue(self) -> Link {
        self.with(LinkAttribute::NumTxQueues(1)).with(LinkAttribute::NumRxQueues(1))
    }

    /// As one end of a pair; the other end must not be switched on here (the kernel refuses that).
    pub(crate) fn pair(self, peer: Link) -> Link {
        self.with(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer.message))),
        ]))
    }

    /// As a VXLAN device that learns nothing.
    pub(crate) fn vxlan(self, local: Ipv4Addr) -> Link {
        let data = InfoData::Vxlan(vec![
            InfoVxlan::Id(98),
            InfoVxlan::Local(local),
            InfoVxlan::Port(4789),
            InfoVxlan::Learning(false),
        ]);
        self.with(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Vxlan), LinkInfo::Data(data)]))
    }

    /// As a bridge port that learns nothing and is sent no frame of an unknown destination.
    pub(crate) fn fixed_port(self) -> Link {
        let data = InfoPortData::BridgePort(vec![InfoBridgePort::Learning(false), InfoBridgePort::UnicastFlood(false)]);
        self.with(LinkAttribute::LinkInfo(vec![LinkInfo::PortKind(InfoPortKind::Bridge), LinkInfo::PortData(data)]))
    }

    /// The request that removes it; of a pair the other end goes as well.
    pub(crate) fn removal(self) -> RouteNetlinkMessage {
        RouteNetlinkMessage::DelLink(self.message)
    }

    /// The request that makes or changes it.
    pub(crate) fn request(self) -> RouteNetlinkMessage {
        RouteNetlinkMessage::NewLink(self.message)
    }
}

/// An address of an interface, alone in its prefix or within one of `prefix` bits.
pub(crate) fn address(interface: u32, address: IpAddr, prefix: u8) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(address);
    message.header.prefix_len = prefix;
    message.header.index = interface;
    message.header.flags = AddressHeaderFlags::Nodad;
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    message
}

/// The rule by which what is sent from an address goes by a table of its own.
pub(crate) fn from_address(address: IpAddr, table: u8) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = family(address);
    message.header.src_len = if address.is_ipv4() { 32 } else { 128 };
    message.header.table = table;
    message.header.action = RuleAction::ToTable;
    message.attributes = vec![RuleAttribute::Source(address), RuleAttribute::Priority(u32::from(table))];
    message
}

/// The default route of an address's family in a table.
pub(crate) fn on_link_default_in(table: u8, interface: u32, address: IpAddr) -> RouteMessage {
    let mut message = on_link_default(interface, family(address));
    message.header.table = table;
    message
}

/// The default route of a family straight onto the link, so that every address is a neighbour.
pub(crate) fn on_link_default(interface: u32, family: AddressFamily) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.kind = RouteType::Unicast;
    message.header.scope = if family == AddressFamily::Inet { RouteScope::Link } else { RouteScope::Universe };
    message.attributes = vec![RouteAttribute::Oif(interface)];
    message
}

/// The question by which route packets to an address go.
pub(crate) fn route_to(address: IpAddr) -> RouteMessage {
    let (bits, destination) = match address {
        IpAddr::V4(address) => (32, RouteAddress::Inet(address)),
        IpAddr::V6(address) => (128, RouteAddress::Inet6(address)),
    };
    let mut message = RouteMessage::default();
    message.header.address_family = family(address);
    message.header.destination_prefix_length = bits;
    message.attributes = vec![RouteAttribute::Destination(destination)];
    message
}

/// A neighbour that never expires and is never asked for.
pub(crate) fn neighbour(interface: u32, address: IpAddr, mac: Mac) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(address);
    message.header.ifindex = interface;
    message.header.state = NeighbourState::Permanent;
    message.header.kind = RouteType::Unicast;
    message.attributes =
        vec![NeighbourAttribute::Destination(address.into()), NeighbourAttribute::LinkLayerAddress(mac.to_vec())];
    message
}

/// Where a bridge finds a link-layer address: behind this port.
pub(crate) fn behind_port(port: u32, mac: Mac) -> NeighbourMessage {
    forwarding(port, mac, NeighbourFlags::Controller, None)
}

/// Where a bridge and its VXLAN device find a link-layer address: at another host.
pub(crate) fn behind_tunnel(vxlan: u32, mac: Mac, host: Ipv4Addr) -> NeighbourMessage {
    let flags = NeighbourFlags::Controller | NeighbourFlags::Own;
    forwarding(vxlan, mac, flags, Some(host))
}

/// The VXLAN device's own entry alone: of a link-layer address, or with zeros of broadcast and multicast.
pub(crate) fn in_tunnel(vxlan: u32, mac: Mac, host: Ipv4Addr) -> NeighbourMessage {
    forwarding(vxlan, mac, NeighbourFlags::Own, Some(host))
}

fn forwarding(port: u32, mac: Mac, flags: NeighbourFlags, host: Option<Ipv4Addr>) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = port;
    message.header.state = NeighbourState::Other(STATIC);
    message.header.flags = flags;
    message.attributes = vec![NeighbourAttribute::LinkLayerAddress(mac.to_vec())];
    message.attributes.extend(host.map(|host| NeighbourAttribute::Destination(NeighbourAddress::Inet(host))));
    message
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
