//! A flood: datagrams at a rate or as fast as one thread sends them, bounded in number, from one socket; and who counts what
//! comes of it.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lab::Station;
use nix::errno::Errno;
use nix::poll::{PollTimeout, poll};
use socket2::{SockAddr, Type};

use super::listener::socket;
use super::tuple::Tuple;

/// How many datagrams of a flood with a rate leave at once: those of a millisecond, and at most so many.
const MOST_AT_ONCE: u64 = 16;

/// The bytes of each datagram before the microseconds, since the flood began, at which it was sent.
const HEAD: &[u8; 5] = b"flood";
const LENGTH: usize = HEAD.len() + size_of::<u64>();

/// What a flood was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flooded {
    pub(crate) packets: u64,
    pub(crate) begun: Instant,
    pub(crate) seconds: f64,
}

/// What came of a flood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// Datagrams that came to the socket.
    pub(crate) packets: u64,
    /// Those among them that it had no room for: of these nothing else is known.
    pub(crate) unread: u64,
    /// When the last of the others was sent, since the flood began.
    pub(crate) last: Option<Duration>,
}

/// A flood that is under way.
#[derive(Debug)]
pub(crate) struct Flood {
    thread: JoinHandle<io::Result<Flooded>>,
    stop: Arc<AtomicBool>,
    /// Its flows, one a port.
    pub(crate) tuples: Vec<Tuple>,
}

impl Flood {
    /// Begins to send so many datagrams, and so many a second, to one port after another, out of a station. The first has left
    /// when this returns.
    pub(crate) fn begin(
        station: &Station,
        (from, to): (IpAddr, IpAddr),
        ports: RangeInclusive<u16>,
        (packets, rate): (u64, Option<u32>),
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
        let stop = Arc::new(AtomicBool::new(false));
        let order = Order { targets, packets, rate, stop: Arc::clone(&stop) };
        let (began, begun) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("flood".into()).spawn(move || send(&socket, &order, &began));
        let thread = thread.map_err(|error| format!("start a thread: {error}"))?;
        // Until it has begun, nothing is done meanwhile; a thread that fails before says so at its end.
        let _ = begun.recv();
        Ok(Self { thread, stop, tuples })
    }

    /// Asks it to end before its number is sent.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
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

/// What a flood's thread is to do.
struct Order {
    targets: Vec<SocketAddr>,
    packets: u64,
    rate: Option<u32>,
    stop: Arc<AtomicBool>,
}

fn send(socket: &UdpSocket, order: &Order, began: &SyncSender<()>) -> io::Result<Flooded> {
    let begun = Instant::now();
    let mut sent = 0;
    let at_once = u64::from(order.rate.unwrap_or(0) / 1000).clamp(1, MOST_AT_ONCE);
    for (number, target) in (0..order.packets).zip(order.targets.iter().cycle()) {
        if order.stop.load(Ordering::Relaxed) {
            break;
        }
        if let Some(rate) = order.rate.filter(|_| number % at_once == 0) {
            let due = Duration::from_micros(number * 1_000_000 / u64::from(rate));
            // An interrupted wait sends a little early.
            let wait = due.saturating_sub(begun.elapsed()).as_millis();
            let _ = poll(&mut [], PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO));
        }
        match socket.send_to(&datagram(begun.elapsed()), target) {
            Ok(_) => sent += 1,
            // What the own policy refuses was sent all the same: whether it was noticed, the counters say.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => sent += 1,
            // So was what finds no network yet.
            Err(error) if is_no_network(&error) => sent += 1,
            Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {}
            Err(error) => return Err(error),
        }
        let _ = began.try_send(());
    }
    Ok(Flooded { packets: sent, begun, seconds: begun.elapsed().as_secs_f64() })
}

fn is_no_network(error: &io::Error) -> bool {
    [io::ErrorKind::NetworkDown, io::ErrorKind::NetworkUnreachable, io::ErrorKind::HostUnreachable]
        .contains(&error.kind())
}

fn datagram(sent: Duration) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..HEAD.len()].copy_from_slice(HEAD);
    let micros = u64::try_from(sent.as_micros()).unwrap_or(u64::MAX);
    bytes[HEAD.len()..].copy_from_slice(&micros.to_be_bytes());
    bytes
}

fn sent_at(datagram: &[u8]) -> Option<Duration> {
    let micros = datagram.strip_prefix(HEAD)?.try_into().ok()?;
    Some(Duration::from_micros(u64::from_be_bytes(micros)))
}

/// A socket that counts what is delivered to it, with what it has no room for.
#[derive(Debug)]
pub(crate) struct Sink(UdpSocket);

impl Sink {
    /// Listens in a station.
    pub(crate) fn open(station: &Station, at: SocketAddr) -> Result<Self, String> {
        let made = station.enter(|| {
            let socket = socket(at.ip(), Type::DGRAM)?;
            socket.bind(&SockAddr::from(at))?;
            Ok::<UdpSocket, io::Error>(socket.into())
        });
        made.map_err(|error| error.to_string())?.map(Self).map_err(|error| format!("listen at {at}: {error}"))
    }

    /// What came to the socket.
    pub(crate) fn delivered(&self, station: &Station) -> Result<Delivered, String> {
        let at = self.0.local_addr().map_err(|error| error.to_string())?;
        let mut came = Delivered::default();
        let mut bytes = [0; LENGTH];
        while let Ok(length) = self.0.recv(&mut bytes) {
            came.packets += 1;
            came.last = came.last.max(sent_at(&bytes[..length]));
        }
        let table = if at.is_ipv4() { "/proc/thread-self/net/udp" } else { "/proc/thread-self/net/udp6" };
        let text = station.enter(|| std::fs::read_to_string(table)).map_err(|error| error.to_string())?;
        let text = text.map_err(|error| format!("read {table}: {error}"))?;
        came.unread = drops(&text, at.port()).ok_or_else(|| format!("find a socket in {table}"))?;
        came.packets += came.unread;
        Ok(came)
    }
}

/// What a socket had no room for, by the kernel's table of sockets: its last column.
fn drops(table: &str, port: u16) -> Option<u64> {
    let port = format!(":{port:04X}");
    let line = table.lines().find(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&port)))?;
    line.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_found_by_the_port() {
        let table =
            "  sl  local_address rem_address st drops\n 1: 0100620A:2328 00000000:0000 07 17\n 2: 0:0035 0:0 07 3\n";
        assert_eq!((drops(table, 9000), drops(table, 53), drops(table, 54)), (Some(17), Some(3), None));
    }

    #[test]
    fn a_datagram_says_when_it_was_sent() {
        let sent = Duration::from_micros(1_234_567);
        assert_eq!(sent_at(&datagram(sent)), Some(sent));
        assert_eq!((sent_at(b"flood"), sent_at(b"other12345678")), (None, None));
    }
}
