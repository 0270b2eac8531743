//! Ranges of addresses with exceptions.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use policy::yaml::{self, Node};
use policy::{Family, IpNet};

use crate::source::Document;

/// Ranges and what is taken out of them; the longest prefix that holds an address decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The ranges.
    pub(crate) includes: Vec<IpNet>,
    /// What is taken out.
    pub(crate) excludes: Vec<IpNet>,
}

impl Block {
    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        let longest = |nets: &[IpNet]| nets.iter().filter(|net| net.contains(&address)).map(IpNet::prefix_len).max();
        longest(&self.includes) > longest(&self.excludes)
    }

    /// Whether it holds every address of a family.
    pub(crate) fn is_all_of(&self, family: Family) -> bool {
        let all = |net: &IpNet| net.prefix_len() == 0 && Family::of(net.addr()) == family;
        self.excludes.is_empty() && self.includes.iter().any(all)
    }
}

/// Reads a range. Bits below its prefix mean nothing, here as there.
pub(crate) fn network(node: &Node, document: &mut Document) -> Option<IpNet> {
    let network: IpNet = yaml::parsed(node, "a range such as 10.0.0.0/8", &mut document.problems)?;
    let mapped = match network {
        IpNet::V4(_) => false,
        IpNet::V6(net) => net.prefix_len() >= 96 && Ipv6Addr::to_ipv4_mapped(&net.addr()).is_some(),
    };
    if mapped {
        document.advise(node.span, "an IPv4-mapped IPv6 range matches nothing", "write the IPv4 range");
        return None;
    }
    Some(network.trunc())
}

/// Reads the address of a VM.
pub(crate) fn address(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| format!("`{text}` is no address"))?;
    match is_usable(address) {
        true => Ok(address),
        false => Err(format!("`{text}` cannot be the address of a VM")),
    }
}

/// Whether an address can be somebody's.
pub(crate) fn is_usable(address: IpAddr) -> bool {
    let special = address.is_unspecified() || address.is_loopback() || address.is_multicast();
    !special
        && match address {
            IpAddr::V4(address) => !address.is_link_local() && !address.is_broadcast(),
            IpAddr::V6(address) => !address.is_unicast_link_local() && address.to_ipv4_mapped().is_none(),
        }
}

/// Who has which address.
#[derive(Default)]
pub(crate) struct Owners(BTreeMap<IpAddr, String>);

impl Owners {
    /// Gives somebody addresses; tells the first of them that another has, and who that is.
    pub(crate) fn give(&mut self, addresses: &[IpAddr], name: &str) -> Option<(IpAddr, String)> {
        addresses.iter().find_map(|address| Some((*address, self.0.insert(*address, name.to_owned())?)))
    }
}
