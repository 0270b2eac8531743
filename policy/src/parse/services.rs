//! The `services:` of a policy, and the services of its rules.

use std::collections::BTreeMap;

use super::define::{Defined, Definitions, Step};
use super::service::{self, RESERVED, is_name, parse_service};
use crate::yaml::{Entry, Node, Text};
use crate::{Name, Problem, Problems, ServiceMatch, Services, yaml};

/// How many items the services of one name or rule may have, those of names counted.
const LARGEST: usize = 5_000;

/// The services that a policy names.
pub(super) type Named = Defined<Services>;

impl Named {
    /// Reads all named services.
    pub(super) fn of(entries: &[Entry], shared: &BTreeMap<Name, Services>, problems: &mut Problems) -> Self {
        let definitions = Definitions::of(entries, ("a service", &RESERVED), shared, problems);
        definitions.read(|name, definitions| drop(resolve(name, definitions, problems)))
    }

    /// Reads the services of a rule.
    pub(super) fn services(&self, node: &Node, problems: &mut Problems) -> Option<Services> {
        all(node, problems, &mut |word, _| self.named(word))
    }

    /// Reads one service that is a part of a text.
    pub(super) fn service(&self, text: &Text, problems: &mut Problems) -> Option<Services> {
        one(text, problems, &mut |word, _| self.named(word))
    }

    fn named(&self, word: &str) -> Use {
        match self.right.get(word) {
            Some(services) => Use::Services(services.clone()),
            None if self.is_wrong(word) => Use::Broken,
            None => unknown(word, &self.right.keys().cloned().collect::<Vec<_>>()),
        }
    }
}

/// What the name of a service stands for.
enum Use {
    Services(Services),
    Broken,
    Wrong(crate::TextError),
}

fn unknown(word: &str, names: &[Name]) -> Use {
    Use::Wrong(service::unknown(word, &names.iter().map(Name::as_str).collect::<Vec<_>>()))
}

fn resolve(word: &str, definitions: &mut Definitions<'_, Services>, problems: &mut Problems) -> Use {
    let node = match definitions.enter(word) {
        Step::Unknown => return unknown(word, &definitions.names()),
        Step::Refused(why) => return Use::Wrong(crate::TextError::new(0..word.len(), why)),
        Step::Done(done) => return done.map_or(Use::Broken, Use::Services),
        Step::Read(node) => node,
    };
    let services = all(node, problems, &mut |word, problems| resolve(word, definitions, problems));
    definitions.leave(services.clone());
    services.map_or(Use::Broken, Use::Services)
}

/// The services of a node: one, or a list. `None` if any is wrong.
fn all(node: &Node, problems: &mut Problems, named: &mut dyn FnMut(&str, &mut Problems) -> Use) -> Option<Services> {
    let items = yaml::one_or_many(node);
    if items.is_empty() {
        problems
            .report(Problem::new(node.span, "this list names no service").help("write such as `tcp/443`, or `any`"));
        return None;
    }
    let mut services = Some(Services::new());
    for item in items {
        let found = yaml::text(item, "a service", problems).and_then(|text| one(text, problems, named));
        services = services.zip(found).map(|(mut all, found)| {
            all.extend(found);
            all
        });
        if services.as_ref().is_some_and(|all| all.len() > LARGEST) {
            problems.report(Problem::new(item.span, format!("more than {LARGEST} services, those of names counted")));
            return None;
        }
    }
    services
}

fn one(
    text: &Text,
    problems: &mut Problems,
    named: &mut dyn FnMut(&str, &mut Problems) -> Use,
) -> Option<Vec<ServiceMatch>> {
    let word = text.as_str();
    let error = if is_name(word) {
        match named(word, problems) {
            Use::Services(services) => return Some(services),
            Use::Broken => return None,
            Use::Wrong(error) => error,
        }
    } else {
        match parse_service(word) {
            Ok(service) => return Some(vec![service]),
            Err(error) => error,
        }
    };
    problems.report(Problem::within(text, error));
    None
}
