//! What is said on a jail's control socket: one order in, then events out, each a line of JSON of bounded length.

use std::io::{BufRead, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use reports::event::{Cell, Event, ScenarioId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::plan::Visits;
use crate::prove::Proving;
use crate::run::{Instead, Job, Only, Probing};
use crate::scenario::Variant;
use crate::world::Programs;

/// The longest line: the cells of a step with tens of thousands of probes.
const LONGEST: u64 = 64 << 20;

/// What a jail is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// How events name the scenario.
    pub(crate) scenario: ScenarioId,
    /// The file beside which policies are looked for.
    pub(crate) path: PathBuf,
    /// The scenario's text.
    pub(crate) text: String,
    /// Which of the file's trials it is.
    pub(crate) variant: Variant,
    /// In which order its states are visited.
    pub(crate) visits: Visits,
    /// Where logs are kept if it fails.
    pub(crate) report_dir: Option<PathBuf>,
    /// The programs under test.
    pub(crate) programs: Programs,
    /// End behind the first step with findings.
    pub(crate) fail_fast: bool,
    /// Only this is probed, before the first step.
    pub(crate) reach: Option<Probing>,
    /// The lab is to live, and to listen here.
    pub(crate) lab: Option<PathBuf>,
    /// This flow alone is probed, and its packets are shown.
    pub(crate) only: Option<Only>,
    /// Behind a step with findings the world is to listen here until it is told to go on.
    pub(crate) pause: Option<PathBuf>,
    /// What is probed beside what the scenario asks for.
    pub(crate) proving: Option<Proving>,
    /// One of its policies is another.
    pub(crate) instead: Option<Instead>,
}

impl Order {
    /// To run a job with these programs, and nothing more.
    pub(crate) fn of(job: &Job, programs: &Programs) -> Self {
        Self {
            scenario: job.scenario.clone(),
            path: job.path.clone(),
            text: job.text.to_string(),
            variant: job.variant,
            visits: job.visits,
            report_dir: None,
            programs: programs.clone(),
            fail_fast: false,
            reach: None,
            lab: None,
            only: None,
            pause: None,
            proving: None,
            instead: job.instead.clone(),
        }
    }
}

/// What a jail says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum FromJail {
    /// It stands, and waits for its order.
    Ready,
    /// It waits, for a time that is bounded.
    Waits,
    /// Something happened.
    Event(Box<Event>),
    /// What a file says that the scenario names is wrong, as only another program knows.
    WrongInput,
    /// The world listens behind this step.
    Paused(String),
    /// The packets of the one flow that was probed, a line each.
    Packets(Vec<String>),
    /// The answer to `reach`.
    Cells(Vec<Cell>),
    /// `reach` could not be answered.
    Failed(String),
    /// This machine has not what the scenario's world needs, and why.
    Lacking(String),
}

/// Why there is no world.
#[derive(Debug)]
pub(crate) enum NoWorld {
    /// This machine has not what it needs.
    Lacking(String),
    /// It could not be raised.
    Failed(String),
}

impl From<String> for NoWorld {
    fn from(reason: String) -> Self {
        Self::Failed(reason)
    }
}

impl NoWorld {
    /// What is said of it where nothing else is said.
    pub(crate) fn word(self) -> FromJail {
        match self {
            Self::Lacking(reason) => FromJail::Lacking(reason),
            Self::Failed(reason) => FromJail::Failed(reason),
        }
    }
}

/// The writing half.
#[derive(Debug)]
pub(crate) struct Speaker<'a>(&'a UnixStream);

impl<'a> Speaker<'a> {
    /// Speaks on a stream.
    pub(crate) fn new(stream: &'a UnixStream) -> Self {
        Self(stream)
    }

    /// Says one thing.
    pub(crate) fn say<T: Serialize>(&mut self, word: &T) -> Result<(), String> {
        let mut line = serde_json::to_vec(word).map_err(|error| format!("write an event: {error}"))?;
        line.push(b'\n');
        self.0.write_all(&line).map_err(|error| format!("say an event: {error}"))
    }

    /// Says that something happened.
    pub(crate) fn tell(&mut self, event: Event) -> Result<(), String> {
        self.say(&FromJail::Event(Box::new(event)))
    }
}

/// Reads one line; `None` at the end of the stream.
pub(crate) fn read<T: DeserializeOwned>(stream: &mut impl BufRead) -> Result<Option<T>, String> {
    let mut line = Vec::new();
    let mut bounded = stream.take(LONGEST);
    let length = bounded.read_until(b'\n', &mut line).map_err(|error| format!("hear on the control: {error}"))?;
    if length == 0 {
        return Ok(None);
    }
    serde_json::from_slice(&line).map(Some).map_err(|error| format!("understand the control: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn words_are_read_line_by_line_and_half_a_line_is_an_error() {
        let text = "{\"Failed\":\"no\"}\n\"Ready\"\n\"Rea";
        let mut stream = Cursor::new(text);
        assert!(matches!(read(&mut stream), Ok(Some(FromJail::Failed(_)))));
        assert!(matches!(read(&mut stream), Ok(Some(FromJail::Ready))));
        assert!(read::<FromJail>(&mut stream).is_err());
        assert!(matches!(read::<FromJail>(&mut stream), Ok(None)));
    }
}
