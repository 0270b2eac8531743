//! Volume detectors, row by row: what the kernel counted and when, and what comes of it; near misses beside each.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod views;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use agent_core::{Config, Former, KernelRequest, Limits, Machine, Numbering, Ruleset, Weight, compile};
use policy::{Action, FlowService, Response, ServiceMatch, Watch};
use views::{ANY, FINANCE, HR, OFFICE, rule, tcp, view};
use wire::{FromAgent, Kind, Record, View, ViewDetector};

const INTERCEPT: Response = Response::Intercept(Duration::from_secs(60));
const QUARANTINE: Response = Response::Quarantine(Duration::from_secs(60));

fn volume(bytes: u64, peers: u32, then: Response) -> ViewDetector {
    ViewDetector { name: "exfil".into(), watch: Watch::Volume { bytes }, within: 10_000, peers, then }
}

fn with(detectors: Vec<ViewDetector>) -> View {
    let web = rule("web", Action::Allow, &[tcp(80, 80), ServiceMatch::Icmp(Some(8))], ANY);
    View { rules: vec![web], detectors, ..view() }
}

struct World {
    machine: Machine,
    records: Vec<Record>,
}

impl World {
    fn of(view: View) -> Self {
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
        let mut world = Self { machine: Machine::new(config, None, Former::default()), records: Vec::new() };
        world.machine.handle_connected(Vec::new());
        world.pump(0);
        world.hold(view, 0);
        world
    }

    fn hold(&mut self, view: View, now: u64) {
        self.machine.handle_view(view, now);
        self.pump(now);
    }

    fn pump(&mut self, now: u64) {
        loop {
            while self.machine.poll_persist().is_some() || self.machine.poll_spool().is_some() {}
            match self.machine.poll_kernel() {
                None => break,
                Some(KernelRequest::Sweep { .. }) => self.machine.handle_swept(now),
                Some(KernelRequest::Repair { .. }) => self.machine.handle_repaired(),
                Some(KernelRequest::Apply { .. }) => self.machine.handle_committed(now),
            }
        }
        while let Some(message) = self.machine.poll_send() {
            if let FromAgent::Records(records) = message {
                self.records.extend(records);
            }
        }
    }

    /// `MS ADDRESS=BYTES …`: a reading of the kernel's counters; `MS tick`.
    fn play(&mut self, line: &str) {
        let (now, rest) = line.split_once(' ').unwrap();
        let now: u64 = now.parse().unwrap();
        if rest == "tick" {
            self.machine.handle_tick(now);
            return self.pump(now);
        }
        let weight = |word: &str| {
            let (address, bytes) = word.split_once('=').unwrap();
            Weight { address: address.parse().unwrap(), bytes: bytes.parse().unwrap() }
        };
        let weights: Vec<Weight> = rest.split_whitespace().map(weight).collect();
        self.machine.handle_weights(&weights, now * 1000);
        self.pump(now);
    }

    /// The alerts, `MS SOURCE NUMBER VERDICT: EXAMPLES`.
    fn alerts(&self) -> Vec<String> {
        let told = |record: &Record| {
            assert_eq!(record.rule, "eastwest/detect/exfil");
            assert_eq!(record.destination.vm.as_deref(), Some("hr-1"));
            assert_eq!(record.generation_last, 1);
            let (source, examples) = (record.source.vm.as_deref().unwrap(), record.detail.split_once("Z: ").unwrap().1);
            format!("{} {source} {} {}: {examples}", record.stamp / 1000, record.packets, record.verdict)
        };
        self.records.iter().filter(|record| record.kind == Kind::Alert).map(told).collect()
    }
}

fn check(detector: ViewDetector, script: &[&str], expected: &[&str]) -> World {
    let mut world = World::of(with(vec![detector]));
    script.iter().for_each(|line| world.play(line));
    assert_eq!(world.alerts(), expected, "{script:?}");
    world
}

fn rows(script: &[&str], expected: &[&str]) {
    drop(check(volume(1000, HR, Response::Alert), script, expected));
}

#[test]
fn a_volume_is_the_bytes_of_one_source_within_the_time() {
    rows(&["0 10.98.0.2=0", "1000 10.98.0.2=999"], &[]);
    rows(&["0 10.98.0.2=0", "1000 10.98.0.2=1000"], &["1000 hr-2 1000 allow: 1000"]);
    rows(&["0 10.98.0.2=0", "1000 10.98.0.2=999", "2000 10.98.0.2=1000"], &["2000 hr-2 1000 allow: 999 1"]);
    // The two addresses of one VM add up.
    rows(&["0 10.98.0.2=0 fd98::2=0", "1000 10.98.0.2=400 fd98::2=600"], &["1000 hr-2 1000 allow: 1000"]);
    rows(&["0 10.98.0.2=0 fd98::2=0", "1000 10.98.0.2=400 fd98::2=599"], &[]);
    // What stood there before the first reading came at a time that nobody knows.
    rows(&["0 10.98.0.2=5000", "1000 10.98.0.2=5999"], &[]);
    // A counter that was made anew counts from nothing.
    rows(&["0 10.98.0.2=5000", "1000 10.98.0.2=999"], &[]);
    rows(&["0 10.98.0.2=5000", "1000 10.98.0.2=1000"], &["1000 hr-2 1000 allow: 1000"]);
}

#[test]
fn what_is_past_counts_no_more() {
    // It came after 1000, and up to 2000.
    let script = |last: &'static str| ["1000 10.98.0.2=0", "2000 10.98.0.2=600", "10500 10.98.0.2=600", last];
    rows(&script("11000 10.98.0.2=1000"), &["11000 hr-2 1000 allow: 600 400"]);
    rows(&script("11001 10.98.0.2=1000"), &[]);
    // Readings that were far apart tell of no time within.
    rows(&["0 10.98.0.2=0", "10001 10.98.0.2=5000"], &[]);
    rows(&["0 10.98.0.2=0", "10000 10.98.0.2=5000"], &["10000 hr-2 5000 allow: 5000"]);
}

#[test]
fn a_detector_is_about_its_peers_alone() {
    let of = |set, address: &str, fires: bool| {
        let mut world = World::of(with(vec![volume(1000, set, Response::Alert)]));
        world.play(&format!("0 {address}=0"));
        world.play(&format!("1000 {address}=1000"));
        assert_eq!(world.alerts().len(), usize::from(fires), "{set} {address}");
    };
    of(HR, "10.98.0.2", true);
    of(HR, "fd98::2", true);
    of(HR, "10.98.0.3", false);
    of(FINANCE, "10.98.0.3", true);
    of(FINANCE, "10.98.0.2", false);
    of(FINANCE, "10.98.0.9", false);
    of(ANY, "8.8.8.8", false);
    // Two sources do not add up.
    let two = ["0 10.98.0.3=0 10.98.0.4=0", "1000 10.98.0.3=999 10.98.0.4=999"];
    drop(check(volume(1000, FINANCE, Response::Alert), &two, &[]));
}

#[test]
fn one_record_a_source_and_window() {
    let first = "1000 hr-2 1000 allow: 1000";
    let begin = ["0 10.98.0.2=0", "1000 10.98.0.2=1000", "2000 10.98.0.2=9000"];
    let then = |more: &[&'static str]| [&begin, more].concat();
    rows(&then(&["10999 10.98.0.2=9000"]), &[first]);
    // What came meanwhile is told as one, when the time is over.
    rows(&then(&["11000 10.98.0.2=9000"]), &[first, "11000 hr-2 8000 allow: 8000"]);
    rows(&["0 10.98.0.2=0", "1000 10.98.0.2=1000", "2000 10.98.0.2=1999", "11000 10.98.0.2=1999"], &[first]);
}

#[test]
fn what_is_remembered_of_a_source_is_bounded() {
    let mut world = World::of(with(vec![volume(1_000_000, HR, Response::Alert)]));
    (0..100_u64).for_each(|at| world.play(&format!("{} 10.98.0.2={}", at * 100, at * 10)));
    world.play("9901 10.98.0.2=1000000");
    assert_eq!(world.alerts().len(), 1);
    // Two hundred readings within the time would be as many spans.
    let examples = world.alerts()[0].split_once(": ").unwrap().1.to_owned();
    assert!(examples.starts_with("30 30 30 30 "), "{examples}");
}

fn denied(world: &World, flow: (bool, &str)) -> String {
    let peer: IpAddr = flow.1.parse().unwrap();
    views::told(world.machine.program().unwrap(), flow.0, peer, FlowService::Tcp(80))
}

#[test]
fn an_interception_denies_the_source_and_is_not_prolonged_by_what_it_denies() {
    let script = ["0 10.98.0.2=0", "1000 10.98.0.2=1000", "2000 10.98.0.2=9000", "11000 10.98.0.2=19000"];
    let mut world = check(volume(1000, HR, INTERCEPT), &script, &["1000 hr-2 1000 deny: 1000"]);
    for flow in [(true, "10.98.0.2"), (false, "10.98.0.2"), (true, "fd98::2")] {
        assert_eq!(denied(&world, flow), "deny eastwest/detect/exfil");
    }
    assert_eq!(denied(&world, (true, "10.98.0.3")), "allow web");
    world.play("60999 tick");
    assert_eq!(denied(&world, (true, "10.98.0.2")), "deny eastwest/detect/exfil");
    world.play("61000 tick");
    assert_eq!(denied(&world, (true, "10.98.0.2")), "allow web");
    // Whom the center is to quarantine is not denied here.
    let world = check(volume(1000, HR, QUARANTINE), &script[..2], &["1000 hr-2 1000 deny: 1000"]);
    assert_eq!(denied(&world, (true, "10.98.0.2")), "allow web");
}

#[test]
fn a_detector_that_stays_goes_on_counting() {
    let told = |after: ViewDetector| {
        let mut world = World::of(with(vec![volume(1000, HR, Response::Alert)]));
        world.play("0 10.98.0.2=0");
        world.play("1000 10.98.0.2=600");
        world.hold(with(vec![after]), 1500);
        world.play("2000 10.98.0.2=1000");
        world.alerts().len()
    };
    assert_eq!(told(volume(1000, HR, Response::Alert)), 1);
    assert_eq!(told(volume(999, HR, Response::Alert)), 0, "another number is another detector");
    assert_eq!(told(volume(1000, ANY, Response::Alert)), 0, "and so are other peers");
}

#[test]
fn the_kernel_counts_only_whom_a_volume_detector_watches() {
    let ruleset =
        |detectors| -> Arc<Ruleset> { compile(&with(detectors), None, &mut Numbering::default()).unwrap().ruleset };
    let of = |detectors| ruleset(detectors).weighed.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let flood = ViewDetector { watch: Watch::Flood { connections: 9 }, ..volume(0, HR, Response::Alert) };
    assert_eq!(of(vec![]), "");
    assert_eq!(of(vec![flood]), "");
    assert_eq!(of(vec![volume(9, OFFICE, Response::Alert)]), "");
    assert_eq!(of(vec![volume(9, HR, Response::Alert)]), "10.98.0.2 fd98::2");
    let finance = "10.98.0.3 10.98.0.4 10.98.0.5 fd98::3 fd98::4 fd98::5";
    assert_eq!(of(vec![volume(9, FINANCE, Response::Alert)]), finance);
    // It asks for no word of first packets.
    let same = ruleset(vec![volume(9, HR, Response::Alert)]);
    assert_eq!(same.inbound, ruleset(vec![]).inbound);
    assert!(!World::of(with(vec![])).machine.wants_weights());
    assert!(World::of(with(vec![volume(9, HR, Response::Alert)])).machine.wants_weights());
}

#[test]
fn too_many_addresses_are_refused() {
    let many = |count: usize| {
        let mut view = with(vec![volume(9, HR, Response::Alert)]);
        let address = |at: usize| IpAddr::from(u32::try_from(at + 0x0a00_0000).unwrap().to_be_bytes());
        view.peers[0].addresses = (0..count).map(address).collect();
        compile(&view, None, &mut Numbering::default()).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(many(agent_core::MOST_WEIGHED), Ok(()));
    let message = "this policy needs 16385 addresses whose bytes are counted, and at most 16384 are possible";
    assert_eq!(many(agent_core::MOST_WEIGHED + 1), Err(message.to_owned()));
}
