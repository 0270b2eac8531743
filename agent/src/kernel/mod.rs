//! The kernel half: the chains that stay, the maps and marks that change, the log that comes back.
//!
//! A [`Kernel`] and a [`KernelLog`] belong to the network namespace of the thread that opens them.
mod apply;
mod begin;
mod change;
mod contents;
mod counts;
mod dhcp;
mod egress;
mod entry;
mod living;
mod log;
mod look;
mod maps;
mod marks;
mod readback;
mod rules;
mod skeleton;
mod sysctls;
mod volumes;
mod watch;

pub use apply::{Kernel, remove};
pub use egress::devices;
pub use log::{KernelBatch, KernelLog};
pub use rules::{BARRIER_PORT, GROUP, table};
pub use sysctls::prepare;
pub use watch::{InterfaceWatch, KernelWatch};
