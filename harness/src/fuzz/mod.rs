//! Oracle against kernel: random topologies, policies and histories on packets, and the smallest of those that fail.

mod case;
mod generate;
mod shrink;

pub use case::{Case, Change, Machine};
pub use generate::{history, policies};
pub use shrink::shrink;
