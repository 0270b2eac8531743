//! What comes out of an import means what Kubernetes says, on clusters by chance.

use crate::comparing::Case;
use import::{Options, Source};
use policy::Family;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

const NAMESPACES: [&str; 3] = ["one", "two", "default"];

/// A mapping without the keys whose value is nothing.
fn object(fields: Vec<(&str, Option<Value>)>) -> Value {
    fields
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn labels() -> impl Strategy<Value = Value> {
    let label = (select(vec!["app", "tier", "a/b"]), select(vec!["x", "y", "", "true", "1.10"]));
    vec(label, 0..3).prop_map(|pairs| {
        pairs.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into()
    })
}

fn expression() -> impl Strategy<Value = Value> {
    let keys = select(vec!["app", "tier", "a/b", "kubernetes.io/metadata.name"]);
    let values = vec(select(vec!["x", "y", "", "one", "two"]), 1..3);
    (keys, select(vec!["In", "NotIn", "Exists", "DoesNotExist"]), values).prop_map(|(key, operator, values)| {
        let values = operator.ends_with("In").then(|| json!(values));
        object(vec![("key", Some(json!(key))), ("operator", Some(json!(operator))), ("values", values)])
    })
}

fn selector() -> impl Strategy<Value = Value> {
    let expressions = prop::option::of(vec(expression(), 0..3));
    (prop::option::of(labels()), expressions).prop_map(|(labels, expressions)| {
        object(vec![("matchLabels", labels), ("matchExpressions", expressions.map(|all| json!(all)))])
    })
}

fn network() -> impl Strategy<Value = (&'static str, Vec<&'static str>)> {
    let inner = |whole: &'static str, parts: &[&'static str]| {
        let (most, parts) = (parts.len(), parts.to_vec());
        prop::sample::subsequence(parts, 0..=most).prop_map(move |parts| (whole, parts))
    };
    prop_oneof![
        inner("0.0.0.0/0", &["10.0.0.0/8", "10.1.0.0/16", "198.51.100.0/24"]),
        inner("10.1.0.0/16", &["10.1.1.0/24", "10.1.2.2/32", "10.1.2.0/24"]),
        inner("10.1.1.1/32", &[]),
        inner("198.51.100.0/24", &["198.51.100.128/25"]),
        inner("::/0", &["fd01::/16", "fd01:0:0:1::/64"]),
        inner("fd01::/16", &["fd01:0:0:1::/64", "fd01:0:0:2::2/128"]),
    ]
}

fn port() -> impl Strategy<Value = Value> {
    let protocol = prop::option::of(select(vec!["TCP", "UDP"]));
    let number = prop_oneof![
        Just((None, None)),
        (1_u16..100).prop_map(|first| (Some(json!(first)), None)),
        (1_u16..60, 0_u16..60).prop_map(|(first, more)| (Some(json!(first)), Some(json!(first + more)))),
        select(vec!["http", "dns", "none"]).prop_map(|name| (Some(json!(name)), None)),
    ];
    (protocol, number).prop_map(|(protocol, (port, end))| {
        object(vec![("protocol", protocol.map(|one| json!(one))), ("port", port), ("endPort", end)])
    })
}

fn peer() -> impl Strategy<Value = Value> {
    prop_oneof![
        selector().prop_map(|pods| json!({"podSelector": pods})),
        selector().prop_map(|namespaces| json!({"namespaceSelector": namespaces})),
        (selector(), selector())
            .prop_map(|(pods, namespaces)| json!({"podSelector": pods, "namespaceSelector": namespaces})),
        network().prop_map(|(cidr, except)| json!({"ipBlock": {"cidr": cidr, "except": except}})),
    ]
}

fn rules(whom: &'static str) -> impl Strategy<Value = Option<Value>> {
    let lists = (prop::option::of(vec(peer(), 0..3)), prop::option::of(vec(port(), 0..3)));
    let rule = lists.prop_map(move |(peers, ports)| {
        object(vec![(whom, peers.map(|all| json!(all))), ("ports", ports.map(|all| json!(all)))])
    });
    prop::option::of(vec(rule, 0..3).prop_map(|rules| json!(rules)))
}

fn network_policy() -> impl Strategy<Value = Value> {
    let types = prop::option::of(prop::sample::subsequence(vec!["Ingress", "Egress"], 0..=2));
    let spec = (prop::option::of(selector()), types, rules("from"), rules("to"));
    (select(NAMESPACES.to_vec()), spec).prop_map(|(namespace, (pods, types, ingress, egress))| {
        let types = types.map(|all| json!(all));
        let spec = vec![("podSelector", pods), ("policyTypes", types), ("ingress", ingress), ("egress", egress)];
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"namespace": namespace}, "spec": object(spec)})
    })
}

fn selected() -> impl Strategy<Value = Value> {
    prop_oneof![
        selector().prop_map(|namespaces| json!({"namespaces": namespaces})),
        (selector(), selector())
            .prop_map(|(pods, namespaces)| json!({"pods": {"podSelector": pods, "namespaceSelector": namespaces}})),
    ]
}

fn admin_port() -> impl Strategy<Value = Value> {
    let protocol = || select(vec!["TCP", "UDP"]);
    prop_oneof![
        (protocol(), 1_u16..100)
            .prop_map(|(protocol, port)| json!({"portNumber": {"protocol": protocol, "port": port}})),
        (protocol(), 1_u16..60, 1_u16..60).prop_map(
            |(protocol, start, more)| json!({"portRange": {"protocol": protocol, "start": start, "end": start + more}})
        ),
        select(vec!["http", "dns", "none"]).prop_map(|name| json!({"namedPort": name})),
    ]
}

fn admin_rules(whom: &'static str, actions: &'static [&'static str]) -> impl Strategy<Value = Option<Value>> {
    let ranges = network().prop_map(move |(cidr, more)| {
        let all: Vec<&str> = [cidr].into_iter().chain(more).collect();
        json!({"networks": all})
    });
    let peers = vec(prop_oneof![3 => selected(), u32::from(whom == "to") => ranges], 1..3);
    let rule =
        (select(actions), peers, prop::option::of(vec(admin_port(), 1..3))).prop_map(move |(action, peers, ports)| {
            let blocks = peers.iter().any(|peer| !peer["networks"].is_null());
            let ports = ports
                .map(|all| all.into_iter().filter(|port| !blocks || port["namedPort"].is_null()).collect::<Vec<_>>());
            let ports = ports.filter(|all| !all.is_empty()).map(|all| json!(all));
            object(vec![("action", Some(json!(action))), (whom, Some(json!(peers))), ("ports", ports)])
        });
    prop::option::of(vec(rule, 0..4).prop_map(|rules| json!(rules)))
}

fn admin(kind: &'static str, actions: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let spec = (0_u16..5, selected(), admin_rules("from", actions), admin_rules("to", actions));
    spec.prop_map(move |(priority, subject, ingress, egress)| {
        let priority = (kind == "AdminNetworkPolicy").then(|| json!(priority));
        let spec = vec![("priority", priority), ("subject", Some(subject)), ("ingress", ingress), ("egress", egress)];
        json!({"apiVersion": "policy.networking.k8s.io/v1alpha1", "kind": kind, "metadata": {"name": "default"}, "spec": object(spec)})
    })
}

fn pod() -> impl Strategy<Value = Value> {
    let ports = prop::sample::subsequence(vec![("http", "TCP"), ("http", "UDP"), ("dns", "UDP")], 0..=3);
    (select(NAMESPACES.to_vec()), labels(), ports, vec(1_u16..70, 3), 0_u8..12).prop_map(
        |(namespace, labels, ports, numbers, addressed)| {
            let ports: Vec<Value> = ports
                .into_iter()
                .zip(numbers)
                .map(|((name, protocol), number)| json!({"name": name, "protocol": protocol, "containerPort": number}))
                .collect();
            json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "labels": labels},
                "spec": {"containers": [{"name": "c", "ports": ports}]}, "addressed": addressed
            })
        },
    )
}

fn namespace() -> impl Strategy<Value = Value> {
    labels().prop_map(|labels| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"labels": labels}}))
}

/// A cluster: names and addresses are given by count.
fn cluster() -> impl Strategy<Value = Vec<Value>> {
    let all = ["Allow", "Deny", "Pass"].as_slice();
    let admin = (
        vec(admin("AdminNetworkPolicy", all), 0..3),
        prop::option::of(admin("BaselineAdminNetworkPolicy", &["Allow", "Deny"])),
    );
    (vec(namespace(), 0..3), vec(pod(), 1..6), vec(network_policy(), 0..5), prop::option::weighted(0.4, admin))
        .prop_map(|(mut namespaces, mut pods, mut policies, admin)| {
            let (mut admin, baseline) = admin.unwrap_or_default();
            for (number, one) in namespaces.iter_mut().enumerate() {
                one["metadata"]["name"] = json!(NAMESPACES[number]);
            }
            for (number, pod) in pods.iter_mut().enumerate() {
                pod["metadata"]["name"] = json!(format!("pod-{number}"));
                let (high, low) = (number / 2 + 1, number % 2 + 1);
                let (v4, v6) = (json!(format!("10.1.{high}.{low}")), json!(format!("fd01:0:0:{high}::{low}")));
                pod["status"] = match pod["addressed"].as_u64().unwrap() {
                    0 => json!({"phase": "Pending"}),
                    1 => json!({"podIP": v4, "podIPs": [{"ip": v4}, {"ip": v6}]}),
                    2 => json!({"podIP": v6}),
                    _ => json!({"podIP": v4}),
                };
            }
            for (number, policy) in policies.iter_mut().chain(&mut admin).enumerate() {
                policy["metadata"]["name"] = json!(format!("policy-{number}"));
            }
            [namespaces, pods, policies, admin, baseline.into_iter().collect()].concat()
        })
}

/// Whether a pod has an address of a family, or none at all.
fn speaks(pod: &Value, family: Family) -> bool {
    let mut ips = pod["status"]["podIPs"].as_array().cloned().unwrap_or_default();
    ips.extend(pod["status"].get("podIP").map(|ip| json!({"ip": ip})));
    ips.is_empty() || ips.iter().any(|ip| ip["ip"].as_str().unwrap().contains(':') == (family == Family::V6))
}

/// Whether two minds agree on a cluster; how many flows they were asked about.
fn check(objects: &[Value]) -> Result<usize, TestCaseError> {
    let text = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    let sources = [Source { name: "cluster.json".to_owned(), text }];
    let mut imported = import::kubernetes(&sources, Options::default());
    // What is meant of one family alone cannot be carried for both: then for the one that every pod speaks.
    let is_apart = |files: &Vec<policy::Errors>| {
        let mut said = files.iter().flat_map(policy::Errors::problems).map(|problem| problem.message.as_str());
        said.all(|said| said.starts_with("only some of the addresses"))
    };
    if imported.as_ref().is_err_and(is_apart) {
        let all_speak =
            |family: &Family| objects.iter().filter(|one| one["kind"] == "Pod").all(|pod| speaks(pod, *family));
        let Some(family) = [Family::V4, Family::V6].into_iter().find(all_speak) else { return Ok(0) };
        imported = import::kubernetes(&sources, Options { family: Some(family), ..Options::default() });
    }
    let imported =
        imported.unwrap_or_else(|files| panic!("{}", files.iter().map(policy::render_plain).collect::<String>()));
    let (wrong, count) = Case::new(&sources, &imported.scenario).differences();
    prop_assert!(
        wrong.is_empty(),
        "{} differences\n{}\n{}",
        wrong.len(),
        wrong[..wrong.len().min(8)].join("\n"),
        imported.scenario
    );
    Ok(count)
}

#[test]
fn clusters_by_chance_mean_what_kubernetes_says() {
    let flows = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config { cases: 512, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&cluster(), |objects| {
        flows.set(flows.get() + check(&objects)?);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert!(flows.get() > 100_000, "only {} flows", flows.get());
    println!("{} flows", flows.get());
}
