//! Reading the policies of a scenario: files beside it, or written in it.

use std::sync::Arc;

use policy::yaml::{self, Entry, Fields, Node, Text, Value};
use policy::{Problem, Problems, Source, line_and_column};

use super::super::{Action, PolicyText, Publication, Refuser, soon};
use super::doing::Item;
use super::keys::{self, SIZED};
use super::{Reader, sized};

impl Reader<'_> {
    /// A policy: a file's name, or the policy itself. What is published many times over is read once.
    pub(super) fn policy(&mut self, node: &Node) -> Option<Arc<PolicyText>> {
        if let Some(known) = self.policies.get(&node.span.start) {
            return Some(Arc::clone(known));
        }
        let read = self.read_policy(node)?;
        self.policies.insert(node.span.start, Arc::clone(&read));
        Some(read)
    }

    fn read_policy(&mut self, node: &Node) -> Option<Arc<PolicyText>> {
        match &node.value {
            Value::Mapping(entries) => match entries.as_slice() {
                [Entry { key, value }] if key.as_str() == SIZED => {
                    let text = self.sized(value)?;
                    self.parsed(&format!("{} in full size", self.file), text)
                }
                _ => self.inline(node),
            },
            Value::Sequence(items) => self.tiers(node, items),
            Value::Scalar(_) => self.file(node),
        }
    }

    fn file(&mut self, node: &Node) -> Option<Arc<PolicyText>> {
        let name = yaml::text(node, "a policy or the name of its file", &mut self.problems)?;
        let text = self.text_beside(name, "policy")?;
        self.parsed(name.as_str(), text)
    }

    fn parsed(&mut self, source: &str, text: String) -> Option<Arc<PolicyText>> {
        self.bundled(vec![Source { name: source.to_owned(), text }])
    }

    pub(super) fn text_beside(&mut self, name: &Text, what: &str) -> Option<String> {
        let opened = (self.open)(name.as_str());
        let wrong = |error| {
            let problem = Problem::new(name.span(), format!("cannot read the {what} `{}`: {error}", name.as_str()));
            self.problems.report(problem.help("files are looked for beside the scenario"));
        };
        opened.map_err(wrong).ok().map(|text| soon::placed(&text))
    }

    /// `sized: FILE`, or the text itself in a block: it is published in full size.
    pub(super) fn sized(&mut self, node: &Node) -> Option<String> {
        let written = yaml::text(node, "a policy with ranges such as `rule-[1..5000]`", &mut self.problems)?;
        let text = match written.as_str().contains('\n') {
            true => written.as_str().to_owned(),
            false => self.text_beside(written, "policy")?,
        };
        sized::expand(&text).map_err(|why| self.wrong(node.span, why)).ok()
    }

    /// `publish: {policy: FILE or the policy, refused: TEXT}`: it need not be a policy, and is published as it stands.
    pub(super) fn publication(&mut self, item: &Item<'_>) -> Option<Action> {
        let node = self.node_of(item, "publish: {policy: FILE, refused: TEXT}` or `policy: FILE")?;
        let fields = self.fields(node, "a `publish`", &keys::PUBLISH, &["file", "until"])?;
        let policy = fields.require("policy", &mut self.problems);
        let (refused, by) = match (fields.get("refused"), fields.get("refused-by-agents")) {
            (Some(node), None) => (node, Refuser::Center),
            (None, Some(node)) => (node, Refuser::Agents),
            (Some(_), Some(_)) | (None, None) => {
                let problem = Problem::new(fields.span(), "say who refuses it: `refused` or `refused-by-agents`");
                self.problems.report(problem.help("what is not refused is published by `policy: …`"));
                return None;
            }
        };
        let refused = yaml::text(refused, "what the refusal says", &mut self.problems)?.as_str().to_owned();
        let text = match &policy?.value {
            Value::Mapping(entries) => match entries.as_slice() {
                [Entry { key, value }] if key.as_str() == SIZED => self.sized(value)?,
                _ => self.written(policy?)?,
            },
            Value::Scalar(text) if text.as_str().contains('\n') => text.as_str().to_owned(),
            Value::Scalar(_) | Value::Sequence(_) => {
                let name = yaml::text(policy?, "a policy or the name of its file", &mut self.problems)?;
                self.text_beside(name, "policy")?
            }
        };
        Some(Action::Publish(Publication { text, refused, by }))
    }

    /// A policy that is written in the scenario. It need not name its version; the text that is published does.
    fn inline(&mut self, node: &Node) -> Option<Arc<PolicyText>> {
        let includes = Fields::of(node, "a policy", &[], &mut Problems::default())?.get("include").is_some();
        if includes {
            return self.bundled(vec![Source { name: self.file.to_owned(), text: self.in_place(node)? }]);
        }
        let policy = policy::parse_node(node, self.text, &mut self.problems)?;
        let text = self.written(node)?;
        Some(Arc::new(PolicyText { source: self.file.to_owned(), text, policy }))
    }

    /// The text of a policy that is written in the scenario, as it is published.
    fn written(&self, node: &Node) -> Option<String> {
        let written = self.text.get(node.span.start..node.span.end)?;
        let column = line_and_column(self.text, node.span.start).1 - 1;
        let versioned =
            Fields::of(node, "a policy", &[], &mut Problems::default()).is_some_and(|f| f.get("eastwest").is_some());
        Some(match (versioned, written.strip_prefix('{')) {
            (true, _) => dedented(written, column),
            (false, Some(rest)) => format!("{{eastwest: {}, {rest}\n", policy::VERSION),
            (false, None) => format!("eastwest: {}\n{}", policy::VERSION, dedented(written, column)),
        })
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
