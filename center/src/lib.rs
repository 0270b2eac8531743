//! The control center: who is who, what holds, and who gets what.
//!
//! `model` is pure and decides; `store` keeps; `pki` certifies; `hub` brings them together under the services of `rpc`,
//! and `serve` opens the doors. The library prints nothing; it logs by `tracing`.

mod door;
mod folder;
mod hub;
mod live;
mod model;
mod pki;
mod rpc;
mod serve;
mod store;

pub use pki::PkiError;
pub use serve::{CenterError, ServeOptions, serve};
pub use store::StoreError;
