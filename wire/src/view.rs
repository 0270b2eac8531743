//! The view: all that one VM's agent needs to know of a generation. It is always sent whole; what is absent is revoked.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use policy::{Action, Mode, Outage, Services, Verdict};
use serde::{Deserialize, Serialize};

use crate::ViewDetector;

/// One VM's part of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The generation from which this view was made.
    pub generation: u64,
    /// The VM that it is for.
    pub vm: String,
    /// The addresses bound to that VM.
    pub addresses: Vec<IpAddr>,
    /// The center's own address and port, whose channel is exempt.
    pub center: Option<SocketAddr>,
    /// The managed networks: an address in one of them that no peer has is unknown.
    pub managed: Vec<ipnet::IpNet>,
    /// Every other VM with its addresses. Sets name them by their index.
    pub peers: Vec<Peer>,
    /// The distinct sets of endpoints that the rules name.
    pub sets: Vec<Set>,
    /// The rules that hold for this VM in at least one direction, in the policy's order.
    pub rules: Vec<ViewRule>,
    /// The detectors that watch at this VM.
    #[serde(default)]
    pub detectors: Vec<ViewDetector>,
    /// What a flow gets that no rule matches (`default`).
    pub default: Verdict,
    /// Monitor: the policy only records, and ends in allow by `eastwest/monitor`.
    pub mode: Mode,
    /// This VM is quarantined: everything but the center's channel is denied.
    pub quarantined: bool,
    /// Whether DHCP clients of this VM may renew its address. An agent of a build that does not know of it lets none.
    #[serde(default)]
    pub dhcp: bool,
    /// Record the first packet of every allowed flow, not of those alone whose rule says `log`.
    pub record_all: bool,
    /// The center's time when it made this view, in milliseconds since the Unix epoch (semantics 14).
    pub now: i64,
    /// What the agent does without its center. An agent of a build that does not know of it keeps the last policy.
    #[serde(default)]
    pub outage: Outage,
}

/// Another VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its identity.
    pub vm: String,
    /// The addresses bound to it.
    pub addresses: Vec<IpAddr>,
}

/// A set of peers: VMs by index into [`View::peers`], and a part of the outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// Indices into the view's peers, ascending.
    pub vms: Vec<u32>,
    /// Which outside addresses belong to it.
    pub outside: Outside,
}

/// A part of the outside addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outside {
    /// None of them.
    #[default]
    None,
    /// All of them.
    All,
    /// Those of one or more address groups; a set holds an address if any group does.
    Groups(Vec<Arc<policy::AddressGroup>>),
}

/// One rule as this VM sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewRule {
    /// The rule's full name.
    pub name: String,
    /// What it does.
    pub action: Action,
    /// The services that it covers.
    pub services: Services,
    /// The peers from which it covers flows to this VM; `None` where it does not hold in this direction.
    pub inbound: Option<u32>,
    /// The peers to which it covers flows of this VM; `None` where it does not hold in this direction.
    pub outbound: Option<u32>,
    /// The flows that it covers which reach this VM for an address that is no VM's; `None` where there are none. An agent
    /// of a build that does not know of it takes all that reaches its VM as meant for that.
    #[serde(default)]
    pub elsewhere: Option<Elsewhere>,
    /// The place of its tier, from 0: a rule that passes leaves what it matches to the tiers behind its own.
    #[serde(default)]
    pub tier: u32,
    /// Record allowed flows.
    pub log: bool,
    /// Whether it acts.
    pub mode: Mode,
    /// The end of its life, in milliseconds since the Unix epoch by the center's time.
    pub until: Option<i64>,
}

/// Flows to multicast and broadcast addresses, and to outside ones that a VM has beside its own: rules match these by
/// address groups, `outside` and `any` alone (semantics 4). Indices into [`View::sets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// From whom.
    pub from: u32,
    /// To which addresses: the outside part of this set.
    pub to: u32,
}
