//! What the kernel tells of by itself: that a link, an address or a route of a namespace has changed. Whoever waits for
//! such a change looks, and looks again at each word.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType};

/// `RTMGRP_LINK | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE`.
const GROUPS: u32 = 0x1 | 0x100 | 0x400;
/// How long the kernel may say nothing before the wait is given up.
const LAST_RESORT: Duration = Duration::from_secs(30);
/// Room for one message; the rest of a longer one is not needed.
const ROOM: usize = 4096;
/// How many words are read before the next look.
const MOST_WORDS: usize = 4096;

/// A socket that hears of changes in one namespace.
#[derive(Debug)]
pub(crate) struct Changes {
    fd: OwnedFd,
    deadline: Instant,
}

impl Changes {
    /// Listens in the calling thread's namespace, from here on; waits end at the latest a last resort later.
    pub(crate) fn listen() -> io::Result<Changes> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket::socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        socket::bind(fd.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
        Ok(Changes { fd, deadline: Instant::now() + LAST_RESORT })
    }

    /// Waits until something has changed since the last call; `false`: the last resort ended the wait.
    pub(crate) fn wait(&self) -> io::Result<bool> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let mut ready = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) => return Ok(false),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        self.drain()
    }

    /// Forgets what was told so far: the next look sees it all.
    fn drain(&self) -> io::Result<bool> {
        let mut buffer = [0; ROOM];
        for _ in 0..MOST_WORDS {
            match socket::recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                // No room was left for some words; that something changed is all that matters.
                Ok(_) | Err(Errno::ENOBUFS | Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}
