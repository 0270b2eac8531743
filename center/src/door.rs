//! The agents' door: how many may stand in it, from where, and for how long, before they have shown who they are.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, Sleep, interval, sleep_until};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::server::Connected;

/// How many handshakes may be under way.
const HANDSHAKES: usize = 256;
/// How many of them from one address.
const HANDSHAKES_EACH: usize = 16;
/// How long one may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How many connections may be open that showed no certificate …
const STRANGERS: usize = 256;
/// … how many of them from one address …
const STRANGERS_EACH: usize = 16;
/// … and for how long: an enrolment is one question.
const VISIT: Duration = Duration::from_secs(30);
/// How many connections may be open that showed a certificate.
const AGENTS: usize = 16_384;
/// How many of them from one address.
const AGENTS_EACH: usize = 64;

/// What comes through the door.
pub(crate) type Incoming = mpsc::Receiver<io::Result<Guest<TlsStream<TcpStream>>>>;

/// Opens the door: accepts connections, and hands on those whose handshake succeeds.
pub(crate) fn open(listener: TcpListener, tls: TlsAcceptor) -> (Incoming, impl Future<Output = ()> + Send) {
    let (sender, incoming) = mpsc::channel(HANDSHAKES);
    let door = Door {
        tls,
        handshakes: Arc::new(Tally::new(HANDSHAKES, HANDSHAKES_EACH)),
        strangers: Arc::new(Tally::new(STRANGERS, STRANGERS_EACH)),
        agents: Arc::new(Tally::new(AGENTS, AGENTS_EACH)),
    };
    (incoming, accept(listener, Arc::new(door), sender))
}

struct Door {
    tls: TlsAcceptor,
    handshakes: Arc<Tally>,
    strangers: Arc<Tally>,
    agents: Arc<Tally>,
}

type Sender = mpsc::Sender<io::Result<Guest<TlsStream<TcpStream>>>>;

async fn accept(listener: TcpListener, door: Arc<Door>, sender: Sender) {
    let room = Arc::new(Semaphore::new(HANDSHAKES));
    // While there are no descriptors left, every try fails at once.
    let mut pace = interval(Duration::from_millis(100));
    while let Ok(permit) = room.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, from)) => door.clone().answer(stream, from.ip().to_canonical(), permit, sender.clone()),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                pace.tick().await;
            }
        }
    }
}

impl Door {
    fn answer(self: Arc<Self>, stream: TcpStream, from: IpAddr, permit: OwnedSemaphorePermit, sender: Sender) {
        let Some(place) = self.handshakes.admit(from) else {
            tracing::debug!(%from, "too many handshakes from one address");
            return;
        };
        tokio::spawn(async move {
            if let Some(stream) = self.shake(stream).await
                && let Some(guest) = self.seat(stream, from)
            {
                drop(sender.send(Ok(guest)).await);
            }
            drop((place, permit));
        });
    }

    async fn shake(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        stream.set_nodelay(true).ok()?;
        match tokio::time::timeout(HANDSHAKE, self.tls.accept(stream)).await.ok()? {
            Ok(stream) => Some(stream),
            Err(error) => {
                tracing::warn!(%error, "a handshake failed");
                None
            }
        }
    }

    /// Who showed a certificate may stay; who did not, only for a while.
    fn seat(&self, stream: TlsStream<TcpStream>, from: IpAddr) -> Option<Guest<TlsStream<TcpStream>>> {
        let known = stream.get_ref().1.peer_certificates().is_some_and(|chain| !chain.is_empty());
        let (tally, visit) = if known { (&self.agents, None) } else { (&self.strangers, Some(VISIT)) };
        let place = tally.admit(from);
        if place.is_none() {
            tracing::warn!(%from, known, "a connection was refused: there are too many");
        }
        Some(Guest::new(stream, place?, visit))
    }
}

/// Counts what is open, in all and by address.
#[derive(Debug)]
struct Tally {
    most: usize,
    each: usize,
    open: Mutex<BTreeMap<IpAddr, usize>>,
}

impl Tally {
    fn new(most: usize, each: usize) -> Self {
        Self { most, each, open: Mutex::default() }
    }

    /// A place, if there is one left for that address.
    fn admit(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let here = open.get(&from).copied().unwrap_or_default();
        if here >= self.each || open.values().sum::<usize>() >= self.most {
            return None;
        }
        open.insert(from, here + 1);
        Some(Place { tally: self.clone(), from })
    }
}

/// One place, until it is dropped.
#[derive(Debug)]
struct Place {
    tally: Arc<Tally>,
    from: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.tally.open.lock().unwrap_or_else(PoisonError::into_inner);
        let here = open.remove(&self.from).unwrap_or_default();
        if here > 1 {
            open.insert(self.from, here - 1);
        }
    }
}

/// A connection that holds its place, and that breaks when its time is over.
#[derive(Debug)]
pub(crate) struct Guest<S> {
    stream: S,
    until: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

impl<S> Guest<S> {
    fn new(stream: S, place: Place, visit: Option<Duration>) -> Self {
        let until = visit.map(|visit| Box::pin(sleep_until(Instant::now() + visit)));
        Self { stream, until, _place: place }
    }
}

impl<S: Connected> Connected for Guest<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guest<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let guest = self.get_mut();
        let over = guest.until.as_mut().is_some_and(|until| until.as_mut().poll(context).is_ready());
        if over {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut guest.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guest<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn address(last: u8) -> IpAddr {
        [10, 98, 0, last].into()
    }

    #[test]
    fn places_are_few_in_all_and_fewer_for_one_address() {
        let tally = Arc::new(Tally::new(3, 2));
        let first = tally.admit(address(1));
        let second = tally.admit(address(1));
        assert!(first.is_some() && second.is_some());
        assert!(tally.admit(address(1)).is_none(), "two are its most");
        let other = tally.admit(address(2));
        assert!(other.is_some());
        assert!(tally.admit(address(3)).is_none(), "three are all");
        drop(first);
        assert!(tally.admit(address(3)).is_some());
        drop((second, other));
        assert!(tally.open.lock().unwrap().is_empty(), "nothing is left over");
    }

    #[tokio::test]
    async fn a_visit_ends_though_nothing_is_said() {
        let tally = Arc::new(Tally::new(1, 1));
        let (_silent, here) = tokio::io::duplex(64);
        let mut guest = Guest::new(here, tally.admit(address(1)).unwrap(), Some(Duration::from_millis(10)));
        assert_eq!(guest.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(guest);
        assert!(tally.admit(address(1)).is_some());
    }

    #[tokio::test]
    async fn who_is_known_may_stay() {
        let tally = Arc::new(Tally::new(1, 1));
        let (mut there, here) = tokio::io::duplex(64);
        let mut guest = Guest::new(here, tally.admit(address(1)).unwrap(), None);
        assert!(guest.until.is_none());
        there.write_u8(7).await.unwrap();
        assert_eq!(guest.read_u8().await.unwrap(), 7);
    }
}
