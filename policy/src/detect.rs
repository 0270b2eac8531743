//! Detectors: what is watched beside the rules, and what follows when a number is reached.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Name, Selector, Tier};

/// A detector of a policy. Its records bear the rule [`Detector::rule_of`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detector {
    /// The tier that it stands in; `None` in a single policy that holds at every end.
    pub tier: Option<Arc<Tier>>,
    /// Its name, unique among its tier's rules and detectors.
    pub name: Name,
    /// What it counts.
    pub watch: Watch,
    /// The time within which the number must be reached.
    pub within: Duration,
    /// The sources that it watches.
    pub from: Selector,
    /// The destinations at which it watches them.
    pub to: Selector,
    /// What follows.
    pub then: Response,
    /// The line of the policy text on which it begins, from 1.
    pub line: usize,
}

/// What a detector counts, with the number at which it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Watch {
    /// Distinct destination ports that one source tries at one VM.
    Scan {
        /// How many.
        ports: u32,
    },
    /// Distinct peers that one VM tries.
    Sweep {
        /// How many.
        peers: u32,
    },
    /// New connections of one source to one VM.
    Flood {
        /// How many.
        connections: u32,
    },
    /// Bytes that one VM sends to another, whatever becomes of them.
    Volume {
        /// How many.
        bytes: u64,
    },
}

/// What follows when a detector fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Response {
    /// A record.
    Alert,
    /// And the source is denied at the VM that saw it, so long.
    Intercept(Duration),
    /// And the source VM is quarantined, so long; a source that is no VM is intercepted.
    Quarantine(Duration),
}

impl Watch {
    /// The word that names it in a policy.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Scan { .. } => "scan",
            Self::Sweep { .. } => "sweep",
            Self::Flood { .. } => "flood",
            Self::Volume { .. } => "volume",
        }
    }

    /// What is counted.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Scan { .. } => "ports",
            Self::Sweep { .. } => "peers",
            Self::Flood { .. } => "connections",
            Self::Volume { .. } => "bytes",
        }
    }

    /// Whether it watches at the source: what a VM begins, and not what others begin with it.
    #[must_use]
    pub fn is_at_source(self) -> bool {
        matches!(self, Self::Sweep { .. })
    }

    /// The number at which it fires.
    #[must_use]
    pub fn threshold(self) -> u64 {
        match self {
            Self::Scan { ports: number } | Self::Sweep { peers: number } | Self::Flood { connections: number } => {
                u64::from(number)
            }
            Self::Volume { bytes } => bytes,
        }
    }
}

impl Detector {
    /// What the rules of detectors' records begin with.
    pub const PREFIX: &'static str = "eastwest/detect/";

    /// `tier/detector`, or `detector` where there is one tier.
    #[must_use]
    pub fn full_name(&self) -> String {
        Tier::full_name(self.tier.as_deref(), &self.name)
    }

    /// The rule that a detector's records bear.
    #[must_use]
    pub fn rule_of(name: &str) -> String {
        format!("{}{name}", Self::PREFIX)
    }
}
