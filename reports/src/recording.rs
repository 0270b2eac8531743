//! The stream on disk: one event a line, written as it happens, so that an interrupted run keeps what it saw.

use std::io::{self, BufRead, Write};

use crate::event::{Event, VERSION};

/// Writes events as JSON lines, each flushed before the next.
#[derive(Debug)]
pub struct Recorder<W> {
    writer: W,
}

impl<W: Write> Recorder<W> {
    /// A recorder into a writer.
    pub fn new(writer: W) -> Self {
        Self { writer }
    }

    /// Records one event.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.writer.write_all(&line)?;
        self.writer.flush()
    }
}

/// A recording as read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The events in order.
    pub events: Vec<Event>,
    /// The number of the last line, from 1, where that line was cut short and left out.
    pub truncated: Option<usize>,
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The reader failed.
    #[error("read the recording: {0}")]
    Read(#[from] io::Error),
    /// A line that is not the last is no event.
    #[error("read line {line} of the recording: {cause}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
    /// It was written by a newer build.
    #[error("read a recording of version {found}: this build reads up to version {VERSION}")]
    Version {
        /// The version it says.
        found: u32,
    },
    /// It holds no event.
    #[error("read the recording: it is empty")]
    Empty,
}

/// Reads a recording. A last line that was cut short (the run was killed) is left out, and said.
///
/// # Errors
/// When the reader fails, when a line other than the last is no event, or when the format is newer than this build.
pub fn read_recording(mut reader: impl BufRead) -> Result<Recording, RecordingError> {
    let mut events = Vec::new();
    let mut truncated = None;
    let mut bytes = Vec::new();
    let mut line = 0;
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        line += 1;
        match serde_json::from_slice::<Event>(&bytes) {
            Ok(event) => events.push(known(event)?),
            Err(_) if bytes.last() != Some(&b'\n') => truncated = Some(line),
            Err(cause) => return Err(RecordingError::Line { line, cause }),
        }
        bytes.clear();
    }
    if events.is_empty() { Err(RecordingError::Empty) } else { Ok(Recording { events, truncated }) }
}

fn known(event: Event) -> Result<Event, RecordingError> {
    match event {
        Event::RunStarted { version, .. } if version > VERSION => Err(RecordingError::Version { found: version }),
        other @ (Event::RunStarted { .. }
        | Event::ScenarioStarted { .. }
        | Event::LabReady { .. }
        | Event::StepFinished { .. }
        | Event::ScenarioFinished { .. }
        | Event::RunFinished { .. }) => Ok(other),
    }
}
