//! Steps: what is done, and what is expected then.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use policy::{Family, FlowService, Key, Mode, Name};

use super::topology::VmSpec;
use super::{BulkTransfer, Crafted, Exec, Expectation, Flooding, PathChange, PolicyText, Publication};

/// One step: how the next state is reached, and its expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its name, unique in the scenario.
    pub name: String,
    /// Its line in the file, from 1.
    pub line: usize,
    /// What is done, in order.
    pub doing: Vec<Doing>,
    /// What is expected then, matrices' cells included.
    pub expect: Vec<Expectation>,
    /// The services of its matrices with the line of each: every ordered pair of VMs must be listed for them.
    pub matrices: Vec<(FlowService, usize)>,
    /// `same as`: the table of that earlier step (by index) is expected again; with the line that says so.
    pub same_as: Option<(usize, usize)>,
    /// What is probed continuously while `doing` runs.
    pub throughout: Vec<Expectation>,
    /// How often the step is gone through; at least 1.
    pub repeat: u32,
    /// Every ordered pair must be listed.
    pub complete: bool,
    /// Its scenario runs while nothing else does.
    pub exclusive: bool,
}

/// One item of `do`, with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Doing {
    /// The line in the file, from 1.
    pub line: usize,
    /// Where it stands in the scenario's text, in bytes.
    pub place: Range<usize>,
    /// The item as people read it.
    pub text: String,
    /// What is to be done.
    pub action: Action,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Publish a policy.
    Policy(Arc<PolicyText>),
    /// Change labels of a VM.
    Label {
        /// The VM.
        vm: Name,
        /// The labels that are set.
        set: BTreeMap<Key, String>,
        /// Every label that is not in `set` goes (`labels:` instead of `set:`).
        whole: bool,
    },
    /// Move a VM to another host; its link, addresses and sockets stay.
    Move {
        /// The VM.
        vm: Name,
        /// The host.
        to: Name,
    },
    /// Add a VM.
    Add {
        /// Its name.
        vm: Name,
        /// What it is.
        spec: VmSpec,
    },
    /// Start a copy of a VM, with its key.
    Clone {
        /// The VM.
        vm: Name,
        /// The copy's name.
        name: Name,
        /// What the copy is.
        spec: VmSpec,
    },
    /// Remove a VM, with all that runs in it.
    Remove {
        /// The VM.
        vm: Name,
    },
    /// Open a long-lived session.
    Open {
        /// The session's name.
        name: String,
        /// Its flow.
        stream: Stream,
    },
    /// Close a session.
    Close {
        /// The session's name.
        name: String,
    },
    /// Send numbered messages both ways on open sessions.
    SendOn {
        /// The sessions' names.
        names: Vec<String>,
    },
    /// Send fresh traffic, claiming nothing of its fate.
    Send {
        /// The flow.
        stream: Stream,
        /// How many times, each with a fresh socket.
        times: u32,
    },
    /// Send crafted packets, claiming nothing of their fate.
    SendRaw(Sending),
    /// Send datagrams as fast as the machine does, claiming nothing of their fate.
    Flood(Flooding),
    /// End a flood that goes on meanwhile, and see what became of it.
    EndFlood {
        /// The flood's name.
        name: String,
    },
    /// Carry bytes over one connection.
    Bulk(BulkTransfer),
    /// Run a real program.
    Exec(Exec),
    /// End a program that goes on meanwhile, and see what became of it.
    EndProgram {
        /// Its name.
        name: String,
    },
    /// Publish what must be refused: nothing changes by it.
    Publish(Publication),
    /// Do to an agent's ruleset what another process with the right to do so could.
    Tamper {
        /// The VM.
        vm: Name,
        /// What is done.
        how: Tampering,
    },
    /// Wait until the policy of a VM is over whose agent does not reach its center.
    Lapse {
        /// The VM.
        vm: Name,
    },
    /// Give a VM an address late, or take one that it got so.
    Address {
        /// The VM.
        vm: Name,
        /// The address.
        address: IpAddr,
        /// It is given; else taken.
        add: bool,
    },
    /// Give a VM a second interface with these addresses while all that runs in it goes on; without any: take it again.
    Interface {
        /// The VM.
        vm: Name,
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// Have the rules at a VM's end act, or only record.
    Mode {
        /// The VM.
        vm: Name,
        /// Whether they act.
        mode: Mode,
    },
    /// Suspend a VM's agent, by its own command.
    Suspend {
        /// The VM.
        vm: Name,
        /// For how long.
        seconds: u64,
    },
    /// End a suspension.
    Resume {
        /// The VM.
        vm: Name,
        /// By what it ends.
        by: Ending,
    },
    /// Replace an agent of an older build by one of the newest, while all goes on.
    Upgrade {
        /// The VM.
        vm: Name,
    },
    /// Change what a dead agent kept for its next life.
    Kept {
        /// The VM.
        vm: Name,
        /// What is done.
        how: Keeping,
    },
    /// Quarantine a VM at the center.
    Quarantine {
        /// The VM.
        vm: Name,
    },
    /// Release a VM from quarantine.
    Release {
        /// The VM.
        vm: Name,
    },
    /// Do something to a process.
    Process {
        /// What is done to it.
        act: Act,
        /// Which.
        process: Process,
    },
    /// Cut every path between a party of `a` and a party of `b`, both ways.
    Partition {
        /// One side.
        a: Vec<Party>,
        /// The other.
        b: Vec<Party>,
    },
    /// Let the path between a VM and the center carry so many bits a second, each way; without a rate: as many as ever.
    Slow {
        /// The VM.
        vm: Name,
        /// Bits a second.
        rate: Option<u64>,
    },
    /// Make the path between two endpoints what it is to be.
    Path(PathChange),
    /// Undo every partition, and make every path quick.
    Heal,
    /// Wait until a rule of the policy has ended, so long behind its publication.
    Expire {
        /// The rule's name.
        rule: String,
        /// Its end.
        after: Duration,
    },
    /// Restore the topology, labels, policy and quarantines of the end of an earlier step (by index).
    Reset {
        /// The step.
        step: usize,
    },
}

/// Crafted packets on their way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    /// The packets.
    pub crafted: Crafted,
    /// The endpoint that sends them.
    pub from: Name,
    /// The endpoint that they are sent to.
    pub to: Name,
    /// The family.
    pub family: Family,
    /// How often.
    pub times: u32,
    /// Over the interface that has this address of the sender, and from it; else over the first.
    pub over: Option<IpAddr>,
    /// By a raw IP socket, so that the source's own policy judges them; else by a packet socket, past it.
    pub by_socket: bool,
}

/// By what a suspension ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// By the agent's own command.
    Order,
    /// By itself, when its time is over.
    Time,
}

/// What another process does to an agent's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tampering {
    /// Takes every rule out of every chain.
    Flush,
    /// Takes a rule out of the chain that packets leave by.
    DeleteRule,
    /// Puts a rule that accepts everything before all others, in both directions.
    InsertAccept,
    /// Removes the table.
    DeleteTable,
    /// Gives another address the identity of a VM.
    AddElement,
    /// Makes a table of its own beside it, which must be left alone.
    ForeignTable,
    /// Fills the kernel's connection table with established flows, as a VM that has so many does.
    FillConnections,
    /// Takes those flows out of it.
    EmptyConnections,
}

/// What becomes of what an agent kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keeping {
    /// It is gone.
    Absent,
    /// A part of the sealed policy is another.
    Altered,
    /// It is that of another VM.
    Foreign,
}

/// What is done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// SIGKILL.
    Kill,
    /// SIGTERM, and wait for its end.
    Stop,
    /// Start it again with its state kept.
    Start,
    /// Stop, then start.
    Restart,
}

/// A process of the world.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Process {
    /// A VM's agent.
    Agent(Name),
    /// The center.
    Center,
}

/// One who can be cut off from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A whole host, with all that runs on it.
    Host(Name),
    /// A VM or an outside endpoint.
    Station(Name),
    /// The center.
    Center,
}

/// A flow between two endpoints that a scenario names singly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stream {
    /// The source endpoint.
    pub source: Name,
    /// The destination endpoint.
    pub destination: Name,
    /// The service.
    pub service: FlowService,
    /// The family: as written, else the first that both have in common (IPv4 before IPv6).
    pub family: Family,
}
