//! Selectors: expressions that denote a set of endpoints (semantics 2).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{Key, Name};

/// A set of endpoints, as written, with group names already replaced by what they stand for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selector {
    /// `any`: `vms` and `outside`.
    Any,
    /// `vms`: every VM of the inventory.
    Vms,
    /// `outside`: every address that is neither bound to a VM nor unknown.
    Outside,
    /// A group of outside addresses: one value, however many rules name it.
    Addresses(Arc<AddressGroup>),
    /// `has key`.
    Has(Key),
    /// `key = value`.
    Equals(Key, String),
    /// `key != value`; holds for a VM without the key.
    Differs(Key, String),
    /// `key in (a, b)`.
    In(Key, Vec<String>),
    /// `not e`: `vms` minus `e`. Never holds an address group (a parse error).
    Not(Box<Selector>),
    /// `a & b`; at least two. Never holds an address group.
    And(Vec<Selector>),
    /// `a | b`; at least two.
    Or(Vec<Selector>),
}

/// A named list of prefixes with exceptions; the longest prefix that holds an address decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressGroup {
    /// The group's name.
    pub name: Name,
    /// The prefixes in the group.
    pub includes: Vec<IpNet>,
    /// The prefixes taken out of it (`not 10.9.3.0/24`).
    pub excludes: Vec<IpNet>,
}

impl Ord for AddressGroup {
    fn cmp(&self, other: &Self) -> Ordering {
        // One group that many selectors hold is one value: a hundred thousand prefixes need not be compared to see it.
        if std::ptr::eq(self, other) {
            return Ordering::Equal;
        }
        let names = self.name.cmp(&other.name);
        names.then_with(|| self.includes.cmp(&other.includes)).then_with(|| self.excludes.cmp(&other.excludes))
    }
}

impl PartialOrd for AddressGroup {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Selector {
    /// Whether a VM with these labels matches; its addresses play no part.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<Key, String>) -> bool {
        match self {
            Self::Any | Self::Vms => true,
            Self::Outside | Self::Addresses(_) => false,
            Self::Has(key) => labels.contains_key(key),
            Self::Equals(key, value) => labels.get(key) == Some(value),
            Self::Differs(key, value) => labels.get(key) != Some(value),
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::Not(inner) => !inner.matches(labels),
            Self::And(parts) => parts.iter().all(|part| part.matches(labels)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(labels)),
        }
    }

    /// Whether an address that is no VM's may match.
    #[must_use]
    pub fn may_be_outside(&self) -> bool {
        match self {
            Self::Any | Self::Outside | Self::Addresses(_) => true,
            Self::Vms | Self::Has(_) | Self::Equals(..) | Self::Differs(..) | Self::In(..) | Self::Not(_) => false,
            Self::And(all) => all.iter().all(Self::may_be_outside),
            Self::Or(all) => all.iter().any(Self::may_be_outside),
        }
    }

    /// How tightly it binds: `|` least, then `&`, then `not`.
    fn strength(&self) -> u8 {
        match self {
            Self::Or(_) => 0,
            Self::And(_) => 1,
            Self::Not(_) => 2,
            Self::Any | Self::Vms | Self::Outside | Self::Addresses(_) => 3,
            Self::Has(_) | Self::Equals(..) | Self::Differs(..) | Self::In(..) => 3,
        }
    }
}

/// A part of a selector, in parentheses unless it binds more tightly than what it stands in.
fn part(outer: &Selector, inner: &Selector) -> String {
    if inner.strength() > outer.strength() { inner.to_string() } else { format!("({inner})") }
}

/// A key or value, in quotes if it is no bare word.
fn quoted(text: &str) -> String {
    let bare = !text.is_empty() && text.chars().all(crate::parse::bare);
    if bare && !matches!(text, "not" | "has" | "in") { text.to_owned() } else { format!("\"{text}\"") }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |parts: &[Self], join| parts.iter().map(|inner| part(self, inner)).collect::<Vec<_>>().join(join);
        match self {
            Self::Any => f.write_str("any"),
            Self::Vms => f.write_str("vms"),
            Self::Outside => f.write_str("outside"),
            Self::Addresses(group) => write!(f, "{}", group.name),
            Self::Has(key) => write!(f, "has {}", quoted(key)),
            Self::Equals(key, value) => write!(f, "{} = {}", quoted(key), quoted(value)),
            Self::Differs(key, value) => write!(f, "{} != {}", quoted(key), quoted(value)),
            Self::In(key, values) => {
                let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
                write!(f, "{} in ({})", quoted(key), values.join(", "))
            }
            Self::Not(inner) => {
                let inner = if matches!(**inner, Self::Not(_)) { inner.to_string() } else { part(self, inner) };
                write!(f, "not {inner}")
            }
            Self::And(parts) => f.write_str(&all(parts, " & ")),
            Self::Or(parts) => f.write_str(&all(parts, " | ")),
        }
    }
}
