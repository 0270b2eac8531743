//! Probing: sockets inside the stations, listeners, fences, sessions. Everything here is synchronous and runs on one
//! thread; nothing here knows what is expected.

pub(crate) mod bulk;
pub(crate) mod client;
pub(crate) mod craft;
pub(crate) mod errors;
pub(crate) mod fence;
pub(crate) mod flood;
pub(crate) mod listener;
pub(crate) mod nonce;
pub(crate) mod ports;
pub(crate) mod prober;
pub(crate) mod raw;
pub(crate) mod session;
pub(crate) mod speech;
pub(crate) mod tuple;
mod turns;
