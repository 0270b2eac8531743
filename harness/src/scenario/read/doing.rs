//! Reading the items of `do`.

use std::collections::BTreeMap;

use policy::yaml::{self, Entry, Node, Text, Value};
use policy::{Name, Problem, Span};

use super::super::{Act, Action, Doing, Process, soon};
use super::steps::Fold;
use super::{Reader, keys};

const LATER: [&str; 6] = ["raw", "scan", "fill", "skew", "enrol", "wait"];
/// How often `repeat` may go through its items.
const MOST_TIMES: u32 = 1_000;

/// An item of `do`, taken apart: `open ledger: a -> b tcp/1` is verb `open`, rest `ledger`, value `a -> b tcp/1`.
pub(super) struct Item<'n> {
    pub(super) verb: Text,
    pub(super) rest: Option<Text>,
    pub(super) value: Option<Argument<'n>>,
    pub(super) span: Span,
}

/// The value of an item.
pub(super) enum Argument<'n> {
    Node(&'n Node),
    Text(Text),
}

impl Argument<'_> {
    pub(super) fn as_text(&self) -> Option<&Text> {
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
            if item.verb.as_str() == "repeat" {
                doings.extend(self.repeated(&item, fold));
                continue;
            }
            for action in self.actions(&item, fold) {
                doings.extend(self.doing(item.span, action, fold));
            }
        }
        doings
    }

    /// `repeat: {times: 20, do: […]}`: the items so many times over.
    fn repeated(&mut self, item: &Item<'_>, fold: &mut Fold) -> Vec<Doing> {
        let Some(node) = self.node_of(item, "repeat: {times: 20, do: […]}") else { return Vec::new() };
        let Some(fields) = self.fields(node, "a `repeat`", &keys::REPEAT, &[]) else { return Vec::new() };
        let (times, items) = (fields.require("times", &mut self.problems), fields.require("do", &mut self.problems));
        let (Some(times), Some(items)) = (times, items) else { return Vec::new() };
        let Some(number) = yaml::parsed::<u32>(times, "a number of times", &mut self.problems) else {
            return Vec::new();
        };
        if !(1..=MOST_TIMES).contains(&number) {
            self.wrong(times.span, format!("expected a number from 1 to {MOST_TIMES}"));
            return Vec::new();
        }
        (0..number).flat_map(|_| self.doings(items, fold)).collect()
    }

    fn doing(&mut self, span: Span, action: Action, fold: &mut Fold) -> Option<Doing> {
        if let Err(why) = fold.state.apply(&action, &fold.history) {
            self.refused(span, why);
            return None;
        }
        let text = self.text.get(span.start..span.end).unwrap_or_default();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Some(Doing { line: self.line(span), place: span.start..span.end, text, action })
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
        if item.rest.is_some() && !keys::VERBS_OF_NAMES.contains(&verb) {
            self.wrong(item.verb.span(), format!("write `{verb}: …`"));
            return Vec::new();
        }
        match verb {
            "policy" => self.policy_of(item).into_iter().collect(),
            "label" => self.label_item(item, fold).into_iter().collect(),
            "move" => self.move_item(item, fold).into_iter().collect(),
            "add" => self.add_items(item, fold),
            "clone" => self.clone_item(item, fold).into_iter().collect(),
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
            "slow" => self.slow_item(item, fold).into_iter().collect(),
            "exec" => self.exec_item(item, fold).into_iter().collect(),
            "path" => self.path_item(item, fold).into_iter().collect(),
            "end" => self.sessions_of(item).into_iter().map(|name| end(name, fold)).collect(),
            "expire" => self.expire_item(item, fold).into_iter().collect(),
            "reset" => self.reset_item(item, fold).into_iter().collect(),
            "publish" => self.publication(item).into_iter().collect(),
            "kept" => self.kept_item(item, fold).into_iter().collect(),
            "tamper" => self.tamper_item(item, fold).into_iter().collect(),
            "address" => self.address_item(item, fold).into_iter().collect(),
            "interface" => self.interface_item(item, fold).into_iter().collect(),
            "mode" => self.mode_item(item, fold).into_iter().collect(),
            "suspend" => self.suspend_item(item, fold).into_iter().collect(),
            "resume" => self.resume_item(item, fold).into_iter().collect(),
            "upgrade" => self.upgrade_item(item, fold).into_iter().collect(),
            "lapse" => self.vm_of(item, fold).map(|vm| Action::Lapse { vm }).into_iter().collect(),
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
        self.problems.report(problem.maybe_help(policy::did_you_mean(word, &keys::VERBS)));
    }

    /// The value of an item as a mapping or list, which a text cannot be.
    pub(super) fn node_of<'n>(&mut self, item: &Item<'n>, example: &str) -> Option<&'n Node> {
        if let Some(Argument::Node(node)) = &item.value {
            return Some(node);
        }
        let problem = Problem::new(item.verb.span(), format!("`{}` needs to be told what", item.verb.as_str()));
        self.problems.report(problem.help(format!("write `{example}`")));
        None
    }

    pub(super) fn text_of(&mut self, item: &Item<'_>, what: &str) -> Option<Text> {
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

    pub(super) fn named(&mut self, text: &Text, what: &str, known: &[&str]) -> Option<Name> {
        if let Some(found) = known.iter().find(|name| **name == text.as_str()) {
            return found.parse().ok();
        }
        let problem = Problem::new(text.span(), format!("there is no {what} `{}` at this point", text.as_str()));
        self.problems.report(problem.maybe_help(policy::did_you_mean(text.as_str(), known)));
        None
    }

    pub(super) fn vm_of(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Name> {
        let text = self.text_of(item, "the name of a VM")?;
        self.vm_named(&text, fold)
    }

    pub(super) fn field_vm(&mut self, node: Option<&Node>, fold: &Fold) -> Option<Name> {
        let text = yaml::text(node?, "the name of a VM", &mut self.problems)?;
        self.vm_named(text, fold)
    }

    fn label_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let node = self.node_of(item, "label: {vm: NAME, set: {KEY: VALUE}}")?;
        let fields = self.fields(node, "a `label`", &keys::LABEL, &["remove", "unset"])?;
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
        let fields = self.fields(node, "a `move`", &keys::MOVE, &[])?;
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
            let vms = self.vm_entry(entry, &hosts, &mut fold.pool);
            added.extend(vms.into_iter().map(|(vm, spec)| Action::Add { vm, spec }));
        }
        added
    }

    fn clone_item(&mut self, item: &Item<'_>, fold: &mut Fold) -> Option<Action> {
        let node = self.node_of(item, "clone: {vm: NAME, as: NAME, host: HOST}")?;
        let fields = self.fields(node, "a `clone`", &keys::CLONE, &["addresses"])?;
        let vm = fields.require("vm", &mut self.problems);
        let vm = self.field_vm(vm, fold);
        let name = fields.require("as", &mut self.problems)?;
        let name = yaml::text(name, "the copy's name", &mut self.problems)?;
        let host = self.host(&fields, &fold.state.hosts)?;
        let (vm, name) = (vm?, yaml::name(name, "a VM", &mut self.problems)?);
        let spec = self.copy((&vm, fold.state.vms.get(&vm)?), host, item.span, &mut fold.pool)?;
        Some(Action::Clone { vm, name, spec })
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
        let Some(fields) = self.fields(node, "a process", &keys::PROCESS, &["center", "program"]) else {
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

    fn expire_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let text = self.text_of(item, "the name of a rule")?;
        let policy = fold.state.policy.as_ref().map(|policy| &policy.policy);
        let rule = policy.and_then(|policy| policy.rules.iter().find(|rule| rule.name.as_str() == text.as_str()));
        let Some(after) = rule.and_then(|rule| rule.until).and_then(soon::after) else {
            let problem = Problem::new(text.span(), format!("no rule `{}` ends while this runs", text.as_str()));
            self.problems.report(problem.help("a rule that does says such as `until: +5s`"));
            return None;
        };
        Some(Action::Expire { rule: text.as_str().to_owned(), after })
    }

    fn reset_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let text = self.text_of(item, "the name of an earlier step")?;
        self.earlier(&text, fold).map(|step| Action::Reset { step })
    }
}

/// What goes on by this name is a program, or else a flood.
fn end(name: String, fold: &Fold) -> Action {
    match fold.state.programs.contains_key(&name) {
        true => Action::EndProgram { name },
        false => Action::EndFlood { name },
    }
}
