//! What was read, what was left out and why, and what could not be read: nothing goes missing without a number here.

use std::fmt;

use serde::{Serialize, Serializer};

/// How many entries that could not be read are shown with their place and reason.
pub const MOST_SHOWN: usize = 5;
/// The longest excerpt of a line that is shown, in characters.
const EXCERPT: usize = 80;

/// Why an entry made no flow of its own, or how its direction was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// The replies of a flow that has its own entry.
    Reply,
    /// A packet of a flow that was told already.
    Further,
    /// An ICMP answer or error, or neighbour discovery.
    Answer,
    /// Told by ports alone which end began it, for the recording does not say.
    ByPorts,
    /// A TCP flow whose beginning is not in the capture: who spoke first in it is taken for its beginner.
    ByFirstPacket,
    /// Zeek turned it around by a guess of its own.
    Turned,
    /// An interval without traffic (`NODATA`).
    NoData,
    /// An interval that the recorder itself lost (`SKIPDATA`).
    SkipData,
    /// An ICMP entry of a log that does not hold types.
    NoType,
    /// A record that is about no single flow: alerts, gaps, barriers, changes.
    NoFlow,
    /// Storms of records over more than one port, which the record does not tell apart.
    Storm,
    /// A fragment that is not the first.
    Fragment,
    /// A packet that is not IP (ARP and the like).
    NotIp,
    /// A packet of which too little was captured.
    Short,
    /// A flow forgotten for want of room: if it went on, it was told twice.
    Evicted,
}

impl Note {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 15] = [
        Self::Reply,
        Self::Further,
        Self::Answer,
        Self::ByPorts,
        Self::ByFirstPacket,
        Self::Turned,
        Self::NoData,
        Self::SkipData,
        Self::NoType,
        Self::NoFlow,
        Self::Storm,
        Self::Fragment,
        Self::NotIp,
        Self::Short,
        Self::Evicted,
    ];

    /// What it means, after a number.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Reply => "replies of flows that have an entry of their own",
            Self::Further => "further packets of flows already told",
            Self::Answer => "ICMP answers and errors, and neighbour discovery, which begin no flow",
            Self::ByPorts => "entries whose direction was told by their ports alone",
            Self::ByFirstPacket => "TCP flows without a beginning, taken as begun by who spoke first",
            Self::Turned => "connections that Zeek turned around by a guess",
            Self::NoData => "intervals without traffic (NODATA)",
            Self::SkipData => "intervals that the recorder lost (SKIPDATA): what was in them is not judged",
            Self::NoType => "ICMP entries, whose type this log does not hold: not judged",
            Self::NoFlow => "records that are about no single flow",
            Self::Storm => "storms of records over several ports: not judged",
            Self::Fragment => "fragments that are not the first",
            Self::NotIp => "packets that are not IP",
            Self::Short => "packets of which too little was captured: not judged",
            Self::Evicted => "flows forgotten for want of room: what went on was told twice",
        }
    }
}

/// Why an entry could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// A field is absent.
    Missing(&'static str),
    /// A field holds something else.
    Field(&'static str, &'static str),
    /// The entry as a whole is not what it should be.
    Whole(&'static str),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(field) => write!(f, "no `{field}`"),
            Self::Field(field, wanted) => write!(f, "`{field}` is not {wanted}"),
            Self::Whole(text) => f.write_str(text),
        }
    }
}

/// One entry that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bad {
    /// The line, or in a capture the packet, from 1.
    pub place: u64,
    /// Why.
    pub reason: String,
    /// How it begins; empty for packets.
    pub excerpt: String,
}

/// What was read of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Bytes.
    pub bytes: u64,
    /// Lines or packets.
    pub entries: u64,
    /// Flows.
    pub flows: u64,
    /// Entries that could not be read.
    pub bad: u64,
    /// The first of those.
    pub shown: Vec<Bad>,
    #[serde(serialize_with = "named")]
    notes: [u64; Note::ALL.len()],
}

/// Notes by their names, those that were made.
fn named<S: Serializer>(notes: &[u64; Note::ALL.len()], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(Note::ALL.iter().zip(notes).filter(|(_, count)| **count > 0))
}

impl Account {
    /// How often something was noted.
    #[must_use]
    pub fn noted(&self, note: Note) -> u64 {
        self.notes.get(note as usize).copied().unwrap_or_default()
    }

    pub(crate) fn note(&mut self, note: Note) {
        if let Some(count) = self.notes.get_mut(note as usize) {
            *count += 1;
        }
    }

    pub(crate) fn bad(&mut self, reason: impl fmt::Display, entry: &[u8]) {
        self.bad += 1;
        if self.shown.len() < MOST_SHOWN {
            let text = String::from_utf8_lossy(entry.get(..EXCERPT * 4).unwrap_or(entry)).into_owned();
            let clean = text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).take(EXCERPT);
            self.shown.push(Bad { place: self.entries, reason: reason.to_string(), excerpt: clean.collect() });
        }
    }
}
