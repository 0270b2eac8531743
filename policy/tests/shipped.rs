//! The policies that the project ships: nothing is to say of the templates.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use policy::{Bundle, Source, render_plain};

/// What `check` says of a policy without an inventory.
fn check(name: &str, text: &str, expected: &[&str]) {
    let bundle = Bundle::from(Source { name: name.to_owned(), text: text.to_owned() });
    let policy = bundle.policy().unwrap_or_else(|errors| panic!("{}", render_plain(&errors)));
    let checked = policy::check(&policy, None, "2026-11-24T12:00:00Z".parse().unwrap());
    let told = checked.warnings.iter().chain(&policy::unused(&bundle)).map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(told, expected, "{name}");
    assert_eq!(checked.left_out, Vec::<String>::new(), "{name}");
}

#[test]
fn nothing_is_to_say_of_what_is_shipped() {
    check("departments", include_str!("../../src/init/departments/policy.yaml"), &[]);
    let three_tier = include_str!("../../src/init/three-tier/policy.yaml");
    check("three-tier", three_tier, &[]);
    check("three-tier as the tutorial breaks it", &three_tier.replace("from: tier = app\n", "from: has tier\n"), &[]);
    check("zero-trust", include_str!("../../src/init/zero-trust/policy.yaml"), &[]);
    check("ledger", include_str!("../../scenarios/foreign/ledger-policy.yaml"), &[]);
    // It names the flows of the ledger by a rule of their own, and expectations over `any` use its services.
    let known = [
        "redundant: ledger-app-to-ledger-db (line 13): it changes nothing: without it each-department-to-itself (line 21) gives all of its flows the same verdict; such as app=web,dept=finance -> app=db,dept=finance tcp/5432",
        "unused: databases (line 8): nothing names this group",
        "unused: ping (line 5): nothing names this service",
    ];
    check("departments.yaml", include_str!("../../scenarios/departments.yaml"), &known);
}
