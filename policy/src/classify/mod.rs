//! Policies compiled for analysis: classes of endpoints and of services that the rules cannot tell apart, and for each flow
//! the first rule that decides, in a fixed number of look-ups.
//!
//! Agents are sent nothing of this: what the kernel enforces is compiled elsewhere, so that packets check both. The oracle
//! is the definition; a test holds the two together.

pub(crate) mod addresses;
pub(crate) mod bits;
pub(crate) mod cells;
pub(crate) mod endpoints;
pub(crate) mod judged;
mod levels;
mod members;
pub(crate) mod pair;
pub(crate) mod services;
pub(crate) mod table;
pub(crate) mod terms;

pub use cells::{Cell, Outside, ServiceClass};
pub use judged::{Decider, Decision, EndJudged, Judged, Outcome};
pub use services::ServiceRange;

use crate::{End, Flow, Inventory, Policy, Ruling, Timestamp, Would};
pub(crate) use bits::{Bits, WORD};
pub(crate) use cells::of as cells_of;
pub(crate) use judged::together;
pub(crate) use pair::Pair;
pub(crate) use table::{Space, Table};

/// A policy over an inventory at an instant. It is made once and then only read: any number of threads may share it.
#[derive(Clone, Debug)]
pub struct Classifier {
    space: Space,
    table: Table,
    rules: Vec<String>,
}

impl Classifier {
    /// Compiles a policy.
    #[must_use]
    pub fn new(policy: &Policy, inventory: &Inventory, now: Timestamp) -> Self {
        let (space, mut tables) = Space::of(&[policy], inventory, now);
        let table = tables.swap_remove(0);
        Self { space, table, rules: names(policy) }
    }

    /// What the policy says of a flow: what the oracle says.
    #[must_use]
    pub fn judge(&self, flow: &Flow) -> Judged {
        let Space { endpoints, services } = &self.space;
        let (source, destination) = (endpoints.locate(flow.source), endpoints.locate(flow.destination));
        let class = services.class(flow.service);
        let judged = self.table.judge(&Pair::of(source, destination), class, services.nature(class));
        if source.0.nature.loopback || destination.0.nature.loopback { judged.loopback() } else { judged }
    }

    /// All rules that match a flow at an end, whatever they do and whether they act, by their places in
    /// [`Policy::rules`]; none where no agent judges, or a built-in rule decides.
    #[must_use]
    pub fn matching(&self, flow: &Flow, end: End) -> Vec<usize> {
        let Space { endpoints, services } = &self.space;
        let pair = Pair::of(endpoints.locate(flow.source), endpoints.locate(flow.destination));
        let class = services.class(flow.service);
        if !pair.end(end).standing.managed || pair.builtin(end, services.nature(class)).is_some() {
            return Vec::new();
        }
        let rules = self.table.holding_at(&pair, end, true).into_iter().map(|number| number as usize);
        rules.filter(|&number| self.table.covering[class].bits().has(number)).collect()
    }

    /// The endpoints, in classes that the policy cannot tell apart; see [`Cell`].
    #[must_use]
    pub fn cells(&self) -> Vec<Cell> {
        cells::of(&self.space.endpoints)
    }

    /// The services, in classes that the policy cannot tell apart.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceClass> {
        ServiceClass::all(&self.space.services)
    }

    /// The name of what decided.
    #[must_use]
    pub fn name(&self, decider: Decider) -> &str {
        name(&self.rules, decider)
    }

    /// The same in words.
    #[must_use]
    pub fn ruling(&self, judged: &Judged) -> Ruling {
        ruling(&self.rules, judged.outcome, judged.would)
    }
}

/// The full names of a policy's rules.
pub(crate) fn names(policy: &Policy) -> Vec<String> {
    policy.rules.iter().map(crate::Rule::full_name).collect()
}

pub(crate) fn name(rules: &[String], decider: Decider) -> &str {
    match decider {
        Decider::Rule(number) => rules.get(number as usize).map_or("", String::as_str),
        Decider::Default => "default",
        Decider::Builtin(builtin) => builtin.name(),
    }
}

pub(crate) fn ruling(rules: &[String], outcome: Outcome, would: Option<Outcome>) -> Ruling {
    let named = |outcome: Outcome| outcome.decider.map(|decider| name(rules, decider).to_owned());
    Ruling {
        verdict: outcome.verdict,
        rule: named(outcome),
        end: outcome.end,
        would: would.map(|would| Would { verdict: would.verdict, rule: named(would), end: would.end }),
    }
}

/// A number of a class or a rule; what is counted here stays far below its bound.
pub(crate) fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
