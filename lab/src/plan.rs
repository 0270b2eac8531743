//! The lab as a plain value: which hosts there are, and which stations stand on them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Everything that is to be raised.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The hosts' names.
    pub hosts: Vec<String>,
    /// The stations: VMs, outside endpoints, the center.
    pub stations: Vec<StationSpec>,
    /// How stations know each other's link-layer addresses.
    pub neighbours: Neighbours,
    /// What the hosts take from stations.
    pub ports: Ports,
}

/// One station: a network namespace with one interface, `eth0`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StationSpec {
    /// Its name, of any length: links get short names of the lab's own.
    pub name: String,
    /// The host that it stands on.
    pub host: String,
    /// Its addresses, of both families; each stands alone, every other address is on the link.
    pub addresses: Vec<IpAddr>,
}

/// How stations know each other's link-layer addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Neighbours {
    /// Every station holds a permanent entry for every address of every other: nothing is asked for, nothing
    /// expires, and the kernel's one neighbour table for all namespaces cannot overflow.
    #[default]
    Permanent,
    /// By ARP and neighbour discovery, as machines do it. Good for about a hundred stations.
    Learned,
}

/// What hosts take from the stations at their ports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ports {
    /// Every frame.
    #[default]
    Open,
    /// What is from the station itself, as a hypervisor with port security does: its link-layer address, its addresses.
    Guarded,
}
