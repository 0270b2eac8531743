//! Definitions that may refer to one another by name, in any order: services and groups.

use std::collections::{BTreeMap, BTreeSet};

use super::selector::DEEPEST;
use crate::yaml::{Entry, Node};
use crate::{Name, Problems, yaml};

/// What is known of a name.
pub(super) enum Step<'n, T> {
    /// There is no such name.
    Unknown,
    /// It is read; `None` if its definition is wrong.
    Done(Option<T>),
    /// It may not be used here: why.
    Refused(String),
    /// It is to be read; then [`Definitions::leave`] is due.
    Read(&'n Node),
}

/// Definitions by name, and which are being read.
pub(super) struct Definitions<'n, T> {
    what: &'static str,
    written: BTreeMap<Name, &'n Node>,
    done: BTreeMap<Name, Option<T>>,
    open: Vec<Name>,
}

impl<'n, T: Clone> Definitions<'n, T> {
    /// The definitions of a mapping, beside those that files share. Names that are wrong or reserved are reported.
    pub(super) fn of(
        entries: &'n [Entry],
        (what, reserved): (&'static str, &[&str]),
        shared: &BTreeMap<Name, T>,
        problems: &mut Problems,
    ) -> Self {
        let mut written = BTreeMap::new();
        for entry in entries {
            if shared.contains_key(entry.key.as_str()) {
                let message = format!("`{}` is defined in an included file already", entry.key.as_str());
                problems.report(crate::Problem::new(entry.key.span(), message));
            } else if reserved.contains(&entry.key.as_str()) {
                let message = format!("`{}` is reserved: {what} needs another name", entry.key.as_str());
                problems.report(crate::Problem::new(entry.key.span(), message));
            } else if let Some(name) = yaml::name(&entry.key, what, problems) {
                written.insert(name, &entry.value);
            }
        }
        let done = shared.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
        Self { what, written, done, open: Vec::new() }
    }

    /// The names, in order.
    pub(super) fn names(&self) -> Vec<Name> {
        let all: BTreeSet<&Name> = self.written.keys().chain(self.done.keys()).collect();
        all.into_iter().cloned().collect()
    }

    /// Begins to use a name.
    pub(super) fn enter(&mut self, word: &str) -> Step<'n, T> {
        if let Some(done) = self.done.get(word) {
            return Step::Done(done.clone());
        }
        let Some((name, node)) = self.written.get_key_value(word) else { return Step::Unknown };
        if let Some(at) = self.open.iter().position(|open| open == name) {
            let circle: Vec<&str> = self.open[at..].iter().chain([name]).map(Name::as_str).collect();
            return Step::Refused(format!("{} may not refer to itself: {}", self.what, circle.join(" -> ")));
        }
        if self.open.len() >= DEEPEST {
            return Step::Refused(format!("{} may not refer to others more than {DEEPEST} levels deep", self.what));
        }
        self.open.push(name.clone());
        Step::Read(node)
    }

    /// Ends the reading that [`Definitions::enter`] began.
    pub(super) fn leave(&mut self, value: Option<T>) {
        if let Some(name) = self.open.pop() {
            self.done.insert(name, value);
        }
    }

    /// Reads them all; `resolve` reads one by its name.
    pub(super) fn read(mut self, mut resolve: impl FnMut(&str, &mut Self)) -> Defined<T> {
        let names = self.names();
        names.iter().for_each(|name| resolve(name.as_str(), &mut self));
        let right: BTreeMap<Name, T> = self.done.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let wrong = names.into_iter().filter(|name| !right.contains_key(name)).collect();
        Defined { right, wrong }
    }
}

/// Definitions that were read: the right ones by name, and the names of those that are wrong.
pub(super) struct Defined<T> {
    pub(super) right: BTreeMap<Name, T>,
    wrong: Vec<Name>,
}

impl<T> Defined<T> {
    /// Whether a name is defined, rightly or wrongly.
    pub(super) fn knows(&self, word: &str) -> bool {
        self.right.contains_key(word) || self.is_wrong(word)
    }

    /// Whether a name is defined wrongly, which was reported.
    pub(super) fn is_wrong(&self, word: &str) -> bool {
        self.wrong.iter().any(|name| name.as_str() == word)
    }
}
