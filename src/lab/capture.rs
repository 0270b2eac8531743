//! `eastwest lab capture`: packets at a VM's wire, until somebody says that it is enough.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;

use harness::living::{Answer, Capture, Request};

use super::args::CaptureArgs;
use super::garbled;
use super::place::{self, Place};
use crate::ending::{Ending, Failure, Outcome};
use crate::{interrupts, output};

/// How standard output is named.
const STANDARD: &str = "-";

pub(super) fn capture(place: &Place, args: CaptureArgs) -> Outcome {
    let CaptureArgs { vm, file, count, time: seconds } = args;
    let (input, out, errors) = (io::stdin(), io::stdout(), io::stderr());
    let named = file.as_deref().filter(|file| *file != Path::new(STANDARD));
    if file.is_some() && named.is_none() && out.is_terminal() {
        return Err(Failure::Input("write packets to a terminal: give `-w FILE`, or a pipe behind `-w -`".to_owned()));
    }
    let wrong = |path: &Path, error| Failure::Input(format!("write {}: {error}", path.display()));
    let made = named.map(|path| File::create(path).map_err(|error| wrong(path, error))).transpose()?;
    let streams = [input.as_fd(), made.as_ref().map_or(out.as_fd(), AsFd::as_fd), errors.as_fd()];
    let order = Capture { vm, frames: file.is_some(), count, seconds };
    let begun = format!("capturing at the wire of `{}`; Ctrl-C ends it", order.vm);
    let mut question = place.question(&Request::Capture(order), Some(streams))?;
    let end = question.ender().map_err(Failure::Environment)?;
    interrupts::hear(move || {
        end();
        true
    });
    let Answer::Capturing = place::answer(&mut question)? else { return Err(garbled()) };
    output::note(&begun);
    let Answer::Captured { packets, lost } = place::answer(&mut question)? else { return Err(garbled()) };
    let s = if packets == 1 { "" } else { "s" };
    output::note(&format!("{packets} packet{s}; the kernel lost {lost}"));
    Ok(Ending::AsExpected)
}
