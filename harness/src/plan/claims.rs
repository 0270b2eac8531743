//! The names in expectations: endpoints, rules and sessions must be there.

use std::collections::BTreeSet;
use std::ops::Range;

use policy::{Builtin, Detector, Name, Problem, Problems, Span};

use crate::scenario::{Claim, Expectation, Expected, Glob};
use crate::state::State;

/// Looks names up in a state and reports those that are not there.
pub(super) struct Names<'a> {
    pub(super) source: &'a str,
    pub(super) state: &'a State,
    pub(super) problems: &'a mut Problems,
}

/// The place of a word of an expectation; of the whole where it is not found.
pub(super) fn place(source: &str, whole: &Range<usize>, word: &str) -> Span {
    let found = source.get(whole.clone()).and_then(|text| text.find(word)).filter(|_| !word.is_empty());
    match found {
        Some(at) => Span::from(whole.start + at..whole.start + at + word.len()),
        None => Span::from(whole.clone()),
    }
}

impl Names<'_> {
    pub(super) fn report(&mut self, expectation: &Expectation, word: &str, message: String, help: Option<String>) {
        let span = place(self.source, &expectation.place, word);
        self.problems.report(Problem::new(span, message).maybe_help(help));
    }

    /// The endpoints that a pattern matches; none is an error.
    pub(super) fn endpoints(&mut self, expectation: &Expectation, glob: &Glob) -> Vec<Name> {
        let found: Vec<Name> = self.state.endpoints().filter(|name| glob.matches(name)).cloned().collect();
        if found.is_empty() {
            let known: Vec<&str> = self.state.endpoints().map(Name::as_str).collect();
            let (message, help) = match glob.is_plain() {
                true => {
                    (format!("there is no endpoint `{glob}` in this step"), policy::did_you_mean(glob.as_str(), &known))
                }
                false => (format!("`{glob}` matches no endpoint in this step"), None),
            };
            self.report(expectation, glob.as_str(), message, help);
        }
        found
    }

    /// A rule must stand in a policy that is in force at some end.
    pub(super) fn rule(&mut self, expectation: &Expectation, rule: Option<&str>) {
        let Some(rule) = rule else { return };
        let rules = self.rules();
        if !rules.contains(rule) {
            let known: Vec<&str> = rules.iter().map(String::as_str).collect();
            let help = policy::nearest(rule, known).map(|word| format!("did you mean `{word}`?"));
            self.report(expectation, rule, format!("there is no rule `{rule}` in force in this step"), help);
        }
    }

    /// A session must be open at the end of the step.
    pub(super) fn session(&mut self, expectation: &Expectation, name: &str) {
        if !self.state.sessions.contains_key(name) {
            let known: Vec<&str> = self.state.sessions.keys().map(String::as_str).collect();
            let message = format!("no session `{name}` is open at the end of this step");
            self.report(expectation, name, message, policy::did_you_mean(name, &known));
        }
    }

    pub(super) fn rules_of(&mut self, expectation: &Expectation, expected: &Expected) {
        self.rule(expectation, expected.rule.as_deref());
        self.rule(expectation, expected.would.as_ref().and_then(|would| would.rule.as_deref()));
    }

    fn rules(&self) -> BTreeSet<String> {
        let held = self.state.held.values().filter_map(|held| held.policy.as_deref());
        let policies = held.chain(self.state.policy.as_deref());
        let names = policies.flat_map(|policy| {
            let rules = policy.policy.rules.iter().map(policy::Rule::full_name);
            rules.chain(policy.policy.detect.iter().map(|one| Detector::rule_of(&one.full_name())))
        });
        names.chain(builtins()).collect()
    }

    /// The names in an expectation that is not about single flows.
    pub(super) fn event(&mut self, expectation: &Expectation) {
        match &expectation.claim {
            Claim::Report(claim) => {
                for glob in claim.source.iter().chain(&claim.destination) {
                    self.endpoints(expectation, glob);
                }
                self.rule(expectation, claim.rule.as_deref());
            }
            Claim::Agent { vms, .. } | Claim::AckedByAll { but: Some(vms) } => {
                let managed = |name: &Name| self.state.is_managed(name);
                let found = self.endpoints(expectation, vms);
                if !found.is_empty() && !found.iter().any(managed) {
                    self.report(expectation, vms.as_str(), format!("`{vms}` has no agent"), None);
                }
            }
            Claim::PathMtu { name, .. } => self.session(expectation, name),
            Claim::PortStopped { vm, .. } => {
                self.endpoints(expectation, &Glob::new(vm.as_str()));
                if !self.state.guarded {
                    let help = Some("write `ports: guarded` in the topology".to_owned());
                    self.report(
                        expectation,
                        vm.as_str(),
                        "the hosts' ports are open and stop nothing".to_owned(),
                        help,
                    );
                }
            }
            Claim::Flow(_)
            | Claim::Session { .. }
            | Claim::AckedByAll { but: None }
            | Claim::CenterBelow { .. }
            | Claim::Balanced => {}
        }
    }
}

/// What agents record of themselves, beside what policies know: raw frames, what others do to the ruleset, and what the
/// kernel drops by itself.
const RECORDED: [&str; 5] =
    ["eastwest/spoofed", "eastwest/bypass", "eastwest/tamper", "eastwest/fragment", "eastwest/table-full"];

/// The names that a verdict can bear without a rule of the policy.
fn builtins() -> impl Iterator<Item = String> {
    let builtins = [
        Builtin::Center,
        Builtin::Neighbours,
        Builtin::Address,
        Builtin::LinkLocal,
        Builtin::Unknown,
        Builtin::Invalid,
        Builtin::Quarantine,
        Builtin::Monitor,
        Builtin::Closed,
    ];
    let others = ["default"].into_iter().chain(RECORDED);
    builtins.into_iter().map(|builtin| builtin.to_string()).chain(others.map(str::to_owned))
}
