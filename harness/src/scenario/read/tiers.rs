//! Policies of several files: tiers in an order, and what they include.

use std::sync::Arc;

use policy::yaml::{self, Entry, Fields, Node, Value};
use policy::{Bundle, Errors, Problem, Problems, Source, VERSION, line_and_column};

use super::super::{PolicyText, soon};
use super::Reader;
use super::keys::SIZED;

impl Reader<'_> {
    /// `[emergency.yaml, {tier: baseline, rules: […]}]`: the first tier that decides does.
    pub(super) fn tiers(&mut self, node: &Node, items: &[Node]) -> Option<Arc<PolicyText>> {
        if items.is_empty() {
            let problem = Problem::new(node.span, "this list names no policy");
            self.problems.report(problem.help("write such as [emergency.yaml, baseline.yaml], or one policy"));
            return None;
        }
        let sources: Vec<Option<Source>> =
            items.iter().enumerate().map(|(place, item)| self.tier(place + 1, item)).collect();
        self.bundled(sources.into_iter().collect::<Option<_>>()?)
    }

    fn tier(&mut self, number: usize, item: &Node) -> Option<Source> {
        let name = format!("tier {number} of {}", self.file);
        match &item.value {
            Value::Mapping(entries) => match entries.as_slice() {
                [Entry { key, value }] if key.as_str() == SIZED => Some(Source { name, text: self.sized(value)? }),
                _ => Some(Source { name, text: self.in_place(item)? }),
            },
            Value::Scalar(_) | Value::Sequence(_) => {
                let file = yaml::text(item, "a policy or the name of its file", &mut self.problems)?;
                let text = self.text_beside(file, "policy")?;
                Some(Source { name: file.as_str().to_owned(), text })
            }
        }
    }

    /// A policy that is written in the scenario, with every line and column where it is.
    pub(super) fn in_place(&self, node: &Node) -> Option<String> {
        let written = self.text.get(node.span.start..node.span.end)?;
        let (line, column) = line_and_column(self.text, node.span.start);
        let above = "\n".repeat(line.saturating_sub(2));
        let indent = " ".repeat(column - 1);
        let versioned = Fields::of(node, "a policy", &[], &mut Problems::default())?.get("eastwest").is_some();
        Some(match (versioned, written.strip_prefix('{')) {
            (true, _) => format!("\n{above}{indent}{written}\n"),
            (false, Some(flow)) => format!("\n{above}{{eastwest: {VERSION}, {flow}\n"),
            (false, None) => format!("{indent}eastwest: {VERSION}\n{above}{indent}{written}\n"),
        })
    }

    /// The policy of some files.
    pub(super) fn bundled(&mut self, tiers: Vec<Source>) -> Option<Arc<PolicyText>> {
        let names: Vec<&str> = tiers.iter().map(|source| source.name.as_str()).collect();
        let source = names.join(", ");
        let opened = Bundle::load(tiers, &mut |name| (self.open)(name).map(|text| soon::placed(&text)));
        let read = opened.and_then(|bundle| Ok((bundle.policy()?, bundle.text())));
        match read {
            Ok((policy, text)) => Some(Arc::new(PolicyText { source, text, policy })),
            Err(errors) => {
                if !self.foreign.iter().any(|other: &Errors| other.source_name() == errors.source_name()) {
                    self.foreign.push(errors);
                }
                None
            }
        }
    }
}
