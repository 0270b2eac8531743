//! Policies as text again: what was parsed or made by a program, in a form that reads as the same policy.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use crate::bundle::quoted;
use crate::{AddressGroup, At, Bundle, Detector, Mode, Name, Outage, Policy, Response, Rule, Selector, Source, Tier};

impl Rule {
    /// The rule as a text of one line: `{name: db, allow: [tcp/5432], from: app = web, to: app = db}`.
    #[must_use]
    pub fn text(&self) -> String {
        written(self, &mut Groups::default()).trim_start_matches("  - ").trim_end().to_owned()
    }
}

impl Policy {
    /// The policy as a text that is published: groups of labels stand where they are used, comments and
    /// claims are gone.
    #[must_use]
    pub fn text(&self) -> String {
        self.bundle().text()
    }

    /// The same, file by file.
    #[must_use]
    pub fn bundle(&self) -> Bundle {
        let tier = |tier: Option<&Arc<Tier>>, place: usize, last: bool| {
            let name = tier.and_then(|tier| tier.name.clone());
            let file = name.as_ref().map_or("policy.yaml".to_owned(), |name| format!("{name}.yaml"));
            Source { name: file, text: self.tier(tier, place, last) }
        };
        let count = self.tiers.len();
        let mut tiers: Vec<Source> =
            self.tiers.iter().enumerate().map(|(place, one)| tier(Some(one), place, place + 1 == count)).collect();
        if tiers.is_empty() {
            tiers.push(tier(None, 0, true));
        }
        Bundle { tiers, included: Vec::new() }
    }

    fn tier(&self, tier: Option<&Arc<Tier>>, place: usize, last: bool) -> String {
        let mut text = String::from("eastwest: policy/v1\n");
        if let Some(name) = tier.and_then(|tier| tier.name.as_ref()) {
            text.push_str(&format!("tier: {name}\n"));
        }
        if let Some(owns) = tier.and_then(|tier| tier.owns.as_ref()) {
            text.push_str(&format!("owns: {}\n", quoted(&owns.to_string())));
        }
        let rules: Vec<&Rule> = self.rules.iter().filter(|rule| rule.place() == place).collect();
        let here = |tier: &Option<Arc<Tier>>| tier.as_ref().map_or(0, |tier| tier.place) == place;
        let detectors: Vec<&Detector> = self.detect.iter().filter(|one| here(&one.tier)).collect();
        let mut groups = Groups::default();
        let rules: String = rules.into_iter().map(|rule| written(rule, &mut groups)).collect();
        let detectors: String = detectors.into_iter().map(|one| watched(one, &mut groups)).collect();
        if last {
            section(
                &mut text,
                "services",
                self.services.iter().map(|(name, all)| format!("  {name}: {}\n", list(all))),
            );
        }
        section(&mut text, "groups", groups.0.iter().map(|(name, group)| addresses(name, group)));
        section(&mut text, "rules", (!rules.is_empty()).then_some(rules).into_iter());
        section(&mut text, "detect", (!detectors.is_empty()).then_some(detectors).into_iter());
        if last {
            text.push_str(&format!("default: {}\noutage: {}\n", self.default, outage(self.outage)));
            if self.mode == Mode::Monitor {
                text.push_str("mode: monitor\n");
            }
        }
        text
    }
}

fn section(text: &mut String, key: &str, entries: impl Iterator<Item = String>) {
    let entries: String = entries.collect();
    if !entries.is_empty() {
        text.push_str(&format!("{key}:\n{entries}"));
    }
}

fn list<T: Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    format!("[{}]", items.join(", "))
}

/// The groups of addresses that are named; two of one name that differ get two names.
#[derive(Default)]
struct Groups(BTreeMap<Name, Arc<AddressGroup>>);

impl Groups {
    fn named(&mut self, group: &Arc<AddressGroup>) -> Name {
        let same = |one: &AddressGroup| one.includes == group.includes && one.excludes == group.excludes;
        let mut name = group.name.clone();
        let mut number = 2;
        while self.0.get(&name).is_some_and(|known| !same(known)) {
            let Ok(next) = format!("{}-{number}", group.name).parse() else { break };
            name = next;
            number += 1;
        }
        self.0.entry(name.clone()).or_insert_with(|| Arc::clone(group));
        name
    }

    /// The selector with its groups as they are named here.
    fn renamed(&mut self, selector: &Selector) -> Selector {
        match selector {
            Selector::Addresses(group) => {
                let name = self.named(group);
                Selector::Addresses(Arc::new(AddressGroup { name, ..(**group).clone() }))
            }
            Selector::Or(parts) => Selector::Or(parts.iter().map(|part| self.renamed(part)).collect()),
            Selector::And(parts) => Selector::And(parts.iter().map(|part| self.renamed(part)).collect()),
            Selector::Any | Selector::Vms | Selector::Outside | Selector::Has(_) | Selector::Equals(..) => {
                selector.clone()
            }
            Selector::Differs(..) | Selector::In(..) | Selector::Not(_) => selector.clone(),
        }
    }

    fn ends(&mut self, (from, to): (&Selector, &Selector)) -> String {
        let mut text = String::new();
        for (key, selector) in [("from", from), ("to", to)].into_iter().filter(|(_, one)| **one != Selector::Any) {
            text.push_str(&format!(", {key}: {}", quoted(&self.renamed(selector).to_string())));
        }
        text
    }
}

fn addresses(name: &Name, group: &AddressGroup) -> String {
    let includes = group.includes.iter().map(|net| format!("\"{net}\""));
    let all: Vec<String> = includes.chain(group.excludes.iter().map(|net| format!("\"not {net}\""))).collect();
    format!("  {name}: [{}]\n", all.join(", "))
}

fn written(rule: &Rule, groups: &mut Groups) -> String {
    let Rule { name, action, services, from, to, within, at, log, mode, until, note, tier: _, line: _ } = rule;
    let mut text = format!("  - {{name: {name}, {action}: {}{}", list(services), groups.ends((from, to)));
    if let Some(key) = within {
        text.push_str(&format!(", within: {}", quoted(key)));
    }
    match at {
        At::Both => {}
        At::Source => text.push_str(", at: source"),
        At::Destination => text.push_str(", at: destination"),
    }
    if *log {
        text.push_str(", log: true");
    }
    if *mode == Mode::Monitor {
        text.push_str(", mode: monitor");
    }
    if let Some(until) = until {
        text.push_str(&format!(", until: {until}"));
    }
    if let Some(note) = note {
        text.push_str(&format!(", note: {}", quoted(note)));
    }
    text + "}\n"
}

fn watched(detector: &Detector, groups: &mut Groups) -> String {
    let Detector { name, watch, within, from, to, then, tier: _, line: _ } = detector;
    let within = time(*within);
    let what = format!("{}: {{{}: {}, within: {within}}}", watch.word(), watch.unit(), watch.threshold());
    let then = match then {
        Response::Alert => "alert".to_owned(),
        Response::Intercept(so_long) => format!("intercept, for: {}", time(*so_long)),
        Response::Quarantine(so_long) => format!("quarantine, for: {}", time(*so_long)),
    };
    format!("  - {{name: {name}, {what}{}, then: {then}}}\n", groups.ends((from, to)))
}

fn time(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

fn outage(outage: Outage) -> String {
    match outage {
        Outage::KeepLast => "keep-last".to_owned(),
        Outage::Closed => "closed".to_owned(),
        Outage::Lease(seconds) => format!("lease {seconds}s"),
    }
}
