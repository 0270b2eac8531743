//! The world of one scenario: a raised lab in which the real center and the real agents run, and what is done to them.

mod act;
mod again;
mod balance;
mod bulk;
mod connections;
mod copy;
mod eager;
mod effort;
mod exec;
mod floods;
mod foreign;
mod inspect;
mod kept;
mod links;
mod living;
mod local;
mod memory;
mod observe;
mod outage;
mod own;
mod pending;
mod ports;
mod programs;
mod publish;
mod raise;
mod raw;
mod sabotage;
mod second;
mod sessions;
mod soon;
mod standing;
mod tamper;
mod throughout;
mod wait;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::{CutId, Lab};
use policy::{Family, FlowService, Name, Timestamp};

use crate::evidence::{Probe, Undone};
use crate::probe::bulk::Carried;
use crate::probe::flood::Flooded;
use crate::probe::prober::Prober;
use crate::probe::session::Session;
use crate::probe::tuple::Tuple;
use crate::scenario::Doing;
use crate::state::State;
use crate::witness::account::Account;
use crate::witness::counters::Counters;
use crate::witness::operator::Operator;
use crate::witness::taps::Taps;
use crate::witness::testimony::Managed;

use exec::Running;
use floods::{Changed, OnTheWay};
pub use foreign::lack;
pub(crate) use foreign::{check, folder_of};
use own::Own;
use programs::Program;
pub use programs::Programs;
pub use sabotage::Sabotage;
use throughout::Rounds;

/// The center's station, on a host of its own; no endpoint can have this name.
const CENTER: &str = "@center";
/// The port on which it listens for agents.
const PORT: u16 = 7443;
/// Its socket for operators, in its state folder.
const OPERATORS: &str = "admin.sock";
const CENTER_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 98, 255, 254));
const CENTER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd98, 0, 0, 0, 0, 0, 0xffff, 0xfffe));

/// The world.
#[derive(Debug)]
pub(crate) struct World {
    programs: Programs,
    scratch: PathBuf,
    /// The scenario's folder.
    beside: PathBuf,
    heartbeat: Option<Duration>,
    state: Arc<State>,
    lab: Lab,
    center: Option<Program>,
    agents: BTreeMap<Name, Program>,
    /// Programs by which others enforce at VMs.
    others: BTreeMap<Name, Program>,
    operator: Operator,
    account: Account,
    prober: Prober,
    taps: Taps,
    counters: Counters,
    sessions: BTreeMap<String, Session>,
    cuts: Vec<CutId>,
    /// Every tuple that the harness has used in this run.
    known: HashSet<Tuple>,
    /// Those of crafted packets among them.
    crafted: HashSet<Tuple>,
    /// In a living lab: what people and the lab itself send beside steps and probes.
    own: Option<Own>,
    rounds: Rounds,
    /// What was known of the managed VMs behind the last batch.
    last: BTreeMap<String, Managed>,
    /// What came out otherwise than the scenario says, in this step.
    undone: Vec<Undone>,
    /// The addresses that VMs had at some time in this run while their center had not heard of it.
    unbound: BTreeSet<IpAddr>,
    /// The VMs whose rulesets were tampered with in this run.
    tampered: BTreeSet<String>,
    /// The VMs that were given a foreign table in this step, and by which item.
    foreign: BTreeMap<Name, Doing>,
    /// The suspended VMs, and when each suspension ends by itself.
    suspended: BTreeMap<Name, Instant>,
    /// What ports had stopped before this step.
    stopped: BTreeMap<String, u64>,
    /// The floods that go on.
    floods: BTreeMap<String, OnTheWay>,
    /// The programs that go on.
    running: BTreeMap<String, Running>,
    /// Where programs run or have run in this step, and by which item.
    ran: BTreeMap<Name, Doing>,
    /// The step's last flood.
    flooded: Option<Flooded>,
    /// The step's last bulk transfer.
    carried: Option<Carried>,
    /// The share of a processor that the busiest agent used meanwhile.
    busiest: f64,
    /// The last change that agents had to acknowledge.
    changed: Option<Changed>,
    /// How long each flow of the step outlived the change that revoked it.
    outlived: Vec<Duration>,
    /// The newest generation that the harness has brought about.
    generation: u64,
    /// When it published the newest policy.
    published_at: Timestamp,
    next_probe: u64,
    folders: u64,
}

/// A flow that is to be probed.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The source's name.
    pub(crate) source: String,
    /// The destination's name.
    pub(crate) destination: String,
    /// The source's address.
    pub(crate) from: IpAddr,
    /// The destination's address.
    pub(crate) to: IpAddr,
    /// What is asked for.
    pub(crate) service: FlowService,
}

impl World {
    /// A probe with a number of its own.
    fn probe(&mut self, wanted: Wanted) -> Probe {
        self.next_probe += 1;
        Probe {
            id: self.next_probe,
            source: wanted.source,
            destination: wanted.destination,
            source_address: wanted.from,
            destination_address: wanted.to,
            service: wanted.service,
            family: Family::of(wanted.from),
        }
    }

    /// A folder of its own for a program: the next life of a VM begins with an empty one.
    fn folder(&mut self, of: &str) -> PathBuf {
        self.folders += 1;
        self.scratch.join(format!("{}-{of}", self.folders))
    }

    /// The address at which agents find the center.
    fn center_address(&self, vm: &Name) -> SocketAddr {
        let has_v4 = self.state.address(vm, Family::V4).is_some();
        SocketAddr::new(if has_v4 { CENTER_V4 } else { CENTER_V6 }, PORT)
    }
}
