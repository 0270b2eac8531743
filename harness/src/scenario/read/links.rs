//! Reading what is done to paths: they are cut, or slow.

use std::ops::RangeInclusive;
use std::time::Duration;

use policy::yaml::{self, Node};
use policy::{Name, Problem};

use super::super::{Action, Party, PathChange};
use super::doing::Item;
use super::steps::Fold;
use super::{Reader, keys};

/// Units of a rate, and the slowest and the quickest that there is, in bits a second.
const UNITS: [(&str, u64); 3] = [("kbit", 1_000), ("mbit", 1_000_000), ("bit", 1)];
const SLOWEST: u64 = 8_000;
const QUICKEST: u64 = 1_000_000_000;
/// The most that a path loses in a hundred, and the longest that it takes, in milliseconds.
const MOST_LOST: u64 = 20;
const LONGEST: u64 = 100;

impl Reader<'_> {
    pub(super) fn partition_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let node = self.node_of(item, "partition: {a: [NAME, …], b: [NAME, …]}")?;
        let fields = self.fields(node, "a `partition`", &keys::PARTITION, &["one-way", "loss"])?;
        let mut sides = Vec::new();
        for key in keys::PARTITION {
            let nodes = fields.require(key, &mut self.problems).map(yaml::one_or_many).unwrap_or_default();
            sides.push(nodes.iter().filter_map(|node| self.party(node, fold)).collect::<Vec<_>>());
        }
        let b = sides.pop()?;
        let a = sides.pop()?;
        if a.is_empty() || b.is_empty() {
            return None;
        }
        Some(Action::Partition { a, b })
    }

    fn party(&mut self, node: &Node, fold: &Fold) -> Option<Party> {
        let text = yaml::text(node, "a host, an endpoint or `center`", &mut self.problems)?;
        if text.as_str() == "center" {
            return Some(Party::Center);
        }
        if let Some(host) = fold.state.hosts.iter().find(|host| host.as_str() == text.as_str()) {
            return Some(Party::Host(host.clone()));
        }
        let hosts = fold.state.hosts.iter().map(Name::as_str);
        let known: Vec<&str> = fold.state.endpoints().map(Name::as_str).chain(hosts).collect();
        self.named(text, "host or endpoint", &known).map(Party::Station)
    }

    /// `slow: {vm: a, rate: 64kbit}`; `rate: none` ends it.
    pub(super) fn slow_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let node = self.node_of(item, "slow: {vm: NAME, rate: 64kbit}")?;
        let fields = self.fields(node, "a `slow`", &keys::SLOW, &[])?;
        let vm = fields.require("vm", &mut self.problems);
        let vm = self.field_vm(vm, fold);
        let rate = fields.require("rate", &mut self.problems)?;
        let text = yaml::text(rate, "a rate", &mut self.problems)?;
        if text.as_str() == "none" {
            return Some(Action::Slow { vm: vm?, rate: None });
        }
        let parts = UNITS.iter().find_map(|(unit, bits)| Some((text.as_str().strip_suffix(unit)?, *bits)));
        let bits = parts.and_then(|(number, bits)| number.parse::<u32>().ok().map(|number| u64::from(number) * bits));
        let Some(bits) = bits.filter(|bits| (SLOWEST..=QUICKEST).contains(bits)) else {
            let problem = Problem::new(text.span(), format!("`{}` is no rate of a path", text.as_str()));
            self.problems.report(problem.help("from 8kbit to 1000mbit a second, or `none`"));
            return None;
        };
        Some(Action::Slow { vm: vm?, rate: Some(bits) })
    }

    /// `path: {a: web, b: db, loss: 5%, delay: 20ms, rate: 10mbit}`; without any of these it is as it was at first.
    pub(super) fn path_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let node = self.node_of(item, "path: {a: NAME, b: NAME, loss: 5%, delay: 20ms, rate: 10mbit}")?;
        let fields = self.fields(node, "a `path`", &keys::PATH, &["jitter", "reorder"])?;
        let (a, b) = (self.endpoint(&fields, "a", fold), self.endpoint(&fields, "b", fold));
        let rate = fields.get("rate").map(|node| {
            let bits = self.measured(node, "a rate", &UNITS, "such as 64kbit or 10mbit")?;
            self.within(node, bits, SLOWEST..=QUICKEST, "a path carries from 8kbit to 1000mbit")
        });
        let loss = fields.get("loss").map(|node| {
            let percent = self.measured(node, "a share", &[("%", 1)], "such as 5%")?;
            self.within(node, percent, 1..=MOST_LOST, "a path loses from 1% to 20%")
        });
        let delay = fields.get("delay").map(|node| {
            let millis = self.measured(node, "a time", &[("ms", 1)], "such as 20ms")?;
            self.within(node, millis, 1..=LONGEST, "a path takes from 1ms to 100ms")
        });
        let all = |value: Option<Option<u64>>| value.map_or(Some(None), |value| value.map(Some));
        let (rate, loss, delay) = (all(rate)?, all(loss)?.unwrap_or(0), all(delay)?.unwrap_or(0));
        let loss = u8::try_from(loss).unwrap_or(u8::MAX);
        Some(Action::Path(PathChange { a: a?, b: b?, rate, loss, delay: Duration::from_millis(delay) }))
    }

    fn within(&mut self, node: &Node, number: u64, bounds: RangeInclusive<u64>, what: &str) -> Option<u64> {
        if bounds.contains(&number) {
            return Some(number);
        }
        self.wrong(node.span, what);
        None
    }
}
