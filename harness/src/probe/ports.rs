//! Source ports: handed out one by one for each address and never used again, so that no tuple serves two probes.

use std::collections::HashMap;
use std::net::IpAddr;

/// The first port that probes leave from.
pub(crate) const FIRST: u16 = 10_000;
/// The last one; above it the VMs' own programs find theirs.
pub(crate) const LAST: u16 = 60_999;

/// The ports given out so far.
#[derive(Debug, Default)]
pub(crate) struct Ports(HashMap<IpAddr, u16>);

impl Ports {
    /// A port (or ICMP identifier) that this address has not used; `None` when all are spent.
    pub(crate) fn take(&mut self, address: IpAddr) -> Option<u16> {
        let next = self.0.entry(address).or_insert(FIRST);
        if *next > LAST {
            return None;
        }
        let port = *next;
        *next += 1;
        Some(port)
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
}
