//! Source ports: handed out one by one for each address and never used again, so that no tuple serves two probes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// The first port that probes leave from.
pub(crate) const FIRST: u16 = 10_000;
/// The last one; above it the VMs' own programs find theirs.
pub(crate) const LAST: u16 = 60_999;

/// Those of a living lab's own traffic, which are given out again and again: above all others.
pub(crate) const TRAFFIC: RangeInclusive<u16> = 65_000..=65_499;

/// The ports given out so far.
#[derive(Debug)]
pub(crate) struct Ports {
    next: HashMap<IpAddr, u16>,
    range: RangeInclusive<u16>,
    /// Behind the last comes the first.
    around: bool,
}

impl Default for Ports {
    fn default() -> Self {
        Self { next: HashMap::new(), range: FIRST..=LAST, around: false }
    }
}

impl Ports {
    /// Those of traffic.
    pub(crate) fn of_traffic() -> Self {
        Self { next: HashMap::new(), range: TRAFFIC, around: true }
    }

    /// A port (or ICMP identifier) that this address has not used, or not for long; `None` when all are spent.
    pub(crate) fn take(&mut self, address: IpAddr) -> Option<u16> {
        let next = self.next.entry(address).or_insert(*self.range.start());
        if self.around && *next > *self.range.end() {
            *next = *self.range.start();
        }
        let port = *next;
        *next += u16::from(self.range.contains(&port));
        self.range.contains(&port).then_some(port)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn no_port_is_given_twice_and_the_end_is_said() {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut ports = Ports::default();
        let given: Vec<u16> = std::iter::from_fn(|| ports.take(address)).collect();
        assert_eq!(given, (FIRST..=LAST).collect::<Vec<_>>());
        assert_eq!(ports.take(IpAddr::V4(Ipv4Addr::BROADCAST)), Some(FIRST));
    }

    #[test]
    fn those_of_traffic_go_round() {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut ports = Ports::of_traffic();
        let given: Vec<u16> = std::iter::from_fn(|| ports.take(address)).take(501).collect();
        assert_eq!((given[0], given[499], given[500]), (65_000, 65_499, 65_000));
    }
}
