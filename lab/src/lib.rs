//! The lab: hosts, wires and stations made of network namespaces, in one flat link-layer network.
//!
//! A [`Plan`] is a plain value; [`Lab::raise`] makes it real. A *station* is a VM, an outside endpoint or the
//! center: a namespace with one interface, or two, whose wires end in the bridge of its host. The lab knows wires, not
//! rules. Nothing has a name outside, nothing outlives the lab, and no packet leaves the namespaces.
//!
//! What is absent: policy, probes, verdicts, delays and lossy wires.

mod changes;
mod cut;
mod doctor;
mod error;
mod filter;
mod guard;
mod host;
pub mod jail;
mod marker;
mod message;
mod namespace;
mod netlink;
pub mod packet;
mod path;
mod plan;
mod queue;
mod raised;
mod relay;
mod second;
mod setting;
mod slow;
mod spawner;
mod station;
mod sys;
mod tap;

pub use cut::{Cut, CutId, Place};
pub use doctor::{Check, doctor};
pub use error::{LabError, Result};
pub use marker::{MARKER_ETHERTYPE, Marker};
pub use message::Mac;
pub use path::Quality;
pub use plan::{Neighbours, Plan, Ports, StationSpec};
pub use raised::Lab;
pub use station::Station;
pub use sys::path_mtu;
pub use tap::{Direction, Drained, Frame, Tap};
