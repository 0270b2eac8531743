//! Sending crafted packets: past the source's own ruleset as frames, or through it by a raw IP socket.

use std::io;
use std::net::SocketAddr;

use lab::Station;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::World;
use crate::probe::craft::{Ends, craft};
use crate::scenario::Sending;

/// The number by which a raw socket takes packets with their IP header.
const WITH_HEADER: i32 = 255;

impl World {
    pub(super) fn send_raw(&mut self, sending: &Sending) -> Result<(), String> {
        self.note_acknowledged()?;
        let station = |name: &policy::Name| self.lab.station(name.as_str()).map_err(|error| error.to_string());
        let (from, to) = (station(&sending.from)?, station(&sending.to)?);
        let address = |name: &policy::Name| {
            let found = self.state.address(name, sending.family);
            found.ok_or_else(|| format!("find a {} address of {name}", sending.family))
        };
        let own = sending.over.map_or_else(|| address(&sending.from), Ok)?;
        let addresses = (own, address(&sending.to)?);
        let macs = (from.mac_at(own), to.mac_at(addresses.1));
        let about = sending.crafted.about.as_ref().and_then(|name| self.sessions.get(name));
        let quoted = about.map(|session| (session.tuple, session.acknowledged(addresses.1)));
        let ends = Ends { addresses, macs, quoted };
        let (packets, tuples) = craft(&sending.crafted, &ends, sending.times);
        self.crafted.extend(&tuples);
        self.known.extend(tuples);
        if sending.by_socket {
            return by_socket(from, &ends, packets.iter().map(|packet| packet.bytes.as_slice()));
        }
        let frames: Vec<Vec<u8>> = packets.iter().map(|packet| packet.frame(&ends)).collect();
        from.emit_at(own, &frames).map_err(|error| error.to_string())
    }
}

impl World {
    /// Has every session know how far it is acknowledged: an error that quotes another place of a stream is none of it.
    pub(super) fn note_acknowledged(&mut self) -> Result<(), String> {
        self.taps.drain().map_err(|error| error.to_string())?;
        for session in self.sessions.values_mut() {
            let seen = |station: &str, tuple| self.taps.seen(station, &tuple).acknowledged;
            let client = seen(&session.probe.source, session.tuple.reversed());
            let server = seen(&session.probe.destination, session.tuple);
            session.note_acknowledged(client, server);
        }
        Ok(())
    }
}

/// What the source's own filter refuses is what it is sent for: whether it was noticed, the record says.
fn by_socket<'p>(from: &Station, ends: &Ends, packets: impl Iterator<Item = &'p [u8]>) -> Result<(), String> {
    let (_, destination) = ends.addresses;
    let domain = if destination.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let open = || Socket::new(domain, Type::RAW, Some(Protocol::from(WITH_HEADER)));
    let socket = from.enter(open).map_err(|error| error.to_string())?;
    let socket = socket.map_err(|error| format!("open a raw socket: {error}"))?;
    let to = SockAddr::from(SocketAddr::new(destination, 0));
    for packet in packets {
        match socket.send_to(packet, &to) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied || is_dropped(&error) => {}
            Err(error) => return Err(format!("send a crafted packet: {error}")),
        }
    }
    Ok(())
}

/// Whether a packet was dropped behind the hook that judges it.
fn is_dropped(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::errno::Errno::ENOBUFS as i32)
}
