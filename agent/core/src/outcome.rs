//! What a packet can get, and the numbers that the kernel knows it by.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use policy::{End, Verdict, Would};
use serde::{Deserialize, Serialize};

use crate::index::Index;
use crate::ruleset::{Action, Builtin, Word};

/// The longest comment that the kernel keeps beside a word, in bytes.
const LONGEST_COMMENT: usize = 120;

/// Everything that two packets must share to bear the same word.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Outcome {
    /// The verdict at this end.
    pub verdict: Verdict,
    /// The rule that decided.
    pub rule: String,
    /// The end at which this machine stands in the flow.
    pub end: End,
    /// What it would have been with every monitor rule live, where that differs in action or rule.
    pub would: Option<Would>,
    /// Whether the first packet of an allowed flow is recorded. Interceptions always are.
    pub log: bool,
    /// Whether the policy is in monitor mode.
    pub monitor: bool,
    /// Whether the agent is told of the first packet of an allowed flow, for a detector; recorded or not.
    #[serde(default)]
    pub watched: bool,
}

impl Outcome {
    /// An outcome that a built-in rule gives.
    #[must_use]
    pub fn builtin(verdict: Verdict, rule: &str, end: End) -> Self {
        Self { verdict, rule: rule.to_owned(), end, would: None, log: false, monitor: false, watched: false }
    }

    /// The outcome that a datapath's fixed part gives.
    #[must_use]
    pub fn of_fixed(fixed: Builtin, end: End) -> Self {
        let verdict = match fixed {
            Builtin::Center | Builtin::Address | Builtin::Asked => Verdict::Allow,
            Builtin::Invalid
            | Builtin::Barrier
            | Builtin::Nat
            | Builtin::Forwarded
            | Builtin::Spoofed
            | Builtin::Bypass => Verdict::Deny,
        };
        Self { log: matches!(fixed, Builtin::Address | Builtin::Asked), ..Self::builtin(verdict, fixed.rule(), end) }
    }

    /// The comment beside the word in the kernel: `VERDICT RULE`, and ` would VERDICT RULE`.
    #[must_use]
    pub fn comment(&self) -> String {
        let mut text = format!("{} {}", self.verdict, self.rule);
        if let Some(would) = &self.would {
            text.push_str(&format!(" would {} {}", would.verdict, would.rule.as_deref().unwrap_or("-")));
        }
        shortened(text)
    }

    /// The word with which the kernel says this outcome.
    #[must_use]
    pub fn word(&self, number: u32) -> Word {
        let action = match self.verdict {
            Verdict::Allow => Action::Allow,
            Verdict::Deny => Action::Deny,
            Verdict::Reject => Action::Reject,
        };
        Word::new(action, self.log || self.watched, number)
    }
}

/// Cuts a text to the comment's length; a hash of the whole keeps two long ones apart.
fn shortened(text: String) -> String {
    if text.len() <= LONGEST_COMMENT {
        return text;
    }
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mut cut = LONGEST_COMMENT - 17;
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}#{hash:016x}", &text[..cut])
}

/// The numbers of all outcomes that a living epoch may have written into a mark (semantics 18).
///
/// An outcome keeps its number from one generation to the next, so that its counters go on counting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u32, Arc<Outcome>)>", into = "Vec<(u32, Arc<Outcome>)>")]
pub struct Numbering {
    by_number: BTreeMap<u32, Known>,
    by_outcome: Index<Arc<Outcome>, u32>,
    next: u32,
}

/// An outcome, with its comment as all rulesets share it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    outcome: Arc<Outcome>,
    comment: Arc<str>,
}

impl From<Arc<Outcome>> for Known {
    fn from(outcome: Arc<Outcome>) -> Self {
        let comment = outcome.comment().into();
        Self { outcome, comment }
    }
}

impl Numbering {
    /// How many outcomes can have a number at once.
    pub const LIMIT: usize = (Word::NUMBER - Builtin::FIRST_FREE) as usize;

    /// How many outcomes have a number.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_number.len()
    }

    /// Whether no outcome has a number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// The outcome that a number stands for.
    #[must_use]
    pub fn outcome(&self, number: u32) -> Option<&Outcome> {
        self.by_number.get(&number).map(|known| &*known.outcome)
    }

    /// The words of all outcomes of an end, with their comments.
    pub fn words(&self, end: End) -> impl Iterator<Item = (Word, Arc<str>)> {
        let known = self.by_number.iter().filter(move |(_, known)| known.outcome.end == end);
        known.map(|(number, known)| (known.outcome.word(*number), Arc::clone(&known.comment)))
    }

    /// The number of an outcome, given now if it has none, with the outcome as all share it; `None` when all are taken.
    pub fn number(&mut self, outcome: Outcome) -> Option<(u32, Arc<Outcome>)> {
        if let Some(number) = self.by_outcome.get(&outcome) {
            return self.by_number.get(&number).map(|known| (number, Arc::clone(&known.outcome)));
        }
        if self.len() >= Self::LIMIT {
            return None;
        }
        let (number, outcome) = (self.free(), Arc::new(outcome));
        self.by_number.insert(number, Arc::clone(&outcome).into());
        self.by_outcome.insert(Arc::clone(&outcome), number);
        self.next = number + 1;
        Some((number, outcome))
    }

    /// Takes back numbers that no ruleset has got.
    pub(crate) fn take_back(&mut self, numbers: &BTreeSet<u32>) {
        self.by_number.retain(|number, _| !numbers.contains(number));
        self.by_outcome.retain(|number| !numbers.contains(&number));
    }

    /// Frees every number but these; only after no mark can hold them.
    pub fn retain(&mut self, living: &BTreeSet<u32>) {
        self.by_number.retain(|number, _| living.contains(number));
        self.by_outcome.retain(|number| living.contains(&number));
    }

    /// The next number that is free; there is one.
    fn free(&self) -> u32 {
        let mut number = self.next;
        loop {
            if !(Builtin::FIRST_FREE..Word::NUMBER).contains(&number) {
                number = Builtin::FIRST_FREE;
            }
            if !self.by_number.contains_key(&number) {
                return number;
            }
            number += 1;
        }
    }
}

impl TryFrom<Vec<(u32, Arc<Outcome>)>> for Numbering {
    type Error = &'static str;

    /// Numbers that this agent would not give, or would not give like this, are refused.
    fn try_from(pairs: Vec<(u32, Arc<Outcome>)>) -> Result<Self, Self::Error> {
        if pairs.iter().any(|(number, _)| !(Builtin::FIRST_FREE..Word::NUMBER).contains(number)) {
            return Err("a number of an outcome is out of range");
        }
        let count = pairs.len();
        let by_outcome: Index<_, _> = pairs.iter().map(|(number, outcome)| (outcome.clone(), *number)).collect();
        let next = pairs.iter().map(|(number, _)| number + 1).max().unwrap_or(Builtin::FIRST_FREE);
        let by_number: BTreeMap<_, _> = pairs.into_iter().map(|(number, outcome)| (number, outcome.into())).collect();
        if by_number.len() != count || by_outcome.len() != count {
            return Err("two outcomes share a number, or one has two");
        }
        Ok(Self { by_number, by_outcome, next })
    }
}

impl From<Numbering> for Vec<(u32, Arc<Outcome>)> {
    fn from(numbering: Numbering) -> Self {
        numbering.by_number.into_iter().map(|(number, known)| (number, known.outcome)).collect()
    }
}
