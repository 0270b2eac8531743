//! Detectors, row by row: what is tried, and what comes of it; near misses beside each.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod views;
mod world;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use agent_core::{Config, Direction, Former, KernelRequest, Limits, LogEvent, LogKind, Machine, Ruleset, State, Word};
use policy::{Action, FlowService, Mode, Response, ServiceMatch, Watch};
use views::{ANY, FINANCE, HR, OFFICE, look_up, rule, tcp, view};
use wire::{FromAgent, Kind, Record, View, ViewDetector, ViewRule};
use world::first_packet;

const TEN_SECONDS: u64 = 10_000;
const INTERCEPT: Response = Response::Intercept(Duration::from_secs(60));
const QUARANTINE: Response = Response::Quarantine(Duration::from_secs(60));

fn scan(ports: u32, peers: u32, then: Response) -> ViewDetector {
    ViewDetector { name: "scan".into(), watch: Watch::Scan { ports }, within: TEN_SECONDS, peers, then }
}

fn sweep(peers: u32, set: u32, then: Response) -> ViewDetector {
    ViewDetector { name: "sweep".into(), watch: Watch::Sweep { peers }, ..scan(0, set, then) }
}

fn flood(connections: u32, peers: u32, then: Response) -> ViewDetector {
    ViewDetector { name: "flood".into(), watch: Watch::Flood { connections }, ..scan(0, peers, then) }
}

/// Web is open to all, and nothing is recorded that is allowed.
fn with(detectors: Vec<ViewDetector>) -> View {
    let web = rule("web", Action::Allow, &[tcp(80, 80), ServiceMatch::Icmp(Some(8))], ANY);
    View { rules: vec![web], detectors, ..view() }
}

/// A machine, a kernel that is its last ruleset, and all records.
struct World {
    machine: Machine,
    kernel: Option<Arc<Ruleset>>,
    kept: Option<State>,
    records: Vec<Record>,
    sequence: u32,
}

impl World {
    fn new(kept: Option<State>) -> Self {
        let config = Config {
            vm: "hr-1".into(),
            boot: "b".into(),
            version: "0".into(),
            center: None,
            max_epoch: 2047,
            heard_before: None,
            suspended: None,
            protocol: wire::PROTOCOL,
            addresses: Vec::new(),
            spool: Limits::default(),
        };
        let machine = Machine::new(config, kept, Former::default());
        let mut world = Self { machine, kernel: None, kept: None, records: Vec::new(), sequence: 0 };
        world.machine.handle_connected(Vec::new());
        world.pump(0);
        world
    }

    fn of(view: View) -> Self {
        let mut world = Self::new(None);
        world.machine.handle_view(view, 0);
        world.pump(0);
        world
    }

    fn pump(&mut self, now: u64) {
        loop {
            self.kept = self.machine.poll_persist().or(self.kept.take());
            while self.machine.poll_spool().is_some() {}
            match self.machine.poll_kernel() {
                None => break,
                Some(KernelRequest::Sweep { .. }) => self.machine.handle_swept(now),
                Some(KernelRequest::Repair { .. }) => self.machine.handle_repaired(),
                Some(KernelRequest::Apply { ruleset, .. }) => {
                    self.kernel = Some(ruleset);
                    self.machine.handle_committed(now);
                }
            }
        }
        while let Some(message) = self.machine.poll_send() {
            if let FromAgent::Records(records) = message {
                self.records.extend(records);
            }
        }
    }

    fn word(&self, inbound: bool, peer: IpAddr, service: FlowService) -> Word {
        look_up(self.kernel.as_ref().unwrap(), inbound, peer, service)
    }

    /// One first packet, as the kernel judges it and tells of it.
    fn attempt(&mut self, now: u64, inbound: bool, peer: IpAddr, service: FlowService) {
        let word = self.word(inbound, peer, service);
        let kind = if word.action() == Some(agent_core::Action::Allow) { LogKind::Allow } else { LogKind::Deny };
        if kind == LogKind::Allow && !word.records() {
            return;
        }
        self.sequence += 1;
        let me: IpAddr = if peer.is_ipv4() { "10.98.0.1" } else { "fd98::1" }.parse().unwrap();
        let ends = if inbound { (peer, me) } else { (me, peer) };
        let mark = u32::from(self.kernel.as_ref().unwrap().epoch) << 20 | word.0;
        let direction = if inbound { Direction::In } else { Direction::Out };
        let packet = first_packet(ends, service, self.sequence);
        self.machine.handle_log(&LogEvent { kind, direction, mark, packet }, now * 1000);
        self.pump(now);
    }

    /// `MS in|out PEER[,PEER…] SERVICE`, where a port may be a range; or `MS tick`.
    fn play(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let now: u64 = words[0].parse().unwrap();
        if words[1] == "tick" {
            self.machine.handle_tick(now);
            return self.pump(now);
        }
        let (protocol, numbers) = words[3].split_once('/').unwrap();
        let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
        for peer in words[2].split(',') {
            for number in first.parse::<u16>().unwrap()..=last.parse::<u16>().unwrap() {
                let service = match protocol {
                    "tcp" => FlowService::Tcp(number),
                    "udp" => FlowService::Udp(number),
                    _ => FlowService::Icmp(u8::try_from(number).unwrap()),
                };
                self.attempt(now, words[1] == "in", peer.parse().unwrap(), service);
            }
        }
    }

    /// The alerts, `MS RULE SOURCE NUMBER VERDICT: EXAMPLES`.
    fn alerts(&self) -> Vec<String> {
        let alerts = self.records.iter().filter(|record| record.kind == Kind::Alert);
        let told = |record: &Record| {
            let source = record.source.vm.clone().unwrap_or_else(|| record.source.address.to_string());
            let examples = record.detail.split_once("Z: ").unwrap().1;
            let (stamp, rule) = (record.stamp / 1000, record.rule.trim_start_matches("eastwest/detect/"));
            format!("{stamp} {rule} {source} {} {}: {examples}", record.packets, record.verdict)
        };
        alerts.map(told).collect()
    }
}

fn check(detectors: Vec<ViewDetector>, script: &[&str], expected: &[&str]) -> World {
    let mut world = World::of(with(detectors));
    script.iter().for_each(|line| world.play(line));
    assert_eq!(world.alerts(), expected, "{script:?}");
    world
}

#[test]
fn a_scan_is_distinct_ports_of_one_source_within_the_time() {
    let ports = |number, script: &[&str], expected: &[&str]| {
        drop(check(vec![scan(number, ANY, Response::Alert)], script, expected));
    };
    ports(5, &["0 in 10.98.0.2 tcp/79-82"], &[]);
    ports(5, &["0 in 10.98.0.2 tcp/79-83"], &["0 scan hr-2 5 allow: tcp/79 tcp/80 tcp/81 tcp/82 tcp/83"]);
    // The same port again is no other; under another protocol it is.
    ports(3, &["0 in 10.98.0.2 tcp/1-2", "1 in 10.98.0.2 tcp/1-2"], &[]);
    ports(3, &["0 in 10.98.0.2 tcp/1-2", "1 in 10.98.0.2 udp/1"], &["1 scan hr-2 3 allow: tcp/1 tcp/2 udp/1"]);
    ports(2, &["0 in 10.98.0.2 icmp/8", "0 in 10.98.0.2 icmp/13"], &[]);
    // What is allowed counts as what is denied does, though no record is asked for.
    ports(2, &["0 in 10.98.0.2 tcp/80", "0 in 10.98.0.2 tcp/81"], &["0 scan hr-2 2 allow: tcp/80 tcp/81"]);
    // At the window's edge.
    ports(3, &["0 in 10.98.0.2 tcp/1", "9999 in 10.98.0.2 tcp/2-3"], &["9999 scan hr-2 3 allow: tcp/1 tcp/2 tcp/3"]);
    ports(3, &["0 in 10.98.0.2 tcp/1", "10000 in 10.98.0.2 tcp/2-3"], &[]);
    // A port that is tried again counts from its last time.
    ports(
        3,
        &["0 in 10.98.0.2 tcp/1", "5000 in 10.98.0.2 tcp/1", "12000 in 10.98.0.2 tcp/2-3"],
        &["12000 scan hr-2 3 allow: tcp/1 tcp/2 tcp/3"],
    );
    // Two sources do not add up, two addresses of one VM do.
    ports(4, &["0 in 10.98.0.2 tcp/1-3", "0 in 10.98.0.3 tcp/4-6"], &[]);
    ports(4, &["0 in 10.98.0.2 tcp/1-2", "0 in fd98::2 tcp/3-4"], &["0 scan hr-2 4 allow: tcp/1 tcp/2 tcp/3 tcp/4"]);
    // What goes out is no scan of this VM.
    ports(2, &["0 out 10.98.0.2 tcp/1-9"], &[]);
}

#[test]
fn a_detector_is_about_its_peers_alone() {
    let of = |set, peer: &str, fires: bool| {
        let line = format!("0 in {peer} tcp/1-2");
        let world = check(vec![scan(3, set, Response::Alert)], &[&line], &[]);
        drop(world);
        let mut world = World::of(with(vec![scan(2, set, Response::Alert)]));
        world.play(&line);
        assert_eq!(world.alerts().len(), usize::from(fires), "{set} {peer}");
    };
    of(HR, "10.98.0.2", true);
    of(HR, "fd98::2", true);
    of(HR, "10.98.0.3", false);
    of(HR, "8.8.8.8", false);
    of(FINANCE, "10.98.0.3", true);
    of(OFFICE, "10.9.0.7", true);
    of(OFFICE, "10.9.3.7", false);
    of(OFFICE, "10.9.3.200", true);
    of(OFFICE, "8.8.8.8", false);
    of(ANY, "8.8.8.8", true);
    // Nobody knows who that is: no selector matches it.
    of(ANY, "10.98.7.7", false);
    of(ANY, "169.254.1.1", false);
}

#[test]
fn one_record_a_source_and_window() {
    let rows = |script: &[&str], expected: &[&str]| {
        drop(check(vec![scan(3, ANY, Response::Alert)], script, expected));
    };
    let first = "0 scan hr-2 3 allow: tcp/1 tcp/2 tcp/3";
    // What follows within the time is told at its end, as one; too little of it is not told.
    rows(&["0 in 10.98.0.2 tcp/1-99", "9999 tick"], &[first]);
    let examples: Vec<String> = (4..20).map(|port| format!("tcp/{port}")).collect();
    let rest = format!("10000 scan hr-2 96 allow: {} …", examples.join(" "));
    // What was tried at 0 is past at 10000, but not yet where it goes on.
    rows(&["0 in 10.98.0.2 tcp/1-3", "1 in 10.98.0.2 tcp/4-99", "10000 tick"], &[first, &rest]);
    rows(&["0 in 10.98.0.2 tcp/1-5", "10000 tick"], &[first]);
    rows(&["0 in 10.98.0.2 tcp/1-3", "10000 tick", "10001 in 10.98.0.2 tcp/1-2"], &[first]);
    rows(
        &["0 in 10.98.0.2 tcp/1-3", "10000 tick", "10001 in 10.98.0.2 tcp/1-3"],
        &[first, "10001 scan hr-2 3 allow: tcp/1 tcp/2 tcp/3"],
    );
    let other = "5 scan fin-web 3 allow: tcp/1 tcp/2 tcp/3";
    rows(&["0 in 10.98.0.2 tcp/1-3", "5 in 10.98.0.3 tcp/1-3"], &[first, other]);
}

#[test]
fn the_machine_wants_to_be_woken_when_a_window_ends() {
    let world =
        check(vec![scan(2, ANY, Response::Alert)], &["7 in 10.98.0.2 tcp/1-2"], &["7 scan hr-2 2 allow: tcp/1 tcp/2"]);
    assert_eq!(world.machine.poll_timeout(8), Some(10_007));
}

#[test]
fn a_sweep_is_distinct_peers_that_this_machine_tries() {
    let peers = |number, script: &[&str], expected: &[&str]| {
        drop(check(vec![sweep(number, ANY, Response::Alert)], script, expected));
    };
    peers(3, &["0 out 10.98.0.2,10.98.0.3 tcp/22"], &[]);
    peers(3, &["0 out 10.98.0.2,10.98.0.3,8.8.8.8 tcp/22"], &["0 sweep hr-1 3 allow: fin-web hr-2 8.8.8.8"]);
    peers(3, &["0 out 10.98.0.2,fd98::2,10.98.0.3 tcp/22"], &[]);
    peers(3, &["0 out 10.98.0.2,10.98.0.3 tcp/1-99"], &[]);
    peers(2, &["0 in 10.98.0.2,10.98.0.3,10.98.0.4 tcp/22"], &[]);
    peers(2, &["0 out 10.98.0.2 icmp/8", "9999 out 10.98.0.4 tcp/80"], &["9999 sweep hr-1 2 allow: hr-2 fin-db"]);
    peers(2, &["0 out 10.98.0.2 icmp/8", "10000 out 10.98.0.4 tcp/80"], &[]);
    peers(2, &["0 out 10.98.0.2,224.0.0.251,255.255.255.255,10.98.255.255 udp/5353"], &[]);
    drop(check(vec![sweep(2, FINANCE, Response::Alert)], &["0 out 10.98.0.2,10.98.0.3 tcp/22"], &[]));
}

#[test]
fn a_flood_is_new_connections_of_one_source() {
    let connections = |number, script: &[&str], expected: &[&str]| {
        drop(check(vec![flood(number, ANY, Response::Alert)], script, expected));
    };
    let twice = &["0 in 10.98.0.2 tcp/80", "1 in 10.98.0.2 tcp/80"];
    connections(2, twice, &["1 flood hr-2 2 allow: tcp/80<40000 tcp/80<40000"]);
    connections(3, twice, &[]);
    connections(3, &["0 in 10.98.0.2 tcp/80-81", "1 in 10.98.0.3 tcp/80-81"], &[]);
    connections(3, &["0 in 10.98.0.2 tcp/80-81", "10000 in 10.98.0.2 tcp/80-81"], &[]);
    // A datagram more of the same flow is none, and neither is another request of the same ping.
    connections(
        2,
        &["0 in 10.98.0.2 udp/53", "1 in 10.98.0.2 icmp/8", "2 in 10.98.0.2 icmp/8"],
        &["1 flood hr-2 2 allow: udp/53<40000 icmp/8<7"],
    );
    connections(2, &["1 in 10.98.0.2 icmp/8", "2 in 10.98.0.2 icmp/8"], &[]);
}

#[test]
fn the_kernel_tells_of_allowed_flows_only_where_a_detector_counts_them() {
    let tells = |detectors: Vec<ViewDetector>, inbound, peer: &str| {
        World::of(with(detectors)).word(inbound, peer.parse().unwrap(), FlowService::Tcp(80)).records()
    };
    assert!(!tells(vec![], true, "10.98.0.2"));
    assert!(tells(vec![scan(9, HR, Response::Alert)], true, "10.98.0.2"));
    assert!(!tells(vec![scan(9, HR, Response::Alert)], true, "10.98.0.3"));
    assert!(!tells(vec![scan(9, HR, Response::Alert)], false, "10.98.0.2"));
    assert!(tells(vec![sweep(9, HR, Response::Alert)], false, "10.98.0.2"));
    assert!(!tells(vec![sweep(9, HR, Response::Alert)], true, "10.98.0.2"));
    // It is told, and not recorded.
    let world = check(vec![scan(9, HR, Response::Alert)], &["0 in 10.98.0.2 tcp/80-81"], &[]);
    let kinds: Vec<Kind> = world.records.iter().map(|record| record.kind).collect();
    assert_eq!(kinds, [Kind::Deny]);
}

/// `in|out PEER SERVICE: RULE`, what the kernel would do.
fn rules(world: &World, rows: &[(&str, &str)]) {
    let program = world.machine.program().unwrap();
    let told = |(flow, _): &(&str, &str)| {
        let words: Vec<&str> = flow.split_whitespace().collect();
        let service = FlowService::Tcp(words[2].trim_start_matches("tcp/").parse().unwrap());
        views::told(program, words[0] == "in", words[1].parse().unwrap(), service)
    };
    let seen: Vec<(&str, String)> = rows.iter().map(|row| (row.0, told(row))).collect();
    let wanted: Vec<(&str, String)> = rows.iter().map(|(flow, rule)| (*flow, (*rule).to_owned())).collect();
    assert_eq!(seen, wanted);
}

const DENIED: &str = "deny eastwest/detect/scan";

#[test]
fn an_interception_denies_the_source_both_ways_for_its_time() {
    let alert = "5 scan hr-2 2 deny: tcp/79 tcp/80";
    let mut world = check(vec![scan(2, ANY, INTERCEPT)], &["5 in 10.98.0.2 tcp/79-80"], &[alert]);
    let during = [
        ("in 10.98.0.2 tcp/80", DENIED),
        ("out 10.98.0.2 tcp/80", DENIED),
        ("in fd98::2 tcp/80", DENIED),
        ("in 10.98.0.3 tcp/80", "allow web"),
        ("in 8.8.8.8 tcp/80", "allow web"),
        ("in 10.98.0.9 tcp/80", "deny eastwest/unknown"),
    ];
    rules(&world, &during);
    // What it denies is answered, and not counted again.
    world.play("10 in 10.98.0.2 tcp/1-99");
    world.play("10005 tick");
    assert_eq!(world.alerts(), [alert]);
    assert_eq!(world.machine.poll_timeout(10_005), Some(60_005));
    world.play("60004 tick");
    rules(&world, &during);
    world.play("60005 tick");
    rules(&world, &[("in 10.98.0.2 tcp/80", "allow web"), ("in 10.98.0.2 tcp/79", "deny default")]);
    assert_eq!(world.machine.poll_timeout(60_005), None);
}

#[test]
fn an_address_outside_is_denied_alone_also_where_a_vm_would_be_quarantined() {
    for then in [INTERCEPT, QUARANTINE] {
        let mut world = World::of(with(vec![scan(2, ANY, then)]));
        world.play("0 in 8.8.8.8 tcp/79-80");
        let near =
            [("in 8.8.8.8 tcp/80", DENIED), ("in 8.8.8.9 tcp/80", "allow web"), ("in 8.8.8.7 tcp/80", "allow web")];
        rules(&world, &near);
    }
    // A VM that is to be quarantined is not denied here: its own end does it.
    let mut world = World::of(with(vec![scan(2, ANY, QUARANTINE)]));
    world.play("0 in 10.98.0.2 tcp/79-80");
    rules(&world, &[("in 10.98.0.2 tcp/80", "allow web")]);
    assert_eq!(world.alerts(), ["0 scan hr-2 2 deny: tcp/79 tcp/80"]);
}

#[test]
fn a_machine_that_sweeps_is_denied_all() {
    let mut world = World::of(with(vec![sweep(2, FINANCE, INTERCEPT)]));
    world.play("0 out 10.98.0.3,10.98.0.4 tcp/22");
    let denied = "deny eastwest/detect/sweep";
    rules(&world, &[("out 10.98.0.2 tcp/80", denied), ("in 10.98.0.2 tcp/80", denied), ("out 8.8.8.8 tcp/80", denied)]);
}

#[test]
fn an_interception_holds_in_monitor_mode_and_under_the_next_policy() {
    let monitor: Vec<ViewRule> =
        with(vec![]).rules.into_iter().map(|r| ViewRule { mode: Mode::Monitor, ..r }).collect();
    let detectors = vec![scan(2, ANY, INTERCEPT)];
    let mut world = World::of(View { mode: Mode::Monitor, rules: monitor, ..with(detectors) });
    world.play("0 in 10.98.0.2 tcp/79-80");
    rules(
        &world,
        &[("in 10.98.0.2 tcp/80", DENIED), ("in 10.98.0.3 tcp/81", "allow eastwest/monitor would deny default")],
    );
    world.machine.handle_view(View { generation: 2, ..with(vec![]) }, 10);
    world.pump(10);
    rules(&world, &[("in 10.98.0.2 tcp/80", DENIED), ("in 10.98.0.3 tcp/80", "allow web")]);
}

#[test]
fn an_interception_outlives_the_agent_by_the_centers_time() {
    let mut world = World::of(with(vec![scan(2, ANY, INTERCEPT)]));
    world.play("0 in 10.98.0.2 tcp/79-80");
    // The view goes by its seal, all else as text.
    let State { view, .. } = world.kept.clone().unwrap();
    let text = serde_json::to_string(&world.kept.unwrap()).unwrap();
    let mut next = World::new(Some(State { view, ..serde_json::from_str(&text).unwrap() }));
    rules(&next, &[("in 10.98.0.2 tcp/80", DENIED)]);
    // The center's time was 1,000,000 at the beginning: 59 s went by meanwhile.
    next.machine.handle_time(1_059_000, 100);
    next.pump(100);
    rules(&next, &[("in 10.98.0.2 tcp/80", DENIED)]);
    assert_eq!(next.machine.poll_timeout(100), Some(1100));
    next.play("1100 tick");
    rules(&next, &[("in 10.98.0.2 tcp/80", "allow web")]);
}

#[test]
fn a_new_policy_goes_on_counting_with_a_detector_that_stays() {
    let counted = |after: ViewDetector| {
        let mut world = World::of(with(vec![scan(3, ANY, Response::Alert)]));
        world.play("0 in 10.98.0.2 tcp/1-2");
        world.machine.handle_view(View { generation: 2, ..with(vec![after]) }, 1);
        world.pump(1);
        world.play("2 in 10.98.0.2 tcp/3");
        world.alerts().len()
    };
    assert_eq!(counted(scan(3, ANY, Response::Alert)), 1);
    assert_eq!(counted(scan(2, ANY, Response::Alert)), 0, "another number is another detector");
    assert_eq!(counted(scan(3, HR, Response::Alert)), 0, "and so are other peers");
}

#[test]
fn what_a_detector_remembers_is_bounded_and_the_rest_counted() {
    let mut world = World::of(with(vec![scan(10_000, ANY, Response::Alert)]));
    let most = u32::try_from(agent_core::MOST_MARKS).unwrap();
    for number in 0..most + 7 {
        let peer = std::net::Ipv4Addr::from(0x0808_0000 + number / 4);
        let port = u16::try_from(1000 + number % 4).unwrap();
        world.attempt(0, true, peer.into(), FlowService::Udp(port));
    }
    assert_eq!(world.machine.facts().uncounted, 7);
}
