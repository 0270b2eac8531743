//! What the judge makes of VMs at which others enforce: each row is what the witnesses see of one probe, and what comes of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by failing")]

mod probed;

use harness::evidence::{Client, Evidence, Fence, Probe, SessionEvidence, Wire};
use harness::judge::{judge, judge_session};
use harness::plan::{PlannedCell, plan};
use harness::scenario::parse;
use policy::{Family, FlowService, Timestamp, render_plain};
use probed::probe;
use reports::event::{FindingKind, Word};

const SCENARIO: &str = "
eastwest: scenario/v1
topology:
  hosts: [a]
  vms:
    one: {host: a, labels: {app: web}, agent: {exec: [fence]}}
    two: {host: a, labels: {app: db}, agent: {exec: [fence]}}
    bare: {host: a, agent: none}
policy:
  rules:
    - {name: shut, deny: [tcp/23, udp/23]}
    - {name: turned-away, reject: [tcp/25, udp/25]}
    - {name: watch, deny: tcp/81, mode: monitor}
    - {name: web, allow: [tcp/80, tcp/81, udp/80]}
  default: deny
steps:
  - name: it holds
    expect:
      - one -> two tcp/23, udp/23: deny by shut at source
      - one -> two tcp/25, udp/25: reject by turned-away at source
      - one -> two tcp/80, udp/80: allow by web
      - one -> two tcp/81: allow by web, would deny by watch
      - bare -> two tcp/23, udp/23: deny by shut at destination
      - bare -> two tcp/25, udp/25: reject by turned-away at destination
      - bare -> two tcp/80, udp/80: allow by web
";

fn cell(flow: &str) -> PlannedCell {
    let scenario = parse("foreign.yaml", SCENARIO, &mut |_| Err("none".to_owned()));
    let scenario = scenario.unwrap_or_else(|errors| panic!("{}", render_plain(&errors.files()[0])));
    let steps = plan(&scenario, Timestamp::UNIX_EPOCH);
    assert!(steps.iter().all(|step| step.findings.is_empty()), "{steps:#?}");
    let is = |cell: &&PlannedCell| format!("{} -> {} {}", cell.source, cell.destination, cell.service) == flow;
    steps[0].cells.iter().find(is).unwrap().clone()
}

/// What the witnesses see: the client's word, delivery, packets that left and came up, answers that left and came up.
type Seen = (Client, bool, [u64; 4]);

fn evidence(cell: &PlannedCell, (client, delivered, [left, reached, answers_left, answers_reached]): Seen) -> Evidence {
    let tcp = matches!(cell.service, FlowService::Tcp(_));
    Evidence {
        probe: probe(cell),
        source_port: 4000,
        tcp_sequence: (tcp && left > 0).then_some(99),
        fence: if client == Client::Silence { Fence::Returned } else { Fence::NotNeeded },
        client,
        delivered,
        listener_proven: true,
        left_source: left,
        reached_destination: reached,
        answers_left,
        answers_reached,
        taken_out: false,
        tap_losses: 0,
        path_cut: false,
        source_end: None,
        destination_end: None,
        published: 1,
        again: false,
        by_clock: false,
        settle_us: 10,
    }
}

fn check(flow: &str, seen: Seen, change: impl Fn(&mut Evidence), expected: Option<FindingKind>) {
    let cell = cell(flow);
    let mut evidence = evidence(&cell, seen.clone());
    change(&mut evidence);
    let (shown, findings) = judge(&cell, &evidence);
    let kinds: Vec<FindingKind> = findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, Vec::from_iter(expected), "{flow}, {seen:?}: {findings:#?}");
    let told = findings.iter().all(|finding| finding.detail.contains("no record exists for this VM"));
    assert!(told, "{findings:#?}");
    if expected.is_none() {
        assert_eq!(shown.observed.verdict, cell.expected.verdict, "{flow}, {seen:?}");
    }
}

fn unreachable(why: &str) -> Client {
    Client::Unreachable(why.to_owned())
}

#[test]
fn what_the_ends_and_the_wire_show_is_enough() {
    let rows: [(&str, Seen); 15] = [
        ("one -> two tcp/80", (Client::Answered, true, [4, 4, 3, 3])),
        ("one -> two udp/80", (Client::Answered, true, [1, 1, 1, 1])),
        ("one -> two tcp/23", (Client::Silence, false, [0, 0, 0, 0])),
        ("one -> two udp/23", (unreachable("EPERM"), false, [0, 0, 0, 0])),
        ("one -> two tcp/25", (Client::Refused, false, [0, 0, 0, 0])),
        ("one -> two udp/25", (unreachable("EHOSTUNREACH"), false, [0, 0, 0, 0])),
        ("one -> two udp/25", (unreachable("EPERM"), false, [0, 0, 0, 0])),
        ("bare -> two tcp/23", (Client::Silence, false, [1, 1, 0, 0])),
        ("bare -> two udp/23", (Client::Silence, false, [1, 1, 0, 0])),
        ("bare -> two tcp/25", (Client::Refused, false, [1, 1, 1, 1])),
        ("bare -> two udp/25", (Client::Silence, false, [1, 1, 0, 0])),
        ("bare -> two udp/25", (Client::Refused, false, [1, 1, 0, 0])),
        ("bare -> two tcp/25", (Client::Refused, false, [2, 2, 1, 1])),
        ("bare -> two tcp/80", (Client::Answered, true, [4, 4, 3, 3])),
        ("bare -> two udp/80", (Client::Answered, true, [1, 1, 1, 1])),
    ];
    for (flow, seen) in rows {
        check(flow, seen, |_| {}, None);
    }
}

#[test]
fn what_is_otherwise_gets_its_name() {
    use FindingKind::{Leak, Misplaced, Overblock, Unproven, Unreachable, WrongAction};
    let rows: [(&str, Seen, FindingKind); 17] = [
        ("bare -> two tcp/23", (Client::Answered, true, [4, 4, 3, 3]), Leak),
        ("bare -> two udp/23", (Client::Silence, true, [1, 1, 0, 0]), Leak),
        ("one -> two tcp/23", (Client::Silence, false, [1, 1, 1, 1]), Leak),
        ("one -> two tcp/23", (Client::Silence, false, [1, 1, 0, 0]), Misplaced),
        ("one -> two tcp/23", (Client::Refused, false, [0, 0, 0, 0]), WrongAction),
        ("one -> two tcp/25", (Client::Silence, false, [0, 0, 0, 0]), WrongAction),
        ("bare -> two tcp/23", (Client::Refused, false, [1, 1, 1, 1]), WrongAction),
        ("bare -> two tcp/25", (Client::Silence, false, [1, 1, 0, 0]), WrongAction),
        ("one -> two tcp/80", (Client::Silence, false, [0, 0, 0, 0]), Overblock),
        ("one -> two tcp/80", (Client::Silence, false, [1, 1, 0, 0]), Overblock),
        ("one -> two tcp/80", (Client::Silence, false, [1, 1, 1, 1]), Overblock),
        ("one -> two udp/80", (Client::Silence, true, [1, 1, 0, 0]), Overblock),
        ("one -> two tcp/80", (Client::Silence, false, [1, 0, 0, 0]), Unproven),
        ("one -> two tcp/80", (Client::Silence, false, [1, 1, 1, 0]), Unproven),
        ("one -> two tcp/23", (unreachable("ENETUNREACH"), false, [0, 0, 0, 0]), Unreachable),
        ("bare -> two tcp/23", (Client::Reset, false, [3, 3, 2, 2]), Unproven),
        ("one -> two tcp/81", (Client::Answered, true, [4, 4, 3, 3]), Unproven),
    ];
    for (flow, seen, kind) in rows {
        check(flow, seen, |_| {}, Some(kind));
    }
}

#[test]
fn silence_alone_proves_nothing() {
    let silences = [
        ("one -> two tcp/23", (Client::Silence, false, [0, 0, 0, 0])),
        ("bare -> two tcp/23", (Client::Silence, false, [1, 1, 0, 0])),
    ];
    let lacks: [fn(&mut Evidence); 5] = [
        |evidence| evidence.fence = Fence::Lost,
        |evidence| evidence.fence = Fence::NotNeeded,
        |evidence| evidence.taken_out = true,
        |evidence| evidence.listener_proven = false,
        |evidence| evidence.tap_losses = 1,
    ];
    for (flow, seen) in silences {
        for lack in lacks {
            check(flow, seen.clone(), lack, Some(FindingKind::Unproven));
        }
    }
    let cell = cell("bare -> two tcp/23");
    assert_eq!(cell.expected.verdict, Word::Deny);
}

const SESSIONS: &str = "
eastwest: scenario/v1
topology:
  hosts: [a]
  vms:
    one: {host: a, agent: {exec: [fence]}}
    two: {host: a, agent: {exec: [fence]}}
policy: {rules: [{name: web, allow: tcp/80}]}
steps:
  - name: it stands
    do: [open talk: one -> two tcp/80 v4]
    expect: ['talk: alive']
  - name: it is forbidden
    do: [policy: {rules: [{name: shut, deny: tcp/80, to: vms}], default: deny}]
    expect: ['talk: CLAIM']
";

/// What was sent and accepted, forward and backward, what the wire saw, and in which case: the finding, and where it was cut.
fn session(claim: &str, [there, back]: [u64; 2], wire: [u64; 4], change: impl Fn(&mut SessionEvidence)) -> String {
    let text = SESSIONS.replace("CLAIM", claim);
    let scenario = parse("sessions.yaml", &text, &mut |_| Err("none".to_owned()));
    let scenario = scenario.unwrap_or_else(|errors| panic!("{}", render_plain(&errors.files()[0])));
    let planned = plan(&scenario, Timestamp::UNIX_EPOCH)[1].sessions[0].clone();
    let [left_source, reached_destination, left_destination, reached_source] = wire;
    let mut evidence = SessionEvidence {
        name: "talk".into(),
        probe: Probe {
            id: 1,
            source: "one".into(),
            destination: "two".into(),
            source_address: "10.98.0.1".parse().unwrap(),
            destination_address: "10.98.0.2".parse().unwrap(),
            service: planned.stream.service,
            family: Family::V4,
        },
        sent_forward: 2,
        received_forward: there,
        sent_backward: 2,
        received_backward: back,
        client_reset: false,
        server_reset: false,
        client_path_mtu: None,
        server_path_mtu: None,
        source_end: None,
        destination_end: None,
        published: 2,
        fence: Fence::Returned,
        stood: true,
        wire: Wire { left_source, reached_destination, left_destination, reached_source },
        tap_losses: 0,
        taken_out: false,
    };
    change(&mut evidence);
    let (cell, findings) = judge_session(&planned, &evidence);
    let kinds: Vec<String> = findings.iter().map(|finding| format!("{:?}", finding.kind)).collect();
    let end = cell.observed.end.map(|end| format!("cut at {end}")).unwrap_or_default();
    format!("{}{end}", kinds.concat())
}

#[test]
fn a_session_is_cut_where_its_packets_end() {
    const AT_DESTINATION: [u64; 4] = [2, 2, 0, 0];
    type Change = fn(&mut SessionEvidence);
    let as_it_is: Change = |_| {};
    type Row = (&'static str, [u64; 2], [u64; 4], Change, &'static str);
    let rows: [Row; 14] = [
        ("cut", [0, 0], AT_DESTINATION, as_it_is, "cut at destination"),
        ("cut by shut at destination", [0, 0], AT_DESTINATION, as_it_is, "cut at destination"),
        ("cut at source", [0, 0], [0, 0, 2, 2], as_it_is, "cut at source"),
        // A refusal kills the socket that sends.
        ("cut", [0, 0], AT_DESTINATION, |e| e.client_reset = true, "cut at destination"),
        ("cut at source", [0, 0], AT_DESTINATION, as_it_is, "Misplacedcut at destination"),
        ("cut", [2, 0], [2, 2, 0, 0], as_it_is, "Leakcut at destination"),
        ("cut", [2, 2], [2, 2, 2, 2], as_it_is, "Leak"),
        ("alive", [0, 0], AT_DESTINATION, as_it_is, "Disturbedcut at destination"),
        ("cut", [0, 0], [2, 0, 2, 0], as_it_is, "Unproven"),
        ("cut", [0, 0], AT_DESTINATION, |e| e.stood = false, "Unproven"),
        ("cut", [0, 0], AT_DESTINATION, |e| e.fence = Fence::Lost, "Unproven"),
        ("cut", [0, 0], AT_DESTINATION, |e| e.tap_losses = 1, "Unproven"),
        ("cut", [0, 0], AT_DESTINATION, |e| e.taken_out = true, "Unproven"),
        ("cut", [0, 0], [0, 1, 0, 1], as_it_is, "Unproven"),
    ];
    for (claim, accepted, wire, change, expected) in rows {
        assert_eq!(session(claim, accepted, wire, change), expected, "{claim}: {accepted:?}, {wire:?}");
    }
}
