//! All who listen to a run: standard output, the report folder, the JUnit file, and the sums that give the exit code.

use std::fs::{self, File};
use std::io::{self, BufWriter, Stdout};
use std::path::Path;

use reports::event::Event;
use reports::{Conclusion, Html, Json, Junit, Manner, Recorder, Run, Terminal};

use crate::args::Format;
use crate::ending::{Ending, Failure};
use crate::manner::ToldArgs;
use crate::output;

/// The recording's name in a report folder.
pub(crate) const EVENTS: &str = "events.jsonl";

/// How a run ends the command.
pub(crate) fn ending(run: &Run) -> Ending {
    match run.conclusion() {
        Conclusion::AsExpected => Ending::AsExpected,
        Conclusion::Findings => Ending::Findings,
        Conclusion::Interrupted => Ending::Interrupted,
    }
}

/// Who listens to a run. A listener that cannot write is said once, at the end; the run goes on.
pub(crate) struct Tellers {
    run: Run,
    human: Option<Terminal<Stdout>>,
    json: Option<Json>,
    junit: Vec<(File, Junit)>,
    text: Option<Terminal<File>>,
    page: Option<(File, Html)>,
    recorder: Option<Recorder<File>>,
    fault: Option<io::Error>,
}

impl Tellers {
    pub(crate) fn new(ToldArgs { report, junit, format }: &ToldArgs) -> Result<Self, Failure> {
        let mut tellers = Self {
            run: Run::default(),
            human: (*format == Format::Human).then(|| Terminal::new(io::stdout(), output::manner())),
            json: (*format == Format::Json).then(Json::default),
            junit: Vec::new(),
            text: None,
            page: None,
            recorder: None,
            fault: None,
        };
        if let Some(folder) = report {
            let wrong = |error| Failure::Input(format!("make the report folder {}: {error}", folder.display()));
            fs::create_dir_all(folder).map_err(wrong)?;
            tellers.recorder = Some(Recorder::new(create(&folder.join(EVENTS))?));
            tellers.text = Some(Terminal::new(create(&folder.join("report.txt"))?, Manner::default()));
            tellers.page = Some((create(&folder.join("report.html"))?, Html::default()));
            tellers.junit.push((create(&folder.join("junit.xml"))?, Junit::default()));
        }
        if let Some(path) = junit {
            tellers.junit.push((create(path)?, Junit::default()));
        }
        Ok(tellers)
    }

    pub(crate) fn event(&mut self, event: &Event) {
        self.run.event(event);
        let mut told = Ok(());
        if let Some(recorder) = &mut self.recorder {
            told = told.and(recorder.event(event));
        }
        if let Some(text) = &mut self.text {
            told = told.and(text.event(event));
        }
        if let Some(human) = &mut self.human {
            told = told.and(human.event(event));
        }
        if let Some(json) = &mut self.json {
            json.event(event);
        }
        if let Some((_, page)) = &mut self.page {
            page.event(event);
        }
        self.junit.iter_mut().for_each(|(_, junit)| junit.event(event));
        self.hear(told);
    }

    /// Writes what is written at the end, and says how the run ended.
    pub(crate) fn finish(mut self) -> Result<Ending, Failure> {
        let mut told = Ok(());
        if let Some(text) = self.text.take() {
            told = told.and(text.finish());
        }
        if let Some((file, page)) = self.page.take() {
            told = told.and(page.finish(BufWriter::new(file)));
        }
        for (file, junit) in std::mem::take(&mut self.junit) {
            told = told.and(junit.finish(file));
        }
        if let Some(human) = self.human.take() {
            told = told.and(human.finish());
        }
        if let Some(json) = self.json.take() {
            told = told.and(json.finish(io::stdout()));
        }
        self.hear(told);
        match self.fault {
            Some(fault) => Err(Failure::Fault(format!("write the report: {fault}"))),
            None => Ok(ending(&self.run)),
        }
    }

    /// Keeps the first fault. A reader of standard output that has gone away is none.
    fn hear(&mut self, told: io::Result<()>) {
        if let Err(fault) =
            told.or_else(|fault| if fault.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(fault) })
        {
            self.fault.get_or_insert(fault);
        }
    }
}

fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| Failure::Input(format!("write {}: {error}", path.display())))
}
