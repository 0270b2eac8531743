//! The judge by sabotage: honest evidence passes, and each lie or missing piece gets its finding.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test says what is wrong by failing")]

mod probed;

use harness::evidence::{Client, Evidence, Fence, SessionEvidence, Testimony, Wire};
use harness::judge::{judge, judge_session};
use harness::plan::{Decision, PlannedCell, PlannedSession, plan};
use harness::scenario::parse;
use policy::{End, FlowService, Timestamp, Verdict, render_plain};
use probed::probe;
use reports::event::{FindingKind, Word};
use wire::{Direction, FlowEnd, Kind, Record, RecordKey};

const SCENARIO: &str = "
eastwest: scenario/v1
topology:
  hosts: [a]
  vms:
    one: {host: a, labels: {app: web}}
    two: {host: a, labels: {app: db}}
    bare: {host: a, agent: none}
policy:
  rules:
    - {name: shut, deny: tcp/23}
    - {name: no-udp, reject: tcp/25, at: destination}
    - {name: no-entry, deny: tcp/24, at: destination}
    - {name: watch, deny: tcp/81, mode: monitor}
    - {name: web, allow: [tcp/80, tcp/81, tcp/24, tcp/25]}
  default: deny
steps:
  - name: it holds
    expect:
      - one -> two tcp/23: deny by shut at source
      - one -> two tcp/24: deny by no-entry at destination
      - one -> two tcp/25: reject by no-udp at destination
      - one -> two tcp/80: allow by web
      - one -> two tcp/81: allow by web, would deny by watch
      - one -> bare tcp/80: allow by web
      - bare -> one tcp/23: deny by shut at destination
  - name: it is cut
    do:
      - open talk: one -> two tcp/80
      - policy: {rules: [], default: deny}
    expect:
      - talk: cut by default
";
const GENERATION: u64 = 7;

fn steps() -> Vec<harness::plan::PlannedStep> {
    let scenario = parse("judge.yaml", SCENARIO, &mut |_| Err("none".to_owned()));
    let scenario = scenario.unwrap_or_else(|errors| panic!("{}", render_plain(&errors.files()[0])));
    let steps = plan(&scenario, Timestamp::UNIX_EPOCH);
    assert!(steps.iter().all(|step| step.findings.is_empty()), "{steps:#?}");
    steps
}

fn cell(source: &str, destination: &str, port: u16) -> PlannedCell {
    let steps = steps();
    let mut cells = steps[0].cells.iter();
    let is = |cell: &&PlannedCell| {
        (cell.source.as_str(), cell.destination.as_str(), cell.service) == (source, destination, FlowService::Tcp(port))
    };
    cells.find(is).unwrap().clone()
}

fn record(cell: &PlannedCell, end: End, decision: &Decision) -> Record {
    let vm = if end == End::Source { &cell.source } else { &cell.destination };
    let would = decision.would.clone().map(|(verdict, rule)| policy::Would {
        verdict,
        rule: Some(rule),
        end: (verdict != Verdict::Allow).then_some(end),
    });
    Record {
        key: RecordKey { vm: vm.to_string(), boot: "b".into(), sequence: 1 },
        kind: if decision.verdict == Verdict::Allow { Kind::Allow } else { Kind::Deny },
        direction: if end == End::Source { Direction::Out } else { Direction::In },
        source: FlowEnd { vm: Some(cell.source.to_string()), address: cell.source_address, port: 4000 },
        destination: FlowEnd {
            vm: Some(cell.destination.to_string()),
            address: cell.destination_address,
            port: match cell.service {
                FlowService::Tcp(port) | FlowService::Udp(port) => port,
                FlowService::Icmp(_) | FlowService::Icmpv6(_) | FlowService::Proto(_) => 0,
            },
        },
        family: cell.family,
        protocol: cell.service.protocol(),
        icmp_type: 0,
        icmp_id: 0,
        tcp_sequence: Some(99),
        payload: Vec::new(),
        verdict: decision.verdict,
        rule: decision.rule.clone(),
        admitted_by: None,
        end,
        would,
        monitor: false,
        generation_first: GENERATION - 1,
        generation_last: GENERATION,
        packets: 1,
        detail: String::new(),
        stamp: 0,
    }
}

fn testimony(records: Vec<Record>) -> Testimony {
    Testimony { alive: true, connected: true, barrier: true, records, acked: GENERATION, ..Testimony::default() }
}

/// What honest witnesses see of a cell.
fn honest(cell: &PlannedCell) -> Evidence {
    let denies = |decision: &Option<Decision>| decision.as_ref().is_some_and(|d| d.verdict != Verdict::Allow);
    let at_source = denies(&cell.ends.source);
    let at_destination = !at_source && denies(&cell.ends.destination);
    let rejects = cell.expected.verdict == Word::Reject;
    let passes = !at_source && !at_destination;
    let end = |end: End, decision: &Option<Decision>, seen: bool| {
        decision.as_ref().map(|d| testimony(if seen { vec![record(cell, end, d)] } else { Vec::new() }))
    };
    Evidence {
        probe: probe(cell),
        source_port: 4000,
        tcp_sequence: Some(99),
        client: if passes {
            Client::Answered
        } else if rejects {
            Client::Refused
        } else {
            Client::Silence
        },
        delivered: passes,
        listener_proven: true,
        left_source: u64::from(!at_source),
        reached_destination: u64::from(!at_source),
        answers_left: u64::from(passes),
        answers_reached: u64::from(passes),
        taken_out: false,
        tap_losses: 0,
        fence: if passes { Fence::NotNeeded } else { Fence::Returned },
        path_cut: false,
        source_end: end(End::Source, &cell.ends.source, true),
        destination_end: end(End::Destination, &cell.ends.destination, !at_source),
        published: GENERATION,
        again: false,
        by_clock: false,
        settle_us: 10,
    }
}

fn kinds(cell: &PlannedCell, evidence: &Evidence) -> Vec<FindingKind> {
    judge(cell, evidence).1.into_iter().map(|finding| finding.kind).collect()
}

fn check(cell: &PlannedCell, name: &str, lie: impl Fn(&mut Evidence), expected: &[FindingKind]) {
    let mut evidence = honest(cell);
    lie(&mut evidence);
    let (_, findings) = judge(cell, &evidence);
    let kinds: Vec<FindingKind> = findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, expected, "{name}: {findings:#?}");
}

const CELLS: [(&str, &str, u16); 7] = [
    ("one", "two", 23),
    ("one", "two", 24),
    ("one", "two", 25),
    ("one", "two", 80),
    ("one", "two", 81),
    ("one", "bare", 80),
    ("bare", "one", 23),
];

fn deciding(evidence: &mut Evidence) -> &mut Testimony {
    let has = |end: &Option<Testimony>| end.as_ref().is_some_and(|t| t.records.iter().any(|r| r.kind == Kind::Deny));
    if has(&evidence.source_end) {
        evidence.source_end.as_mut().unwrap()
    } else {
        evidence.destination_end.as_mut().unwrap()
    }
}

fn first(evidence: &mut Evidence) -> &mut Record {
    &mut deciding(evidence).records[0]
}

#[test]
fn honest_evidence_of_every_cell_passes() {
    for step in steps() {
        for cell in &step.cells {
            let (shown, findings) = judge(cell, &honest(cell));
            assert!(findings.is_empty(), "{findings:#?}");
            assert_eq!(shown.observed.verdict, cell.expected.verdict);
        }
    }
}

type Lie = (&'static str, fn(&mut Evidence), FindingKind);

#[test]
fn each_lie_about_an_interception_gets_its_name() {
    let lies: [Lie; 12] = [
        (
            "delivered",
            |e| (e.delivered, e.client, e.left_source, e.reached_destination) = (true, Client::Answered, 1, 1),
            FindingKind::Leak,
        ),
        ("came up to the listener", |e| e.delivered = true, FindingKind::Leak),
        ("another rule", |e| first(e).rule = "other".into(), FindingKind::Misattributed),
        ("the other end named", |e| first(e).end = flip(first(e).end), FindingKind::Misplaced),
        (
            "an older generation",
            |e| (first(e).generation_first, first(e).generation_last) = (1, GENERATION - 1),
            FindingKind::Late,
        ),
        ("a generation to come", |e| first(e).generation_first = GENERATION + 1, FindingKind::Late),
        (
            "silenced, and counted by the kernel",
            |e| {
                deciding_silenced(e);
            },
            FindingKind::Unreported,
        ),
        (
            "another sequence number",
            |e| {
                e.tcp_sequence = Some(1);
            },
            FindingKind::Unproven,
        ),
        ("the fence lost", |e| e.fence = Fence::Lost, FindingKind::Unproven),
        (
            "the kernel counted more",
            |e| {
                let line = format!("{}: kernel 3, probes 1, records 1", first(e).rule);
                deciding(e).counters = vec![line];
            },
            FindingKind::Unproven,
        ),
        ("taps lost frames", |e| e.tap_losses = 1, FindingKind::Unproven),
        ("could not be sent", |e| e.client = Client::Failed("no socket".into()), FindingKind::HarnessError),
    ];
    for (source, destination, port) in [("one", "two", 23), ("one", "two", 24), ("bare", "one", 23)] {
        let cell = cell(source, destination, port);
        for (name, lie, expected) in &lies {
            let expected = match (*name, port, source) {
                ("another sequence number", 23, "one") => FindingKind::Unreported,
                _ => *expected,
            };
            let name = format!("{source} -> {destination} tcp/{port}: {name}");
            check(&cell, &name, lie, &[expected]);
        }
    }
}

fn flip(end: End) -> End {
    if end == End::Source { End::Destination } else { End::Source }
}

fn deciding_silenced(evidence: &mut Evidence) {
    let line = format!("{}: kernel 1, probes 1, records 0", first(evidence).rule);
    let testimony = deciding(evidence);
    testimony.records.clear();
    testimony.counters = vec![line];
}

#[test]
fn actions_are_told_apart() {
    let rejected = cell("one", "two", 25);
    check(
        &rejected,
        "dropped, and said so",
        |e| {
            e.client = Client::Silence;
            first_deny(e).verdict = Verdict::Deny;
        },
        &[FindingKind::WrongAction],
    );
    check(&rejected, "no RST", |e| e.client = Client::Silence, &[FindingKind::WrongAction]);
    check(&cell("one", "two", 24), "an RST", |e| e.client = Client::Refused, &[FindingKind::WrongAction]);
}

fn first_deny(evidence: &mut Evidence) -> &mut Record {
    deciding(evidence).records.iter_mut().find(|record| record.kind == Kind::Deny).unwrap()
}

#[test]
fn each_lie_about_an_allow_gets_its_name() {
    let lies: [Lie; 10] = [
        ("an end says nothing", |e| e.source_end.as_mut().unwrap().records.clear(), FindingKind::Unreported),
        (
            "another rule",
            |e| e.source_end.as_mut().unwrap().records[0].rule = "other".into(),
            FindingKind::Misattributed,
        ),
        ("the other end", |e| e.source_end.as_mut().unwrap().records[0].end = End::Destination, FindingKind::Misplaced),
        (
            "an invented deny",
            |e| {
                let end = e.source_end.as_mut().unwrap();
                let mut lie = end.records[0].clone();
                (lie.kind, lie.verdict) = (Kind::Deny, Verdict::Deny);
                end.records.push(lie);
            },
            FindingKind::Phantom,
        ),
        (
            "an older generation",
            |e| {
                let record = &mut e.source_end.as_mut().unwrap().records[0];
                (record.generation_first, record.generation_last) = (1, 2);
            },
            FindingKind::Late,
        ),
        (
            "no barrier and no record",
            |e| {
                let end = e.source_end.as_mut().unwrap();
                (end.barrier, end.records) = (false, Vec::new());
            },
            FindingKind::Unproven,
        ),
        ("not seen leaving", |e| e.left_source = 0, FindingKind::Unproven),
        ("not seen arriving", |e| e.reached_destination = 0, FindingKind::Unproven),
        ("no answer", |e| e.client = Client::Silence, FindingKind::Unproven),
        ("not delivered", |e| e.delivered = false, FindingKind::Unproven),
    ];
    for (source, destination, port) in [("one", "two", 80), ("one", "bare", 80), ("one", "two", 81)] {
        for (name, lie, expected) in &lies {
            check(&cell(source, destination, port), name, lie, &[*expected]);
        }
    }
}

#[test]
fn what_should_pass_and_does_not_is_named() {
    let allowed = cell("one", "two", 80);
    check(
        &allowed,
        "intercepted",
        |e| {
            let end = e.source_end.as_mut().unwrap();
            (end.records[0].kind, end.records[0].verdict) = (Kind::Deny, Verdict::Deny);
            e.destination_end.as_mut().unwrap().records.clear();
            (e.client, e.delivered, e.left_source, e.reached_destination) = (Client::Silence, false, 0, 0);
            e.fence = Fence::Returned;
        },
        &[FindingKind::Overblock],
    );
    check(
        &allowed,
        "nothing listens",
        |e| {
            (e.client, e.delivered, e.listener_proven) = (Client::Refused, false, false);
        },
        &[FindingKind::Refused],
    );
    check(
        &allowed,
        "no way",
        |e| {
            (e.client, e.delivered) = (Client::Unreachable("ENETUNREACH".into()), false);
            (e.left_source, e.reached_destination) = (0, 0);
            e.source_end.as_mut().unwrap().records.clear();
            e.destination_end.as_mut().unwrap().records.clear();
        },
        &[FindingKind::Unreachable],
    );
    check(
        &allowed,
        "a cut path",
        |e| {
            (e.client, e.delivered, e.fence, e.path_cut) = (Client::Silence, false, Fence::Lost, true);
            e.reached_destination = 0;
            e.destination_end.as_mut().unwrap().records.clear();
        },
        &[FindingKind::Unreachable],
    );
}

#[test]
fn a_dead_agent_is_judged_by_the_kernels_counters() {
    let denied = cell("one", "two", 24);
    let dead = |e: &mut Evidence| {
        let end = deciding(e);
        end.records.clear();
        (end.alive, end.connected, end.barrier) = (false, false, false);
        end.counted = vec![("deny no-entry".into(), 1)];
    };
    check(&denied, "counted", dead, &[]);
    let mut evidence = honest(&denied);
    dead(&mut evidence);
    assert_eq!(judge(&denied, &evidence).0.note, "by counters");
    type Change = (&'static str, fn(&mut Evidence));
    let changes: [Change; 4] = [
        ("not counted", |e| e.destination_end.as_mut().unwrap().counted.clear()),
        ("another rule counted", |e| e.destination_end.as_mut().unwrap().counted[0].0 = "deny other".into()),
        ("miscounted", |e| {
            e.destination_end.as_mut().unwrap().counters = vec!["no-entry: kernel 2, probes 1, records 0".into()]
        }),
        ("not arrived", |e| e.reached_destination = 0),
    ];
    for (name, change) in changes {
        check(
            &denied,
            name,
            |e| {
                dead(e);
                change(e);
            },
            &[FindingKind::Unproven],
        );
    }
}

/// A way to spoil evidence, by name.
type Corruption = (&'static str, fn(&mut Evidence));

/// Every single piece of positive evidence, taken away or corrupted.
fn corruptions() -> Vec<Corruption> {
    vec![
        ("fence", |e| e.fence = Fence::Lost),
        ("listener", |e| e.listener_proven = false),
        ("taps", |e| e.tap_losses = 1),
        ("record", |e| deciding(e).records.retain(|record| record.kind != Kind::Deny)),
        ("record's vm", |e| first_deny(e).key.vm = "three".into()),
        ("record's port", |e| first_deny(e).source.port += 1),
        ("record's service", |e| first_deny(e).destination.port += 1),
        ("record's source", |e| first_deny(e).source.address = "192.0.2.1".parse().unwrap()),
        ("record's destination", |e| first_deny(e).destination.address = "192.0.2.1".parse().unwrap()),
        ("record's sequence", |e| first_deny(e).tcp_sequence = Some(1)),
        ("record's rule", |e| first_deny(e).rule = "x".into()),
        ("record's end", |e| first_deny(e).end = flip(first_deny(e).end)),
        ("record's verdict", |e| {
            let record = first_deny(e);
            record.verdict = if record.verdict == Verdict::Deny { Verdict::Reject } else { Verdict::Deny };
        }),
        ("record's generation", |e| (first_deny(e).generation_first, first_deny(e).generation_last) = (1, 1)),
        ("counters", |e| {
            let line = format!("deny {}: kernel 2, probes 1, records 1", first_deny(e).rule);
            deciding(e).counters = vec![line];
        }),
        ("barrier", |e| deciding(e).barrier = false),
        ("arrival", |e| {
            (e.left_source, e.reached_destination) = match e.reached_destination {
                0 => (1, 1),
                _ => (1, 0),
            }
        }),
        ("silence of the listener", |e| e.delivered = true),
    ]
}

#[test]
fn no_interception_passes_without_any_one_piece() {
    for (source, destination, port) in CELLS {
        let cell = cell(source, destination, port);
        if cell.expected.verdict == Word::Allow {
            continue;
        }
        for (name, corrupt) in corruptions() {
            let mut evidence = honest(&cell);
            corrupt(&mut evidence);
            assert!(!kinds(&cell, &evidence).is_empty(), "{source} -> {destination} tcp/{port} passes without: {name}");
        }
    }
}

fn session() -> PlannedSession {
    steps()[1].sessions[0].clone()
}

fn session_evidence() -> SessionEvidence {
    let cell = cell("one", "two", 80);
    let cut = |end| {
        let decision = Decision { verdict: Verdict::Deny, rule: "default".into(), would: None };
        let cut = Record { kind: Kind::Cut, admitted_by: Some("web".into()), ..record(&cell, end, &decision) };
        Some(testimony(vec![cut]))
    };
    SessionEvidence {
        name: "talk".into(),
        probe: honest(&cell).probe,
        sent_forward: 2,
        received_forward: 1,
        sent_backward: 2,
        received_backward: 1,
        client_reset: true,
        server_reset: true,
        client_path_mtu: Some(1500),
        server_path_mtu: Some(1500),
        source_end: cut(End::Source),
        destination_end: cut(End::Destination),
        published: GENERATION,
        fence: Fence::Returned,
        stood: true,
        wire: Wire { left_source: 3, reached_destination: 3, left_destination: 3, reached_source: 3 },
        tap_losses: 0,
        taken_out: false,
    }
}

#[test]
fn sessions_are_cut_once_by_the_right_rule_and_otherwise_left_alone() {
    type Case = (&'static str, fn(&mut PlannedSession, &mut SessionEvidence), &'static [FindingKind]);
    let cases: [Case; 9] = [
        ("honest", |_, _| {}, &[]),
        ("a byte behind the cut", |_, e| e.received_forward = 2, &[FindingKind::Leak]),
        (
            "unreported",
            |_, e| {
                e.source_end.as_mut().unwrap().records.clear();
                e.destination_end.as_mut().unwrap().records.clear();
            },
            &[FindingKind::Unreported],
        ),
        (
            "another rule",
            |_, e| e.source_end.as_mut().unwrap().records[0].rule = "x".into(),
            &[FindingKind::Misattributed],
        ),
        (
            "another admitted",
            |_, e| e.source_end.as_mut().unwrap().records[0].admitted_by = None,
            &[FindingKind::Misattributed],
        ),
        (
            "the other end",
            |_, e| e.source_end.as_mut().unwrap().records[0].end = End::Destination,
            &[FindingKind::Misplaced],
        ),
        (
            "twice",
            |_, e| {
                let end = e.source_end.as_mut().unwrap();
                end.records.push(end.records[0].clone());
            },
            &[FindingKind::Phantom],
        ),
        ("permitted and cut", |s, _| s.expected = harness::scenario::SessionClaim::Alive, &[FindingKind::Disturbed]),
        ("no barrier", |_, e| e.source_end.as_mut().unwrap().barrier = false, &[FindingKind::Unproven]),
    ];
    for (name, change, expected) in cases {
        let (mut session, mut evidence) = (session(), session_evidence());
        change(&mut session, &mut evidence);
        let (_, findings) = judge_session(&session, &evidence);
        let kinds: Vec<FindingKind> = findings.iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, expected, "{name}: {findings:#?}");
    }
}
