//! The hosts' packet filters: for silent cuts each bridge drops what would pass from one side to the other, and for slow
//! paths it tells the port that a frame leaves by which class it is of.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{LabError, Result};
use crate::host::Hosts;
use crate::message::Mac;

/// What every bridge does with frames that it passes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Drops them, from any of the one side to any of the other and back.
    Drop(Vec<Mac>, Vec<Mac>),
    /// Drops so many of a hundred, at random, from the one to the other and back.
    Lose(Mac, Mac, u8),
    /// Gives those from the one to the other this class.
    Class(Mac, Mac, u32),
    /// Drops what arrives at a port in another's name.
    Guard(nft::Guard),
}

/// What stands in the bridges, by name.
#[derive(Default)]
pub(crate) struct Filters {
    sockets: Vec<nft::Socket>,
    standing: BTreeMap<String, Filter>,
}

impl Filters {
    /// Makes these stand, in all bridges: a frame meets them in the first that it comes to.
    pub(crate) fn change(&mut self, hosts: &Hosts, wanted: BTreeMap<String, Filter>) -> Result<()> {
        if self.standing == wanted {
            return Ok(());
        }
        self.open(hosts)?;
        for socket in &mut self.sockets {
            for name in self.standing.keys().filter(|name| !wanted.contains_key(*name)) {
                nft::unfence(socket, name).map_err(refused)?;
            }
            for (name, filter) in wanted.iter().filter(|(name, filter)| self.standing.get(*name) != Some(filter)) {
                let laid = match filter {
                    Filter::Drop(one, other) => nft::fence_macs(socket, name, one, other),
                    Filter::Lose(one, other, percent) => nft::lose_macs(socket, name, (*one, *other), *percent),
                    Filter::Class(from, to, class) => nft::rank_macs(socket, name, (*from, *to), *class),
                    Filter::Guard(guard) => nft::guard_port(socket, name, guard),
                };
                laid.map_err(refused)?;
            }
        }
        self.standing = wanted;
        Ok(())
    }

    /// How many frames a guard of this name has stopped, in all bridges; `None` where none stands.
    pub(crate) fn stopped(&mut self, name: &str) -> Result<Option<u64>> {
        let read = self.sockets.iter_mut().map(|socket| nft::stopped(socket, name).map_err(refused));
        let all = read.collect::<Result<Vec<Option<u64>>>>()?;
        Ok(all.into_iter().flatten().reduce(|one, other| one + other))
    }

    fn open(&mut self, hosts: &Hosts) -> Result<()> {
        for host in hosts.iter().skip(self.sockets.len()) {
            let socket = host.namespace.enter(nft::Socket::open)?;
            self.sockets.push(socket.map_err(refused)?);
        }
        Ok(())
    }
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filters").field("standing", &self.standing).finish_non_exhaustive()
    }
}

fn refused(error: nft::Error) -> LabError {
    LabError::Filter(error.to_string())
}
