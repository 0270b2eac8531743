//! How long the exact difference of two policies takes, and how fast a classifier judges: VMs and rules as the arguments say.
//! Times are those of one core that works for it (the kernel's account of this thread), so that a busy machine changes little.
//!
//! `cargo run --release -p oracle --example bench_diff -- 200 1000`
#![allow(clippy::print_stdout, reason = "its figures are what it is for")]
#![allow(clippy::disallowed_methods, reason = "it reads the time that it took")]

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use policy::classify::Classifier;
use policy::diff::{Difference, diff, diff_all};
use policy::{Flow, FlowService, Inventory, Policy, Timestamp, Verdict, Vm, parse};

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let [vms, rules] = numbers.as_slice() else {
        println!("give the number of VMs and the number of rules");
        return;
    };
    let (inventory, Some(old), Some(now)) = (inventory(*vms), policy(*rules), "2026-11-24T12:00:00Z".parse().ok())
    else {
        println!("cannot read the policy");
        return;
    };
    for (name, new) in successors(&old) {
        let begun = worked();
        let found = diff(&old, &new, &inventory, now);
        told(&format!("diff, {vms} VMs, {rules} rules, {name}"), begun, &found);
        let begun = worked();
        match diff_all(&old, &new, now) {
            Ok(found) => told(&format!("diff without an inventory, {rules} rules, {name}"), begun, &found),
            Err(error) => println!("diff without an inventory: cannot {error}"),
        }
    }
    judged(&old, &inventory, now);
}

/// Departments, each with applications, in three environments; every VM has a name of its own, which `within` compares.
fn inventory(vms: usize) -> Inventory {
    let vm = |number: usize| {
        let label = |key: &str, value: String| (key.to_owned(), value);
        let labels = [
            label("dept", format!("d{}", number % 10)),
            label("app", format!("a{}", number / 10 % 20)),
            label("env", ["prod", "staging", "test"][number % 3].to_owned()),
            label("owner", format!("o{number}")),
        ];
        let address = IpAddr::V4(Ipv4Addr::from(0x0a62_0000 + u32::try_from(number).unwrap_or(0) + 1));
        let vm = Vm { labels: labels.into(), addresses: vec![address], managed: true, ..Vm::default() };
        Some((format!("vm-{number}").parse().ok()?, vm))
    };
    let managed = ["10.98.0.0/16"].iter().filter_map(|net| net.parse().ok()).collect();
    Inventory { managed, vms: (0..vms).filter_map(vm).collect() }
}

/// Rules from one application of a department to another, some over all environments, some by `within`, some from outside.
fn policy(rules: usize) -> Option<Policy> {
    let mut text = String::from("eastwest: policy/v1\ngroups:\n");
    for group in 0..20 {
        let _ = writeln!(text, "  net{group}: [10.{group}.0.0/16, not 10.{group}.7.0/24]");
    }
    text.push_str("rules:\n");
    for rule in 0..rules {
        let service = format!("tcp/{}", 1 + rule * 7 % 60_000);
        let (dept, app, other) = (rule % 10, rule / 10 % 20, rule / 200 % 20);
        let ends = match rule % 10 {
            0 => format!("allow: {service}, from: net{}, to: app = a{app}", rule / 10 % 20),
            1 => format!("allow: {service}, within: owner"),
            2 => format!("deny: {service}, from: dept = d{dept}, to: env = prod"),
            _ => format!("allow: {service}, from: dept = d{dept} & app = a{app}, to: app = a{other} & env != test"),
        };
        let _ = writeln!(text, "  - {{name: r{rule}, {ends}}}");
    }
    text.push_str("default: deny\n");
    parse("bench", &text).ok()
}

/// What may become of a policy: a rule gone, a rule moved to the front, and another default.
fn successors(old: &Policy) -> Vec<(&'static str, Policy)> {
    let (mut gone, mut moved) = (old.clone(), old.clone());
    let middle = old.rules.len() / 2;
    gone.rules.remove(middle + 3);
    moved.rules[..=middle].rotate_right(1);
    let open = Policy { default: Verdict::Allow, ..old.clone() };
    let mut renamed = old.clone();
    for rule in &mut renamed.rules {
        rule.name = format!("x{}", rule.name).parse().unwrap_or_else(|_| rule.name.clone());
    }
    vec![
        ("a rule gone", gone),
        ("a rule to the front", moved),
        ("default: allow", open),
        ("every rule renamed", renamed),
    ]
}

/// Seconds that a core has worked for this thread.
fn worked() -> f64 {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    account.split_whitespace().next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or_default() / 1e9
}

fn told(what: &str, begun: f64, found: &Difference) {
    let time = worked() - begun;
    println!("{what}: {time:.3} s; {} flows change, in {} rows", found.count(), found.rows.len());
}

/// How many flows a classifier judges a second, on one core.
fn judged(policy: &Policy, inventory: &Inventory, now: Timestamp) {
    let begun = worked();
    let classifier = Classifier::new(policy, inventory, now);
    println!("a classifier is made in {:.3} s", (worked() - begun));
    let addresses: Vec<IpAddr> = inventory.vms.values().flat_map(|vm| vm.addresses.iter().copied()).collect();
    let mut state = 1_u64;
    let mut next = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % bound.max(1)
    };
    let flows: Vec<Flow> = (0..1_000_000)
        .map(|_| {
            let outside = IpAddr::V4(Ipv4Addr::new(10, u8::try_from(next(40)).unwrap_or(0), 7, 9));
            let source = if next(4) == 0 { outside } else { addresses[next(addresses.len())] };
            let service = FlowService::Tcp(u16::try_from(next(60_000)).unwrap_or(0));
            Flow { source, destination: addresses[next(addresses.len())], service }
        })
        .collect();
    let begun = worked();
    let allowed = flows.iter().filter(|flow| classifier.judge(flow).outcome.verdict == Verdict::Allow).count();
    let time = worked() - begun;
    println!("{} flows a second are judged ({allowed} of {} allowed)", (1e6 / time).round(), flows.len());
}
