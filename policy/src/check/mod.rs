//! What is right by the grammar and yet hardly meant, and what does not keep the claims of its authors.

mod claims;
mod conflicts;
mod endpoints;
mod rules;
mod survey;
mod walk;
mod witness;
mod world;

use std::fmt;

use serde::Serialize;

use crate::{Inventory, Policy, Rule, Timestamp};
use world::World;

/// What a policy is found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// What is hardly meant, in the order of the rules, then of the rest.
    pub warnings: Vec<Warning>,
    /// What could not be looked at, and why.
    pub left_out: Vec<String>,
    /// Neither the rules' standing to one another nor the claims could be: there is too much to look at.
    pub too_much: bool,
}

/// Something in a policy that is hardly meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// What it is.
    pub kind: Kind,
    /// What it is about.
    #[serde(flatten)]
    pub about: Place,
    /// The first of the others that make it so.
    pub other: Option<Place>,
    /// A flow that shows it.
    pub flow: Option<String>,
    /// All of it in words.
    pub text: String,
}

/// A rule, a group, a service, a detector or a claim, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Its name; of a rule the full one, of a claim its text.
    #[serde(rename = "rule")]
    pub name: String,
    /// The file, where the policy names it.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<usize>,
}

/// What is hardly meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A rule whose `until` is past.
    Expired,
    /// A rule, a group or a detector that no flow, or nobody, can match.
    NeverMatching,
    /// A deny or reject that no agent enforces.
    Unenforced,
    /// A rule all of whose flows are decided before it.
    Shadowed,
    /// A rule without which every flow gets the same verdict, by rules behind it.
    Redundant,
    /// An allow of which nothing passes, for the other end denies it.
    Undone,
    /// A deny of which an allow before it takes a part, while neither holds the other.
    Contradictory,
    /// An allow at one end of what a rule denies at the other, where the allow does not hold.
    Disagreeing,
    /// A group of addresses that holds a VM's, which matches by its labels alone.
    NotByAddress,
    /// A group or a service that nothing names.
    Unused,
    /// A claim that does not hold.
    Failed,
    /// A claim that holds only once rules in monitor act.
    OnTrial,
    /// A claim that no flow is about.
    TestsNothing,
}

/// Doubts about a policy, over an inventory, or without one over all VMs that its selectors can tell apart.
#[must_use]
pub fn check(policy: &Policy, inventory: Option<&Inventory>, now: Timestamp) -> Checked {
    let mut warnings = rules::expired(policy, now);
    let (mut held, mut left_out, mut too_much) = (Vec::new(), Vec::new(), false);
    match World::of(policy, inventory, now) {
        Ok(world) => {
            warnings.extend(rules::warnings(&world));
            (held, left_out) = claims::warnings(&world);
        }
        Err(why) => {
            too_much = true;
            left_out.push(format!("how the rules stand to one another, and the claims: {why}"));
        }
    }
    warnings.sort_by_key(|warning| policy.rules.iter().position(|rule| is(warning, rule)));
    warnings.extend(inventory.map(|known| endpoints::warnings(policy, known)).unwrap_or_default());
    warnings.extend(held);
    Checked { warnings, left_out, too_much }
}

/// The claims of a policy that fail over an inventory: what a center refuses to publish. Those that mean nobody of it may yet.
#[must_use]
pub fn failed_claims(policy: &Policy, inventory: &Inventory, now: Timestamp) -> Checked {
    if policy.tests.is_empty() {
        return Checked::default();
    }
    let found = World::of(policy, Some(inventory), now).map(|world| claims::warnings(&world));
    let too_much = found.is_err();
    let (mut warnings, left_out) = found.unwrap_or_else(|why| (Vec::new(), vec![format!("the claims: {why}")]));
    warnings.retain(|warning| warning.kind == Kind::Failed);
    Checked { warnings, left_out, too_much }
}

fn is(warning: &Warning, rule: &Rule) -> bool {
    warning.about == Place::of(rule)
}

impl Place {
    fn of(rule: &Rule) -> Self {
        let file = rule.tier.as_ref().map(|tier| tier.file.clone());
        Self { name: rule.full_name(), file, line: Some(rule.line) }
    }
}

/// A rule in words, with its place: `web-to-db (line 9)`.
fn named(rule: &Rule) -> String {
    match rule.tier.as_ref().filter(|tier| tier.name.is_some()) {
        Some(tier) => format!("{} ({}:{})", rule.full_name(), tier.file, rule.line),
        None => format!("{} (line {})", rule.name, rule.line),
    }
}

/// Some rules in words, those beyond three counted.
fn all_named(policy: &Policy, rules: &[usize]) -> String {
    let shown: Vec<String> = rules.iter().take(3).filter_map(|&rule| policy.rules.get(rule)).map(named).collect();
    match rules.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

impl Kind {
    /// The word that names it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NeverMatching => "never-matching",
            Self::Unenforced => "unenforced",
            Self::Shadowed => "shadowed",
            Self::Redundant => "redundant",
            Self::Undone => "undone",
            Self::Contradictory => "contradictory",
            Self::Disagreeing => "disagreeing",
            Self::NotByAddress => "not-by-address",
            Self::Unused => "unused",
            Self::Failed => "failed",
            Self::OnTrial => "on-trial",
            Self::TestsNothing => "tests-nothing",
        }
    }
}

impl fmt::Display for Warning {
    /// `shadowed: web-to-db (line 9): …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { name, line, .. } = &self.about;
        let place = line.map(|line| format!(" (line {line})")).unwrap_or_default();
        write!(f, "{}: {name}{place}: {}", self.kind.word(), self.text)
    }
}
