//! Network namespaces without names: held by a descriptor, configured through a socket that stays inside,
//! entered by the calling thread for the length of one closure.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sched::{CloneFlags, setns, unshare};

use crate::changes::Changes;
use crate::error::{Doing, Result};
use crate::netlink::{Batch, RouteSocket};
use crate::setting::{Setting, apply};

/// A network namespace; it vanishes with the last holder of its descriptor.
#[derive(Debug)]
pub(crate) struct Namespace {
    file: File,
    route: Mutex<RouteSocket>,
}

impl Namespace {
    /// Makes a namespace with these settings. The calling thread visits it and comes back.
    pub(crate) fn create(settings: &[&[Setting]]) -> Result<Namespace> {
        let go = || unshare(CloneFlags::CLONE_NEWNET);
        visit(go, || {
            apply(settings.iter().copied().flatten())?;
            let file = current().doing("hold a network namespace")?;
            let route = RouteSocket::open().doing("open a routing socket")?;
            Ok(Namespace { file, route: Mutex::new(route) })
        })?
    }

    /// Runs a closure with the calling thread inside this namespace. Sockets made there stay there; threads
    /// started there do, too.
    pub(crate) fn enter<T>(&self, f: impl FnOnce() -> T) -> Result<T> {
        visit(|| setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET), f)
    }

    /// Carries out a batch of routing requests inside.
    pub(crate) fn submit(&self, batch: Batch) -> Result<()> {
        self.route().submit(batch)
    }

    /// Waits until these interfaces carry packets (`up`), or merely looks at them, so that the kernel acts at once on what
    /// changed. A new wire's sending side discards everything until then, so a first packet would be lost at random.
    pub(crate) fn settle(&self, interfaces: &[u32], up: bool) -> Result<()> {
        let carries = |&interface: &u32| self.until(|route| Ok(route.link_fault(interface)?.filter(|_| up)));
        interfaces.iter().try_for_each(carries).doing("get a wire to carry packets")
    }

    /// Waits until an IPv6 address is the namespace's own: the kernel does that from a work queue.
    pub(crate) fn await_local(&self, address: IpAddr) -> Result<()> {
        self.until(|route| route.address_fault(address)).doing("get an address to be answered for")
    }

    /// Looks for a fault until there is none, again whenever the kernel tells of a change.
    fn until(&self, fault: impl Fn(&mut RouteSocket) -> io::Result<Option<String>>) -> io::Result<()> {
        if fault(&mut self.route())?.is_none() {
            return Ok(());
        }
        let changes = self.enter(Changes::listen).map_err(io::Error::other)??;
        while let Some(fault) = fault(&mut self.route())? {
            if !changes.wait()? {
                return Err(io::Error::new(ErrorKind::TimedOut, fault));
            }
        }
        Ok(())
    }

    fn route(&self) -> MutexGuard<'_, RouteSocket> {
        self.route.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The descriptor, for messages that name a namespace.
    pub(crate) fn raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// The namespace of the calling thread.
fn current() -> io::Result<File> {
    File::open("/proc/thread-self/ns/net")
}

fn visit<T>(go: impl FnOnce() -> nix::Result<()>, f: impl FnOnce() -> T) -> Result<T> {
    let mut back = Return(Some(current().doing("find the thread's network namespace")?));
    go().doing("enter a network namespace")?;
    let value = f();
    back.now().doing("come back from a network namespace")?;
    Ok(value)
}

/// Brings the thread home, also when the closure unwinds.
struct Return(Option<File>);

impl Return {
    fn now(&mut self) -> nix::Result<()> {
        match self.0.take() {
            Some(home) => setns(home.as_fd(), CloneFlags::CLONE_NEWNET),
            None => Ok(()),
        }
    }
}

impl Drop for Return {
    fn drop(&mut self) {
        if let Err(error) = self.now() {
            tracing::error!(%error, "a thread could not leave a network namespace");
        }
    }
}
