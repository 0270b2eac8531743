//! A random case: a topology, a policy, and a history of changes. It is written down as a scenario that claims nothing.

use policy::{Policy, Tier};

/// The services that every pair is asked for in every state: those that rules name, and some one off their edges.
pub(super) const PROBED: [&str; 8] =
    ["tcp/80", "tcp/81", "tcp/443", "tcp/444", "udp/53", "udp/80", "icmp/echo-request", "icmpv6/echo-request"];

/// A case, as the shrinker takes it apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What the scenario is called.
    pub name: String,
    /// The VMs; at least one.
    pub vms: Vec<Machine>,
    /// Whether there is an endpoint outside.
    pub outside: bool,
    /// The policy of the first state.
    pub policy: Policy,
    /// What changes from one state to the next.
    pub changes: Vec<Change>,
}

/// One VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Its host, 1 or 2.
    pub host: u8,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// Whether an agent stands in it.
    pub managed: bool,
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A policy is published.
    Publish(Policy),
    /// A VM gets a label.
    Label {
        /// The VM.
        vm: String,
        /// The key.
        key: String,
        /// Its value.
        value: String,
    },
    /// A VM goes to a host.
    Move {
        /// The VM.
        vm: String,
        /// The host, 1 or 2.
        host: u8,
    },
    /// Something is done to a VM: `quarantine`, `release`.
    Order(&'static str, String),
    /// Something is done to a VM's agent: `kill`, `start`, `restart`.
    Agent(&'static str, String),
    /// A VM and the center cannot reach each other.
    Cut(String),
    /// All can reach each other again.
    Heal,
    /// A policy that lets all through, and sessions under it: name, source, destination and service with family.
    Open(Vec<(String, String, String, String)>),
}

impl Case {
    /// The scenario.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("eastwest: scenario/v1\nname: {}\ntopology:\n  hosts: [h1, h2]\n  vms:\n", self.name);
        for Machine { name, host, labels, managed } in &self.vms {
            let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}: {value}")).collect();
            let agent = if *managed { "" } else { ", agent: none" };
            text.push_str(&format!("    {name}: {{host: h{host}, labels: {{{}}}{agent}}}\n", labels.join(", ")));
        }
        if self.outside {
            text.push_str("  outside:\n    far: {host: h2, addresses: [10.9.0.7, \"2001:db8:9::7\"]}\n");
        }
        text.push_str(&format!("policy:\n{}steps:\n  - name: state 1\n{}", written(&self.policy, 2), self.matrix()));
        for (place, change) in self.changes.iter().enumerate() {
            text.push_str(&format!("  - name: state {}\n    do:\n{}{}", place + 2, change.text(), self.matrix()));
        }
        text
    }

    /// The names of all endpoints.
    pub(super) fn endpoints(&self) -> Vec<&str> {
        let far = self.outside.then_some("far");
        self.vms.iter().map(|vm| vm.name.as_str()).chain(far).collect()
    }

    fn matrix(&self) -> String {
        let endpoints = self.endpoints();
        let mut text = "    matrix:\n".to_owned();
        let cell = |row: &str, column: &str| if column == row { " ." } else { " ?" };
        let row = |row: &&str| {
            let cells: String = endpoints.iter().map(|column| cell(row, column)).collect();
            format!("        {row}{cells}\n")
        };
        let rows: String = endpoints.iter().map(row).collect();
        for service in PROBED {
            text.push_str(&format!("      {service}: |\n        -> {}\n{rows}", endpoints.join(" ")));
        }
        text
    }
}

impl Change {
    /// As an item of `do`.
    fn text(&self) -> String {
        match self {
            Self::Publish(policy) => format!("      - policy:\n{}", written(policy, 10)),
            Self::Label { vm, key, value } => format!("      - label: {{vm: {vm}, set: {{{key}: {value}}}}}\n"),
            Self::Move { vm, host } => format!("      - move: {{vm: {vm}, to: h{host}}}\n"),
            Self::Order(what, vm) => format!("      - {what}: {vm}\n"),
            Self::Agent(what, vm) => format!("      - {what}: {{agent: {vm}}}\n"),
            Self::Cut(vm) => format!("      - partition: {{a: [{vm}], b: [center]}}\n"),
            Self::Heal => "      - heal\n".to_owned(),
            Self::Open(sessions) => {
                let open = |(name, from, to, service): &(String, String, String, String)| {
                    format!("      - open {name}: {from} -> {to} {service}\n")
                };
                let policy = "      - policy: {eastwest: policy/v1, rules: [], default: allow}\n".to_owned();
                policy + &sessions.iter().map(open).collect::<String>()
            }
        }
    }

    /// The VMs that it names.
    pub(super) fn names(&self, name: &str) -> bool {
        match self {
            Self::Publish(_) | Self::Heal => false,
            Self::Label { vm, .. } | Self::Move { vm, .. } => vm == name,
            Self::Order(_, vm) | Self::Agent(_, vm) | Self::Cut(vm) => vm == name,
            Self::Open(sessions) => sessions.iter().any(|(_, from, to, _)| from == name || to == name),
        }
    }
}

/// A policy in its place, so far to the right; several tiers as a list.
fn written(policy: &Policy, indent: usize) -> String {
    let tiers = policy.bundle().tiers;
    let several = policy.tiers.iter().any(|tier: &std::sync::Arc<Tier>| tier.name.is_some());
    let mut text = String::new();
    for source in &tiers {
        for (number, line) in source.text.lines().enumerate() {
            let mark = match (several, number) {
                (false, _) => "",
                (true, 0) => "- ",
                (true, _) => "  ",
            };
            text.push_str(&format!("{}{mark}{line}\n", " ".repeat(indent)));
        }
    }
    text
}
