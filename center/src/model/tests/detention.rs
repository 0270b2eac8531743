//! What an alert asks of the center, row by row, and how long a quarantine lasts.

use std::net::IpAddr;
use std::sync::Arc;

use policy::{End, Family, Name, Protocol, Verdict};
use wire::{Direction, FlowEnd, Kind, Record, RecordKey};

use crate::model::{Asked, Change, Model, Standing};

const INVENTORY: &str = r#"{"managed": ["10.98.0.0/16"], "vms": {
    "db": {"labels": {"app": "db"}, "addresses": ["10.98.0.2"]},
    "printer": {"labels": {"app": "web"}, "addresses": ["10.98.0.4"], "managed": false},
    "web": {"labels": {"app": "web"}, "addresses": ["10.98.0.1"]}}}"#;

const POLICY: &str = "eastwest: policy/v1
detect:
  - {name: scan, scan: {ports: 9, within: 1s}, from: app = web, to: app = db, then: quarantine, for: 1m}
  - {name: sweep, sweep: {peers: 9, within: 1s}, from: app = web, then: quarantine, for: 1h}
  - {name: told, scan: {ports: 9, within: 1s}, then: alert}
  - {name: denied, scan: {ports: 9, within: 1s}, then: intercept, for: 1m}
";

fn model() -> Model {
    let policy = policy::parse("p", POLICY).unwrap_or_else(|errors| panic!("{}", policy::render_plain(&errors)));
    let inventory = serde_json::from_str(INVENTORY).unwrap();
    Model::restore(5, Some(Arc::new(policy)), inventory, Standing::default(), &[])
}

fn vm(name: &str) -> Name {
    name.parse().unwrap()
}

/// An alert about a VM, or about an address outside where it has a dot.
fn alert(told_by: &str, name: &str, source: &str) -> Record {
    let address: IpAddr = source.parse().unwrap_or([10, 98, 0, 1].into());
    let source = Some(source.to_owned()).filter(|source| !source.contains('.'));
    Record {
        key: RecordKey { vm: told_by.into(), boot: "b".into(), sequence: 1 },
        kind: Kind::Alert,
        direction: Direction::In,
        source: FlowEnd { vm: source, address, port: 0 },
        destination: FlowEnd { vm: Some(told_by.into()), address: [10, 98, 0, 2].into(), port: 0 },
        family: Family::V4,
        protocol: Protocol::Other(0),
        icmp_type: 0,
        icmp_id: 0,
        tcp_sequence: None,
        payload: Vec::new(),
        verdict: Verdict::Deny,
        rule: format!("eastwest/detect/{name}"),
        admitted_by: None,
        end: End::Destination,
        would: None,
        monitor: false,
        generation_first: 5,
        generation_last: 5,
        packets: 9,
        detail: String::new(),
        stamp: 0,
    }
}

fn check(told_by: &str, name: &str, source: &str, expected: &str) {
    let said = match model().asked(&alert(told_by, name, source)) {
        None => "nothing".to_owned(),
        Some(Asked::Detain(vm, time)) => format!("{vm} for {} s", time.as_secs()),
        Some(Asked::Vain(why)) => why,
    };
    assert_eq!(said, expected, "{told_by} tells of {source} by {name}");
}

#[test]
fn the_policy_decides_what_an_alert_may_ask() {
    check("db", "scan", "web", "web for 60 s");
    check("db", "scan", "printer", "`printer` has no agent that could keep it");
    check("db", "scan", "8.8.8.8", "nothing");
    check("db", "scan", "gone", "`db` names `gone`, which `scan` does not watch there");
    check("web", "scan", "web", "`web` names `web`, which `scan` does not watch there");
    check("web", "scan", "db", "`web` names `db`, which `scan` does not watch there");
    check("web", "sweep", "web", "web for 3600 s");
    check("db", "sweep", "web", "`db` names `web`, which `sweep` does not watch there");
    check("db", "told", "web", "nothing");
    check("db", "denied", "web", "nothing");
    check("db", "scam", "web", "nothing");
    let of_a_flow = Record { kind: Kind::Deny, ..alert("db", "scan", "web") };
    assert_eq!(model().asked(&of_a_flow), None);
}

#[test]
fn a_quarantine_for_a_time_ends_and_an_operators_does_not() {
    let mut model = model();
    let is = |model: &Model| model.agent(&vm("web")).unwrap().quarantined;
    let turn = |model: &mut Model, change: Change, generation| drop(model.apply(change, generation));
    turn(&mut model, Change::Detain(vm("web"), 1000), 6);
    assert!(is(&model) && model.due(999).is_empty());
    assert_eq!(model.due(1000), [vm("web")]);
    // A longer time stands, whatever comes after it.
    turn(&mut model, Change::Detain(vm("web"), 3000), 7);
    assert!(!model.is_news(&Change::Detain(vm("web"), 2000)));
    assert!(model.due(2999).is_empty());
    turn(&mut model, Change::Quarantine(vm("web"), false), 8);
    assert!(!is(&model) && model.due(i64::MAX).is_empty());
    // An operator's stays: neither does a detector shorten it, nor does it end.
    turn(&mut model, Change::Quarantine(vm("web"), true), 9);
    assert!(!model.is_news(&Change::Detain(vm("web"), 1000)));
    // … and it takes the place of one for a time.
    turn(&mut model, Change::Quarantine(vm("web"), false), 10);
    turn(&mut model, Change::Detain(vm("web"), 1000), 11);
    turn(&mut model, Change::Quarantine(vm("web"), true), 12);
    assert!(is(&model) && model.due(i64::MAX).is_empty());
}
