//! `eastwest list`: which scenarios there are.

use serde::Serialize;

use crate::args::{ListArgs, ListFormat};
use crate::discover::{Found, discover};
use crate::ending::{Ending, Outcome};
use crate::output;

#[derive(Serialize)]
struct Object<'a> {
    scenarios: Vec<Listed<'a>>,
}

#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    file: &'a str,
    steps: usize,
    slow: bool,
    soak: bool,
    exclusive: bool,
}

impl<'a> Listed<'a> {
    fn of(found: &'a Found) -> Self {
        let scenario = &found.scenario;
        Self {
            name: &scenario.name,
            file: &scenario.file,
            steps: scenario.steps.len(),
            slow: scenario.slow,
            soak: scenario.soak,
            exclusive: scenario.exclusive,
        }
    }

    fn line(&self) -> String {
        let steps = if self.steps == 1 { "1 step".to_owned() } else { format!("{} steps", self.steps) };
        let slow = if self.slow { ", slow" } else { "" };
        let soak = if self.soak { ", a soak" } else { "" };
        let exclusive = if self.exclusive { ", runs alone" } else { "" };
        format!("{}  ({}: {steps}{slow}{soak}{exclusive})\n", self.name, self.file)
    }
}

pub(crate) fn list(args: &ListArgs) -> Outcome {
    let mut found = discover(&args.paths, args.filter.as_deref())?;
    found.retain(|found| !args.ignored || found.left_out(false, false).is_some());
    let scenarios: Vec<Listed<'_>> = found.iter().map(Listed::of).collect();
    match args.format {
        ListFormat::Human => scenarios.iter().for_each(|listed| output::say(&listed.line())),
        ListFormat::Json => output::say_json(&Object { scenarios })?,
        ListFormat::Terse => found.iter().for_each(|found| output::say(&format!("{}: test\n", found.listed()))),
    }
    Ok(Ending::AsExpected)
}
