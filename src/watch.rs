//! `eastwest run FILE --watch`: the scenario anew each time that it, or a file that it names, is saved, in a lab that stands.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use harness::RunError;
use harness::living::{Answer, Holding, Request, hold};
use harness::scenario::{Variant, beside, parse_trial};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use reports::event::{Event, VERSION};

use crate::args::RunArgs;
use crate::discover::{self, Found};
use crate::ending::{Ending, Failure, Outcome};
use crate::lab::place::Place;
use crate::manner::RunManner;
use crate::run::{failure, job, options};
use crate::tellers::Tellers;
use crate::{interrupts, lab, output};

/// Whoever waits for a file to be saved.
struct Watcher {
    file: PathBuf,
    manner: RunManner,
    place: Place,
    /// The thread on whose life the lab's hangs.
    lab: Option<JoinHandle<()>>,
    inotify: Inotify,
    /// The names of the files that matter, in whatever folder.
    names: BTreeSet<OsString>,
}

pub(crate) fn watch(args: RunArgs) -> Outcome {
    let [file] = args.paths.as_slice() else {
        return Err(Failure::Input("watch more than one scenario: name one file".to_owned()));
    };
    if !file.is_file() {
        return Err(Failure::Input(format!("watch {}: it is no file", file.display())));
    }
    let place = Place::of(&format!("watch-{}", std::process::id()))?;
    let lock = place.make()?;
    let (tell, ended) = channel();
    let interrupted = tell.clone();
    interrupts::hear(move || interrupted.send(Ok(Ending::Interrupted)).is_ok());
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC).map_err(unwatched)?;
    let watcher = Watcher {
        file: file.clone(),
        manner: args.manner,
        place: place.clone(),
        lab: None,
        inotify,
        names: BTreeSet::new(),
    };
    // The lab ends with this process, and so with the first who says that it is over.
    let stays = thread::Builder::new().name("watch".to_owned()).spawn(move || tell.send(watcher.stay()));
    stays.map_err(|error| Failure::Environment(format!("start a thread: {error}")))?;
    let outcome = ended.recv().unwrap_or(Ok(Ending::Interrupted));
    drop(lock);
    place.clear()?;
    outcome
}

fn unwatched(error: Errno) -> Failure {
    Failure::Environment(format!("watch files: {error}"))
}

impl Watcher {
    fn stay(mut self) -> Outcome {
        let mut saved = Instant::now();
        loop {
            match self.turn() {
                Ok(()) => output::note(&format!("{:.3} s from the save to here", saved.elapsed().as_secs_f64())),
                Err(failure @ Failure::Environment(_)) => return Err(failure),
                Err(failure @ (Failure::Mistakes(_) | Failure::Told(_) | Failure::Input(_) | Failure::Fault(_))) => {
                    output::complain(&failure);
                }
            }
            output::note(&format!("waiting until {} is saved; Ctrl-C ends", self.file.display()));
            saved = self.saved()?;
        }
    }

    /// Goes through the scenario as it is written now.
    fn turn(&mut self) -> Result<(), Failure> {
        let found = self.read()?;
        if self.lab.is_none() {
            self.raise(&found)?;
        }
        let request = Request::Rerun { file: found.path.clone(), text: found.text.to_string() };
        let mut answer = self.place.ask(&request, None)?;
        if let Answer::Elsewhere(why) = &answer {
            output::note(&format!("the lab is raised anew: {why}"));
            self.lower()?;
            self.raise(&found)?;
            answer = self.place.ask(&request, None)?;
        }
        let Answer::Steps(events) = answer else { return Err(lab::garbled()) };
        self.tell(&events)
    }

    /// Reads the scenario, and watches where it and what it names lie.
    fn read(&mut self) -> Result<Found, Failure> {
        let file = self.file.clone();
        self.attend(&file)?;
        let text = discover::text_of(&file)?;
        let (mut open, mut named) = (beside(&file), Vec::new());
        let read = parse_trial(&file.display().to_string(), &text, Variant::default(), &mut |name| {
            named.push(name.to_owned());
            open(name)
        });
        let folder = file.parent().unwrap_or(Path::new(""));
        named.iter().try_for_each(|name| self.attend(&folder.join(name)))?;
        match read {
            Ok(_) => discover::one(&file),
            Err(errors) => Err(Failure::Mistakes(errors.files().to_vec())),
        }
    }

    /// Has the saving of a file heard: its folder is watched, since editors put another file in the old one's place.
    fn attend(&mut self, file: &Path) -> Result<(), Failure> {
        let folder = file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let saved = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO;
        match self.inotify.add_watch(folder, saved) {
            // A folder that is not there is told where the file is read.
            Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(error) => return Err(unwatched(error)),
        }
        self.names.extend(file.file_name().map(OsString::from));
        Ok(())
    }

    /// Waits until a file that matters is saved, and says when that was heard.
    fn saved(&self) -> Result<Instant, Failure> {
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(unwatched(error)),
            };
            let matters = |name: &OsString| self.names.contains(name);
            if events.iter().any(|event| event.name.as_ref().is_some_and(matters)) {
                return Ok(Instant::now());
            }
        }
    }

    /// Raises the lab, in a thread that lives as long as it does.
    fn raise(&mut self, found: &Found) -> Result<(), Failure> {
        let programs = options(&self.manner, 0, None)?.programs;
        let holding = Holding { job: job(found, None), programs, socket: self.place.socket() };
        let (tell, heard) = channel();
        let holder = thread::Builder::new().name("lab".to_owned()).spawn(move || held(holding, tell));
        let holder = holder.map_err(|error| Failure::Environment(format!("start a thread: {error}")))?;
        match heard.recv() {
            Ok(Ok(())) => {
                self.lab = Some(holder);
                Ok(())
            }
            Ok(Err(error)) => Err(failure(error)),
            Err(_) => Err(Failure::Fault("raise the lab: it ended at once".to_owned())),
        }
    }

    /// Ends the lab, and waits until it has.
    fn lower(&mut self) -> Result<(), Failure> {
        self.place.ask(&Request::Down, None)?;
        let Some(holder) = self.lab.take() else { return Ok(()) };
        holder.join().map_err(|_| Failure::Fault("wait for the lab's end".to_owned()))
    }

    /// Tells what came of it, as a run of one scenario.
    fn tell(&self, events: &[Event]) -> Result<(), Failure> {
        let Some((scenario, seconds)) = events.iter().find_map(|event| match event {
            Event::ScenarioFinished { scenario, seconds, .. } => Some((scenario.clone(), *seconds)),
            Event::RunStarted { .. }
            | Event::ScenarioStarted { .. }
            | Event::LabReady { .. }
            | Event::StepFinished { .. }
            | Event::RunFinished { .. } => None,
        }) else {
            return Err(lab::garbled());
        };
        let mut tellers = Tellers::new(&self.manner.told)?;
        tellers.event(&Event::RunStarted {
            version: VERSION,
            scenarios: vec![scenario],
            seed: self.manner.seed.unwrap_or_default(),
            jobs: 1,
            model: false,
        });
        events.iter().for_each(|event| tellers.event(event));
        tellers.event(&Event::RunFinished { seconds, interrupted: false });
        tellers.finish().map(drop)
    }
}

/// Holds the lab until it ends; says once that it stands, or why it does not.
fn held(holding: Holding, tell: Sender<Result<(), RunError>>) {
    let stands = tell.clone();
    // Whoever waited may have gone.
    if let Err(error) = hold(holding, move || drop(stands.send(Ok(())))) {
        let _gone = tell.send(Err(error));
    }
}
