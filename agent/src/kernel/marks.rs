//! Connection marks: epochs are wiped before their number is used again, and a reused address starts afresh.
use std::collections::BTreeSet;
use std::net::IpAddr;

use nft::{Connection, ConnectionUpdate, Error};

use super::apply::Kernel;
use super::rules::{EPOCH, EPOCH_SHIFT};

impl Kernel {
    /// Zeroes the epoch of every connection mark but the current one's; the outcome and the cut bit stay. Gives how
    /// many were changed. A flow is then judged again at its next packet, as one of an older epoch.
    ///
    /// # Errors
    /// When the connections cannot be listed or changed.
    pub fn sweep(&mut self, except_epoch: u16) -> Result<usize, Error> {
        let kept = u32::from(except_epoch) << EPOCH_SHIFT;
        let old = |one: &Connection| one.mark & EPOCH != 0 && one.mark & EPOCH != kept;
        self.each(old, |socket, one| socket.update_connection(one, ConnectionUpdate { mask: EPOCH, value: 0 }))
    }

    /// Forgets the connections from or to these addresses. Gives how many there were.
    ///
    /// # Errors
    /// When the connections cannot be listed or deleted.
    pub fn forget(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<usize, Error> {
        let theirs = |one: &Connection| {
            addresses.contains(&one.original.source) || addresses.contains(&one.original.destination)
        };
        self.each(theirs, nft::Socket::delete_connection)
    }

    fn each(
        &mut self,
        wanted: impl Fn(&Connection) -> bool,
        act: impl Fn(&mut nft::Socket, &Connection) -> Result<(), Error>,
    ) -> Result<usize, Error> {
        let socket = self.socket();
        let mut done = 0;
        for one in socket.connections()?.iter().filter(|one| wanted(one)) {
            match act(socket, one) {
                Ok(()) => done += 1,
                // It ended meanwhile.
                Err(error) if error.is_absent() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}
