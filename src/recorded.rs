//! Recorded runs, as they lie in report folders.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use reports::{Recording, Run, read_recording};

use crate::ending::Failure;
use crate::output;
use crate::tellers::EVENTS;

/// What a folder's recording holds. A last line that was cut short is left out, and that is said.
pub(crate) fn recording(folder: &Path) -> Result<Recording, Failure> {
    let path = folder.join(EVENTS);
    let wrong = |cause: String| Failure::Input(format!("{cause} ({})", path.display()));
    let file = File::open(&path).map_err(|error| wrong(format!("open the recording: {error}")))?;
    let recording = read_recording(BufReader::new(file)).map_err(|error| wrong(error.to_string()))?;
    if let Some(line) = recording.truncated {
        output::note(&format!("line {line} of {} is cut short and left out", path.display()));
    }
    Ok(recording)
}

/// The run that a folder's recording tells of.
pub(crate) fn recorded(folder: &Path) -> Result<Run, Failure> {
    recording(folder).map(|recording| run_of(&recording))
}

/// The run that a recording tells of.
pub(crate) fn run_of(recording: &Recording) -> Run {
    let mut run = Run::default();
    recording.events.iter().for_each(|event| run.event(event));
    run
}
