//! Views, row by row: the rules as one VM's agent gets them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use policy::{Action, Mode, Name, ServiceMatch, Verdict};
use wire::{InventoryFile, Outside, Set, View};

use crate::model::{Change, Model, Standing};

/// Two departments, an unmanaged printer, and a VM without labels.
const INVENTORY: &str = r#"{"managed": ["10.98.0.0/16", "fd98::/48"], "record_all": true, "vms": {
    "bare": {"addresses": ["10.98.0.9"]},
    "db": {"labels": {"app": "db", "dept": "fin"}, "addresses": ["10.98.0.2", "fd98::2"]},
    "hr": {"labels": {"app": "web", "dept": "hr"}, "addresses": ["10.98.0.3"]},
    "printer": {"labels": {"app": "print", "dept": "fin"}, "addresses": ["10.98.0.4"], "managed": false},
    "web": {"labels": {"app": "web", "dept": "fin"}, "addresses": ["10.98.0.1"]}}}"#;

fn inventory() -> InventoryFile {
    serde_json::from_str(INVENTORY).unwrap()
}

/// A model with the inventory and a policy of these lines after its head.
fn model(body: &str) -> Model {
    let text = format!(
        "eastwest: policy/v1\ngroups: {{office: [10.9.0.0/16, not 10.9.3.0/24], lab: [10.8.0.0/16], fin: dept = fin}}\n{body}"
    );
    let policy = policy::parse("p", &text).unwrap_or_else(|errors| panic!("{}", policy::render_plain(&errors)));
    Model::restore(5, Some(Arc::new(policy)), inventory(), Standing::default(), &[])
}

fn view_of(model: &Model, vm: &str) -> View {
    model.snapshot().view_for(vm, None, 0).unwrap_or_else(|| panic!("`{vm}` has a view"))
}

fn set(view: &View, index: Option<u32>) -> String {
    let Some(index) = index else { return "-".into() };
    let Set { vms, outside } = &view.sets[usize::try_from(index).unwrap()];
    let mut parts: Vec<String> = vms.iter().map(|vm| view.peers[usize::try_from(*vm).unwrap()].vm.clone()).collect();
    match outside {
        Outside::None => {}
        Outside::All => parts.push("outside".into()),
        Outside::Groups(groups) => parts.extend(groups.iter().map(|group| format!("@{}", group.name))),
    }
    parts.join(" ")
}

/// The view's rules about VMs, one text each: `name < from whom > to whom`.
fn rules(view: &View) -> Vec<String> {
    let rule =
        |rule: &wire::ViewRule| format!("{} < {} > {}", rule.name, set(view, rule.inbound), set(view, rule.outbound));
    view.rules.iter().filter(|rule| rule.inbound.or(rule.outbound).is_some()).map(rule).collect()
}

/// A policy of one rule `r` with these keys, as a VM sees it; `None` where it does not.
fn check(keys: &str, vm: &str, expected: Option<&str>) {
    let model = model(&format!("rules:\n  - {{name: r, {keys}}}\n"));
    let expected: Vec<String> = expected.iter().map(|ends| format!("r {ends}")).collect();
    assert_eq!(rules(&view_of(&model, vm)), expected, "{keys} at {vm}");
}

#[test]
fn each_form_of_selector_denotes_its_set() {
    for (selector, from_db) in [
        ("any", Some("bare hr printer web outside")),
        ("vms", Some("bare hr printer web")),
        ("outside", Some("outside")),
        ("office", Some("@office")),
        ("office | lab", Some("@office @lab")),
        ("office | office", Some("@office")),
        ("office | outside", Some("outside")),
        ("app = web | office", Some("hr web @office")),
        ("has app", Some("hr printer web")),
        ("has nothing", None),
        ("app = web", Some("hr web")),
        ("app = Web", None),
        ("app != web", Some("bare printer")),
        ("\"app in (web, print)\"", Some("hr printer web")),
        ("not app = web", Some("bare printer")),
        ("not has app", Some("bare")),
        ("not vms", None),
        ("not any", None),
        ("not outside", Some("bare hr printer web")),
        ("not not app = web", Some("hr web")),
        ("app = web & dept = fin", Some("web")),
        ("app = web & dept = other", None),
        ("any & app = web", Some("hr web")),
        ("any & outside", Some("outside")),
        ("vms & outside", None),
        ("app = print | app = web & dept = hr", Some("hr printer")),
        ("fin", Some("printer web")),
        ("not fin", Some("bare hr")),
    ] {
        let outbound = from_db.map(|set| format!("< - > {set}"));
        check(&format!("allow: any, from: app = db, to: {}", quoted(selector)), "db", outbound.as_deref());
        let inbound = from_db.map(|set| format!("< {set} > -"));
        check(&format!("deny: any, from: {}, to: app = db", quoted(selector)), "db", inbound.as_deref());
    }
}

/// YAML's flow style splits at a comma.
fn quoted(selector: &str) -> String {
    if selector.starts_with('"') { selector.to_owned() } else { format!("\"{selector}\"") }
}

#[test]
fn a_rule_stands_only_at_its_ends() {
    let keys = "allow: tcp/5432, from: app = web, to: app = db";
    check(keys, "db", Some("< hr web > -"));
    check(keys, "web", Some("< - > db"));
    check(keys, "hr", Some("< - > db"));
    check(keys, "bare", None);
    check("allow: any", "db", Some("< bare hr printer web outside > bare hr printer web outside"));
    check("allow: any, from: app = db, to: app = db", "db", None);
    check("allow: any, from: outside, to: outside", "db", None);
    check("allow: any, from: office, to: fin", "db", Some("< @office > -"));
    check("allow: any, from: office, to: fin", "hr", None);
}

#[test]
fn within_keeps_those_of_the_same_value() {
    check("allow: any, within: dept", "db", Some("< printer web > printer web"));
    check("allow: any, within: dept", "hr", None);
    check("allow: any, within: dept", "bare", None);
    check("allow: any, within: nothing", "db", None);
    check("allow: any, within: dept, from: app = web", "db", Some("< web > -"));
    check("allow: any, within: dept, from: app = web", "web", Some("< - > db printer"));
    check("allow: any, within: app", "hr", Some("< web > web"));
    check("allow: any, within: dept, to: outside", "db", None);
    check("allow: any, within: dept, to: office | app = web", "db", Some("< - > web"));
}

#[test]
fn at_takes_one_direction_away() {
    let keys = "allow: any, from: app = web, to: dept = fin";
    check(keys, "web", Some("< hr > db printer"));
    check(&format!("{keys}, at: both"), "web", Some("< hr > db printer"));
    check(&format!("{keys}, at: source"), "web", Some("< - > db printer"));
    check(&format!("{keys}, at: destination"), "web", Some("< hr > -"));
    check(&format!("{keys}, at: destination"), "hr", None);
    check(&format!("{keys}, at: source"), "db", None);
}

#[test]
fn a_rule_keeps_what_else_it_says() {
    let model = model(
        "default: reject\nrules:
  - {name: a, reject: [tcp/80, icmp], log: true, mode: monitor, until: 2027-01-31T18:00:00Z}
  - {name: none, allow: any, from: has nothing}
  - {name: b, allow: udp/53}\n",
    );
    let view = view_of(&model, "db");
    assert_eq!(view.rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let (a, b) = (&view.rules[0], &view.rules[1]);
    assert_eq!((a.action, a.log, a.mode, a.until), (Action::Reject, true, Mode::Monitor, Some(1_801_418_400_000)));
    assert_eq!(a.services, [ServiceMatch::Ports { tcp: true, first: 80, last: 80 }, ServiceMatch::Icmp(None)]);
    assert_eq!((b.action, b.log, b.mode, b.until), (Action::Allow, false, Mode::Enforce, None));
    assert_eq!((view.default, view.mode), (Verdict::Reject, Mode::Enforce));
}

#[test]
fn a_policy_in_monitor_is_so_throughout() {
    let view = view_of(&model("mode: monitor\nrules:\n  - {name: a, deny: any}\n"), "db");
    assert_eq!((view.mode, view.rules[0].mode), (Mode::Monitor, Mode::Monitor));
}

#[test]
fn equal_sets_stand_once_and_unused_ones_not_at_all() {
    let model = model(
        "rules:
  - {name: a, allow: tcp/1, from: app = web, to: app = db}
  - {name: b, allow: tcp/2, from: \"app in (web)\", to: app = db}
  - {name: c, allow: tcp/3, from: app = db, to: app = web}
  - {name: d, allow: tcp/4, from: app = print, to: app = web}
  - {name: e, allow: tcp/5, within: dept, from: vms}
  - {name: f, allow: tcp/6, from: office, to: app = db}\n",
    );
    let view = view_of(&model, "db");
    let expected =
        ["a < hr web > -", "b < hr web > -", "c < - > hr web", "e < printer web > printer web", "f < @office > -"];
    assert_eq!(rules(&view), expected);
    assert_eq!(view.sets.len(), 3, "{:?}", view.sets);
}

#[test]
fn the_head_of_a_view_tells_who_is_who() {
    let center: SocketAddr = "10.98.255.254:7443".parse().unwrap();
    let view = model("").snapshot().view_for("db", Some(center), 77).unwrap();
    let ips = |addresses: &[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect::<Vec<IpAddr>>();
    assert_eq!((view.generation, view.vm.as_str(), view.center, view.now), (5, "db", Some(center), 77));
    assert_eq!(view.addresses, ips(&["10.98.0.2", "fd98::2"]));
    assert_eq!((view.managed, view.record_all, view.quarantined), (inventory().managed, true, false));
    let peers: Vec<(&str, Vec<IpAddr>)> =
        view.peers.iter().map(|peer| (peer.vm.as_str(), peer.addresses.clone())).collect();
    let expected = [
        ("bare", ips(&["10.98.0.9"])),
        ("hr", ips(&["10.98.0.3"])),
        ("printer", ips(&["10.98.0.4"])),
        ("web", ips(&["10.98.0.1"])),
    ];
    assert_eq!(peers, expected);
    let quiet = InventoryFile { record_all: false, ..inventory() };
    let mut model = model("");
    model.apply(Change::Inventory(quiet), 6);
    assert!(!view_of(&model, "db").record_all);
}

#[test]
fn who_has_no_agent_or_no_policy_has_no_view() {
    let snapshot = model("").snapshot();
    for (vm, has) in [("db", true), ("printer", false), ("nobody", false), ("", false)] {
        assert_eq!(snapshot.view_for(vm, None, 0).is_some(), has, "{vm}");
    }
    let without = Model::restore(1, None, inventory(), Standing::default(), &[]);
    assert_eq!(without.snapshot().view_for("db", None, 0), None);
}

#[test]
fn quarantine_is_told_to_its_vm_alone() {
    let (mut model, db): (Model, Name) = (model(""), "db".parse().unwrap());
    model.apply(Change::Quarantine(db.clone(), true), 6);
    assert!(view_of(&model, "db").quarantined && !view_of(&model, "web").quarantined);
    assert!(!model.is_news(&Change::Quarantine(db.clone(), true)));
    model.apply(Change::Quarantine(db, false), 7);
    assert!(!view_of(&model, "db").quarantined);
}

#[test]
fn an_observed_address_counts_only_where_it_may_name_a_vm() {
    let (mut file, web): (InventoryFile, Name) = (inventory(), "web".parse().unwrap());
    let allowed = ["10.98.0.0/24", "0.0.0.0/0", "::/0"].map(|prefix| prefix.parse().unwrap());
    file.vms.get_mut("web").unwrap().allowed = allowed.to_vec();
    let mut model = model("");
    model.apply(Change::Inventory(file), 6);
    let claims = [
        "10.98.0.77",
        "10.98.0.2",
        "127.0.0.1",
        "224.0.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "169.254.1.1",
        "fe80::1",
        "::1",
        "::",
        "ff02::1",
        "::ffff:10.98.0.78",
        "fd98::77",
    ];
    let claims = claims.map(|address| address.parse::<IpAddr>().unwrap());
    model.apply(Change::Observed(web, claims.to_vec()), 7);
    let expected = ["10.98.0.1", "10.98.0.77", "fd98::77"].map(|address| address.parse::<IpAddr>().unwrap());
    assert_eq!(view_of(&model, "web").addresses, expected);
}

#[test]
fn a_long_reason_is_cut_short() {
    let (mut model, db): (Model, Name) = (model(""), "db".parse().unwrap());
    let result = wire::AckResult::Refused { reason: "ä".repeat(100_000) };
    model.acked(&db, &wire::Ack { generation: 5, result }).unwrap();
    let (_, reason) = model.agent(&db).and_then(|state| state.refused).unwrap();
    assert_eq!(reason.chars().count(), 2000);
}

/// A policy of one detector `d` with these keys, as a VM has it: the peers that it is about.
fn check_detector(keys: &str, vm: &str, expected: &str) {
    let model = model(&format!("detect:\n  - {{name: d, {keys}, then: quarantine, for: 10m}}\n"));
    let view = view_of(&model, vm);
    let peers: Vec<String> = view.detectors.iter().map(|one| set(&view, Some(one.peers))).collect();
    assert_eq!(peers.join(" / "), expected, "{keys} at {vm}");
    for one in &view.detectors {
        assert_eq!((one.name.as_str(), one.within), ("d", 10_000));
        assert_eq!(one.then, policy::Response::Quarantine(std::time::Duration::from_secs(600)));
    }
}

#[test]
fn a_detector_watches_where_it_stands() {
    let scan = "scan: {ports: 20, within: 10s}";
    check_detector(scan, "db", "bare hr printer web outside");
    check_detector(&format!("{scan}, from: vms, to: app = db"), "db", "bare hr printer web");
    check_detector(&format!("{scan}, from: vms, to: app = db"), "web", "");
    check_detector(&format!("{scan}, from: office | app = web"), "db", "hr web @office");
    check_detector(&format!("{scan}, from: office | app = web"), "web", "hr @office");
    check_detector(&format!("{scan}, from: app = db"), "db", "");
    // A sweep is seen where it begins.
    let sweep = "sweep: {peers: 15, within: 10s}";
    check_detector(sweep, "db", "bare hr printer web outside");
    check_detector(&format!("{sweep}, from: app = db, to: fin"), "db", "printer web");
    check_detector(&format!("{sweep}, from: app = web, to: fin"), "db", "");
    check_detector(&format!("{sweep}, from: outside"), "db", "");
}
