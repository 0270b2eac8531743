//! What comes out of an import means what was put in: by the oracle, and by references that are written from others' documentation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "the cases are files")]

mod aws;
mod aws_reference;
mod comparing;
mod kubernetes;
mod random;
mod reading;
mod reference;
