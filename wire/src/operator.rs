//! What operators say to the center, and what it answers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use policy::{Key, Mode, Name};
use serde::{Deserialize, Serialize};

use crate::{AgentState, Kind, Record};

/// The inventory as an operator gives it, always whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InventoryFile {
    /// The managed networks (semantics 1).
    #[serde(default)]
    pub managed: Vec<IpNet>,
    /// The VMs by name.
    pub vms: BTreeMap<Name, InventoryVm>,
    /// Have agents record the first packet of every allowed flow.
    #[serde(default)]
    pub record_all: bool,
}

/// One VM of the inventory file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InventoryVm {
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<Key, String>,
    /// The addresses bound to it.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// The prefixes within which addresses that its agent observes are accepted, too (semantics 32).
    #[serde(default)]
    pub allowed: Vec<IpNet>,
    /// Whether an agent enforces at this VM.
    #[serde(default = "managed_by_default")]
    pub managed: bool,
    /// Whether it may renew its address by DHCP: `eastwest/address` (semantics 21).
    #[serde(default)]
    pub dhcp: bool,
    /// Monitor: every rule at this end only records; the built-in ones stay in force.
    #[serde(default)]
    pub mode: Mode,
}

fn managed_by_default() -> bool {
    true
}

/// One published version of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// The generation that it began with.
    pub generation: u64,
    /// When, in milliseconds since the Unix epoch.
    pub published: i64,
    /// Its text.
    pub text: String,
}

/// Which records are asked for: those that match every part that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordQuery {
    /// Made by this VM's agent.
    pub vm: Option<String>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Decided by this rule.
    pub rule: Option<String>,
    /// With this address at either end.
    pub address: Option<IpAddr>,
    /// With this destination port.
    pub port: Option<u16>,
    /// Stored after the record with this number.
    pub after: u64,
    /// At most so many; 0 for the center's own bound.
    pub limit: u32,
}

/// A record with the number that the center's store gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRecord {
    /// The number, ascending in the order of storing.
    pub id: u64,
    /// The record.
    pub record: Record,
}

/// What the center says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CenterStatus {
    /// The newest generation; 0 before the first policy.
    pub generation: u64,
    /// Every managed VM.
    pub agents: Vec<AgentState>,
    /// Where it listens for agents.
    pub listen: Option<SocketAddr>,
    /// Withdrawn addresses that nobody has until every connected agent has acknowledged the withdrawal (semantics 3).
    pub held: Vec<IpAddr>,
}
