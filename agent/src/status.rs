//! What `eastwest agent status` shows.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agent_core::{Facts, Suspended};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::folder;

/// How the agent stands to its center.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Connection {
    /// It runs from a policy file, and has no center.
    Standalone,
    /// It has no certificate yet.
    Enrolling,
    /// It tries to reach its center.
    #[default]
    Connecting,
    /// A session stands.
    Connected,
    /// The last session or try ended so; it tries again.
    Lost {
        /// Why.
        reason: String,
    },
}

/// A local suspension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ease {
    /// Its end by this machine's wall clock, in milliseconds since the Unix epoch.
    pub until: i64,
    /// Who asked for it.
    pub by: String,
}

impl Ease {
    /// A suspension as people read it; `now` is the agent's own clock.
    pub(crate) fn of(Suspended { until, by }: &Suspended, now: u64) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let end = since + Duration::from_millis(until.saturating_sub(now));
        Self { until: i64::try_from(end.as_millis()).unwrap_or(i64::MAX), by: by.clone() }
    }
}

/// An agent's status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Whether the agent runs; otherwise this is the last that it wrote.
    #[serde(skip)]
    pub running: bool,
    /// Its process.
    pub pid: u32,
    /// The VM as its certificate names it; empty before enrolment.
    pub vm: String,
    /// This life of the agent.
    pub boot: String,
    /// How it stands to its center.
    pub connection: Connection,
    /// Why this life did not begin with the policy that the last one kept: it was altered, torn, or another VM's.
    #[serde(default)]
    pub refused_kept: Option<String>,
    /// The policy's rules only record until then.
    #[serde(default)]
    pub suspended: Option<Ease>,
    /// What other tables' rules in this machine do to what ours rely on.
    #[serde(default)]
    pub others: Vec<String>,
    /// The newest state could not be written to the disk.
    #[serde(default)]
    pub unkept: bool,
    /// Generation, epoch, counts of records, the last refusal.
    pub facts: Facts,
}

/// Reads the status of the agent that uses a state folder.
///
/// # Errors
/// When no agent ever ran with it, or its status cannot be read.
pub fn status(state: &Path) -> Result<Status, Error> {
    folder::status(state)
}
