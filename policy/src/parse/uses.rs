//! Which groups and services of a policy's files nothing names.

use std::collections::{BTreeMap, BTreeSet};

use super::selector::{self, Found, RESERVED};
use super::service::is_name;
use crate::check::{Kind, Place, Warning};
use crate::yaml::{self, Fields, Node, Value};
use crate::{Bundle, Problems, Selector, Source, line_and_column};

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Group,
    Service,
}

type Names = BTreeSet<(What, String)>;

/// What a file defines, what that names in turn, and what all else in it names.
#[derive(Default)]
struct Uses {
    defined: BTreeMap<(What, String), (usize, Names)>,
    named: Names,
    includes: Vec<String>,
}

/// The groups and services that no rule, detector, claim or owner of a policy names, nor another that is named itself; those
/// of an included file, where no tier names them that includes it.
#[must_use]
pub fn unused(bundle: &Bundle) -> Vec<Warning> {
    let read = |sources: &[Source]| -> Vec<Uses> { sources.iter().map(|source| uses(&source.text)).collect() };
    let (tiers, included) = (read(&bundle.tiers), read(&bundle.included));
    let mut named: Vec<Names> = vec![Names::new(); included.len()];
    let mut warnings = Vec::new();
    for (source, tier) in bundle.tiers.iter().zip(&tiers) {
        let reached = reached(&tier.named, &tier.defined);
        warnings.extend(left(tier, &reached, source));
        for include in &tier.includes {
            let wanted = bundle.included_by(&source.name, include);
            let place = bundle.included.iter().position(|one| Some(one) == wanted);
            let foreign = reached.iter().filter(|name| !tier.defined.contains_key(*name)).cloned();
            named
                .iter_mut()
                .enumerate()
                .filter(|(file, _)| Some(*file) == place)
                .for_each(|(_, all)| all.extend(foreign.clone()));
        }
    }
    for ((source, file), named) in bundle.included.iter().zip(&included).zip(&named) {
        warnings.extend(left(file, &reached(named, &file.defined), source));
    }
    warnings
}

fn left(uses: &Uses, reached: &Names, source: &Source) -> Vec<Warning> {
    let unused = uses.defined.iter().filter(|(name, _)| !reached.contains(name));
    let warning = |((what, name), (at, _)): (&(What, String), &(usize, Names))| Warning {
        kind: Kind::Unused,
        about: Place {
            name: name.clone(),
            file: Some(source.name.clone()),
            line: Some(line_and_column(&source.text, *at).0),
        },
        other: None,
        flow: None,
        text: format!("nothing names this {}", if *what == What::Group { "group" } else { "service" }),
    };
    unused.map(warning).collect()
}

/// All names that some lead to.
fn reached(named: &Names, defined: &BTreeMap<(What, String), (usize, Names)>) -> Names {
    let (mut all, mut open) = (Names::new(), named.clone());
    while let Some(name) = open.pop_first() {
        let further = defined.get(&name).map(|(_, names)| names.iter()).into_iter().flatten();
        open.extend(further.filter(|further| !all.contains(*further) && **further != name).cloned());
        all.insert(name);
    }
    all
}

fn uses(text: &str) -> Uses {
    let mut uses = Uses::default();
    let mut quiet = Problems::default();
    let root = yaml::tree(text, &mut quiet);
    let Some(fields) = root.as_ref().and_then(|root| Fields::of(root, "a policy", &[], &mut quiet)) else {
        return uses;
    };
    for entry in fields.entries() {
        match entry.key.as_str() {
            "include" => uses.includes = texts(&entry.value).map(str::to_owned).collect(),
            "owns" => selectors(&entry.value, &mut uses.named),
            "groups" => defined(&entry.value, What::Group, &mut uses),
            "services" => defined(&entry.value, What::Service, &mut uses),
            "rules" | "detect" => yaml::one_or_many(&entry.value).iter().for_each(|item| rule(item, &mut uses.named)),
            "tests" => yaml::one_or_many(&entry.value).iter().for_each(|item| claim(text, item, &mut uses.named)),
            _ => {}
        }
    }
    uses
}

fn defined(node: &Node, what: What, uses: &mut Uses) {
    let Value::Mapping(entries) = &node.value else { return };
    for entry in entries {
        let mut names = Names::new();
        match (what, &entry.value.value) {
            (What::Group, Value::Sequence(_)) => {}
            (What::Group, _) => selectors(&entry.value, &mut names),
            (What::Service, _) => services(&entry.value, &mut names),
        }
        uses.defined.insert((what, entry.key.as_str().to_owned()), (entry.key.span().start, names));
    }
}

fn rule(node: &Node, names: &mut Names) {
    let Value::Mapping(entries) = &node.value else { return };
    for entry in entries {
        match entry.key.as_str() {
            "from" | "to" => selectors(&entry.value, names),
            "allow" | "deny" | "reject" | "pass" => services(&entry.value, names),
            _ => {}
        }
    }
}

/// `FROM -> TO SERVICE: VERDICT`
fn claim(source: &str, node: &Node, names: &mut Names) {
    let Some(text) = yaml::line(source, node, "a claim", &mut Problems::default()) else { return };
    let Some((from, rest)) = text.as_str().split_once("->") else { return };
    let Some((to, service)) = rest.rsplit_once(':').and_then(|(ends, _)| ends.trim_end().rsplit_once(' ')) else {
        return;
    };
    [from, to].iter().for_each(|selector| selected(selector, names));
    names.extend(is_name(service.trim()).then(|| (What::Service, service.trim().to_owned())));
}

fn texts(node: &Node) -> impl Iterator<Item = &str> {
    yaml::one_or_many(node).iter().filter_map(Node::as_text).map(yaml::Text::as_str)
}

fn services(node: &Node, names: &mut Names) {
    names.extend(texts(node).filter(|text| is_name(text)).map(|text| (What::Service, text.to_owned())));
}

fn selectors(node: &Node, names: &mut Names) {
    texts(node).for_each(|text| selected(text, names));
}

/// The groups that a selector names.
fn selected(text: &str, names: &mut Names) {
    let _ = selector::read(text, &mut |word| {
        if !RESERVED.contains(&word) {
            names.insert((What::Group, word.to_owned()));
        }
        Found::Group(Selector::Vms)
    });
}
