//! Files that policies include: services and groups that several share.

use std::collections::BTreeMap;

use super::document::{Setting, section};
use super::groups::Groups;
use super::services::Named;
use super::version;
use crate::yaml::{self, Fields, Node};
use crate::{Errors, Name, Problem, Problems, Selector, Services, Source};

/// The keys of an included file.
pub const SHARED: [&str; 3] = ["eastwest", "services", "groups"];

/// What files share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) services: BTreeMap<Name, Services>,
    pub(super) groups: BTreeMap<Name, Selector>,
}

/// What a policy includes. A mistake inside an included file is told once, by [`mistakes`].
pub(super) fn shared(fields: &Fields<'_>, setting: &Setting<'_>, problems: &mut Problems) -> Shared {
    let mut all = Shared::default();
    for item in fields.get("include").map(yaml::one_or_many).unwrap_or_default() {
        let Some(name) = yaml::text(item, "the name of a file", problems) else { continue };
        let Some(source) = setting.bundle.included_by(setting.file, name.as_str()) else {
            let problem = Problem::new(name.span(), format!("the file `{}` is not here", name.as_str()));
            problems.report(problem.help("a policy that includes others is published together with them"));
            continue;
        };
        let Some(found) = read(source, &mut Problems::default()) else { continue };
        let twice = merge(&mut all.services, found.services).or(merge(&mut all.groups, found.groups));
        if let Some(other) = twice {
            let message = format!("`{}` says otherwise what `{other}` is", name.as_str());
            problems.report(Problem::new(name.span(), message));
        }
    }
    all
}

/// Adds what is new; a name that stands for something else already comes back.
fn merge<T: PartialEq>(all: &mut BTreeMap<Name, T>, more: BTreeMap<Name, T>) -> Option<Name> {
    let mut twice = None;
    for (name, value) in more {
        match all.get(&name) {
            Some(known) if *known != value => twice = Some(name),
            Some(_) => {}
            None => drop(all.insert(name, value)),
        }
    }
    twice
}

/// What is wrong in an included file.
pub(crate) fn mistakes(name: &str, text: &str) -> Option<Errors> {
    let mut problems = Problems::default();
    let _ = read(&Source { name: name.to_owned(), text: text.to_owned() }, &mut problems);
    problems.into_errors(name, text)
}

fn read(source: &Source, problems: &mut Problems) -> Option<Shared> {
    let root = yaml::tree(&source.text, problems)?;
    let fields = Fields::of(&root, "an included file", &[], &mut Problems::default());
    let fields = fields.or_else(|| Fields::of(&root, "an included file", &SHARED, problems))?;
    if let Some(node) = fields.require("eastwest", problems) {
        version(node, problems);
    }
    foreign(&root, problems);
    let services = Named::of(section(&fields, "services", problems), &BTreeMap::new(), problems);
    let groups = Groups::of(section(&fields, "groups", problems), &BTreeMap::new(), problems);
    Some(Shared { services: services.right, groups: groups.right })
}

/// What only a policy holds.
fn foreign(root: &Node, problems: &mut Problems) {
    let Some(entries) = yaml::pairs(root, "an included file", problems) else { return };
    for entry in entries.iter().filter(|entry| !SHARED.contains(&entry.key.as_str())) {
        let message = format!("an included file holds services and groups, no `{}`", entry.key.as_str());
        problems.report(Problem::new(entry.key.span(), message).help("a file with rules is a tier of its own"));
    }
}
