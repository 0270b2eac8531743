//! The reference evaluator: what a policy says of a flow, in the slow obvious definition. This *is* the specification.
//!
//! It has no clock and no state, and it shares with what agents run only the words and the parser of `policy`.
//!
//! Built-in rules come before the policy, in this order: `loopback`, `neighbours`, `quarantine`, `address`, `link-local`, `unknown`.
//! `center` and `barrier` are absent: an inventory names no center, and a flow carries no payload.

mod endpoint;
mod judge;
mod why;

pub use endpoint::{is_in, members};
pub use judge::{EndVerdict, Judgement, Reason, evaluate, judge, judge_from};
pub use why::{EndExplanation, Explanation, Passed, Place, why};
