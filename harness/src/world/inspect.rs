//! What people want to see of a world in which something was not as expected. No verdict comes from here.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;

use policy::Name;

use super::World;
use crate::witness::capture::Capture;

/// The kernel's list of connections, of the network namespace of the thread that reads it.
const CONNECTIONS: &str = "/proc/thread-self/net/nf_conntrack";

impl World {
    /// Keeps the frames of each step from here on.
    pub(crate) fn keep_frames(&mut self) {
        self.taps.capture = Some(Capture::default());
    }

    /// The step's frames between pairs of endpoints, all of them where no pair is named, as pcapng; and how many had gone for
    /// want of room.
    pub(crate) fn frames(&mut self, pairs: &[(String, String)]) -> Result<(Option<Vec<u8>>, u64), String> {
        self.taps.drain().map_err(|error| error.to_string())?;
        let pairs: Vec<_> =
            pairs.iter().map(|(one, other)| (self.addresses_of(one), self.addresses_of(other))).collect();
        let concerns = |from: IpAddr, to: IpAddr| {
            let between = |(one, other): &(BTreeSet<IpAddr>, BTreeSet<IpAddr>)| {
                one.contains(&from) && other.contains(&to) || other.contains(&from) && one.contains(&to)
            };
            pairs.is_empty() || pairs.iter().any(between)
        };
        let capture = self.taps.capture.as_ref();
        Ok((capture.and_then(|capture| capture.file(concerns)), capture.map_or(0, Capture::gone)))
    }

    /// The step's packets between two endpoints, a line each.
    pub(crate) fn packets(&mut self, (one, other): (&str, &str)) -> Result<Vec<String>, String> {
        self.taps.drain().map_err(|error| error.to_string())?;
        let (one, other) = (self.addresses_of(one), self.addresses_of(other));
        let between = |from: &IpAddr, to: &IpAddr| one.contains(from) && other.contains(to);
        let concerns = |from: IpAddr, to: IpAddr| between(&from, &to) || between(&to, &from);
        Ok(self.taps.capture.as_ref().map_or_else(Vec::new, |capture| capture.lines(&self.names(), concerns)))
    }

    fn addresses_of(&self, name: &str) -> BTreeSet<IpAddr> {
        let known = self.state.endpoints().find(|one| one.as_str() == name);
        known.map(|one| self.state.addresses(one).iter().copied().collect()).unwrap_or_default()
    }

    /// What the kernel has counted in a VM: for each outcome that any packet got, its verdict, rule and packets, a line each.
    pub(crate) fn counted(&mut self, vm: &Name) -> String {
        let Some(counts) = self.counters.of(&self.lab, vm.as_str()) else { return "cannot be read\n".to_owned() };
        let line = |((way, outcome), packets): (&(wire::Direction, String), &u64)| {
            let way = match way {
                wire::Direction::In => "in ",
                wire::Direction::Out => "out",
            };
            format!("{way}  {packets:>8}  {outcome}\n")
        };
        counts.iter().filter(|(_, packets)| **packets > 0).map(line).collect()
    }

    /// The connections that the kernel tracks in a VM; `None` where it keeps no list of them.
    pub(crate) fn connections(&self, vm: &Name) -> Option<String> {
        let station = self.lab.station(vm.as_str()).ok()?;
        match station.enter(|| fs::read_to_string(CONNECTIONS)).ok()? {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => Some(format!("cannot read {CONNECTIONS}: {error}\n")),
        }
    }
}
