//! A full connection table.
//!
//! A flood alone does not fill it: what was never answered makes room for what comes (330,000 datagrams of as many flows
//! left the table at its limit of 262,144, dropped none and evicted 67,860). Established flows do; so these are put there as
//! such, each with an answer seen, past all traffic.

use std::net::{IpAddr, Ipv4Addr};

use nft::{Address, Error, Socket};

/// They bear it alone: no outcome has this number, and no epoch stands in it.
const MARK: u32 = 15;
/// More than any kernel of ours has room for.
const MOST: u32 = 1 << 20;
const AT_ONCE: u32 = 1024;
const UDP: u8 = 17;

/// Fills the table of the socket's namespace until it takes no more.
pub(super) fn fill(socket: &mut Socket) -> Result<(), String> {
    for first in (0..MOST).step_by(AT_ONCE as usize) {
        let flows: Vec<Address> = (first..first + AT_ONCE).map(flow).collect();
        match socket.add_connections(&flows, MARK) {
            // One that is refused may be so by chance, and make no room.
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(failed(&error)),
        }
    }
    Err(format!("fill the connection table: it takes more than {MOST} flows"))
}

/// Takes them out again.
pub(super) fn empty(socket: &mut Socket) -> Result<(), String> {
    socket.delete_connections(MARK).map_err(|error| failed(&error))
}

fn failed(error: &Error) -> String {
    format!("fill the connection table: {error}")
}

/// One of a million flows of a network for benchmarks, of which no VM is a part.
fn flow(number: u32) -> Address {
    let [_, high, middle, low] = number.to_be_bytes();
    let from = Ipv4Addr::new(198, 18, high, middle);
    let port = 1024 + u16::from(low);
    Address {
        source: IpAddr::V4(from),
        destination: IpAddr::V4(Ipv4Addr::new(198, 19, 0, 1)),
        protocol: UDP,
        source_port: port,
        destination_port: port,
    }
}
