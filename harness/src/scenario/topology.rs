//! The topology: hosts, VMs, outside endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use policy::{FlowService, Key, Mode, Name};

/// The name of a host.
pub type Host = Name;

/// What stands before the first step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// The hosts, in the order of the file; at least one.
    pub hosts: Vec<Host>,
    /// The VMs. Their names and those of `outside` are distinct.
    pub vms: BTreeMap<Name, VmSpec>,
    /// The outside endpoints.
    pub outside: BTreeMap<Name, Outside>,
    /// How stations learn each other's MAC addresses.
    pub neighbours: Neighbours,
    /// Whether the hosts stop what VMs send in others' names.
    pub guarded: bool,
    /// The managed networks.
    pub managed: Vec<IpNet>,
}

impl Topology {
    /// The topology as reports tell it.
    #[must_use]
    pub fn told(&self) -> reports::topology::Topology {
        let hosts = self.hosts.iter().map(ToString::to_string).collect();
        let vms = self.vms.iter().map(|(name, vm)| vm.told(name)).collect();
        let outside = self.outside.iter().map(|(name, endpoint)| reports::topology::Outside {
            name: name.to_string(),
            host: endpoint.host.to_string(),
            addresses: endpoint.addresses.clone(),
        });
        reports::topology::Topology { hosts, vms, outside: outside.collect() }
    }
}

/// What a listener and those who ask it say to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Speech {
    /// A probe's mark and number, as they are.
    #[default]
    Plain,
    /// HTTP/1.1.
    Http,
    /// TLS 1.3.
    Tls,
    /// RESP2, as Redis speaks it.
    Redis,
    /// DNS, over UDP.
    Dns,
}

/// One VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmSpec {
    /// The host that it runs on.
    pub host: Host,
    /// Its labels.
    pub labels: BTreeMap<Key, String>,
    /// What its own program may listen on; `any` includes it (semantics 25).
    pub serves: Vec<FlowService>,
    /// What is spoken at some of these, if not the probes' own marks.
    pub speaks: BTreeMap<FlowService, Speech>,
    /// Its addresses, at least one; given from the pool where the file says none.
    pub addresses: Vec<IpAddr>,
    /// Who enforces at it.
    pub agent: AgentKind,
    /// It is a copy of that VM, with its key; the center's inventory does not have it.
    pub copy_of: Option<Name>,
    /// By how many seconds its wall clock is wrong.
    pub clock: i64,
    /// How many records its agent keeps for the center, if not as many as by default.
    pub spool: Option<u32>,
    /// The prefixes within which the center takes addresses that the agent observes.
    pub allowed: Vec<IpNet>,
    /// Those of its addresses that it got late: the inventory does not list them.
    pub late: BTreeSet<IpAddr>,
    /// Those of its late addresses that its second interface has; without any there is none.
    pub second: BTreeSet<IpAddr>,
    /// Those of its late addresses that its center has not heard of yet.
    pub unbound: BTreeSet<IpAddr>,
    /// Whether the rules at its end act.
    pub mode: Mode,
    /// Whether DHCP clients in it may renew its address.
    pub dhcp: bool,
    /// What a program of its own sends from before it has a network.
    pub eager: Option<Eager>,
    /// Its agent is of an older build, which speaks this version of the protocol.
    pub protocol: Option<u32>,
}

impl VmSpec {
    fn told(&self, name: &Name) -> reports::topology::Vm {
        reports::topology::Vm {
            name: name.to_string(),
            host: self.host.to_string(),
            labels: self.labels.iter().map(|(key, value)| (key.to_string(), value.clone())).collect(),
            addresses: self.addresses.clone(),
            managed: self.agent == AgentKind::Eastwest,
        }
    }
}

/// A datagram each millisecond, in each family that both have, of which none may arrive until the VM has its policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eager {
    /// The endpoint that it is sent to.
    pub to: Name,
    /// The UDP port that it is sent to.
    pub port: u16,
}

/// Who enforces at a VM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum AgentKind {
    /// The real agent.
    #[default]
    Eastwest,
    /// Nobody: it passes everything.
    None,
    /// Somebody else: what it does is witnessed from outside, and it records nothing.
    Foreign(Foreign),
}

/// Enforcement that is none of ours.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Foreign {
    /// Rules for the program `nft`, in a file beside the scenario.
    Ruleset(String),
    /// A program with its arguments; a name with a `/` is looked for beside the scenario.
    Exec {
        /// The program.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
        /// The programs that must be installed for it, beside its own.
        needs: Vec<String>,
    },
}

/// An outside endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// The host whose bridge it hangs on.
    pub host: Host,
    /// Its addresses, at least one.
    pub addresses: Vec<IpAddr>,
}

/// How stations learn each other's MAC addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Neighbours {
    /// Permanent entries, written by the lab.
    #[default]
    Permanent,
    /// ARP and neighbour discovery.
    Learned,
}
