//! What a recording says of one flow, whatever its format.

use std::net::IpAddr;

use policy::{Flow, FlowService};

/// A flow that was seen, in its original direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The flow.
    pub flow: Flow,
    /// When, in milliseconds since the Unix epoch, where the recording says it.
    pub when: Option<i64>,
    /// How many packets, records or connections this one entry stands for; at least 1.
    pub count: u64,
    /// What became of it, where the recording says it.
    pub action: Option<Recorded>,
}

/// What a recording says became of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recorded {
    /// It passed.
    Allowed,
    /// It did not.
    Intercepted,
}

impl Seen {
    /// A flow of which no more is known than that it was.
    #[must_use]
    pub fn new(flow: Flow) -> Self {
        Self { flow, when: None, count: 1, action: None }
    }
}

/// What a protocol's number and the two numbers of its header ask for; `None` for an ICMP of the other family.
/// `asked` is the destination port, or the ICMP type.
pub(crate) fn service(protocol: u8, asked: u16, family_of: IpAddr) -> Option<FlowService> {
    let kind = || u8::try_from(asked).ok();
    let service = match protocol {
        6 => FlowService::Tcp(asked),
        17 => FlowService::Udp(asked),
        1 => FlowService::Icmp(kind()?),
        58 => FlowService::Icmpv6(kind()?),
        other => FlowService::Proto(other),
    };
    service.exists_in(policy::Family::of(family_of)).then_some(service)
}

/// Whether an ICMP type begins a flow: answers and errors belong to the flow that they answer.
pub(crate) fn is_answer(service: FlowService) -> bool {
    match service {
        FlowService::Icmp(kind) => !matches!(kind, 8 | 13 | 15 | 17),
        // Neighbour discovery and group membership begin no flow either, and no policy judges them.
        FlowService::Icmpv6(kind) => !matches!(kind, 128 | 139),
        FlowService::Tcp(_) | FlowService::Udp(_) | FlowService::Proto(_) => false,
    }
}
