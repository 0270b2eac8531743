//! The hosts' packet filters for silent cuts: each bridge drops what would pass from one side to the other.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{LabError, Result};
use crate::host::Hosts;
use crate::message::Mac;

/// Who is on the one side of a cut, and who on the other.
pub(crate) type Sides = (Vec<Mac>, Vec<Mac>);

/// What stands in the bridges, by the cuts' numbers.
#[derive(Default)]
pub(crate) struct Filters {
    sockets: Vec<nft::Socket>,
    standing: BTreeMap<u64, Sides>,
}

impl Filters {
    /// Makes the dropped paths these, in all bridges: a frame is dropped in the first that it comes to.
    pub(crate) fn change(&mut self, hosts: &Hosts, wanted: BTreeMap<u64, Sides>) -> Result<()> {
        if self.standing == wanted {
            return Ok(());
        }
        self.open(hosts)?;
        for socket in &mut self.sockets {
            for id in self.standing.keys().filter(|id| !wanted.contains_key(id)) {
                nft::unfence(socket, &name(*id)).map_err(refused)?;
            }
            for (id, sides) in wanted.iter().filter(|(id, sides)| self.standing.get(id) != Some(sides)) {
                nft::fence_macs(socket, &name(*id), &sides.0, &sides.1).map_err(refused)?;
            }
        }
        self.standing = wanted;
        Ok(())
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

fn name(cut: u64) -> String {
    format!("cut-{cut}")
}

fn refused(error: nft::Error) -> LabError {
    LabError::Filter(error.to_string())
}
