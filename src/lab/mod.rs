//! `eastwest lab`: labs that live in the background, to try things in.

mod args;
mod capture;
mod fault;
pub(crate) mod place;
mod show;
mod terminal;
mod watch;

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::Parser;
use harness::Programs;
use harness::living::{Answer, Holding, Request, Talk, hold};

pub(crate) use self::args::LabArgs;
use self::args::{LabCommand, TrafficArgs, TrafficWord};
use self::place::Place;
use crate::args::{Args, Format};
use crate::discover;
use crate::ending::{Ending, Failure, Outcome};
use crate::given;
use crate::output;
use crate::run::{failure, job, own_program};
use crate::why::service;

/// What the holder says when the lab stands; anything else is why it does not.
const READY: &str = "ready";

pub(crate) fn lab(args: LabArgs) -> Outcome {
    let lab = args.lab.as_deref();
    match args.command {
        LabCommand::Up { file } => up(lab, &file),
        LabCommand::Hold { folder, file } => stay(&folder, &file),
        LabCommand::List => list(),
        LabCommand::Status { format } => status(&place::meant(lab)?, format),
        LabCommand::Probe { source, destination, service: text, format } => {
            let request = Request::Probe { source, destination, service: service(&text)? };
            let Answer::Probed(probed) = place::meant(lab)?.ask(&request, None)? else { return Err(garbled()) };
            show::probed(&probed, format)
        }
        LabCommand::Exec { vm, command } => exec(&place::meant(lab)?, vm, command),
        LabCommand::Shell { vm } => {
            let shell = std::env::var("SHELL").ok().filter(|shell| Path::new(shell).is_file());
            let command = vec![shell.unwrap_or_else(|| "/bin/sh".to_owned()), "-i".to_owned()];
            let place = place::meant(lab)?;
            if terminal::is_here() { terminal::run(&place, vm, command) } else { exec(&place, vm, command) }
        }
        LabCommand::Terminal { term, command } => terminal::become_program(&term, &command),
        LabCommand::Publish { policy } => publish(&place::meant(lab)?, &policy),
        LabCommand::Capture(args) => capture::capture(&place::meant(lab)?, args),
        LabCommand::Item { item } => act(&place::meant(lab)?, &item.join(" ")),
        LabCommand::Fault { fault } => act(&place::meant(lab)?, &fault.item()?.to_string()),
        LabCommand::Watch => watch::watch(&place::meant(lab)?),
        LabCommand::Traffic(args) => traffic(&place::meant(lab)?, &args),
        LabCommand::Step { file, format } => {
            let text = discover::text_of(&file)?;
            steps(&place::meant(lab)?, &file, text, format)
        }
        LabCommand::Down => down(&place::meant(lab)?),
    }
}

/// Carries out what somebody would type behind `eastwest lab --lab NAME`.
pub(crate) fn line<'w>(name: &'w str, words: impl IntoIterator<Item = &'w str>) -> Outcome {
    let line = ["eastwest", "lab", "--lab", name].into_iter().chain(words);
    match Args::try_parse_from(line) {
        Ok(args) => crate::outcome(args.command),
        Err(error) => Err(Failure::Told(vec![error.to_string()])),
    }
}

/// Raises a lab in a process that stays behind.
fn up(name: Option<&str>, file: &Path) -> Outcome {
    let found = discover::one(file)?;
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let place = Place::of(name.unwrap_or(&stem))?;
    // What an earlier lab of this name left is removed, unless it is up.
    place::all()?;
    let lock = place.make()?;
    let wrong = |error: io::Error| Failure::Environment(format!("start the process that holds the lab: {error}"));
    let log = File::create(place.log()).map_err(wrong)?;
    let full = found.path.canonicalize().map_err(wrong)?;
    let mut holder = Command::new(own_program()?)
        .args(["lab", "hold"])
        .args([&place.folder, &full])
        .stdin(Stdio::from(lock))
        .stdout(Stdio::piped())
        .stderr(Stdio::from(log))
        .spawn()
        .map_err(wrong)?;
    let mut said = String::new();
    if let Some(words) = holder.stdout.take() {
        BufReader::new(words).read_line(&mut said).map_err(wrong)?;
    }
    if said.trim_end() == READY {
        return status(&place, Format::Human);
    }
    let log = given::text(&place.log()).unwrap_or_default();
    holder.wait().map_err(wrong)?;
    place.clear()?;
    let why = if said.trim().is_empty() { log.trim() } else { said.trim() };
    Err(Failure::Environment(format!("raise the lab: {why}")))
}

/// The process that stays behind. Its standard input is the lock.
fn stay(folder: &Path, file: &Path) -> Outcome {
    harness::living::leave_terminal().map_err(Failure::Environment)?;
    let found = discover::one(file)?;
    let programs =
        Programs { exe: own_program()?, agent: None, agent_args: Vec::new(), agent_only: None, sabotage: None };
    let place = Place { name: String::new(), folder: folder.to_owned() };
    let holding = Holding { job: job(&found, None), programs, socket: place.socket() };
    let tell = |word: &str| {
        let mut out = io::stdout().lock();
        // Whoever started this may have gone.
        let _gone = writeln!(out, "{word}").and_then(|()| out.flush());
    };
    let ended = hold(holding, || tell(READY));
    if let Err(error) = &ended {
        tell(&error.to_string());
    }
    ended.map_err(failure)?;
    Ok(Ending::AsExpected)
}

fn list() -> Outcome {
    place::all()?.iter().for_each(|place| output::say(&format!("{}\n", place.name)));
    Ok(Ending::AsExpected)
}

fn status(place: &Place, format: Format) -> Outcome {
    let Answer::Status(standing) = place.ask(&Request::Status, None)? else { return Err(garbled()) };
    show::standing(&place.name, &standing, format)
}

fn exec(place: &Place, vm: String, command: Vec<String>) -> Outcome {
    let (input, out, errors) = (io::stdin(), io::stdout(), io::stderr());
    if input.is_terminal() {
        output::note(&format!("in `{vm}`; what is typed here goes to the program"));
    }
    let streams = [input.as_fd(), out.as_fd(), errors.as_fd()];
    let Answer::Ended(code) = place.ask(&Request::Exec { vm, command, leads: false }, Some(streams))? else {
        return Err(garbled());
    };
    Ok(Ending::Other(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))))
}

fn publish(place: &Place, policy: &Path) -> Outcome {
    // Mistakes are told at their place, before anything is done.
    if discover::is_scenario(policy) {
        let why = "a lab publishes policy files; `eastwest lab step` does what a scenario's steps do";
        return Err(Failure::Input(format!("publish {}: {why}", policy.display())));
    }
    given::policy(policy)?;
    let full = |file: &PathBuf| {
        file.canonicalize().map_err(|error| Failure::Input(format!("find {}: {error}", file.display())))
    };
    let files = given::tiers(policy).iter().map(full).collect::<Result<Vec<_>, _>>()?;
    // A text of JSON is one of YAML.
    let quoted = match files.as_slice() {
        [only] => serde_json::to_string(only),
        several => serde_json::to_string(several),
    };
    let quoted = quoted.map_err(|error| Failure::Fault(format!("name the policy: {error}")))?;
    act(place, &format!("policy: {quoted}"))
}

fn act(place: &Place, item: &str) -> Outcome {
    steps(place, Path::new("-"), format!("do:\n  - {item}\n"), Format::Human)
}

fn traffic(place: &Place, args: &TrafficArgs) -> Outcome {
    let talk = match args.what {
        TrafficWord::Start => Talk::Start { rate: args.rate, seed: args.seed },
        TrafficWord::Stop => Talk::Stop,
        TrafficWord::Status => Talk::Status,
    };
    let Answer::Traffic(talked) = place.ask(&Request::Traffic(talk), None)? else { return Err(garbled()) };
    show::traffic(&talked, args.format)
}

fn steps(place: &Place, file: &Path, text: String, format: Format) -> Outcome {
    let here = |error: io::Error| Failure::Input(format!("find {}: {error}", file.display()));
    let file: PathBuf = std::path::absolute(file).map_err(here)?;
    let Answer::Steps(events) = place.ask(&Request::Step { file, text }, None)? else { return Err(garbled()) };
    show::steps(&events, format)
}

fn down(place: &Place) -> Outcome {
    let Answer::Down = place.ask(&Request::Down, None)? else { return Err(garbled()) };
    place.clear().map(|()| Ending::AsExpected)
}

pub(crate) fn garbled() -> Failure {
    Failure::Fault("understand the lab: it answers something else; was it raised by another build?".to_owned())
}
