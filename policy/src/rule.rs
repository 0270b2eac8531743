//! Rules, and the policy that orders them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Detector, Key, Name, Selector, Services};

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

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name, unique in the policy.
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

/// A policy: an ordered table of rules, with a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The named services, for expectations over `any`.
    pub services: BTreeMap<Name, Services>,
    /// The named groups.
    pub groups: BTreeMap<Name, Selector>,
    /// The rules, in order: the first that matches decides.
    pub rules: Vec<Rule>,
    /// The detectors, in the order written; all of them watch.
    pub detect: Vec<Detector>,
    /// What a flow gets that no rule matches.
    pub default: Action,
    /// What an agent does without its center.
    pub outage: Outage,
    /// Whether the policy acts; a policy in monitor ends in allow by `eastwest/monitor`.
    pub mode: Mode,
}
