//! `eastwest report render`: the reports of a recorded run, from the recording alone.

use std::io;

use reports::{Github, Html, Json, Junit, Markdown, Recording, Run, Tap, Terminal};

use crate::args::{RenderArgs, RenderFormat};
use crate::ending::{Failure, Outcome};
use crate::output;
use crate::recorded::{recorded, recording, run_of};
use crate::tellers::ending;

pub(crate) fn render(args: &RenderArgs) -> Outcome {
    if args.baseline.is_some() && !matches!(args.format, RenderFormat::Html | RenderFormat::Markdown) {
        return Err(Failure::Input(
            "compare with --baseline in another form than --format html or markdown".to_owned(),
        ));
    }
    let told = recording(&args.folder)?;
    let baseline = args.baseline.as_deref().map(recorded).transpose()?;
    write(&told, args.format, baseline).map_err(|error| Failure::Fault(format!("write the report: {error}")))?;
    Ok(ending(&run_of(&told)))
}

/// Feeds a recording to a fold, and writes what comes of it.
macro_rules! fold {
    ($fold:expr, $recording:expr) => {{
        let mut fold = $fold;
        $recording.events.iter().for_each(|event| fold.event(event));
        fold.finish(io::stdout().lock())
    }};
}

fn write(recording: &Recording, format: RenderFormat, baseline: Option<Run>) -> io::Result<()> {
    match format {
        RenderFormat::Human => {
            let mut terminal = Terminal::new(io::stdout().lock(), reports::Manner { live: false, ..output::manner() });
            recording.events.iter().try_for_each(|event| terminal.event(event))?;
            terminal.finish()
        }
        RenderFormat::Json => fold!(Json::default(), recording),
        RenderFormat::Junit => fold!(Junit::default(), recording),
        RenderFormat::Tap => fold!(Tap::default(), recording),
        RenderFormat::Markdown => fold!(Markdown::compared_with(baseline), recording),
        RenderFormat::Github => fold!(Github::default(), recording),
        RenderFormat::Html => fold!(Html::compared_with(baseline), recording),
    }
}
