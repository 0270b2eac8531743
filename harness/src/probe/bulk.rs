//! A bulk transfer: so many bytes over one TCP connection, each of them looked at, and how fast they went.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::Socket;

/// How much is written or read at once.
const PIECE: usize = 1 << 16;
/// The bytes repeat after so many: a prime, so that no power of two of them lost or doubled goes unseen.
const PERIOD: usize = 251;
/// How long one transfer may take.
const LONGEST: Duration = Duration::from_secs(300);
/// How long one wait lasts at most.
const LOOK: u16 = 100;

/// What came of a transfer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Carried {
    /// The bytes that came through, in order and unchanged.
    pub(crate) bytes: u64,
    /// From the first byte's leaving to the last one's coming.
    pub(crate) seconds: f64,
}

/// A transfer that is under way.
#[derive(Debug)]
pub(crate) struct Bulk(JoinHandle<Result<Carried, String>>);

impl Bulk {
    /// Begins to carry bytes from a client whose handshake is under way to who listens for it.
    pub(crate) fn begin(client: Socket, listener: TcpListener, bytes: u64) -> io::Result<Self> {
        let carry = move || Transfer { client: client.into(), listener, server: None, sent: 0, came: 0 }.carry(bytes);
        std::thread::Builder::new().name("bulk".into()).spawn(carry).map(Self)
    }

    /// Whether it is over.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits for its end.
    pub(crate) fn end(self) -> Result<Carried, String> {
        self.0.join().map_err(|_| "its thread failed".to_owned())?
    }
}

struct Transfer {
    client: TcpStream,
    listener: TcpListener,
    server: Option<TcpStream>,
    sent: u64,
    came: u64,
}

impl Transfer {
    fn carry(mut self, bytes: u64) -> Result<Carried, String> {
        let pattern: Vec<u8> = (0..PIECE + PERIOD).map(|at| (at % PERIOD) as u8).collect();
        let begun = Instant::now();
        let (mut first, mut ended) = (None, false);
        while !ended {
            if begun.elapsed() > LONGEST {
                return Err(format!("it had not ended within {} s: {} bytes had come", LONGEST.as_secs(), self.came));
            }
            self.wait(bytes);
            self.accept()?;
            self.send(bytes, &pattern).map_err(|error| self.broken(&error))?;
            first = first.or((self.sent > 0).then(Instant::now));
            ended = self.take(&pattern)?;
        }
        let seconds = first.unwrap_or(begun).elapsed().as_secs_f64();
        if self.came == bytes { Ok(Carried { bytes, seconds }) } else { Err(format!("{} bytes came", self.came)) }
    }

    fn broken(&self, error: &io::Error) -> String {
        format!("it broke when {} bytes had been sent: {error}", self.sent)
    }

    fn wait(&self, bytes: u64) {
        let writes = if self.sent < bytes { PollFlags::POLLOUT } else { PollFlags::empty() };
        let reads = self.server.as_ref().map_or(self.listener.as_fd(), AsFd::as_fd);
        let mut ready = [PollFd::new(self.client.as_fd(), writes), PollFd::new(reads, PollFlags::POLLIN)];
        // An interrupted wait only looks again.
        let _ = poll(&mut ready, PollTimeout::from(LOOK));
    }

    fn accept(&mut self) -> Result<(), String> {
        if self.server.is_some() {
            return Ok(());
        }
        match self.listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true).map_err(|error| error.to_string())?;
                self.server = Some(stream);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(format!("accept: {error}")),
        }
    }

    fn send(&mut self, bytes: u64, pattern: &[u8]) -> io::Result<()> {
        while self.sent < bytes {
            let at = (self.sent % PERIOD as u64) as usize;
            let most = usize::try_from(bytes - self.sent).unwrap_or(PIECE).min(PIECE);
            match self.client.write(&pattern[at..at + most]) {
                Ok(length) => self.sent += length as u64,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => return Ok(()),
                Err(error) => return Err(error),
            }
            if self.sent == bytes {
                self.client.shutdown(Shutdown::Write)?;
            }
        }
        Ok(())
    }

    /// Takes what has come; whether that is all.
    fn take(&mut self, pattern: &[u8]) -> Result<bool, String> {
        let Some(server) = &mut self.server else { return Ok(false) };
        let mut buffer = [0; PIECE];
        loop {
            let length = match server.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(format!("{} bytes came, then: {error}", self.came)),
            };
            let at = (self.came % PERIOD as u64) as usize;
            if buffer[..length] != pattern[at..at + length] {
                return Err(format!("what came behind byte {} is not what was sent", self.came));
            }
            self.came += length as u64;
        }
    }
}
