//! Two VMs of two departments, and one rule.

pub(crate) const SCENARIO: &str = "\
eastwest: scenario/v1
name: two departments
topology:
  hosts: [h1, h2]
  vms:
    hr: {host: h1, labels: {dept: hr}}
    web: {host: h2, labels: {app: web}}
policy:
  eastwest: policy/v1
  rules:
    - {name: hr-web, allow: tcp/80, from: dept = hr, to: app = web}
  default: deny
";
