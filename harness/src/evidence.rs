//! Evidence: what the independent witnesses saw of one probe. The world gathers it, the judge reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use policy::{Family, FlowService};
use reports::event::FindingKind;
use serde::{Deserialize, Serialize};
use wire::{AgentState, Record};

/// One scripted attempt at traffic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Probe {
    /// Unique in a run.
    pub id: u64,
    /// The source endpoint's name.
    pub source: String,
    /// The destination endpoint's name.
    pub destination: String,
    /// The address that it leaves from.
    pub source_address: IpAddr,
    /// The address that it is sent to.
    pub destination_address: IpAddr,
    /// What it asks for.
    pub service: FlowService,
    /// The family.
    pub family: Family,
}

/// What the client's socket learned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Client {
    /// The probe's own nonce came back.
    Answered,
    /// TCP RST before an answer (ECONNREFUSED).
    Refused,
    /// A reset after the connection stood.
    Reset,
    /// An ICMP error or a local refusal, by its errno's name.
    Unreachable(String),
    /// Nothing, and the fence has ended the wait.
    Silence,
    /// The probe could not be made (a harness error).
    Failed(String),
}

/// What came of the marker behind the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fence {
    /// The probe was settled without one.
    NotNeeded,
    /// It came back: no answer can be under way.
    Returned,
    /// It did not come back.
    Lost,
}

/// What the center's record and the kernel's own counters say of a probe at one managed end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Testimony {
    /// The agent's process runs.
    pub alive: bool,
    /// The agent reaches its center (the lab has not cut it off, and the center runs).
    pub connected: bool,
    /// The barrier sent behind the batch has come through the center: earlier records are there or declared lost.
    pub barrier: bool,
    /// The records of this very tuple that the center holds from this end.
    pub records: Vec<Record>,
    /// Packets that the kernel's per-outcome counters of this batch counted beyond or below what probes and records
    /// explain, as text `rule: kernel n, probes n, records n`; empty where all three agree.
    pub counters: Vec<String>,
    /// By how much the kernel's counter of the expected rule rose in this batch, with its comment: used where the agent
    /// is dead and no barrier is awaited (semantics 22).
    pub counted: Vec<(String, u64)>,
    /// The generation that this end's agent had last acknowledged when the probe was sent.
    pub acked: u64,
}

/// All that is known of one probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The probe.
    pub probe: Probe,
    /// The client's local port or ICMP identifier; 0 where the protocol has none.
    pub source_port: u16,
    /// The initial TCP sequence number as the tap saw it.
    pub tcp_sequence: Option<u32>,
    /// What the client learned.
    pub client: Client,
    /// The listener received this probe's nonce (for ICMP: the echo's answer left the destination).
    pub delivered: bool,
    /// The listener answered its self-test over loopback in this state.
    pub listener_proven: bool,
    /// Packets of this probe that the tap saw leaving the source VM.
    pub left_source: u64,
    /// Packets of this probe that the tap saw going up to the destination VM.
    pub reached_destination: u64,
    /// Packets of its answer, over TCP or UDP, that the tap saw leaving the destination.
    pub answers_left: u64,
    /// Packets of its answer, over TCP or UDP, that the tap saw going up to the source.
    pub answers_reached: u64,
    /// An end's VM has a program that takes packets out of the kernel to judge them: no fence goes behind these.
    pub taken_out: bool,
    /// Frames that the two taps lost during the batch.
    pub tap_losses: u64,
    /// The fence behind it.
    pub fence: Fence,
    /// The lab itself has cut the path between the two.
    pub path_cut: bool,
    /// Testimony from the source's end; `None` where no agent of ours is.
    pub source_end: Option<Testimony>,
    /// Testimony from the destination's end; `None` where no agent of ours is.
    pub destination_end: Option<Testimony>,
    /// The newest published generation when it was sent.
    pub published: u64,
    /// It was undecided once and settled again with a fresh socket.
    pub again: bool,
    /// A last-resort clock ended a wait.
    pub by_clock: bool,
    /// How long it took to settle, in microseconds (a figure, never evidence).
    pub settle_us: u64,
}

/// What the taps saw of a flow, both ways. Resets are left out: they answer for an end that is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wire {
    /// Packets out of the source.
    pub left_source: u64,
    /// Packets from there up to the destination.
    pub reached_destination: u64,
    /// Packets out of the destination.
    pub left_destination: u64,
    /// Packets from there up to the source.
    pub reached_source: u64,
}

/// What was seen of a long-lived session in one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEvidence {
    /// The session's name in the scenario.
    pub name: String,
    /// Its first probe.
    pub probe: Probe,
    /// Numbered messages sent from the client in this step, and how many the server accepted in order.
    pub sent_forward: u64,
    /// See `sent_forward`.
    pub received_forward: u64,
    /// Numbered messages sent from the server in this step.
    pub sent_backward: u64,
    /// … and accepted by the client.
    pub received_backward: u64,
    /// The client's socket saw a reset or an error.
    pub client_reset: bool,
    /// The server's socket saw a reset or an error.
    pub server_reset: bool,
    /// How large a packet may be on the path, as far as the client's socket knows.
    pub client_path_mtu: Option<u32>,
    /// … and as far as the server's does.
    pub server_path_mtu: Option<u32>,
    /// Testimony from the source's end.
    pub source_end: Option<Testimony>,
    /// Testimony from the destination's end.
    pub destination_end: Option<Testimony>,
    /// The newest published generation at the time.
    pub published: u64,
    /// The fence behind the last message.
    pub fence: Fence,
    /// Before the last messages were sent it had carried some both ways, and neither socket was broken.
    pub stood: bool,
    /// What the wire saw of those messages.
    pub wire: Wire,
    /// Frames that the taps lost in this step.
    pub tap_losses: u64,
    /// An end's VM has a program that takes packets out of the kernel to judge them.
    pub taken_out: bool,
}

/// All that the witnesses saw in one step: what the judge is given beside the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The probes of the step's cells.
    pub probes: Vec<Evidence>,
    /// The probes of `throughout:` expectations, sent while the step's `do` ran, in order.
    pub throughout: Vec<Evidence>,
    /// The sessions that are open, or were until this step.
    pub sessions: Vec<SessionEvidence>,
    /// Records of this step that match no probe, no session, no `send` and no barrier: candidates for `phantom`.
    pub strays: Vec<Record>,
    /// Every record of this step but the barriers', in the order in which the center told of them.
    pub records: Vec<Record>,
    /// What the center says of each agent at the end of the step.
    pub agents: Vec<AgentState>,
    /// The VMs whose agents say themselves that they have lost their center, each with why.
    pub disconnected: BTreeMap<String, String>,
    /// The newest published generation at the end of the step.
    pub published: u64,
    /// Items of `do` that came out otherwise than the scenario says, in their order.
    pub undone: Vec<Undone>,
    /// What agents answered in this step, and how they stood meanwhile.
    pub answers: Answers,
    /// The most memory that the center held in this step, in bytes; looked at where the step asks for it.
    pub center_peak: Option<u64>,
    /// How many frames were stopped in this step at the ports of VMs of which it asks.
    pub stopped: BTreeMap<String, u64>,
    /// Where kernels counted otherwise than records tell, in words; looked at where the step asks for it.
    pub imbalance: Vec<String>,
}

/// What agents answered in one step, in the order in which the center told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// The newest generation when the step began.
    pub from: u64,
    /// VMs with the generations that they acknowledged.
    pub acks: Vec<(String, u64)>,
    /// The VMs whose agents the center did not call online at some time.
    pub away: BTreeSet<String>,
    /// Not all of it was heard.
    pub incomplete: bool,
}

/// An item of `do` that came out otherwise than the scenario says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undone {
    /// What kind of finding it is.
    pub kind: FindingKind,
    /// Its line in the scenario.
    pub line: usize,
    /// The item as the scenario has it.
    pub item: String,
    /// What happened.
    pub why: String,
}
