//! The rules of one end, gone through in their order with all services at once.

use crate::Verdict;
use crate::classify::{Bits, Decider, Decision, Table};

/// Services that one thing decides at an end.
pub(super) struct Share {
    /// The services.
    pub(super) services: Bits,
    /// What is decided of them; `None` where no agent stands.
    pub(super) decision: Option<Decision>,
}

impl Share {
    pub(super) fn by(services: Bits, verdict: Verdict, decider: Decider) -> Self {
        Self { services, decision: Some(Decision { verdict, decider }) }
    }

    /// The rule that decides.
    pub(super) fn rule(&self) -> Option<usize> {
        self.decision.and_then(|decision| decision.decider.rule())
    }

    /// What they get; everything passes where no agent stands.
    pub(super) fn verdict(&self) -> Verdict {
        self.decision.map_or(Verdict::Allow, |decision| decision.verdict)
    }

    /// Whether these pass here.
    pub(super) fn allows(&self) -> bool {
        self.verdict() == Verdict::Allow
    }
}

/// Is told of each rule that decides something or passes it on: its place among those gone through, its number, what it takes.
pub(super) type Took<'t> = &'t mut dyn FnMut(usize, usize, &Bits);

/// Goes through rules; what none of them decides comes back.
pub(super) fn walk(table: &Table, rules: &[u32], services: Bits, took: Took<'_>) -> Bits {
    let mut rest = services;
    // What was passed out of its tier, and the first rule that it meets again.
    let mut passed: Option<(Bits, usize)> = None;
    for (place, rule) in rules.iter().map(|rule| *rule as usize).enumerate() {
        if let Some((back, _)) = passed.take_if(|(_, next)| *next <= rule) {
            rest.add(&back);
        }
        if !table.covered[rule].bits().meets(&rest) {
            continue;
        }
        let taken = table.covered[rule].bits().both(&rest);
        rest.remove(&taken);
        took(place, rule, &taken);
        match (table.actions[rule], &mut passed) {
            ((Some(_), _), None) if rest.is_empty() => break,
            ((Some(_), _), _) => {}
            ((None, _), Some((waiting, _))) => waiting.add(&taken),
            ((None, next), none) => *none = Some((taken, next)),
        }
    }
    if let Some((back, _)) = passed {
        rest.add(&back);
    }
    rest
}
