//! The messages as they stand on the wire, generated from `proto/`. Nothing outside the conversions and the two ends' stubs needs them.
#![allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::excessive_nesting,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "generated code"
)]

include!(concat!(env!("OUT_DIR"), "/eastwest.v1.rs"));
