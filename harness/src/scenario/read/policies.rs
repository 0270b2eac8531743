//! Reading the policies of a scenario: files beside it, or written in it.

use std::sync::Arc;

use policy::yaml::{self, Fields, Node, Value};
use policy::{Errors, Problem, Problems, line_and_column};

use super::super::PolicyText;
use super::Reader;

impl Reader<'_> {
    /// A policy: a file's name, or the policy itself.
    pub(super) fn policy(&mut self, node: &Node) -> Option<Arc<PolicyText>> {
        match &node.value {
            Value::Mapping(_) => self.inline(node),
            Value::Sequence(_) => {
                self.not_yet(node.span, "several policies in an order (tiers)");
                None
            }
            Value::Scalar(_) => self.file(node),
        }
    }

    fn file(&mut self, node: &Node) -> Option<Arc<PolicyText>> {
        let name = yaml::text(node, "a policy or the name of its file", &mut self.problems)?;
        let text = match (self.open)(name.as_str()) {
            Ok(text) => text,
            Err(error) => {
                let problem = Problem::new(name.span(), format!("cannot read the policy `{}`: {error}", name.as_str()));
                self.problems.report(problem.help("policies are looked for beside the scenario"));
                return None;
            }
        };
        match policy::parse(name.as_str(), &text) {
            Ok(policy) => Some(Arc::new(PolicyText { source: name.as_str().to_owned(), text, policy })),
            Err(errors) => {
                if !self.foreign.iter().any(|other: &Errors| other.source_name() == errors.source_name()) {
                    self.foreign.push(errors);
                }
                None
            }
        }
    }

    /// A policy that is written in the scenario. It need not name its version; the text that is published does.
    fn inline(&mut self, node: &Node) -> Option<Arc<PolicyText>> {
        let written = self.text.get(node.span.start..node.span.end)?;
        let policy = policy::parse_node(node, self.text, &mut self.problems)?;
        let column = line_and_column(self.text, node.span.start).1 - 1;
        let versioned =
            Fields::of(node, "a policy", &[], &mut Problems::default()).is_some_and(|f| f.get("eastwest").is_some());
        let text = match (versioned, written.strip_prefix('{')) {
            (true, _) => dedented(written, column),
            (false, Some(rest)) => format!("{{eastwest: {}, {rest}\n", policy::VERSION),
            (false, None) => format!("eastwest: {}\n{}", policy::VERSION, dedented(written, column)),
        };
        Some(Arc::new(PolicyText { source: self.file.to_owned(), text, policy }))
    }
}

/// A block with the indentation of its first line taken off the others.
fn dedented(block: &str, column: usize) -> String {
    let cut = |line: &str| -> String {
        let spaces = line.chars().take_while(|&c| c == ' ').count().min(column);
        line[spaces..].to_owned()
    };
    let mut lines = block.split('\n');
    let first = lines.next().map(str::to_owned);
    let lines: Vec<String> = first.into_iter().chain(lines.map(cut)).collect();
    format!("{}\n", lines.join("\n"))
}
