//! The harness: scenarios, the world they run in, probes, witnesses and the judge.

pub mod evidence;
