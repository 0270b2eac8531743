//! A machine with its surroundings: a kernel that does what it is asked, a disk, and a center that listens.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test uses its part; a test may fail loudly"
)]

use std::net::IpAddr;
use std::sync::Arc;

use agent_core::{
    Config, Direction, Former, KernelRequest, Limits, LogEvent, LogKind, Machine, Ruleset, SpoolChange, State, Tail,
    packet,
};
use policy::{Action, FlowService, Verdict};
use wire::{Ack, AckResult, FromAgent, Record, View, ViewRule};

use crate::views::{ANY, look_up, rule, tcp, view};

pub fn config(max_epoch: u16) -> Config {
    Config {
        vm: "hr-1".into(),
        boot: "b".into(),
        version: "0".into(),
        center: None,
        heard_before: None,
        suspended: None,
        protocol: wire::PROTOCOL,
        addresses: Vec::new(),
        spool: Limits::default(),
        max_epoch,
    }
}

/// A machine with its surroundings; everything that happens is a line in `seen`.
pub struct World {
    pub machine: Machine,
    pub kernel: Option<Arc<Ruleset>>,
    pub kept: Option<State>,
    pub records: Vec<Record>,
    pub seen: Vec<String>,
    /// The next ruleset is refused.
    pub sick: bool,
}

impl World {
    pub fn new(max_epoch: u16, kept: Option<State>) -> Self {
        Self::of(config(max_epoch), kept)
    }

    pub fn of(config: Config, kept: Option<State>) -> Self {
        let machine = Machine::new(config, kept, Former::default());
        let mut world = Self { machine, kernel: None, kept: None, records: Vec::new(), seen: Vec::new(), sick: false };
        world.pump(0);
        world
    }

    pub fn connected() -> Self {
        let mut world = Self::new(2047, None);
        world.machine.handle_connected(Vec::new());
        world.pump(0);
        world
    }

    pub fn pump(&mut self, now: u64) {
        loop {
            if let Some(state) = self.machine.poll_persist() {
                self.seen.push(format!("keep {}", state.view.as_ref().map_or(0, |view| view.generation)));
                self.kept = Some(state);
            }
            let Some(request) = self.machine.poll_kernel() else { break };
            assert_eq!(self.machine.poll_kernel(), None, "one request at a time");
            self.carry_out(request, now);
        }
        while let Some(message) = self.machine.poll_send() {
            self.hear(message);
        }
    }

    pub fn carry_out(&mut self, request: KernelRequest, now: u64) {
        match request {
            KernelRequest::Sweep { except } => {
                self.seen.push(format!("sweep but {except}"));
                self.machine.handle_swept(now);
            }
            KernelRequest::Repair { .. } if std::mem::take(&mut self.sick) => {
                self.seen.push("refuse to repair".into());
                self.machine.handle_unrepaired("no memory", now);
            }
            KernelRequest::Repair { ruleset } => {
                self.seen.push(format!("repair {}", ruleset.epoch));
                assert_eq!(Some(&ruleset), self.kernel.as_ref(), "what is in force is laid anew");
                self.machine.handle_repaired();
            }
            KernelRequest::Apply { .. } if std::mem::take(&mut self.sick) => {
                self.seen.push("refuse".into());
                self.machine.handle_refused("no memory", now);
            }
            KernelRequest::Apply { ruleset, forget } => {
                let forget: Vec<_> = forget.iter().map(|address| format!(" forget {address}")).collect();
                self.seen.push(format!("apply {}{}", ruleset.epoch, forget.concat()));
                self.kernel = Some(ruleset);
                self.machine.handle_committed(now);
            }
        }
    }

    pub fn hear(&mut self, message: FromAgent) {
        match message {
            FromAgent::Hello(hello) => self.seen.push(format!("hello {}", hello.generation)),
            FromAgent::Ack(Ack { generation, result: AckResult::InForce }) => {
                self.seen.push(format!("ack {generation}"))
            }
            FromAgent::Ack(Ack { generation, result: AckResult::Refused { reason } }) => {
                self.seen.push(format!("refused {generation}: {reason}"));
            }
            FromAgent::Records(records) => self.records.extend(records),
            FromAgent::Addresses(addresses) => self.seen.push(format!("addresses {addresses:?}")),
            FromAgent::Suspension(told) if told.left.is_zero() => {}
            FromAgent::Suspension(told) => self.seen.push(format!("suspended {:?} by {}", told.left, told.by)),
            FromAgent::Heartbeat => {}
        }
    }

    pub fn view(&mut self, view: View) {
        self.machine.handle_view(view, 0);
        self.pump(0);
    }

    /// What was seen since the last look.
    pub fn check(&mut self, expected: &[&str]) {
        let seen = std::mem::take(&mut self.seen);
        assert_eq!(seen, expected);
    }

    pub fn log(&mut self, kind: LogKind, direction: Direction, mark: u32, packet: &[u8]) {
        self.machine.handle_log(&LogEvent { kind, direction, mark, packet: packet.to_vec() }, 7);
        self.pump(0);
    }

    /// The mark that a new flow gets, by the kernel's own maps.
    pub fn mark(&self, inbound: bool, peer: &str, service: FlowService) -> u32 {
        let ruleset = self.kernel.as_ref().unwrap();
        u32::from(ruleset.epoch) << 20 | look_up(ruleset, inbound, peer.parse().unwrap(), service).0
    }
}

pub fn generation(generation: u64, rules: Vec<ViewRule>) -> View {
    View { generation, rules, record_all: true, ..view() }
}

pub fn web() -> ViewRule {
    rule("web", Action::Allow, &[tcp(80, 80)], ANY)
}

/// The first packet of a flow.
pub fn first_packet((source, destination): (IpAddr, IpAddr), service: FlowService, sequence: u32) -> Vec<u8> {
    let mut bytes = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut bytes = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, service.protocol().number(), 0, 0];
            bytes.extend(source.octets().into_iter().chain(destination.octets()));
            bytes
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let mut bytes = vec![0x60, 0, 0, 0, 0, 20, service.protocol().number(), 64];
            bytes.extend(source.octets().into_iter().chain(destination.octets()));
            bytes
        }
        _ => panic!("one family"),
    };
    match service {
        FlowService::Tcp(port) | FlowService::Udp(port) => {
            bytes.extend([0x9c, 0x40]);
            bytes.extend(port.to_be_bytes());
            bytes.extend(sequence.to_be_bytes());
        }
        FlowService::Icmp(kind) | FlowService::Icmpv6(kind) => bytes.extend([kind, 0, 0, 0, 0, 7]),
        FlowService::Proto(_) => {}
    }
    bytes.extend([0; 12]);
    assert!(packet::read(&bytes).is_some());
    bytes
}

/// A record of one packet; it was seen in that second.
pub fn record(number: u64) -> Record {
    let end = |port| wire::FlowEnd { vm: None, address: [10, 98, 0, 2].into(), port };
    Record {
        key: wire::RecordKey { vm: String::new(), boot: String::new(), sequence: 0 },
        kind: wire::Kind::Deny,
        direction: Direction::In,
        source: end(1),
        destination: end(2),
        family: policy::Family::V4,
        protocol: policy::Protocol::Tcp,
        icmp_type: 0,
        icmp_id: 0,
        tcp_sequence: Some(1),
        payload: Vec::new(),
        verdict: Verdict::Deny,
        rule: "x".to_owned(),
        admitted_by: None,
        end: policy::End::Destination,
        would: None,
        monitor: false,
        generation_first: 1,
        generation_last: 1,
        packets: 1,
        detail: "x".repeat(usize::try_from(number % 70).unwrap()),
        stamp: number * 1_000_000,
    }
}

/// A disk that does what a spool asks.
#[derive(Default)]
pub struct Disk {
    entries: std::collections::VecDeque<Vec<u8>>,
    /// What a former life left; it stays until the next life has written it anew.
    former: Vec<Vec<u8>>,
    tail: Tail,
    /// How many entries power cuts took.
    pub torn: u64,
}

impl Disk {
    pub fn carry_out(&mut self, change: Option<SpoolChange>) {
        let Some(SpoolChange { append, tail, forget }) = change else { return };
        self.entries.extend(append);
        self.tail = tail.unwrap_or(std::mem::take(&mut self.tail));
        self.entries.drain(..forget);
        self.former.clear();
    }

    pub fn tear(&mut self, count: usize) {
        let left = self.entries.len().saturating_sub(count);
        self.torn += (self.entries.len() - left) as u64;
        self.entries.truncate(left);
    }

    pub fn begin_anew(&mut self) {
        self.former.extend(self.entries.drain(..));
    }

    pub fn len(&self) -> usize {
        self.entries.len() + self.former.len()
    }

    pub fn read(&self) -> Former {
        let all = self.former.iter().chain(&self.entries);
        Former { records: all.map(|bytes| Record::decoded(bytes).unwrap()).collect(), tail: self.tail.clone() }
    }
}
