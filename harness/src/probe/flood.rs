//! A flood: datagrams as fast as one thread sends them, bounded in number, from one socket.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::thread::JoinHandle;
use std::time::Instant;

use lab::Station;
use nix::errno::Errno;
use socket2::{SockAddr, Type};

use super::listener::socket;
use super::tuple::Tuple;

/// What a flood was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flooded {
    pub(crate) packets: u64,
    pub(crate) seconds: f64,
}

/// A flood that is under way.
#[derive(Debug)]
pub(crate) struct Flood {
    thread: JoinHandle<io::Result<Flooded>>,
    /// Its flows, one a port.
    pub(crate) tuples: Vec<Tuple>,
}

impl Flood {
    /// Begins to send so many datagrams, to one port after another, out of a station.
    pub(crate) fn begin(
        station: &Station,
        (from, to): (IpAddr, IpAddr),
        ports: RangeInclusive<u16>,
        packets: u64,
    ) -> Result<Self, String> {
        let made = station.enter(|| {
            let socket = socket(from, Type::DGRAM)?;
            socket.bind(&SockAddr::from(SocketAddr::new(from, 0)))?;
            Ok::<UdpSocket, io::Error>(socket.into())
        });
        let socket = made.map_err(|error| error.to_string())?.map_err(|error| format!("open a socket: {error}"))?;
        let own = socket.local_addr().map_err(|error| error.to_string())?;
        let targets: Vec<SocketAddr> = ports.map(|port| SocketAddr::new(to, port)).collect();
        let tuples = targets.iter().map(|target| Tuple::datagram(own, *target)).collect();
        let thread = std::thread::Builder::new().name("flood".into()).spawn(move || send(&socket, &targets, packets));
        Ok(Self { thread: thread.map_err(|error| format!("start a thread: {error}"))?, tuples })
    }

    /// Whether it is over.
    pub(crate) fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for its end.
    pub(crate) fn end(self) -> Result<Flooded, String> {
        let sent = self.thread.join().map_err(|_| "finish a flood: its thread failed".to_owned())?;
        sent.map_err(|error| format!("send a flood: {error}"))
    }
}

fn send(socket: &UdpSocket, targets: &[SocketAddr], packets: u64) -> io::Result<Flooded> {
    let begun = Instant::now();
    let mut sent = 0;
    for target in targets.iter().cycle().take(usize::try_from(packets).unwrap_or(usize::MAX)) {
        match socket.send_to(b"flood", target) {
            Ok(_) => sent += 1,
            // What the own policy refuses was sent all the same: whether it was noticed, the counters say.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => sent += 1,
            Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Flooded { packets: sent, seconds: begun.elapsed().as_secs_f64() })
}
