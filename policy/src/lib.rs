//! The words of eastwest: identities, labels, selectors, services, rules, verdicts; and the text form of a policy.
//!
//! Everything here is a plain value. Nothing reads a file, a clock or the network.

mod flow;
mod inventory;
mod name;
mod rule;
mod selector;
mod service;
mod verdict;

pub use flow::{Family, Flow, FlowService};
pub use inventory::{Inventory, Vm};
pub use name::{Key, Name, NameError};
pub use rule::{Action, At, Mode, Outage, Policy, Rule};
pub use selector::{AddressGroup, Selector};
pub use service::{Protocol, ServiceMatch, Services};
pub use verdict::{Builtin, End, Ruling, Verdict, Would};
