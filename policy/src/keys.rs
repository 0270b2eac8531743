//! The keys and words of a policy file as its reader knows them, for those that describe the format to others.

pub use crate::name::LONGEST as LONGEST_NAME;
pub use crate::parse::detect::{
    COUNTS, KNOWN as DETECTOR, MOST as MOST_DETECTORS, RESPONSES, UNITS as COUNTED, WATCHES,
};
pub use crate::parse::included::SHARED;
pub use crate::parse::rule::{ACTIONS, ENDS, KNOWN as RULE, MODES};
pub use crate::parse::selector::RESERVED as NO_GROUPS;
pub use crate::parse::service::RESERVED as NO_SERVICES;
pub use crate::parse::{KNOWN as POLICY, VERDICTS};
