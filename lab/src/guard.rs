//! Guarded ports: what a station sends in another's name is stopped where it comes to its host, before any other station and
//! whatever the station's own agent does. So do hypervisors.

use crate::error::Result;
use crate::filter::Filter;
use crate::plan::Ports;
use crate::raised::Lab;
use crate::station::Station;

impl Lab {
    /// How many frames were stopped at the ports of a station; `None` where they are open.
    pub fn stopped(&mut self, name: &str) -> Result<Option<u64>> {
        let guards = guards_of(self.station(name)?);
        let all = guards.map(|(name, _)| self.filters.stopped(&name)).collect::<Result<Vec<Option<u64>>>>()?;
        Ok(all.into_iter().flatten().reduce(|one, other| one + other))
    }

    /// What guards the ports of all stations at this moment.
    pub(crate) fn guards(&self) -> impl Iterator<Item = (String, Filter)> {
        let stations = self.stations().filter(|_| self.ports == Ports::Guarded);
        stations.flat_map(|station| guards_of(station).map(|(name, guard)| (name, Filter::Guard(guard))))
    }
}

/// A guard for each port of a station.
fn guards_of(station: &Station) -> impl Iterator<Item = (String, nft::Guard)> + use<> {
    let second = station.second();
    // What is the station's may leave by either of its ports.
    let mut addresses = station.addresses();
    addresses.extend(second.iter().flat_map(|second| second.addresses()));
    let second = second.map(|second| (second.port(), second.mac()));
    [(station.port(), station.mac())]
        .into_iter()
        .chain(second)
        .map(move |(port, mac)| (format!("port-{port}"), nft::Guard { port, mac, addresses: addresses.clone() }))
}
