//! Verdicts, and who decided them (semantics 8, 9, 35).

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a policy says of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It passes.
    Allow,
    /// It is dropped without an answer.
    Deny,
    /// It is dropped and answered: TCP with RST, all else with ICMP administratively prohibited.
    Reject,
}

/// An end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// The end that began it.
    Source,
    /// The end that it was addressed to.
    Destination,
}

impl End {
    /// The end across from it.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Source => Self::Destination,
            Self::Destination => Self::Source,
        }
    }
}

/// What would have been decided had every monitor rule acted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Would {
    /// The verdict.
    pub verdict: Verdict,
    /// The rule that would have decided.
    pub rule: Option<String>,
    /// The end at which it would have been decided; `None` for an allow.
    pub end: Option<End>,
}

/// A verdict on a flow with its deciders, in the form of semantics 35.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ruling {
    /// The verdict.
    pub verdict: Verdict,
    /// The rule that decided; `default` where none matched; `None` where no managed end judged.
    pub rule: Option<String>,
    /// The first end that denies; `None` for an allow.
    pub end: Option<End>,
    /// What it would have been with every monitor rule live, where that differs in action or rule.
    pub would: Option<Would>,
}

/// The built-in rules, before every policy (design.md 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Builtin {
    /// The agent's own channel to its center.
    Center,
    /// ARP, neighbour discovery, group membership.
    Neighbours,
    /// A VM to itself; never judged, never recorded.
    Loopback,
    /// Address configuration (DHCP renewal).
    Address,
    /// Everything else on link-local addresses.
    LinkLocal,
    /// An address of a managed network that is bound to no VM.
    Unknown,
    /// A packet of no known flow.
    Invalid,
    /// The harness's sentinel packets.
    Barrier,
    /// A quarantined VM.
    Quarantine,
    /// The end of a policy in monitor mode.
    Monitor,
    /// What holds before the first policy: everything is denied but the center.
    Closed,
}

impl Builtin {
    /// The full name, `eastwest/…`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Center => "eastwest/center",
            Self::Neighbours => "eastwest/neighbours",
            Self::Loopback => "eastwest/loopback",
            Self::Address => "eastwest/address",
            Self::LinkLocal => "eastwest/link-local",
            Self::Unknown => "eastwest/unknown",
            Self::Invalid => "eastwest/invalid",
            Self::Barrier => "eastwest/barrier",
            Self::Quarantine => "eastwest/quarantine",
            Self::Monitor => "eastwest/monitor",
            Self::Closed => "eastwest/closed",
        }
    }
}

impl fmt::Display for Builtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Reject => "reject",
        })
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Source => "source",
            Self::Destination => "destination",
        })
    }
}
