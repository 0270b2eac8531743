//! What the command writes to its terminal. Nothing else in the workspace writes to standard output or standard error.

use std::io::{self, IsTerminal, Write};

use miette::{GraphicalReportHandler, GraphicalTheme};
use policy::{Errors, render_plain};
use reports::Manner;
use serde::Serialize;

use crate::ending::Failure;

/// Writes text to standard output. A reader that has gone away (`| head`) is no fault of ours.
pub(crate) fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a value as one line of JSON to standard output.
pub(crate) fn say_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::Fault(format!("write JSON: {error}")))?;
    say(&format!("{text}\n"));
    Ok(())
}

/// Writes a line to standard error.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Writes what asks for a line to standard error.
pub(crate) fn ask(text: &str) {
    let mut errors = io::stderr().lock();
    let _ = write!(errors, "{text}").and_then(|()| errors.flush());
}

/// Shows how far something is, in place of what it last showed; nothing unless a person looks on.
pub(crate) fn progress(text: &str) {
    let mut errors = io::stderr().lock();
    if errors.is_terminal() {
        let _ = write!(errors, "\r{text}\x1b[K").and_then(|()| errors.flush());
    }
}

/// Says why the command could not do its work.
pub(crate) fn complain(failure: &Failure) {
    match failure {
        Failure::Mistakes(files) => files.iter().for_each(|errors| note(mistakes(errors).trim_end())),
        Failure::Told(files) => files.iter().for_each(|told| note(told.trim_end())),
        Failure::Input(text) | Failure::Environment(text) | Failure::Fault(text) => note(&format!("cannot {text}")),
    }
}

/// How a run is told on standard output.
pub(crate) fn manner() -> Manner {
    let terminal = io::stdout().is_terminal();
    Manner { colour: terminal && !no_colour(), live: terminal }
}

pub(crate) fn colour_on_stderr() -> bool {
    io::stderr().is_terminal() && !no_colour()
}

/// A file's mistakes: with frames and colour for a terminal, plain otherwise.
fn mistakes(errors: &Errors) -> String {
    if !io::stderr().is_terminal() {
        return render_plain(errors);
    }
    let theme = if no_colour() { GraphicalTheme::unicode_nocolor() } else { GraphicalTheme::unicode() };
    let mut text = String::new();
    match GraphicalReportHandler::new_themed(theme).render_report(&mut text, errors) {
        Ok(()) => text,
        Err(_) => render_plain(errors),
    }
}

/// See <https://no-color.org>.
fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
