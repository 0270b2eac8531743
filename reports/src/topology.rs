//! What stands before a scenario's first step: hosts, the VMs on them, and outside endpoints.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Where everything stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// The hosts, in the order of the file.
    pub hosts: Vec<String>,
    /// The VMs, by name.
    pub vms: Vec<Vm>,
    /// The outside endpoints, by name.
    #[serde(default)]
    pub outside: Vec<Outside>,
}

/// A VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vm {
    /// Its name.
    pub name: String,
    /// The host that it runs on.
    pub host: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// An agent stands in it.
    pub managed: bool,
}

/// An endpoint outside the managed networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outside {
    /// Its name.
    pub name: String,
    /// The host whose bridge it hangs on.
    pub host: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

impl Topology {
    /// Nothing is known of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.vms.is_empty() && self.outside.is_empty()
    }
}
