//! The words of eastwest: identities, labels, selectors, services, rules, verdicts; and the text form of a policy.
//!
//! Everything here is a plain value. Nothing reads a file, a clock or the network.

mod bundle;
pub mod check;
mod claim;
pub mod classify;
mod detect;
pub mod diff;
mod flow;
mod fmt;
mod icmp;
mod inventory;
pub mod keys;
mod kinds;
pub mod mutate;
mod name;
mod parse;
mod problem;
mod render;
mod rule;
mod selector;
mod service;
mod suggest;
mod verdict;
mod write;
pub mod yaml;

pub use bundle::{Bundle, Source};
pub use check::check;
pub use claim::{Claim, Who};
pub use detect::{Detector, Response, Watch};
pub use flow::{Family, Flow, FlowService};
pub use fmt::{FormatError, format};
pub use inventory::{Inventory, Vm};
pub use name::{Key, Name, NameError};
pub use parse::{VERSION, parse, parse_node, parse_selector, parse_service, parse_services, unused};
pub use problem::{Errors, Problem, Problems, Span, TextError};
pub use render::{line_and_column, render_plain};
pub use rule::{Action, At, Mode, Outage, Policy, Rule, Tier};
pub use selector::{AddressGroup, Selector};
pub use service::{Protocol, ServiceMatch, Services};
pub use suggest::{did_you_mean, nearest};
pub use verdict::{Builtin, End, Ruling, Verdict, Would};

pub use ipnet::IpNet;
pub use jiff::Timestamp;
