//! Several files as one text: what comes back is what went in.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use policy::{Bundle, Source, Who, parse, render_plain};
use proptest::prelude::*;

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

fn check(bundle: &Bundle) -> Result<(), TestCaseError> {
    let text = bundle.text();
    let back = Bundle::read("bundle", &text).map_err(|errors| TestCaseError::fail(render_plain(&errors)))?;
    prop_assert_eq!(&back, bundle, "{}", text);
    Ok(())
}

proptest! {
    #[test]
    fn random_texts_come_back(
        tiers in proptest::collection::vec("(\\PC|[ \n\t\r:#'\"|-]){0,40}", 2..4),
        included in proptest::collection::vec("([a-z: ]{0,9}\n){0,4}", 0..3),
    ) {
        let name = |kind: &str, (at, text): (usize, &String)| source(&format!("{kind}/é {at}.yaml"), text);
        let tiers = tiers.iter().enumerate().map(|one| name("t", one)).collect();
        check(&Bundle { tiers, included: included.iter().enumerate().map(|one| name("i", one)).collect() })?;
    }
}

#[test]
fn people_can_read_it() {
    let top = source("top.yaml", "eastwest: policy/v1\ninclude: common.yaml\nrules:\n  - {name: a, deny: web}\n\n");
    let last = source("last.yaml", "eastwest: policy/v1\ndefault: allow\n");
    let common = "eastwest: policy/v1\nservices: {web: tcp/80}\n";
    let mut opened = Vec::new();
    let bundle = Bundle::load(vec![top, last], &mut |name| {
        opened.push(name.to_owned());
        Ok(common.to_owned())
    });
    let bundle = bundle.unwrap();
    assert_eq!(opened, ["common.yaml"]);
    let expected = "eastwest: bundle/v1
tiers: [\"top.yaml\", \"last.yaml\"]
files:
  \"top.yaml\": |2+
    eastwest: policy/v1
    include: common.yaml
    rules:
      - {name: a, deny: web}

  \"last.yaml\": |2+
    eastwest: policy/v1
    default: allow
  \"common.yaml\": |2+
    eastwest: policy/v1
    services: {web: tcp/80}
";
    assert_eq!(bundle.text(), expected);
    check(&bundle).unwrap();
    let policy = parse("published", expected).unwrap();
    let rule = &policy.rules[0];
    assert_eq!((rule.full_name().as_str(), rule.line, rule.place()), ("top/a", 4, 0));
    assert_eq!(rule.tier.as_ref().unwrap().file, "top.yaml");
}

#[test]
fn one_file_stays_as_it_is() {
    let only = Bundle::from(source("p.yaml", "eastwest: policy/v1\n"));
    assert_eq!(only.text(), "eastwest: policy/v1\n");
    let refused = Bundle::load(vec![source("d/p.yaml", "eastwest: policy/v1\ninclude: [no.yaml]\n")], &mut |name| {
        Err(format!("no {name}"))
    });
    let said = render_plain(&refused.unwrap_err());
    assert!(said.starts_with("error: cannot read the file `d/no.yaml`: no d/no.yaml\n  --> d/p.yaml:2:11\n"), "{said}");
}

#[test]
fn claims_are_read() {
    let policy = parse(
        "p",
        "eastwest: policy/v1
services: {db: [tcp/5432, tcp/5433]}
groups: {hr: dept = hr}
tests:
  - hr -> app = db db: reject by x/y at source
  - \"hr-1 -> outside tcp/80: allow\"
",
    );
    let policy = policy.unwrap_or_else(|errors| panic!("{}", render_plain(&errors)));
    let [first, second] = policy.tests.as_slice() else { panic!("two claims") };
    assert_eq!((first.from.to_string(), first.to.to_string()), ("dept = hr".to_owned(), "app = db".to_owned()));
    assert_eq!((first.services.len(), first.rule.as_deref(), first.line), (2, Some("x/y"), 5));
    assert_eq!(second.from, Who::Vm("hr-1".parse().unwrap()));
    assert_eq!((second.text.as_str(), second.end), ("hr-1 -> outside tcp/80: allow", None));
}
