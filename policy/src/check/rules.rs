//! Rules that do nothing, or not what they seem to.

use super::conflicts::{Standing, catches_all, standing};
use super::endpoints::nobody;
use super::survey::{Denied, Survey};
use super::world::World;
use super::{Kind, Place, Warning, all_named, named};
use crate::classify::{Bits, Decider};
use crate::{Action, Policy, Rule, Selector, Timestamp};

/// Rules that have ended.
pub(super) fn expired(policy: &Policy, now: Timestamp) -> Vec<Warning> {
    let ended = policy.rules.iter().filter(|rule| has_ended(rule, now));
    ended.map(|rule| warning(Kind::Expired, rule, "its `until` is past: it does nothing".to_owned())).collect()
}

fn has_ended(rule: &Rule, now: Timestamp) -> bool {
    rule.until.is_some_and(|until| until <= now)
}

fn warning(kind: Kind, rule: &Rule, text: String) -> Warning {
    Warning { kind, about: Place::of(rule), other: None, flow: None, text }
}

/// What is doubtful of the rules, each by the first thing that holds of it, and how they stand to one another.
pub(super) fn warnings(world: &World<'_>) -> Vec<Warning> {
    let survey = Survey::of(world);
    let number = world.policy.rules.len();
    let silent = |rule: usize| survey.present.has(rule) && !survey.decides.has(rule) && !catches_all(world, rule);
    let shadowed = Bits::of(number, silent);
    let standing = standing(world, &survey.decides, &shadowed);
    let reader = Reader { world, survey, standing };
    let living = (0..number).filter(|rule| !has_ended(&world.policy.rules[*rule], world.now));
    living.flat_map(|rule| reader.rule(rule)).collect()
}

struct Reader<'w, 'a> {
    world: &'w World<'a>,
    survey: Survey,
    standing: Standing,
}

impl Reader<'_, '_> {
    fn rule(&self, number: usize) -> Vec<Warning> {
        let rule = &self.world.policy.rules[number];
        if catches_all(self.world, number) {
            return Vec::new();
        }
        if !self.survey.matched.has(number) {
            return vec![warning(Kind::NeverMatching, rule, self.never(rule))];
        }
        let alone = self.unenforced(number).or_else(|| self.shadowed(number));
        if let Some(found) = alone.or_else(|| self.undone(number)) {
            return vec![found];
        }
        let mut found = Vec::from_iter(self.redundant(number));
        found.extend(self.contradictory(number));
        found.extend(self.disagreeing(number));
        found
    }

    /// Why no flow matches a rule.
    fn never(&self, rule: &Rule) -> String {
        let World { inventory, named, .. } = self.world;
        let empty = |selector: &Selector| nobody(selector, inventory);
        let none = if *named { "matches no VM of the inventory" } else { "can match no VM" };
        match &rule.within {
            _ if empty(&rule.from) => format!("its `from` {none}"),
            _ if empty(&rule.to) => format!("its `to` {none}"),
            Some(key) if *named && !inventory.vms.values().any(|vm| vm.labels.contains_key(key)) => {
                format!("its `within` names the label `{key}`, which no VM of the inventory carries")
            }
            Some(_) | None if *named => "no flow of the inventory matches it".to_owned(),
            Some(_) | None => "no flow can match it".to_owned(),
        }
    }

    fn unenforced(&self, number: usize) -> Option<Warning> {
        let rule = &self.world.policy.rules[number];
        let denies = matches!(rule.action, Action::Deny | Action::Reject);
        let flow = self.survey.flows.get(&number).filter(|_| denies && !self.survey.present.has(number))?;
        let text = format!("no agent enforces it: none stands at an end where it holds; such as {flow}");
        Some(Warning { flow: Some(flow.clone()), ..warning(Kind::Unenforced, rule, text) })
    }

    fn shadowed(&self, number: usize) -> Option<Warning> {
        let (before, flow) = self.standing.shadows.get(&number)?;
        let by = self.by(before, "decides", "decide");
        let text = format!("no flow reaches it: {by} all of its flows before; such as {flow}");
        Some(self.told(Kind::Shadowed, number, before.first(), (text, flow)))
    }

    fn redundant(&self, number: usize) -> Option<Warning> {
        let (behind, flow) = self.standing.instead.get(&number)?;
        let by = self.by(behind, "gives", "give");
        let text = format!("it changes nothing: without it {by} all of its flows the same verdict; such as {flow}");
        Some(self.told(Kind::Redundant, number, behind.first(), (text, flow)))
    }

    fn undone(&self, number: usize) -> Option<Warning> {
        if self.world.policy.rules[number].action != Action::Allow {
            return None;
        }
        let Denied { by, end, flow } = self.survey.undone(number)?;
        let who = match by.decider {
            Decider::Rule(rule) => self.named(rule as usize),
            Decider::Default => "the default".to_owned(),
            Decider::Builtin(builtin) => builtin.to_string(),
        };
        let text = format!("nothing of what it allows passes: {who} denies it at the {end}; such as {flow}");
        let other = by.decider.rule();
        Some(self.told(Kind::Undone, number, other.as_ref(), (text, flow)))
    }

    fn contradictory(&self, number: usize) -> Option<Warning> {
        let (taker, flow) = self.standing.takers.get(&number)?;
        let who = self.named(*taker);
        let denies = if self.world.policy.rules[number].action == Action::Reject { "rejects" } else { "denies" };
        let text = format!("{who} comes first and allows a part of what it {denies}; such as {flow}");
        Some(self.told(Kind::Contradictory, number, Some(taker), (text, flow)))
    }

    fn disagreeing(&self, number: usize) -> Vec<Warning> {
        let others = self.survey.disagreeing.range((number, 0)..=(number, usize::MAX));
        let told = others.map(|((_, other), Denied { end, flow, .. })| {
            let (who, here) = (self.named(*other), end.other());
            let text = format!("it allows at the {here} what {who} denies at the {end}; such as {flow}");
            self.told(Kind::Disagreeing, number, Some(other), (text, flow))
        });
        told.collect()
    }

    fn told(&self, kind: Kind, number: usize, other: Option<&usize>, (text, flow): (String, &String)) -> Warning {
        let rules = &self.world.policy.rules;
        let other = other.and_then(|other| rules.get(*other)).map(Place::of);
        Warning { other, flow: Some(flow.clone()), ..warning(kind, &rules[number], text) }
    }

    fn named(&self, number: usize) -> String {
        named(&self.world.policy.rules[number])
    }

    /// `a (line 3) decides`, `a (line 3), b (line 4) decide`
    fn by(&self, rules: &std::collections::BTreeSet<usize>, one: &str, many: &str) -> String {
        let all: Vec<usize> = rules.iter().copied().collect();
        format!("{} {}", all_named(self.world.policy, &all), if all.len() == 1 { one } else { many })
    }
}
