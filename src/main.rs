//! The eastwest command.
fn main() {}
