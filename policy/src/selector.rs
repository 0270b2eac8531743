//! Selectors: expressions that denote a set of endpoints (semantics 2).

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{Key, Name};

/// A set of endpoints, as written, with group names already replaced by what they stand for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selector {
    /// `any`: `vms` and `outside`.
    Any,
    /// `vms`: every VM of the inventory.
    Vms,
    /// `outside`: every address that is neither bound to a VM nor unknown.
    Outside,
    /// A group of outside addresses.
    Addresses(AddressGroup),
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
