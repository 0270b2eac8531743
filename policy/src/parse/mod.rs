//! The text form of a policy, `policy/v1`: all mistakes at once, each at its place.

mod define;
pub(crate) mod detect;
mod groups;
mod lex;
mod outage;
pub(crate) mod rule;
pub(crate) mod selector;
pub(crate) mod service;
mod services;

use std::collections::BTreeMap;

use groups::Groups;
pub(crate) use lex::bare;
use rule::not_yet;
pub use selector::parse_selector;
pub use service::{parse_service, parse_services};
use services::Named;

use crate::yaml::{self, Entry, Fields, Node, Text};
use crate::{Action, Errors, Mode, Name, Outage, Policy, Problem, Problems, Rule, Span};

/// What the first key of a policy file says.
pub const VERSION: &str = "policy/v1";

/// The keys of a policy.
pub const KNOWN: [&str; 9] = ["eastwest", "services", "groups", "rules", "default", "outage", "mode", "owns", "detect"];
/// What a flow gets that no rule matches.
pub const DEFAULTS: [(&str, Action); 3] =
    [("allow", Action::Allow), ("deny", Action::Deny), ("reject", Action::Reject)];

/// Reads a policy file; `source_name` is what the errors call it.
///
/// # Errors
/// Everything that is wrong with it, sorted by place.
pub fn parse(source_name: &str, text: &str) -> Result<Policy, Errors> {
    let mut problems = Problems::default();
    let policy = yaml::tree(text, &mut problems).and_then(|root| {
        let fields = Fields::of(&root, "a policy", &[], &mut Problems::default());
        if let Some(fields) = fields {
            let _ = fields.require("eastwest", &mut problems);
        }
        parse_node(&root, text, &mut problems)
    });
    match (problems.into_errors(source_name, text), policy) {
        (None, Some(policy)) => Ok(policy),
        (Some(errors), _) => Err(errors),
        (None, None) => Err(Errors::single(source_name, text, Problem::new(Span::default(), "not a policy"))),
    }
}

/// Reads a policy that stands in another file (a scenario); it need not name its version. `source` is that file's text.
pub fn parse_node(root: &Node, source: &str, problems: &mut Problems) -> Option<Policy> {
    let before = problems.count();
    let fields = Fields::of(root, "a policy", &KNOWN, problems)?;
    if let Some(node) = fields.get("eastwest") {
        version(node, problems);
    }
    if let Some(entry) = fields.entry("owns") {
        problems.report(not_yet(entry.key.span(), "`owns`"));
    }
    let services = Named::of(section(&fields, "services", problems), problems);
    let groups = Groups::of(section(&fields, "groups", problems), problems);
    let newlines: Vec<usize> = source.match_indices('\n').map(|(at, _)| at).collect();
    let context = rule::Context { newlines: &newlines, services: &services, groups: &groups };
    let mut rules = rules(&fields, &context, problems);
    let detect = detect::detectors(&fields, &context, problems);
    let default = fields.get("default").map_or(Some(Action::Deny), |node| default(node, problems));
    let outage = fields.get("outage").map_or(Some(Outage::KeepLast), |node| outage::read(node, problems));
    let mode = fields.get("mode").map_or(Some(Mode::Enforce), |node| rule::mode(node, problems));
    if mode == Some(Mode::Monitor) {
        rules.iter_mut().for_each(|rule| rule.mode = Mode::Monitor);
    }
    let policy = Policy {
        services: services.right,
        groups: groups.right,
        rules,
        detect,
        default: default?,
        outage: outage?,
        mode: mode?,
    };
    (problems.count() == before).then_some(policy)
}

fn version(node: &Node, problems: &mut Problems) {
    let Some(text) = yaml::text(node, VERSION, problems) else { return };
    if text.as_str() != VERSION {
        let problem =
            Problem::new(text.span(), format!("this file says `{}`, a policy says `{VERSION}`", text.as_str()));
        problems.report(problem);
    }
}

/// The entries of a section that may be missing.
fn section<'n>(fields: &Fields<'n>, key: &str, problems: &mut Problems) -> &'n [Entry] {
    let what = if key == "groups" { "groups by name" } else { "services by name" };
    fields.get(key).and_then(|node| yaml::pairs(node, what, problems)).unwrap_or_default()
}

fn rules(fields: &Fields<'_>, context: &rule::Context<'_>, problems: &mut Problems) -> Vec<Rule> {
    let written = fields.get("rules").and_then(|node| yaml::items(node, "a list of rules", problems));
    let items = written.unwrap_or_default();
    once_each(items, detect::items(fields, &mut Problems::default()), problems);
    items.iter().filter_map(|item| rule::read(item, context, problems)).collect()
}

/// Reports rules and detectors of the same name, also of those that are wrong otherwise.
fn once_each(rules: &[Node], detectors: &[Node], problems: &mut Problems) {
    let mut first: BTreeMap<Name, (Span, &str)> = BTreeMap::new();
    let all = rules.iter().map(|item| (item, "rule")).chain(detectors.iter().map(|item| (item, "detector")));
    for (text, what) in all.filter_map(|(item, what)| Some((named(item)?, what))) {
        let Ok(name) = text.as_str().parse::<Name>() else { continue };
        match first.get(&name) {
            Some((before, same)) if *same == what => {
                let problem = Problem::new(text.span(), format!("a second {what} is named `{name}`"));
                problems.report(problem.also(*before, "the first"));
            }
            Some((before, other)) => {
                let problem = Problem::new(text.span(), format!("a {other} is named `{name}` already"));
                problems.report(problem.also(*before, format!("the {other}")));
            }
            None => {
                first.insert(name, (text.span(), what));
            }
        }
    }
}

fn named(item: &Node) -> Option<&Text> {
    Fields::of(item, "a rule", &[], &mut Problems::default())?.get("name")?.as_text()
}

fn default(node: &Node, problems: &mut Problems) -> Option<Action> {
    if let Some(text) = node.as_text().filter(|text| text.as_str() == "pass") {
        problems.report(not_yet(text.span(), "`pass`"));
        return None;
    }
    yaml::word(node, &DEFAULTS, problems)
}
