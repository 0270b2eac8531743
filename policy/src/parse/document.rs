//! One file of a policy: a tier, or all of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::groups::Groups;
use super::services::Named;
use super::{KNOWN, claim, default, detect, included, outage, rule, version};
use crate::yaml::{self, Entry, Fields, Node, Text};
use crate::{Bundle, Mode, Name, Outage, Policy, Problem, Problems, Rule, Span, Tier, Verdict};

/// Where a file stands among the others.
pub(crate) struct Setting<'a> {
    /// Its name.
    pub(crate) file: &'a str,
    /// Its place in the order, from 0.
    pub(crate) place: usize,
    /// How many tiers there are.
    pub(crate) count: usize,
    /// All files, for what it includes.
    pub(crate) bundle: &'a Bundle,
}

/// Reads a file; `None` if any of it is wrong.
pub(crate) fn read(root: &Node, source: &str, setting: &Setting<'_>, problems: &mut Problems) -> Option<Policy> {
    let before = problems.count();
    let fields = Fields::of(root, "a policy", &KNOWN, problems)?;
    if let Some(node) = fields.get("eastwest") {
        version(node, problems);
    }
    let shared = included::shared(&fields, setting, problems);
    let services = Named::of(section(&fields, "services", problems), &shared.services, problems);
    let groups = Groups::of(section(&fields, "groups", problems), &shared.groups, problems);
    let newlines: Vec<usize> = source.match_indices('\n').map(|(at, _)| at).collect();
    let tier = tier(&fields, &groups, setting, problems);
    let context = rule::Context { newlines: &newlines, services: &services, groups: &groups, tier: tier.as_ref() };
    let mut rules = rules(&fields, &context, problems);
    let detect = detect::detectors(&fields, &context, problems);
    let tests = claim::claims(&fields, source, &context, setting.file, problems);
    the_last_alone(&fields, setting, problems);
    let default = fields.get("default").map_or(Some(Verdict::Deny), |node| default(node, problems));
    let outage = fields.get("outage").map_or(Some(Outage::KeepLast), |node| outage::read(node, problems));
    let mode = fields.get("mode").map_or(Some(Mode::Enforce), |node| rule::mode(node, problems));
    if mode == Some(Mode::Monitor) {
        rules.iter_mut().for_each(|rule| rule.mode = Mode::Monitor);
    }
    let policy = Policy {
        services: services.right,
        groups: groups.right,
        tiers: tier.into_iter().collect(),
        rules,
        detect,
        default: default?,
        outage: outage?,
        mode: mode?,
        tests,
    };
    (problems.count() == before).then_some(policy)
}

/// Two policies of which the second comes behind the first.
pub(crate) fn joined(first: Policy, second: Policy) -> Policy {
    let Policy { mut services, mut groups, mut tiers, mut rules, mut detect, mut tests, .. } = first;
    for (name, more) in second.services {
        // What two tiers name alike is both, for those that ask what the policy is about.
        let known = services.entry(name).or_default();
        let news: Vec<_> = more.into_iter().filter(|item| !known.contains(item)).collect();
        known.extend(news);
    }
    groups.extend(second.groups);
    tiers.extend(second.tiers);
    rules.extend(second.rules);
    detect.extend(second.detect);
    tests.extend(second.tests);
    let (default, outage, mode) = (second.default, second.outage, second.mode);
    Policy { services, groups, tiers, rules, detect, default, outage, mode, tests }
}

/// The tier that the file is; `None` for a single policy that holds at every end.
fn tier(fields: &Fields<'_>, groups: &Groups, setting: &Setting<'_>, problems: &mut Problems) -> Option<Arc<Tier>> {
    let written = fields.get("tier").and_then(|node| yaml::text(node, "a name", problems));
    let written = written.and_then(|text| yaml::name(text, "a tier", problems));
    let owns = fields.get("owns").and_then(|node| owned(node, groups, problems));
    let several = setting.count > 1;
    if !several && owns.is_none() {
        return None;
    }
    let name = if several { written.or_else(|| stem(setting.file)) } else { None };
    if several && name.is_none() && fields.get("tier").is_none() {
        let first = fields.entries().first().map_or(fields.span(), |entry| entry.key.span());
        let problem = Problem::new(first, "this tier has no name, and its file's name is none");
        problems.report(problem.help("write `tier: NAME`, by which its rules are known"));
    }
    Some(Arc::new(Tier { name, place: setting.place, owns, file: setting.file.to_owned() }))
}

/// The ends at which a tier is evaluated are VMs: nobody judges anywhere else.
fn owned(node: &Node, groups: &Groups, problems: &mut Problems) -> Option<crate::Selector> {
    let selector = groups.selector(node, problems)?;
    if selector.may_be_outside() {
        let problem = Problem::new(node.span, "`owns` is about VMs, and this also means addresses outside");
        problems.report(problem.help("such as `owns: dept = finance`"));
    }
    Some(selector)
}

fn stem(file: &str) -> Option<Name> {
    Path::new(file).file_stem()?.to_str()?.parse().ok().filter(|name: &Name| name.as_str() != "default")
}

/// Only the last tier says what flows get that nothing matches, and what agents do without their center (semantics 7).
fn the_last_alone(fields: &Fields<'_>, setting: &Setting<'_>, problems: &mut Problems) {
    if setting.place + 1 == setting.count {
        return;
    }
    for key in ["default", "outage"] {
        if let Some(entry) = fields.entry(key) {
            let problem = Problem::new(entry.key.span(), format!("only the last tier has `{key}`"));
            problems.report(problem.help("what no rule of this one decides goes to the next"));
        }
    }
}

/// The entries of a section that may be missing.
pub(super) fn section<'n>(fields: &Fields<'n>, key: &str, problems: &mut Problems) -> &'n [Entry] {
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
