//! Is a suite any good? Each small change of a policy should be noticed by one of its expectations; by the oracle, without a
//! packet.

mod difference;

use std::sync::Arc;

use policy::mutate::{Mutant, Values, mutants};
use policy::{Policy, Selector, Timestamp};
use serde::Serialize;

use crate::plan::{PlannedStep, plan};
use crate::run::Instead;
use crate::scenario::{Action, PolicyText, Scenario};

/// What became of one small change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// The policy that was changed.
    pub policy: String,
    /// The rule, by its full name; `None`: the default.
    pub rule: Option<String>,
    /// The rule's line there.
    pub line: Option<usize>,
    /// The change, in words.
    pub change: String,
    /// Whether anything noticed.
    #[serde(flatten)]
    pub fate: Fate,
    /// The changed policy, to be tried on packets.
    #[serde(skip)]
    pub instead: Instead,
}

/// Whether anything noticed a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fate", rename_all = "kebab-case")]
pub enum Fate {
    /// An expectation did.
    Killed {
        /// The scenario.
        scenario: String,
        /// The line of the expectation.
        line: usize,
        /// The expectation.
        expectation: String,
    },
    /// None did, and one could have.
    Survived {
        /// The scenario whose step could have had it.
        scenario: String,
        /// The step.
        step: String,
        /// An expectation that would notice, ready to paste.
        expectation: String,
    },
    /// Nothing changes between the endpoints of any topology; for this flow of others it does.
    Elsewhere {
        /// Such a flow.
        flow: String,
    },
    /// Nothing changes for anybody.
    Equivalent,
}

/// All trials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mutation {
    /// One by one.
    pub trials: Vec<Trial>,
}

impl Fate {
    /// How much it says where one file changes in several policies.
    fn weight(&self) -> u8 {
        match self {
            Self::Equivalent => 0,
            Self::Elsewhere { .. } => 1,
            Self::Survived { .. } => 2,
            Self::Killed { .. } => 3,
        }
    }
}

impl Trial {
    fn what(&self) -> (&str, Option<&str>, Option<usize>, &str) {
        (&self.policy, self.rule.as_deref(), self.line, &self.change)
    }

    /// The scenario on which it can be tried with packets, and whether that would notice; `None` where nothing can be seen.
    #[must_use]
    pub fn on_packets(&self) -> Option<(&str, bool)> {
        match &self.fate {
            Fate::Killed { scenario, .. } => Some((scenario, true)),
            Fate::Survived { scenario, .. } => Some((scenario, false)),
            Fate::Elsewhere { .. } | Fate::Equivalent => None,
        }
    }
}

impl Mutation {
    /// How many were noticed, and how many could have been.
    #[must_use]
    pub fn score(&self) -> (usize, usize) {
        let count = |is: fn(&Fate) -> bool| self.trials.iter().filter(|trial| is(&trial.fate)).count();
        let killed = count(|fate| matches!(fate, Fate::Killed { .. }));
        (killed, killed + count(|fate| matches!(fate, Fate::Survived { .. })))
    }
}

/// A suite cannot be asked whose own expectations do not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{scenario}` does not pass by the oracle: {finding} (line {line})")]
pub struct Unsound {
    scenario: String,
    finding: String,
    line: usize,
}

/// Changes every policy of some scenarios in every small way. A policy that several share is theirs together: what one
/// notices is noticed.
///
/// # Errors
/// When a scenario's expectations do not hold as they are.
pub fn mutate(scenarios: &[Scenario], now: Timestamp) -> Result<Mutation, Unsound> {
    let plans = scenarios.iter().map(|scenario| sound(scenario, now)).collect::<Result<Vec<_>, _>>()?;
    let suite: Vec<(&Scenario, Vec<PlannedStep>)> = scenarios.iter().zip(plans).collect();
    let mut known: Vec<Arc<PolicyText>> = Vec::new();
    for policy in scenarios.iter().flat_map(policies) {
        if !known.iter().any(|one| one.text == policy.text) {
            known.push(policy);
        }
    }
    let mut trials: Vec<Trial> = Vec::new();
    let all = known.iter().flat_map(|policy| {
        let users: Vec<_> = suite.iter().filter(|(scenario, _)| uses(scenario, policy)).collect();
        let values = values(policy, &users);
        let mutants = mutants(&policy.policy, &values);
        mutants.into_iter().map(|mutant| trial(policy, &users, mutant, now)).collect::<Vec<_>>()
    });
    // A file that is a tier of several policies changes in all of them.
    for trial in all {
        let same = |known: &&mut Trial| known.what() == trial.what();
        match trials.iter_mut().find(same) {
            Some(known) if known.fate.weight() < trial.fate.weight() => *known = trial,
            Some(_) => {}
            None => trials.push(trial),
        }
    }
    Ok(Mutation { trials })
}

fn sound(scenario: &Scenario, now: Timestamp) -> Result<Vec<PlannedStep>, Unsound> {
    let steps = plan(scenario, now);
    match steps.iter().flat_map(|step| &step.findings).next() {
        None => Ok(steps),
        Some(finding) => Err(Unsound {
            scenario: scenario.name.clone(),
            finding: format!("{}: {}", finding.expectation, finding.detail),
            line: finding.line,
        }),
    }
}

type User<'a> = (&'a Scenario, Vec<PlannedStep>);

fn trial(policy: &Arc<PolicyText>, users: &[&User<'_>], mutant: Mutant, now: Timestamp) -> Trial {
    let Mutant { rule, file, line, change, policy: changed } = mutant;
    let fate = killed(policy, users, &changed, now).unwrap_or_else(|| difference::fate(policy, users, &changed, now));
    let instead = Instead { from: policy.text.clone(), to: changed.text() };
    Trial { policy: file.unwrap_or_else(|| policy.source.clone()), rule, line, change, fate, instead }
}

/// The first expectation that does not hold any more.
fn killed(policy: &Arc<PolicyText>, users: &[&User<'_>], changed: &Policy, now: Timestamp) -> Option<Fate> {
    let changed = PolicyText { policy: changed.clone(), ..(**policy).clone() };
    users.iter().find_map(|(scenario, _)| {
        let steps = plan(&with(scenario, policy, &changed), now);
        let finding = steps.iter().flat_map(|step| &step.findings).next()?;
        Some(Fate::Killed {
            scenario: scenario.name.clone(),
            line: finding.line,
            expectation: finding.expectation.clone(),
        })
    })
}

impl Instead {
    /// The scenario with the other policy in its place.
    pub(crate) fn within(&self, scenario: &Scenario) -> Result<Scenario, String> {
        let changed = policy::parse("the changed policy", &self.to).map_err(|errors| errors.to_string())?;
        let policy = policies(scenario).into_iter().find(|policy| policy.text == self.from);
        let policy = policy.ok_or("find the policy that is to be another")?;
        Ok(with(scenario, &policy, &PolicyText { text: self.to.clone(), policy: changed, ..(*policy).clone() }))
    }
}

/// The scenario with one of its policies changed.
fn with(scenario: &Scenario, policy: &PolicyText, changed: &PolicyText) -> Scenario {
    let changed = Arc::new(changed.clone());
    let other = |one: &mut Arc<PolicyText>| {
        if one.text == policy.text {
            *one = Arc::clone(&changed);
        }
    };
    let mut scenario = scenario.clone();
    scenario.policy.iter_mut().for_each(other);
    for doing in scenario.steps.iter_mut().flat_map(|step| &mut step.doing) {
        if let Action::Policy(one) = &mut doing.action {
            other(one);
        }
    }
    scenario
}

/// Every policy that a scenario publishes.
fn policies(scenario: &Scenario) -> Vec<Arc<PolicyText>> {
    let later = scenario.steps.iter().flat_map(|step| &step.doing).filter_map(|doing| {
        let Action::Policy(policy) = &doing.action else { return None };
        Some(policy)
    });
    scenario.policy.iter().chain(later).cloned().collect()
}

fn uses(scenario: &Scenario, policy: &PolicyText) -> bool {
    policies(scenario).iter().any(|one| one.text == policy.text)
}

/// The values of labels that the policy or a topology knows.
fn values(policy: &PolicyText, users: &[&User<'_>]) -> Values {
    let mut values = Values::new();
    let mut add = |key: &String, value: &String| {
        values.entry(key.clone()).or_default().insert(value.clone());
    };
    let specs = users.iter().flat_map(|(scenario, _)| scenario.topology.vms.values());
    specs.flat_map(|spec| &spec.labels).for_each(|(key, value)| add(key, value));
    for rule in &policy.policy.rules {
        named(&rule.from, &mut add);
        named(&rule.to, &mut add);
    }
    values
}

fn named(selector: &Selector, add: &mut impl FnMut(&String, &String)) {
    match selector {
        Selector::Equals(key, value) | Selector::Differs(key, value) => add(key, value),
        Selector::In(key, values) => values.iter().for_each(|value| add(key, value)),
        Selector::Not(inner) => named(inner, add),
        Selector::And(parts) | Selector::Or(parts) => parts.iter().for_each(|part| named(part, add)),
        Selector::Any | Selector::Vms | Selector::Outside | Selector::Addresses(_) | Selector::Has(_) => {}
    }
}
