//! What others change in the kernel's tables: the kernel tells of every change, and by whose socket it was made.
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket};

use crate::attr::Attr;
use crate::batch::{Family, Table};
use crate::error::Error;
use crate::message::{Message, Messages};
use crate::numbers::{
    DEL_CHAIN, DEL_ELEMENT, DEL_RULE, DEL_SET, DEL_TABLE, NEW_CHAIN, NEW_ELEMENT, NEW_RULE, NEW_SET, NEW_TABLE,
    SUBSYS_TABLES,
};
use crate::socket::{Socket, grow_receive};

/// `NFNLGRP_NFTABLES`, as a bit.
const GROUP: u32 = 1 << 6;
const READ_BYTES: usize = 256 << 10;
const BUFFER_BYTES: usize = 8 << 20;
/// How many datagrams one call reads at most, so that the caller's other work has its turn.
const DATAGRAMS: usize = 256;
/// The most changes that one call describes; the rest is counted.
const DESCRIBED: usize = 8;

/// Changes that others made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Foreign {
    /// How many there were in the tables that were asked for.
    pub count: u64,
    /// The first of them, such as `delete rule in decide_in`.
    pub changes: Vec<String>,
    /// Other tables that came or went, such as `add table inet filter`.
    pub tables: Vec<String>,
    /// The kernel had no room to tell all: what else changed is not known.
    pub overrun: bool,
}

/// Listens to the changes in one network namespace.
#[derive(Debug)]
pub struct Watch {
    fd: OwnedFd,
    buffer: Vec<u8>,
    own: u32,
    tables: Vec<Table>,
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }
}

impl Watch {
    /// Listens in the calling thread's network namespace for changes of these tables by any socket but one.
    ///
    /// # Errors
    /// When the system gives no socket.
    pub fn open(own: &Socket, tables: &[Table]) -> Result<Self, Error> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkNetFilter)
            .map_err(Error::io("open a netlink socket"))?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, GROUP)).map_err(Error::io("listen to changes of the tables"))?;
        grow_receive(&fd, BUFFER_BYTES)?;
        Ok(Self { fd, buffer: vec![0; READ_BYTES], own: own.port()?, tables: tables.to_vec() })
    }

    /// Reads what waits, without blocking; `None` when nothing does. What the one socket did is left out.
    ///
    /// # Errors
    /// When the socket fails for another reason than a full buffer.
    pub fn read(&mut self) -> Result<Option<Foreign>, Error> {
        let mut foreign = Foreign::default();
        for turn in 0..DATAGRAMS {
            match recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(size) => {
                    let all = Messages(self.buffer.get(..size).unwrap_or_default());
                    all.filter(|message| message.port != self.own)
                        .for_each(|message| note(&self.tables, message, &mut foreign));
                }
                Err(Errno::EAGAIN) if turn == 0 => return Ok(None),
                Err(Errno::EAGAIN) => break,
                Err(Errno::ENOBUFS) => foreign.overrun = true,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::Io { what: "read changes of the tables", errno }),
            }
        }
        Ok(Some(foreign))
    }
}

pub(crate) fn note(tables: &[Table], message: Message<'_>, foreign: &mut Foreign) {
    let Some((verb, place)) = change(message.kind) else { return };
    let text = |kind| message.attrs().find(kind).map(Attr::text).unwrap_or_default();
    let (family, name) = (message.body.first().copied().unwrap_or(0), text(1));
    if !tables.iter().any(|table| table.family as u8 == family && table.name == name) {
        if place.is_none() && foreign.tables.len() < DESCRIBED {
            foreign.tables.push(format!("{verb} {} {name}", family_name(family)));
        }
        return;
    }
    foreign.count += 1;
    if foreign.changes.len() < DESCRIBED {
        foreign.changes.push(match place {
            Some(kind) => format!("{verb} {}", text(kind)),
            None => format!("{verb} {} {name}", family_name(family)),
        });
    }
}

/// What a message tells of, and the attribute that holds the place.
fn change(kind: u16) -> Option<(&'static str, Option<u16>)> {
    if kind >> 8 != SUBSYS_TABLES {
        return None;
    }
    Some(match kind & 0xff {
        NEW_TABLE => ("add table", None),
        DEL_TABLE => ("delete table", None),
        NEW_CHAIN => ("add chain", Some(3)),
        DEL_CHAIN => ("delete chain", Some(3)),
        NEW_RULE => ("add rule in", Some(2)),
        DEL_RULE => ("delete rule in", Some(2)),
        NEW_SET => ("add set", Some(2)),
        DEL_SET => ("delete set", Some(2)),
        NEW_ELEMENT => ("add elements in", Some(2)),
        DEL_ELEMENT => ("delete elements in", Some(2)),
        _ => return None,
    })
}

/// A family as people write it.
pub(crate) fn family_name(family: u8) -> &'static str {
    let known = [Family::Inet, Family::Netdev, Family::Bridge].into_iter().find(|one| *one as u8 == family);
    match known {
        Some(Family::Inet) => "inet",
        Some(Family::Netdev) => "netdev",
        Some(Family::Bridge) => "bridge",
        None => match family {
            2 => "ip",
            3 => "arp",
            10 => "ip6",
            _ => "unknown",
        },
    }
}
