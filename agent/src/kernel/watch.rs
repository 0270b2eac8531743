//! What others do to the agent's tables, and to its interfaces: each is heard of as it happens.
use std::os::fd::{AsRawFd, OwnedFd};

use nft::{Error, Foreign, Watch};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::apply::Kernel;
use super::egress::devices;
use super::log::failed;
use super::rules::table;

/// `RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR`.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// How many words are read before the agent looks.
const MOST_WORDS: usize = 1024;

/// Hears of changes that others make to the kernel's tables.
#[derive(Debug)]
pub struct KernelWatch {
    fd: AsyncFd<Watch>,
}

impl KernelWatch {
    /// Listens in the calling thread's network namespace; needs a runtime with I/O.
    ///
    /// # Errors
    /// When the kernel refuses.
    #[expect(deprecated, reason = "the successor is unsafe; the watch owns one descriptor for all its life")]
    pub fn open(kernel: &mut Kernel) -> Result<Self, Error> {
        let watch = Watch::open(kernel.socket(), &[table(), devices()])?;
        let fd = AsyncFd::with_interest(watch, Interest::READABLE).map_err(|error| failed(&error))?;
        Ok(Self { fd })
    }

    /// Waits for changes. Nothing is lost when the wait is given up.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn next(&mut self) -> Result<Foreign, Error> {
        loop {
            let mut guard = self.fd.readable_mut().await.map_err(|error| failed(&error))?;
            match guard.get_inner_mut().read()? {
                Some(foreign) => return Ok(foreign),
                None => guard.clear_ready(),
            }
        }
    }
}

/// Hears of changes of the machine's interfaces and addresses.
#[derive(Debug)]
pub struct InterfaceWatch {
    fd: AsyncFd<OwnedFd>,
}

impl InterfaceWatch {
    /// Listens in the calling thread's network namespace; needs a runtime with I/O.
    ///
    /// # Errors
    /// When the kernel refuses.
    #[expect(deprecated, reason = "the successor is unsafe; the watch owns one descriptor for all its life")]
    pub fn open() -> Result<Self, Error> {
        let refused = |what| move |errno| Error::Io { what, errno };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)
            .map_err(refused("open a routing socket"))?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, GROUPS)).map_err(refused("listen to changes of interfaces"))?;
        Ok(Self { fd: AsyncFd::with_interest(fd, Interest::READABLE).map_err(|error| failed(&error))? })
    }

    /// Waits until something has changed.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn next(&mut self) -> Result<(), Error> {
        loop {
            let mut guard = self.fd.readable_mut().await.map_err(|error| failed(&error))?;
            if drained(guard.get_inner())? {
                return Ok(());
            }
            guard.clear_ready();
        }
    }
}

/// Reads what waits; whether anything did. What it says is looked up afterwards.
fn drained(fd: &OwnedFd) -> Result<bool, Error> {
    let mut buffer = [0; 4096];
    for word in 0..MOST_WORDS {
        match recv(fd.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(_) | Err(Errno::ENOBUFS | Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Ok(word > 0),
            Err(errno) => return Err(Error::Io { what: "read changes of interfaces", errno }),
        }
    }
    Ok(true)
}
