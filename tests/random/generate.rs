//! Random scenarios: a topology, and a series of states that differ in their policy alone, all left to the oracle.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

const KEYS: [&str; 2] = ["dept", "app"];
const VALUES: [&str; 3] = ["red", "green", "blue"];
const PROBED: [&str; 6] = ["tcp/80", "tcp/443", "udp/53", "udp/80", "icmp/echo-request", "icmpv6/echo-request"];
const SERVICES: [&str; 12] = [
    "any",
    "tcp",
    "udp",
    "tcp/80",
    "tcp/443",
    "tcp/81-443",
    "udp/53",
    "udp/1-79",
    "icmp",
    "icmpv6/echo-request",
    "proto/47",
    "tcp/8000-8100",
];

/// One scenario of `policies` states from a seed.
pub(crate) fn scenario(seed: u64, policies: usize) -> String {
    let mut random = StdRng::seed_from_u64(seed);
    let mut text = format!("eastwest: scenario/v1\nname: random {seed}\ntopology:\n  hosts: [h1, h2]\n  vms:\n");
    let mut endpoints = Vec::new();
    for index in 1..=random.random_range(2..=4) {
        endpoints.push(format!("vm-{index}"));
        writeln!(text, "    vm-{index}: {}", vm(&mut random)).unwrap();
    }
    if random.random_bool(0.6) {
        text += "  outside:\n    far: {host: h2, addresses: [10.9.0.7, \"2001:db8:9::7\"]}\n";
        endpoints.push("far".to_owned());
    }
    text += "policy:\n";
    text += &policy(&mut random, 2);
    text += "steps:\n";
    for step in 1..=policies {
        writeln!(text, "  - name: policy {step}").unwrap();
        if step > 1 {
            text += "    do:\n      - policy:\n";
            text += &policy(&mut random, 10);
        }
        text += "    matrix:\n";
        for service in PROBED {
            text += &matrix(service, &endpoints);
        }
    }
    text
}

/// A history of `steps` states from a seed: flows are open while policies, labels, places and quarantines change. Each flow is
/// opened once, and judged again in every state.
pub(crate) fn history(seed: u64, steps: usize) -> String {
    let mut random = StdRng::seed_from_u64(seed);
    let mut text = format!("eastwest: scenario/v1\nname: history {seed}\ntopology:\n  hosts: [h1, h2]\n  vms:\n");
    let mut places = Places::default();
    for vm in VMS {
        let host = random.random_range(1..=2);
        places.hosts.insert(vm, host);
        let spec = on(&mut random, host);
        if spec.contains("agent: none") {
            places.unmanaged.insert(vm);
        }
        writeln!(text, "    {vm}: {spec}").unwrap();
    }
    text += "policy:\n";
    text += &policy(&mut random, 2);
    text += "steps:\n";
    for step in 1..=steps {
        writeln!(text, "  - name: state {step}\n    do:").unwrap();
        // One change a state: between two, a late packet of an open flow would be judged by what no state has.
        text += &if step % 3 == 1 { open(&mut random, step, &mut places) } else { change(&mut random, &mut places) };
        text += "    matrix:\n";
        for service in ["tcp/80", "udp/53"] {
            text += &matrix(service, &VMS.map(str::to_owned));
        }
    }
    text
}

const VMS: [&str; 3] = ["vm-1", "vm-2", "vm-3"];

/// A policy that lets all through, and a flow of each kind under it.
fn open(random: &mut StdRng, step: usize, places: &mut Places) -> String {
    let mut text = "      - policy: {eastwest: policy/v1, rules: [], default: allow}\n".to_owned();
    for vm in std::mem::take(&mut places.quarantined) {
        writeln!(text, "      - release: {vm}").unwrap();
    }
    for (index, service) in ["tcp/80", "udp/53"].iter().enumerate() {
        let pair: Vec<&&str> = VMS.sample(random, 2).collect();
        let family = ["v4", "v6"].choose(random).unwrap();
        writeln!(text, "      - open s{step}-{index}: {} -> {} {service} {family}", pair[0], pair[1]).unwrap();
    }
    text
}

/// Where the VMs are.
#[derive(Default)]
struct Places {
    hosts: BTreeMap<&'static str, u8>,
    quarantined: BTreeSet<&'static str>,
    unmanaged: BTreeSet<&'static str>,
}

fn change(random: &mut StdRng, Places { hosts, quarantined, unmanaged }: &mut Places) -> String {
    let vm = *VMS.choose(random).unwrap();
    match random.random_range(0..8) {
        0 | 1 => {
            let (key, value) = (KEYS.choose(random).unwrap(), VALUES.choose(random).unwrap());
            format!("      - label: {{vm: {vm}, set: {{{key}: {value}}}}}\n")
        }
        2 => {
            let host = hosts.entry(vm).or_default();
            *host = 3 - *host;
            format!("      - move: {{vm: {vm}, to: h{host}}}\n")
        }
        3 if !unmanaged.contains(vm) && quarantined.insert(vm) => format!("      - quarantine: {vm}\n"),
        3 | 4 if quarantined.remove(vm) => format!("      - release: {vm}\n"),
        _ => "      - policy:\n".to_owned() + &policy(random, 10),
    }
}

fn vm(random: &mut StdRng) -> String {
    let host = random.random_range(1..=2);
    on(random, host)
}

fn on(random: &mut StdRng, host: u8) -> String {
    let mut labels: Vec<String> = Vec::new();
    for key in KEYS {
        if random.random_bool(0.8) {
            labels.push(format!("{key}: {}", VALUES.choose(random).unwrap()));
        }
    }
    let agent = if random.random_bool(0.15) { ", agent: none" } else { "" };
    format!("{{host: h{host}, labels: {{{}}}{agent}}}", labels.join(", "))
}

fn matrix(service: &str, endpoints: &[String]) -> String {
    let mut text = format!("      {service}: |\n        -> {}\n", endpoints.join(" "));
    for row in endpoints {
        let cells: Vec<&str> = endpoints.iter().map(|column| if column == row { "." } else { "?" }).collect();
        writeln!(text, "        {row} {}", cells.join(" ")).unwrap();
    }
    text
}

/// One policy, or several in an order.
fn policy(random: &mut StdRng, indent: usize) -> String {
    let lines = if random.random_bool(0.6) { one(random, true) } else { tiers(random) };
    lines.iter().fold(String::new(), |text, line| text + &" ".repeat(indent) + line + "\n")
}

fn tiers(random: &mut StdRng) -> Vec<String> {
    let mut lines = Vec::new();
    let last = random.random_range(1..=2);
    for place in 0..=last {
        lines.push(format!("- tier: t{place}"));
        if random.random_bool(0.3) {
            lines.push(format!("  owns: {}", labels(random, 2)));
        }
        lines.extend(one(random, place == last).into_iter().map(|line| format!("  {line}")));
    }
    lines
}

fn one(random: &mut StdRng, last: bool) -> Vec<String> {
    let mut lines = vec!["eastwest: policy/v1".to_owned()];
    lines.push("groups:".to_owned());
    lines.push("  net: [10.9.0.0/16, not 10.9.1.0/24, \"2001:db8::/32\"]".to_owned());
    if random.random_bool(0.1) {
        lines.push("mode: monitor".to_owned());
    }
    lines.push("rules:".to_owned());
    for index in 0..random.random_range(1..=8) {
        lines.extend(rule(random, index));
    }
    if last {
        lines.push(format!("default: {}", ["allow", "deny", "deny", "reject"].choose(random).unwrap()));
    }
    lines
}

fn rule(random: &mut StdRng, index: usize) -> Vec<String> {
    let action = ["allow", "allow", "allow", "deny", "deny", "reject", "pass"].choose(random).unwrap();
    let services: Vec<&str> = (0..random.random_range(1..=2)).map(|_| *SERVICES.choose(random).unwrap()).collect();
    let mut lines = vec![format!("  - name: rule-{index}"), format!("    {action}: [{}]", services.join(", "))];
    for side in ["from", "to"] {
        if random.random_bool(0.6) {
            lines.push(format!("    {side}: {}", selector(random, 2)));
        }
    }
    if random.random_bool(0.15) {
        lines.push(format!("    within: {}", KEYS.choose(random).unwrap()));
    }
    if random.random_bool(0.2) {
        lines.push(format!("    at: {}", ["source", "destination"].choose(random).unwrap()));
    }
    if random.random_bool(0.1) {
        lines.push("    mode: monitor".to_owned());
    }
    lines
}

/// An expression; address groups stand only where `not` and `&` cannot reach them.
fn selector(random: &mut StdRng, depth: usize) -> String {
    if random.random_bool(0.2) {
        let other = labels(random, depth);
        return (*["net", "any", "outside", "vms", &format!("net | {other}")].choose(random).unwrap()).to_owned();
    }
    labels(random, depth)
}

fn labels(random: &mut StdRng, depth: usize) -> String {
    let key = *KEYS.choose(random).unwrap();
    let value = *VALUES.choose(random).unwrap();
    match random.random_range(0..if depth == 0 { 4 } else { 7 }) {
        0 => format!("{key} = {value}"),
        1 => format!("{key} != {value}"),
        2 => format!("{key} in ({value}, blue)"),
        3 => format!("has {key}"),
        4 => format!("not ({})", labels(random, depth - 1)),
        5 => format!("({}) & ({})", labels(random, depth - 1), labels(random, depth - 1)),
        _ => format!("({}) | ({})", labels(random, depth - 1), labels(random, depth - 1)),
    }
}
