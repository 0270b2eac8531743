//! `eastwest report render`: the reports of a recorded run, from the recording alone.

use std::io;

use reports::{Json, Junit, Recording, Run, Terminal};

use crate::args::{RenderArgs, RenderFormat};
use crate::ending::{Failure, Outcome};
use crate::output;
use crate::recorded::recording;
use crate::tellers::ending;

pub(crate) fn render(args: &RenderArgs) -> Outcome {
    let recording = recording(&args.folder)?;
    write(&recording, args.format).map_err(|error| Failure::Fault(format!("write the report: {error}")))?;
    let mut run = Run::default();
    recording.events.iter().for_each(|event| run.event(event));
    Ok(ending(&run))
}

fn write(recording: &Recording, format: RenderFormat) -> io::Result<()> {
    match format {
        RenderFormat::Human => {
            let mut terminal = Terminal::new(io::stdout().lock(), reports::Manner { live: false, ..output::manner() });
            recording.events.iter().try_for_each(|event| terminal.event(event))?;
            terminal.finish()
        }
        RenderFormat::Json => {
            let mut json = Json::default();
            recording.events.iter().for_each(|event| json.event(event));
            json.finish(io::stdout().lock())
        }
        RenderFormat::Junit => {
            let mut junit = Junit::default();
            recording.events.iter().for_each(|event| junit.event(event));
            junit.finish(io::stdout().lock())
        }
    }
}
