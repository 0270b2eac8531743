//! Services: protocols with destination ports or ICMP types.

use serde::{Deserialize, Serialize};

use crate::FlowService;

/// An IP protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP (6).
    Tcp,
    /// UDP (17).
    Udp,
    /// ICMP for IPv4 (1).
    Icmp,
    /// ICMPv6 (58).
    Icmpv6,
    /// Any other, by its number.
    Other(u8),
}

impl Protocol {
    /// The number in the IP header.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Icmp => 1,
            Self::Icmpv6 => 58,
            Self::Other(number) => number,
        }
    }
}

/// One item of a rule's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceMatch {
    /// `any`: every protocol of both families.
    Any,
    /// `tcp`, `udp/53`, `tcp/8000-8100`: an inclusive range of destination ports; a bare `tcp` is 0–65535.
    Ports {
        /// TCP, or else UDP.
        tcp: bool,
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
    },
    /// `icmp`, `icmp/echo-request`, `icmp/8`: IPv4's ICMP; without a type, every type.
    Icmp(Option<u8>),
    /// `icmpv6`, `icmpv6/echo-request`, `icmpv6/128`.
    Icmpv6(Option<u8>),
    /// `proto/47` (never 1, 6, 17, 58).
    Proto(u8),
}

impl ServiceMatch {
    /// Whether this item covers a flow's service.
    #[must_use]
    pub fn covers(self, service: FlowService) -> bool {
        match (self, service) {
            (Self::Any, _) => true,
            (Self::Ports { tcp: true, first, last }, FlowService::Tcp(port))
            | (Self::Ports { tcp: false, first, last }, FlowService::Udp(port)) => (first..=last).contains(&port),
            (Self::Icmp(wanted), FlowService::Icmp(kind)) | (Self::Icmpv6(wanted), FlowService::Icmpv6(kind)) => {
                wanted.is_none_or(|wanted| wanted == kind)
            }
            (Self::Proto(wanted), FlowService::Proto(number)) => wanted == number,
            (Self::Ports { .. } | Self::Icmp(_) | Self::Icmpv6(_) | Self::Proto(_), _) => false,
        }
    }
}

/// The services of a rule: a flow is covered if any item covers it.
pub type Services = Vec<ServiceMatch>;
