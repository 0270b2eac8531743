//! A flow: what a policy judges.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Protocol;

/// The family of a flow's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        })
    }
}

/// What one flow asks for: one port, one ICMP type, or a bare protocol. Text form: `tcp/443`, `icmp/8`, `proto/47`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowService {
    /// A TCP destination port.
    Tcp(u16),
    /// A UDP destination port.
    Udp(u16),
    /// An ICMP (IPv4) type.
    Icmp(u8),
    /// An ICMPv6 type.
    Icmpv6(u8),
    /// Any other IP protocol, by number (never 1, 6, 17 or 58).
    Proto(u8),
}

impl FlowService {
    /// The IP protocol.
    #[must_use]
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Tcp(_) => Protocol::Tcp,
            Self::Udp(_) => Protocol::Udp,
            Self::Icmp(_) => Protocol::Icmp,
            Self::Icmpv6(_) => Protocol::Icmpv6,
            Self::Proto(number) => Protocol::Other(number),
        }
    }

    /// Whether this service can exist in a family (`icmp` is IPv4 alone, `icmpv6` IPv6 alone).
    #[must_use]
    pub fn exists_in(self, family: Family) -> bool {
        match self {
            Self::Icmp(_) => family == Family::V4,
            Self::Icmpv6(_) => family == Family::V6,
            Self::Tcp(_) | Self::Udp(_) | Self::Proto(_) => true,
        }
    }
}

/// One flow in its original direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Who began it.
    pub source: IpAddr,
    /// The original destination address.
    pub destination: IpAddr,
    /// Protocol with destination port or ICMP type.
    pub service: FlowService,
}
