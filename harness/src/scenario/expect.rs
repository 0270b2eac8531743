//! Expectations: one line of `expect`, or one cell of a matrix.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use policy::{End, Family, FlowService, Name, Would};
use reports::event::Word;

use super::Mark;

/// One expectation with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// The line in the file, from 1.
    pub line: usize,
    /// Where it stands in the scenario's text, in bytes.
    pub place: Range<usize>,
    /// The expectation as written (a matrix's cell: as a line of `expect` would have it).
    pub text: String,
    /// What it claims.
    pub claim: Claim,
    /// What stands beside it.
    pub mark: Mark,
}

/// What an expectation claims.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// Of flows.
    Flow(FlowClaim),
    /// Of a session that a step opened.
    Session {
        /// The session's name.
        name: String,
        /// What came of it.
        claim: SessionClaim,
    },
    /// `SESSION: path mtu 1280 [at END]`: how large a packet may be, as an end's socket knows, and what is larger still
    /// comes through.
    PathMtu {
        /// The session's name.
        name: String,
        /// At this end.
        end: End,
        /// In bytes, the network's header included.
        mtu: u32,
    },
    /// Of records that the center holds.
    Report(ReportClaim),
    /// `agent NAME: online`, and the like.
    Agent {
        /// Which VMs.
        vms: Glob,
        /// How the agents stand.
        standing: Standing,
    },
    /// `accounts balance`: what each kernel counted is what was told of it.
    Balanced,
    /// `center below 64 MiB`: it never held more in this step.
    CenterBelow {
        /// The bound, in bytes.
        bytes: u64,
    },
    /// `port NAME: stopped 3`: so many frames that the VM sent in another's name were stopped at its host, in this step.
    PortStopped {
        /// Which VM.
        vm: Name,
        /// How many frames.
        frames: u64,
    },
    /// `generation acked by all [but NAME]`: every managed VM acknowledged the newest published generation, save those
    /// that have not.
    AckedByAll {
        /// These have not.
        but: Option<Glob>,
    },
}

/// How an agent stands to its center.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// The center says that it is there.
    Online,
    /// The center says that it is not, or that it is silent.
    Offline,
    /// The center says since when it is silent.
    Stale,
    /// The agent itself says that it has lost its center.
    Disconnected,
    /// The center says that one copy of the VM, and one alone, has come with the same key, and came once.
    Cloned,
    /// Of the generations of this step it has acknowledged the newest, and never one of those before.
    Skipped,
    /// Every other agent that reaches its center had acknowledged the newest generation before it did.
    Last,
    /// All the while the center called it online.
    Unbroken,
}

/// A claim of every flow from a source to a destination of the globs.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowClaim {
    /// The sources.
    pub source: Glob,
    /// The destinations; never the source itself.
    pub destination: Glob,
    /// The services.
    pub services: Vec<Choice>,
    /// The claim; `None` for `?` (left to the oracle).
    pub expected: Option<Expected>,
    /// In this family alone.
    pub family: Option<Family>,
    /// From this address of the source.
    pub from: Option<IpAddr>,
}

/// A service of an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// This one.
    One(FlowService),
    /// `any`: every service that the policy names, those that the destination serves, and one that the policy does not name.
    Any,
}

/// What is expected of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The verdict, `refused` or `unreachable`.
    pub word: Word,
    /// The rule, if claimed.
    pub rule: Option<String>,
    /// The end, if claimed.
    pub end: Option<End>,
    /// The would-be verdict, if claimed (its rule and end: if claimed).
    pub would: Option<Would>,
}

/// What is expected of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionClaim {
    /// It lives: every byte comes through both ways.
    Alive,
    /// It was cut.
    Cut {
        /// By this rule, if claimed.
        rule: Option<String>,
        /// At this end, if claimed.
        end: Option<End>,
    },
}

/// What is expected of the center's records of this step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportClaim {
    /// No record may match (`not reported: …`).
    pub absent: bool,
    /// Of each flow and end exactly one record may match (`reported once: …`).
    pub once: bool,
    /// The flow's source endpoint.
    pub source: Option<Glob>,
    /// The flow's destination endpoint.
    pub destination: Option<Glob>,
    /// The flow's service.
    pub service: Option<FlowService>,
    /// A record of no single flow.
    pub about: Option<About>,
    /// The verdict (or `cut`).
    pub word: Option<Word>,
    /// The rule.
    pub rule: Option<String>,
    /// The end that reported.
    pub end: Option<End>,
}

/// What a record of no single flow tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum About {
    /// What a detector found (`alert`).
    Alert,
    /// A storm (`aggregated`).
    Aggregated,
    /// What only the kernel's counters know (`suppressed`).
    Suppressed,
    /// Records that are lost (`gap`).
    Gap,
}

/// A pattern of names: `*` stands for any characters, none included.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Glob(String);

impl Glob {
    /// A pattern.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// Whether it is a plain name, which must then exist.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        !self.0.contains('*')
    }

    /// The pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a name matches.
    #[must_use]
    pub fn matches(&self, name: &Name) -> bool {
        let mut parts = self.0.split('*');
        let Some(first) = parts.next() else { return false };
        let Some(mut rest) = name.as_str().strip_prefix(first) else { return false };
        let parts: Vec<&str> = parts.collect();
        let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
        for part in middle {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
