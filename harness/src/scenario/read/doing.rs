//! Reading the items of `do`.

use std::collections::BTreeMap;

use policy::yaml::{self, Entry, Node, Text, Value};
use policy::{Family, Name, Problem, Span, TextError};

use super::super::{Act, Action, Choice, Doing, Party, Process, Stream};
use super::Reader;
use super::flow::{Head, Words, head};
use super::steps::Fold;

const VERBS: [&str; 17] = [
    "policy",
    "label",
    "move",
    "add",
    "remove",
    "open",
    "close",
    "send",
    "quarantine",
    "release",
    "kill",
    "stop",
    "start",
    "restart",
    "partition",
    "heal",
    "reset",
];
const LATER: [&str; 16] = [
    "exec", "raw", "bulk", "flood", "scan", "fill", "skew", "tamper", "slow", "lose", "loss", "delay", "publish",
    "enrol", "clone", "wait",
];
/// How often `send` may send.
const MOST: u32 = 10_000;

/// An item of `do`, taken apart: `open ledger: a -> b tcp/1` is verb `open`, rest `ledger`, value `a -> b tcp/1`.
struct Item<'n> {
    verb: Text,
    rest: Option<Text>,
    value: Option<Argument<'n>>,
    span: Span,
}

enum Argument<'n> {
    Node(&'n Node),
    Text(Text),
}

impl Argument<'_> {
    fn as_text(&self) -> Option<&Text> {
        match self {
            Self::Node(node) => node.as_text(),
            Self::Text(text) => Some(text),
        }
    }

    fn span(&self) -> Span {
        match self {
            Self::Node(node) => node.span,
            Self::Text(text) => text.span(),
        }
    }
}

impl Reader<'_> {
    /// The items of a step, each checked in the state that the ones before it make.
    pub(super) fn doings(&mut self, node: &Node, fold: &mut Fold) -> Vec<Doing> {
        let mut doings = Vec::new();
        for node in yaml::items(node, "a list of what is done", &mut self.problems).unwrap_or_default() {
            let Some(item) = self.take_apart(node) else { continue };
            for action in self.actions(&item, fold) {
                if let Err(why) = fold.state.apply(&action, &fold.history) {
                    self.refused(item.span, why);
                    continue;
                }
                let place = item.span.start..item.span.end;
                let text = self.text.get(place.clone()).unwrap_or_default();
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                doings.push(Doing { line: self.line(item.span), place, text, action });
            }
        }
        doings
    }

    fn take_apart<'n>(&mut self, node: &'n Node) -> Option<Item<'n>> {
        let (key, value, span) = match &node.value {
            Value::Mapping(entries) => match entries.as_slice() {
                [Entry { key, value }] => {
                    let span = key.span().to(value.span);
                    (key.clone(), (!value.is_absent()).then_some(Argument::Node(value)), span)
                }
                entries => {
                    let span = entries.get(1).map_or(node.span, |entry| entry.key.span());
                    self.wrong(span, "each thing that is done is a list item of its own");
                    return None;
                }
            },
            Value::Scalar(text) if !text.is_absent() => match text.as_str().find(": ") {
                Some(colon) => {
                    let value = text.part(colon + 2..text.as_str().len())?;
                    (text.part(0..colon)?, Some(Argument::Text(value)), text.span())
                }
                None => (text.clone(), None, text.span()),
            },
            Value::Scalar(_) | Value::Sequence(_) => {
                self.wrong(node.span, format!("expected what is done, found {}", node.kind()));
                return None;
            }
        };
        let all = key.as_str();
        let end = all.find(' ').unwrap_or(all.len());
        let rest = all.get(end..).map(str::trim).filter(|rest| !rest.is_empty());
        let rest = rest.and_then(|rest| key.part(all.len() - rest.len()..all.len()));
        Some(Item { verb: key.part(0..end)?, rest, value, span })
    }

    fn actions(&mut self, item: &Item<'_>, fold: &mut Fold) -> Vec<Action> {
        let verb = item.verb.as_str();
        if item.rest.is_some() && !matches!(verb, "open" | "close" | "send") {
            self.wrong(item.verb.span(), format!("write `{verb}: …`"));
            return Vec::new();
        }
        match verb {
            "policy" => self.policy_of(item).into_iter().collect(),
            "label" => self.label_item(item, fold).into_iter().collect(),
            "move" => self.move_item(item, fold).into_iter().collect(),
            "add" => self.add_items(item, fold),
            "remove" => self.vm_of(item, fold).map(|vm| Action::Remove { vm }).into_iter().collect(),
            "quarantine" => self.vm_of(item, fold).map(|vm| Action::Quarantine { vm }).into_iter().collect(),
            "release" => self.vm_of(item, fold).map(|vm| Action::Release { vm }).into_iter().collect(),
            "open" => self.open_item(item, fold).into_iter().collect(),
            "close" => self.sessions_of(item).into_iter().map(|name| Action::Close { name }).collect(),
            "send" => self.send_item(item, fold).into_iter().collect(),
            "kill" => self.processes(item, Act::Kill, fold),
            "stop" => self.processes(item, Act::Stop, fold),
            "start" => self.processes(item, Act::Start, fold),
            "restart" => self.processes(item, Act::Restart, fold),
            "partition" => self.partition_item(item, fold).into_iter().collect(),
            "heal" => vec![Action::Heal],
            "reset" => self.reset_item(item, fold).into_iter().collect(),
            other => {
                self.no_such_verb(&item.verb, other);
                Vec::new()
            }
        }
    }

    fn no_such_verb(&mut self, verb: &Text, word: &str) {
        if LATER.contains(&word) {
            return self.not_yet(verb.span(), word);
        }
        let problem = Problem::new(verb.span(), format!("nothing is done by `{word}`"));
        self.problems.report(problem.maybe_help(policy::did_you_mean(word, &VERBS)));
    }

    /// The value of an item as a mapping or list, which a text cannot be.
    fn node_of<'n>(&mut self, item: &Item<'n>, example: &str) -> Option<&'n Node> {
        if let Some(Argument::Node(node)) = &item.value {
            return Some(node);
        }
        let problem = Problem::new(item.verb.span(), format!("`{}` needs to be told what", item.verb.as_str()));
        self.problems.report(problem.help(format!("write `{example}`")));
        None
    }

    fn text_of(&mut self, item: &Item<'_>, what: &str) -> Option<Text> {
        if let Some(text) = item.value.as_ref().and_then(Argument::as_text) {
            return Some(text.clone());
        }
        let span = item.value.as_ref().map_or(item.verb.span(), Argument::span);
        self.wrong(span, format!("`{}` needs {what}", item.verb.as_str()));
        None
    }

    fn policy_of(&mut self, item: &Item<'_>) -> Option<Action> {
        match &item.value {
            Some(Argument::Node(node)) => self.policy(node).map(Action::Policy),
            Some(Argument::Text(text)) => {
                let node = Node { span: text.span(), value: Value::Scalar(text.clone()) };
                self.policy(&node).map(Action::Policy)
            }
            None => {
                self.wrong(item.verb.span(), "`policy` needs a file or the policy itself");
                None
            }
        }
    }

    /// A VM by its name, which must be there at this point.
    fn vm_named(&mut self, text: &Text, fold: &Fold) -> Option<Name> {
        let known: Vec<&str> = fold.state.vms.keys().map(Name::as_str).collect();
        self.named(text, "VM", &known)
    }

    fn named(&mut self, text: &Text, what: &str, known: &[&str]) -> Option<Name> {
        if let Some(found) = known.iter().find(|name| **name == text.as_str()) {
            return found.parse().ok();
        }
        let problem = Problem::new(text.span(), format!("there is no {what} `{}` at this point", text.as_str()));
        self.problems.report(problem.maybe_help(policy::did_you_mean(text.as_str(), known)));
        None
    }

    fn vm_of(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Name> {
        let text = self.text_of(item, "the name of a VM")?;
        self.vm_named(&text, fold)
    }

    fn field_vm(&mut self, node: Option<&Node>, fold: &Fold) -> Option<Name> {
        let text = yaml::text(node?, "the name of a VM", &mut self.problems)?;
        self.vm_named(text, fold)
    }

    fn label_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let node = self.node_of(item, "label: {vm: NAME, set: {KEY: VALUE}}")?;
        let fields = self.fields(node, "a `label`", &["vm", "set", "labels"], &["remove", "unset"])?;
        let vm = fields.require("vm", &mut self.problems);
        let vm = self.field_vm(vm, fold);
        let (node, whole) = match (fields.get("set"), fields.get("labels")) {
            (Some(node), None) => (node, false),
            (None, Some(node)) => (node, true),
            (Some(_), Some(node)) => {
                self.wrong(node.span, "either `set` (these change) or `labels` (these alone remain)");
                return None;
            }
            (None, None) => {
                self.wrong(item.verb.span(), "`label` needs `set` (these change) or `labels` (these alone remain)");
                return None;
            }
        };
        let mut set = BTreeMap::new();
        for entry in yaml::pairs(node, "labels", &mut self.problems)? {
            let (key, value) = self.label(entry)?;
            set.insert(key, value);
        }
        Some(Action::Label { vm: vm?, set, whole })
    }

    fn move_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let node = self.node_of(item, "move: {vm: NAME, to: HOST}")?;
        let fields = self.fields(node, "a `move`", &["vm", "to"], &[])?;
        let vm = fields.require("vm", &mut self.problems);
        let vm = self.field_vm(vm, fold);
        let to = fields.require("to", &mut self.problems)?;
        let to = yaml::text(to, "the name of a host", &mut self.problems)?;
        let known: Vec<&str> = fold.state.hosts.iter().map(Name::as_str).collect();
        let to = self.named(to, "host", &known);
        Some(Action::Move { vm: vm?, to: to? })
    }

    fn add_items(&mut self, item: &Item<'_>, fold: &mut Fold) -> Vec<Action> {
        let Some(node) = self.node_of(item, "add: {NAME: {host: HOST}}") else { return Vec::new() };
        let hosts = fold.state.hosts.clone();
        let mut added = Vec::new();
        for entry in yaml::pairs(node, "VMs", &mut self.problems).unwrap_or_default() {
            let vm = self.vm_entry(entry, &hosts, &mut fold.pool);
            added.extend(vm.map(|(vm, spec)| Action::Add { vm, spec }));
        }
        added
    }

    fn open_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let Some(name) = &item.rest else {
            let problem = Problem::new(item.verb.span(), "a session needs a name");
            self.problems.report(problem.help("write `open NAME: SOURCE -> DESTINATION SERVICE`"));
            return None;
        };
        let taken =
            matches!(name.as_str(), "reported" | "agent" | "generation") || name.as_str().contains(char::is_whitespace);
        if taken {
            self.wrong(name.span(), format!("`{}` cannot be the name of a session", name.as_str()));
            return None;
        }
        let text = self.text_of(item, "a flow, such as `a -> b tcp/443`")?;
        let (stream, times) = self.stream(&text, fold)?;
        if times.is_some() {
            self.wrong(text.span(), "a session is opened once");
        }
        Some(Action::Open { name: name.as_str().to_owned(), stream })
    }

    /// The sessions that an item names: `close ledger`, `send a b`, `close: ledger`, `send: [a, b]`.
    fn sessions_of(&mut self, item: &Item<'_>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        if let Some(rest) = &item.rest {
            names.extend(rest.as_str().split([' ', ',']).filter(|name| !name.is_empty()).map(str::to_owned));
        }
        match &item.value {
            Some(Argument::Node(node)) => {
                for node in yaml::one_or_many(node) {
                    names
                        .extend(yaml::text(node, "a session", &mut self.problems).map(|text| text.as_str().to_owned()));
                }
            }
            Some(Argument::Text(text)) => names.push(text.as_str().to_owned()),
            None => {}
        }
        if names.is_empty() {
            self.wrong(item.verb.span(), format!("`{}` needs the name of a session", item.verb.as_str()));
        }
        names
    }

    fn send_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        if let Some(Argument::Node(Node { value: Value::Mapping(entries), span })) = &item.value {
            let what = entries.first().map_or("send", |entry| entry.key.as_str());
            self.not_yet(*span, &format!("send {what}"));
            return None;
        }
        let value = item.value.as_ref().and_then(Argument::as_text);
        match value.filter(|text| text.as_str().contains("->")) {
            Some(text) => {
                let (stream, times) = self.stream(text, fold)?;
                Some(Action::Send { stream, times: times.unwrap_or(1) })
            }
            None => {
                let names = self.sessions_of(item);
                (!names.is_empty()).then_some(Action::SendOn { names })
            }
        }
    }

    /// `A -> B SVC [v4|v6] [n times]`.
    fn stream(&mut self, text: &Text, fold: &Fold) -> Option<(Stream, Option<u32>)> {
        let tail = tail(text.as_str());
        let read = head(text.as_str(), 0..tail);
        let Head { source, destination, services } = self.taken(text, read)?;
        let read = suffix(text.as_str(), tail);
        let (family, times) = self.taken(text, read)?;
        let [Choice::One(service)] = services.as_slice() else {
            self.wrong(text.span(), "name one service here");
            return None;
        };
        let known: Vec<&str> = fold.state.endpoints().map(Name::as_str).collect();
        let mut one = |name: &str| {
            let start = text.as_str().find(name)?;
            let place = text.part(start..start + name.len())?;
            self.named(&place, "endpoint", &known)
        };
        let (source, destination) = (one(source.as_str()), one(destination.as_str()));
        let (source, destination) = (source?, destination?);
        if source == destination {
            self.wrong(text.span(), "an endpoint does not speak to itself");
            return None;
        }
        let common = fold.state.families(&source, &destination);
        let possible = |wanted: &Family| service.exists_in(*wanted) && family.is_none_or(|family| family == *wanted);
        let Some(family) = common.into_iter().find(possible) else {
            self.wrong(text.span(), format!("`{source}` and `{destination}` have no family in common for this"));
            return None;
        };
        Some((Stream { source, destination, service: *service, family }, times))
    }

    fn processes(&mut self, item: &Item<'_>, act: Act, fold: &Fold) -> Vec<Action> {
        let center = item.value.as_ref().and_then(Argument::as_text).is_some_and(|text| text.as_str() == "center");
        if center {
            return vec![Action::Process { act, process: Process::Center }];
        }
        let example = format!("{}: center` or `{}: {{agent: VM}}", item.verb.as_str(), item.verb.as_str());
        if let Some(Argument::Text(_)) | None = &item.value {
            self.node_of(item, &example);
            return Vec::new();
        }
        let Some(node) = self.node_of(item, &example) else { return Vec::new() };
        let Some(fields) = self.fields(node, "a process", &["agent"], &["center", "program"]) else {
            return Vec::new();
        };
        let nodes = fields.require("agent", &mut self.problems).map(yaml::one_or_many).unwrap_or_default();
        let mut actions = Vec::new();
        for node in nodes {
            let vm = self.field_vm(Some(node), fold);
            actions.extend(vm.map(|vm| Action::Process { act, process: Process::Agent(vm) }));
        }
        actions
    }

    fn partition_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let node = self.node_of(item, "partition: {a: [NAME, …], b: [NAME, …]}")?;
        let fields = self.fields(node, "a `partition`", &["a", "b"], &["one-way", "loss"])?;
        let mut sides = Vec::new();
        for key in ["a", "b"] {
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

    fn reset_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let text = self.text_of(item, "the name of an earlier step")?;
        self.earlier(&text, fold).map(|step| Action::Reset { step })
    }
}

/// Where the flow of a stream ends and its suffix begins.
fn tail(text: &str) -> usize {
    let mut words = Words::of(text, 0..text.len());
    let mut before: Option<(&str, std::ops::Range<usize>)> = None;
    while let Some((word, place)) = words.next() {
        match (word, before) {
            ("v4" | "v6", Some(_)) => return place.start,
            ("times" | "time", Some((_, number))) => return number.start,
            _ => before = Some((word, place)),
        }
    }
    text.len()
}

/// `[v4|v6] [n times]`.
fn suffix(text: &str, start: usize) -> Result<(Option<Family>, Option<u32>), TextError> {
    let mut words = Words::of(text, start..text.len());
    let (mut family, mut times) = (None, None);
    while let Some((word, place)) = words.next() {
        match word {
            "v4" => family = Some(Family::V4),
            "v6" => family = Some(Family::V6),
            "times" | "time" if times.is_some() => {}
            _ => match word.parse() {
                Ok(number) if (1..=MOST).contains(&number) => times = Some(number),
                Ok(_) | Err(_) => return Err(TextError::new(place, format!("expected a number from 1 to {MOST}"))),
            },
        }
    }
    Ok((family, times))
}
