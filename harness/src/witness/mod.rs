//! Witnesses: the wire, the kernel's counters, and the center's word. None of them asks an agent.

pub(crate) mod account;
pub(crate) mod barrier;
pub(crate) mod bound;
pub(crate) mod capture;
pub(crate) mod counters;
pub(crate) mod lines;
pub(crate) mod operator;
pub(crate) mod pcapng;
mod relay;
pub(crate) mod taps;
pub(crate) mod testimony;
