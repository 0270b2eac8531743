//! Reading the steps. The state is folded along, so that each item of `do` is checked where it stands.

use policy::yaml::{self, Fields, Node, Text, Value};
use policy::{Problem, Span};

use super::super::Step;
use super::topology::Pool;
use super::{Reader, keys};
use crate::state::State;

/// How often a step may be repeated.
const MOST: u32 = 1000;

/// What is known at a point of the steps.
#[derive(Clone, Debug)]
pub(crate) struct Fold {
    pub(super) state: State,
    /// The states at the ends of the steps so far.
    pub(super) history: Vec<State>,
    /// Their names.
    pub(super) names: Vec<String>,
    pub(super) pool: Pool,
}

impl Fold {
    /// Before the first step.
    pub(super) fn new(state: State, pool: Pool) -> Self {
        Self { state, history: Vec::new(), names: Vec::new(), pool }
    }
}

impl Reader<'_> {
    pub(super) fn steps(&mut self, node: &Node, fold: &mut Fold) -> Vec<Step> {
        let items = yaml::items(node, "a list of steps", &mut self.problems).unwrap_or_default();
        self.each_step(items, fold)
    }

    /// One step, or a list of them.
    pub(super) fn step_or_steps(&mut self, node: &Node, fold: &mut Fold) -> Vec<Step> {
        match node.value {
            Value::Mapping(_) => self.each_step(std::slice::from_ref(node), fold),
            Value::Sequence(_) | Value::Scalar(_) => self.steps(node, fold),
        }
    }

    fn each_step(&mut self, items: &[Node], fold: &mut Fold) -> Vec<Step> {
        let mut steps = Vec::new();
        for item in items {
            let Some(fields) = self.fields(item, "a step", &keys::STEP, &["placement", "family", "csv"]) else {
                continue;
            };
            let step = self.step(&fields, fold);
            fold.history.push(fold.state.clone());
            fold.names.push(step.name.clone());
            steps.push(step);
        }
        steps
    }

    fn step(&mut self, fields: &Fields<'_>, fold: &mut Fold) -> Step {
        let first = fields.entries().first().map_or(fields.span(), |entry| entry.key.span());
        let name = self.step_name(fields, fold);
        let doing = fields.get("do").map(|node| self.doings(node, fold)).unwrap_or_default();
        let (mut expect, mut same_as) = (Vec::new(), None);
        match fields.get("expect") {
            Some(node) if node.as_text().is_some_and(|text| !text.is_absent()) => {
                let named = self.same_as(node);
                same_as = named.and_then(|name| Some((self.earlier(&name, fold)?, self.line(name.span()))));
            }
            Some(node) if !node.is_absent() => expect = self.expectations(node),
            Some(_) | None => {}
        }
        self.notes(fields.get("known"));
        let (cells, matrices) = fields.get("matrix").map(|node| self.matrices(node)).unwrap_or_default();
        self.borne();
        expect.extend(cells);
        Step {
            name,
            line: self.line(first),
            doing,
            expect,
            matrices,
            same_as,
            throughout: fields.get("throughout").map(|node| self.expectations(node)).unwrap_or_default(),
            repeat: fields.get("repeat").and_then(|node| self.repeat(node)).unwrap_or(1),
            complete: self.flag(fields, "complete"),
            exclusive: self.flag(fields, "exclusive"),
        }
    }

    fn step_name(&mut self, fields: &Fields<'_>, fold: &Fold) -> String {
        let unnamed = format!("step {}", fold.names.len() + 1);
        let Some(node) = fields.get("name") else { return unnamed };
        let Some(text) = yaml::text(node, "a name", &mut self.problems) else { return unnamed };
        if fold.names.iter().any(|name| name == text.as_str()) {
            self.wrong(text.span(), format!("a step `{}` stands here a second time", text.as_str()));
        }
        text.as_str().to_owned()
    }

    fn repeat(&mut self, node: &Node) -> Option<u32> {
        let times: u32 = yaml::parsed(node, "a number of times", &mut self.problems)?;
        if !(1..=MOST).contains(&times) {
            self.wrong(node.span, format!("a step is gone through 1 to {MOST} times"));
            return None;
        }
        Some(times)
    }

    /// The index of an earlier step by its name.
    pub(super) fn earlier(&mut self, name: &Text, fold: &Fold) -> Option<usize> {
        let found = fold.names.iter().position(|known| known == name.as_str());
        if found.is_none() {
            let known: Vec<&str> = fold.names.iter().map(String::as_str).collect();
            let problem = Problem::new(name.span(), format!("there is no earlier step `{}`", name.as_str()));
            self.problems.report(problem.maybe_help(policy::did_you_mean(name.as_str(), &known)));
        }
        found
    }

    /// Reports what is wrong with an item in its state.
    pub(super) fn refused(&mut self, span: Span, why: String) {
        self.wrong(span, why);
    }
}
