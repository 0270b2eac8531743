//! Rules, and the policy that orders them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Claim, Detector, Key, Name, Selector, Services, Verdict};

/// What a rule does with a flow that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Let it pass.
    Allow,
    /// Drop it without an answer.
    Deny,
    /// Drop it and answer: TCP with RST, all else with ICMP administratively prohibited.
    Reject,
    /// Leave it to the next tier, or in the last tier to the default.
    Pass,
}

impl Action {
    /// The verdict that it gives; `None` where another rule is to give one.
    #[must_use]
    pub fn verdict(self) -> Option<Verdict> {
        match self {
            Self::Allow => Some(Verdict::Allow),
            Self::Deny => Some(Verdict::Deny),
            Self::Reject => Some(Verdict::Reject),
            Self::Pass => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.verdict() {
            Some(verdict) => verdict.fmt(f),
            None => f.pad("pass"),
        }
    }
}

/// At which managed ends a rule exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum At {
    /// At the source alone.
    Source,
    /// At the destination alone.
    Destination,
    /// At both ends.
    #[default]
    Both,
}

/// Whether a rule or a policy acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It acts.
    #[default]
    Enforce,
    /// The verdict is as though it were absent; what it would have decided is recorded.
    Monitor,
}

/// What an agent does without its center.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outage {
    /// Keep the last policy.
    #[default]
    KeepLast,
    /// Let nothing pass but the center's channel, as soon as three of its heartbeats are missed.
    Closed,
    /// Keep the last policy for so many seconds after the center was last heard; then as [`Outage::Closed`].
    Lease(u32),
}

/// One policy file of several in an order (semantics 7), or a single one that says at which ends it is evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// Its name, unique among them; `None` for a single one.
    pub name: Option<Name>,
    /// Its place in the order, from 0.
    pub place: usize,
    /// It is evaluated only at ends in this set; `None`: at every end.
    pub owns: Option<Selector>,
    /// The file that it was read from.
    pub file: String,
}

impl Tier {
    /// The name by which a rule or detector of it is known: `tier/rule`, or `rule` where there is one tier.
    #[must_use]
    pub fn full_name(tier: Option<&Self>, name: &Name) -> String {
        match tier.and_then(|tier| tier.name.as_ref()) {
            Some(tier) => format!("{tier}/{name}"),
            None => name.to_string(),
        }
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The tier that it stands in; `None` in a single policy that holds at every end.
    pub tier: Option<Arc<Tier>>,
    /// Its name, unique in its tier.
    pub name: Name,
    /// What it does.
    pub action: Action,
    /// The services that it covers.
    pub services: Services,
    /// The sources that it covers.
    pub from: Selector,
    /// The destinations that it covers.
    pub to: Selector,
    /// Both ends must carry this key with the same value.
    pub within: Option<Key>,
    /// Where it exists.
    pub at: At,
    /// Record allowed flows too.
    pub log: bool,
    /// Whether it acts. In a policy in monitor every rule is in monitor.
    pub mode: Mode,
    /// The instant from which on it does not exist.
    pub until: Option<Timestamp>,
    /// Free text for people.
    pub note: Option<String>,
    /// The line of the policy text on which it begins, from 1.
    pub line: usize,
}

impl Policy {
    /// One without rules, which denies everything.
    #[must_use]
    pub fn closed() -> Self {
        Self {
            services: BTreeMap::new(),
            groups: BTreeMap::new(),
            tiers: Vec::new(),
            rules: Vec::new(),
            detect: Vec::new(),
            default: Verdict::Deny,
            outage: Outage::KeepLast,
            mode: Mode::Enforce,
            tests: Vec::new(),
        }
    }
}

impl Rule {
    /// `tier/rule`, or `rule` where there is one tier.
    #[must_use]
    pub fn full_name(&self) -> String {
        Tier::full_name(self.tier.as_deref(), &self.name)
    }

    /// The place of its tier, from 0.
    #[must_use]
    pub fn place(&self) -> usize {
        self.tier.as_ref().map_or(0, |tier| tier.place)
    }

    /// The ends at which its tier is evaluated; `None`: at every end.
    #[must_use]
    pub fn owns(&self) -> Option<&Selector> {
        self.tier.as_ref().and_then(|tier| tier.owns.as_ref())
    }
}

/// A policy: an ordered table of rules, with a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The named services, for expectations over `any`.
    pub services: BTreeMap<Name, Services>,
    /// The named groups.
    pub groups: BTreeMap<Name, Selector>,
    /// The tiers, in order; none in a single policy that holds at every end.
    pub tiers: Vec<Arc<Tier>>,
    /// The rules of all tiers, in order: the first that matches decides, and one that passes ends its own tier.
    pub rules: Vec<Rule>,
    /// The detectors, in the order written; all of them watch.
    pub detect: Vec<Detector>,
    /// What a flow gets that no rule matches.
    pub default: Verdict,
    /// What an agent does without its center.
    pub outage: Outage,
    /// Whether the policy acts; one whose last tier is in monitor ends in allow by `eastwest/monitor`.
    pub mode: Mode,
    /// What its authors claim of it, to be held against it.
    pub tests: Vec<Claim>,
}
