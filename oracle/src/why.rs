//! Why a flow gets its verdict: at each managed end what decided, and which rules were passed over.

use std::fmt;

use policy::{End, Flow, Inventory, Name, Policy, Rule, Ruling, Timestamp, Verdict, Would};

use crate::judge::{Case, Reason};

/// A rule that did not decide, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Its full name.
    pub rule: String,
    /// Where it stands.
    pub place: Place,
    /// Why it was passed over.
    pub reason: Reason,
}

/// Where a rule stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, where a policy has several.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: usize,
}

impl Place {
    pub(crate) fn of(rule: &Rule) -> Self {
        let tier = rule.tier.as_ref().filter(|tier| tier.name.is_some());
        Self { file: tier.map(|tier| tier.file.clone()), line: rule.line }
    }
}

impl Passed {
    pub(crate) fn over(rule: &Rule, reason: Reason) -> Self {
        Self { rule: rule.full_name(), place: Place::of(rule), reason }
    }
}

/// How one managed end came to its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndExplanation {
    /// Which end.
    pub end: End,
    /// The VM at that end.
    pub vm: Name,
    /// The rules before the one that decided, in order.
    pub passed: Vec<Passed>,
    /// The verdict of this end.
    pub verdict: Verdict,
    /// What decided: a rule, `default`, or a built-in rule.
    pub rule: String,
    /// Where that rule stands; `None` where it is no rule of the policy.
    pub place: Option<Place>,
    /// What this end would have said with every monitor rule live, where that differs.
    pub would: Option<Would>,
}

/// Why a flow gets its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The flow.
    pub flow: Flow,
    /// At the source, if an agent judges there.
    pub source: Option<EndExplanation>,
    /// At the destination, if an agent judges there.
    pub destination: Option<EndExplanation>,
    /// Both together.
    pub ruling: Ruling,
}

/// Explains the verdict on a flow at an instant.
#[must_use]
pub fn why(policy: &Policy, inventory: &Inventory, flow: &Flow, now: Timestamp) -> Explanation {
    let case = Case::new(policy, inventory, flow, now);
    let explain = |end| {
        let (vm, _) = case.endpoint(end).managed()?;
        let (acted, live) = (case.decide(end, false)?, case.decide(end, true)?);
        let would = acted.would(&live, end);
        let (verdict, rule, place, passed) = (acted.verdict, acted.rule, acted.place, acted.passed);
        Some(EndExplanation { end, vm: vm.clone(), passed, verdict, rule, place, would })
    };
    let (source, destination) = (explain(End::Source), explain(End::Destination));
    Explanation { flow: *flow, source, destination, ruling: case.ruling() }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotOwned => "its tier owns other ends",
            Self::TierLeft => "a rule before it passed its tier",
            Self::Expired => "its `until` is past",
            Self::NotThisEnd => "it does not hold at this end",
            Self::Service => "it is about other services",
            Self::From => "its `from` is not this source",
            Self::To => "its `to` is not this destination",
            Self::Within => "the ends do not share the label of its `within`",
            Self::Monitor => "it matches, but only monitors",
            Self::Passes => "it matches, and passes to the next tier",
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{file}:{}", self.line),
            None => write!(f, "line {}", self.line),
        }
    }
}

impl fmt::Display for EndExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at the {}, {}: {} by {}", self.end, self.vm, self.verdict, self.rule)?;
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        }
        writeln!(f)?;
        if let Some(would) = &self.would {
            writeln!(f, "  without monitoring: {} by {}", would.verdict, would.rule.as_deref().unwrap_or("nothing"))?;
        }
        for Passed { rule, place, reason } in &self.passed {
            writeln!(f, "  passed over {rule} ({place}): {reason}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Flow { source, destination, service } = self.flow;
        write!(f, "{source} -> {destination} {service}: {}", self.ruling.verdict)?;
        match &self.ruling.rule {
            Some(rule) => write!(f, " by {rule}")?,
            None => write!(f, ", for no agent stands at either end")?,
        }
        match self.ruling.end {
            Some(end) => writeln!(f, " at the {end}")?,
            None => writeln!(f)?,
        }
        for (end, name) in [(&self.source, "source"), (&self.destination, "destination")] {
            match end {
                Some(end) => write!(f, "{end}")?,
                None => writeln!(f, "at the {name}: no agent, everything passes")?,
            }
        }
        Ok(())
    }
}
