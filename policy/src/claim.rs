//! Claims: what the authors of a policy say that it does, to be held against it (`tests:`).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{End, Name, Selector, Services, Verdict};

/// `"dept = hr -> app = db tcp/5432: reject by hr-reads-no-ledgers at source"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// From whom.
    pub from: Who,
    /// To whom.
    pub to: Who,
    /// Every one of these services.
    pub services: Services,
    /// What every such flow gets.
    pub verdict: Verdict,
    /// The rule that must give it, by its full name; `None`: any.
    pub rule: Option<String>,
    /// The end that must intercept it; `None`: either.
    pub end: Option<End>,
    /// The claim as it was written.
    pub text: String,
    /// The file that it stands in.
    pub file: String,
    /// The line on which it stands, from 1.
    pub line: usize,
}

/// One side of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Who {
    /// Every endpoint that a selector matches.
    Those(Selector),
    /// One VM, by its name.
    Vm(Name),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Those(selector) => selector.fmt(f),
            Self::Vm(name) => name.fmt(f),
        }
    }
}
