//! Where the cause of a finding lies, as far as the evidence tells: for whoever has to mend it. It never changes a verdict.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::Finding;

/// How the line begins that tells of it in a finding's detail.
const ROW: &str = "  diagnosis    ";

/// Where the cause lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// The policy or the expectation: the packets did what the policy says.
    Policy,
    /// An agent does not do what its policy says, or does not tell what it did.
    Agent,
    /// It came to be as it should, but later than was said.
    Late,
    /// The path between the two.
    Path,
    /// The program at the destination.
    Listener,
    /// The test bench.
    Harness,
}

impl Blame {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Policy => "policy wrong",
            Self::Agent => "agent wrong",
            Self::Late => "delivered late",
            Self::Path => "path broken",
            Self::Listener => "listener",
            Self::Harness => "harness",
        }
    }
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl Finding {
    /// Says where the cause lies and why, in place of what was said before.
    pub fn diagnose(&mut self, cause: Blame, why: &str) {
        self.diagnosis = Some(cause);
        let mut lines: Vec<&str> = self.detail.lines().filter(|line| !line.starts_with(ROW)).collect();
        let row = format!("{ROW}{cause}: {why}");
        lines.push(&row);
        self.detail = lines.join("\n");
    }
}
