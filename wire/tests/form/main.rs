//! The form on the wire: its bytes, the way there and back, and what is refused on the way in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod faults;
mod golden;
mod round_trip;
mod samples;
mod strategies;
