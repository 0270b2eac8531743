//! Which addresses an agent takes for its VM's: those that the kernel lets leave it, read past the agent.

use std::collections::BTreeSet;
use std::net::IpAddr;

use lab::Station;
use nft::{Family, Socket, Table};

/// The sets of the table of the devices, one of each family.
const SETS: [&str; 2] = ["own4", "own6"];

/// A socket into one VM's namespace.
#[derive(Debug)]
pub(crate) struct Bound(Socket);

impl Bound {
    /// Looks into a VM.
    pub(crate) fn at(station: &Station) -> Result<Self, String> {
        let socket = station.enter(Socket::open).map_err(|error| error.to_string())?;
        socket.map(Self).map_err(|error| error.to_string())
    }

    /// The addresses; `None` where the kernel cannot look at what leaves, or cannot be asked.
    pub(crate) fn addresses(&mut self) -> Option<BTreeSet<IpAddr>> {
        let table = Table::new(Family::Netdev, "eastwest");
        let mut all = BTreeSet::new();
        for set in SETS {
            let keys = self.0.elements_as(&table, set, |element| element.key).ok()?;
            all.extend(keys.iter().filter_map(|key| address(key)));
        }
        Some(all)
    }
}

fn address(key: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(key).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(key).map(IpAddr::from)).ok()
}
