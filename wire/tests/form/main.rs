//! The form on the wire: its bytes, the way there and back, and what is refused on the way in.

mod faults;
mod golden;
mod round_trip;
mod samples;
mod strategies;
