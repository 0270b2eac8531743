//! Which claims of a policy the inventory keeps from being published.

use wire::InventoryFile;

use crate::model::failed;

const INVENTORY: &str = r#"{"managed": ["10.98.0.0/16"], "vms": {
    "db": {"labels": {"app": "db"}},
    "printer": {"labels": {"app": "printer"}, "managed": false},
    "web": {"labels": {"app": "web"}, "addresses": ["10.98.0.1"], "mode": "monitor"}}}"#;

const POLICY: &str = "eastwest: policy/v1
rules:
  - {name: web-to-db, allow: tcp/5432, from: app = web, to: app = db}
tests:
";

fn check(claim: &str, expected: &[&str]) {
    let text = format!("{POLICY}  - \"{claim}\"\n");
    let policy = policy::parse("p", &text).unwrap_or_else(|errors| panic!("{}", policy::render_plain(&errors)));
    let inventory: InventoryFile = serde_json::from_str(INVENTORY).unwrap();
    let now = "2026-11-24T12:00:00Z".parse().unwrap();
    let (told, left_out) = failed(&policy, &inventory, now);
    assert_eq!(told, expected, "{claim}");
    assert!(left_out.is_empty(), "{left_out:?}");
}

#[test]
fn a_claim_that_fails_is_told_with_a_flow() {
    check("app = web -> app = db tcp/5432: allow by web-to-db", &[]);
    check("web -> db tcp/5433: deny by default at source", &[]);
    check("printer -> db icmpv6: deny at destination", &[]);
    let fails =
        "line 5: `app = web -> app = db tcp/5432: deny` fails: web -> db tcp/5432 gets allow by web-to-db (line 3)";
    check("app = web -> app = db tcp/5432: deny", &[fails]);
    check("web -> dbs tcp/1: deny", &["line 5: `web -> dbs tcp/1: deny` fails: the inventory has no VM `dbs`"]);
    // Who is not there yet may come.
    check("app = mail -> app = db tcp/1: allow", &[]);
}
