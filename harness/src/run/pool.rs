//! The pool of jails: starts them, hears them all, and ends them all.

use std::collections::{BTreeMap, VecDeque};
use std::io::BufReader;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use reports::event::{Cell, Event, ScenarioId, ScenarioOutcome};
use tokio::signal::unix::{SignalKind, signal};

use super::{BEHIND_A_FAILURE, Job, Probing, RunError, RunOptions, RunOutcome};
use crate::jail::halt::ToJail;
use crate::jail::protocol::{FromJail, Order, Speaker, read};

/// A jail that says nothing for so long is ended: it hangs. One that waits says so.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_secs(1);
/// How long jails may take to keep what they know.
const LAST_WORDS: Duration = Duration::from_secs(6);
const ENVIRONMENT: i32 = 3;

/// What the pool hears.
enum Heard {
    Word(usize, FromJail),
    /// A jail's stream has ended, in this way.
    Silence(usize, Result<(), String>),
    Interrupt,
}

struct Inmate {
    scenario: ScenarioId,
    process: Child,
    exclusive: bool,
    ready: bool,
    finished: bool,
    heard: Instant,
    /// Where it listens.
    control: Option<UnixStream>,
    /// It was asked to keep what it knows.
    halted: bool,
    /// It waits behind a step, and says nothing meanwhile.
    paused: bool,
}

impl Inmate {
    fn halt(&mut self) {
        self.halted = true;
        // One that has ended meanwhile is heard to have.
        let _gone = self.control.as_ref().map(|control| Speaker::new(control).say(&ToJail::Halt));
    }
}

/// The pool.
pub(super) struct Pool<'a> {
    options: &'a RunOptions,
    at_once: usize,
    sender: Sender<Heard>,
    words: Receiver<Heard>,
    inmates: BTreeMap<usize, Inmate>,
    next: usize,
    ever_ready: bool,
    wrong_input: bool,
    /// How many scenarios need more than this machine has.
    lacking: usize,
    packets: Vec<String>,
}

impl<'a> Pool<'a> {
    /// An empty pool. Interrupts from here on end all jails in an orderly way.
    pub(super) fn new(options: &'a RunOptions, at_once: usize) -> Result<Self, RunError> {
        let (sender, words) = channel();
        let interrupts = sender.clone();
        thread::Builder::new()
            .name("interrupts".into())
            .spawn(move || hear_interrupts(&interrupts))
            .map_err(|error| RunError::Harness(format!("start a thread: {error}")))?;
        let inmates = BTreeMap::new();
        Ok(Self {
            options,
            at_once,
            sender,
            words,
            inmates,
            next: 0,
            ever_ready: false,
            wrong_input: false,
            lacking: 0,
            packets: Vec::new(),
        })
    }

    /// Runs all jobs.
    pub(super) fn work(mut self, jobs: Vec<Job>, sink: &mut dyn FnMut(Event)) -> Result<RunOutcome, RunError> {
        let order: Vec<ScenarioId> = jobs.iter().map(|job| job.scenario.clone()).collect();
        let mut queue: VecDeque<Job> = jobs.into();
        let mut ended: BTreeMap<ScenarioId, ScenarioOutcome> = BTreeMap::new();
        let mut interrupted = false;
        while !(interrupted || queue.is_empty() && self.inmates.is_empty()) {
            while let Some(job) = self.admit(&mut queue) {
                self.start(&job, None)?;
            }
            match self.words.recv_timeout(LOOK) {
                Ok(Heard::Word(at, word)) => self.take(at, word, &mut ended, sink),
                Ok(Heard::Silence(at, how)) => self.release(at, how, &mut ended, sink)?,
                Ok(Heard::Interrupt) => {
                    interrupted = true;
                    self.halt(&mut ended, sink)?;
                }
                Err(RecvTimeoutError::Timeout) => self.end_the_silent(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.options.until_failure && ended.values().any(|outcome| *outcome != ScenarioOutcome::Passed) {
                queue.drain(..).for_each(|job| sink(Event::skipped(job.scenario, BEHIND_A_FAILURE)));
            }
        }
        let others = ended.values().filter(|outcome| **outcome != ScenarioOutcome::Passed).count() > self.lacking;
        let outcomes = order.into_iter().filter_map(|id| ended.get(&id).map(|outcome| (id.clone(), *outcome)));
        Ok(RunOutcome {
            outcomes: outcomes.collect(),
            wrong_input: self.wrong_input,
            lacking: self.lacking > 0 && !others,
            packets: std::mem::take(&mut self.packets),
            interrupted,
        })
    }

    /// Asks one jail for its cells.
    pub(super) fn reach(mut self, job: Job, probing: Probing) -> Result<Vec<Cell>, RunError> {
        self.start(&job, Some(probing))?;
        loop {
            match self.words.recv_timeout(PATIENCE) {
                Ok(Heard::Word(_, FromJail::Cells(cells))) => return Ok(cells),
                Ok(Heard::Word(_, FromJail::Failed(reason))) => return Err(RunError::Harness(reason)),
                Ok(Heard::Word(_, FromJail::Lacking(reason))) => return Err(RunError::Environment(reason)),
                Ok(Heard::Word(
                    _,
                    FromJail::Ready
                    | FromJail::Waits
                    | FromJail::WrongInput
                    | FromJail::Paused(_)
                    | FromJail::Event(_)
                    | FromJail::Packets(_),
                )) => {}
                Ok(Heard::Interrupt) => return Err(RunError::Harness("it was interrupted".into())),
                Ok(Heard::Silence(..)) | Err(_) => {
                    return Err(RunError::Environment("the jail has ended (try `eastwest doctor`)".into()));
                }
            }
        }
    }

    /// Has every jail keep what it knows, and hears them to their ends; a second interrupt, or the last resort, ends them.
    fn halt(
        &mut self,
        ended: &mut BTreeMap<ScenarioId, ScenarioOutcome>,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(), RunError> {
        self.inmates.values_mut().for_each(Inmate::halt);
        let begun = Instant::now();
        while !self.inmates.is_empty() && begun.elapsed() < LAST_WORDS {
            match self.words.recv_timeout(LAST_WORDS.saturating_sub(begun.elapsed())) {
                Ok(Heard::Word(at, word)) => self.take(at, word, ended, sink),
                Ok(Heard::Silence(at, how)) => self.release(at, how, ended, sink)?,
                Ok(Heard::Interrupt) | Err(_) => break,
            }
        }
        Ok(())
    }

    /// The next job, if there is room for it.
    fn admit(&self, queue: &mut VecDeque<Job>) -> Option<Job> {
        let alone = self.inmates.values().any(|inmate| inmate.exclusive);
        let next = queue.front()?;
        let room = if next.exclusive { self.inmates.is_empty() } else { self.inmates.len() < self.at_once };
        if room && !alone { queue.pop_front() } else { None }
    }

    fn start(&mut self, job: &Job, reach: Option<Probing>) -> Result<(), RunError> {
        let jail = lab::jail::start(&["jail"]).map_err(|error| RunError::Environment(error.to_string()))?;
        let order = Order {
            report_dir: self.options.report_dir.clone(),
            fail_fast: self.options.fail_fast,
            pause: self.options.pause.as_ref().map(|pause| pause.socket.clone()),
            reach,
            only: self.options.only.clone(),
            proving: self.options.proving,
            ..Order::of(job, &self.options.programs)
        };
        if let Err(error) = Speaker::new(&jail.control).say(&order) {
            tracing::debug!(error, "a jail has ended before its order");
        }
        let at = self.next;
        self.next += 1;
        let sender = self.sender.clone();
        let control = jail.control.try_clone();
        let inmate = Inmate {
            scenario: job.scenario.clone(),
            process: jail.process,
            exclusive: job.exclusive,
            ready: false,
            finished: false,
            heard: Instant::now(),
            control: control.ok(),
            halted: false,
            paused: false,
        };
        self.inmates.insert(at, inmate);
        let hearing = thread::Builder::new().name("jail".into()).spawn(move || hear(at, jail.control, &sender));
        hearing.map(drop).map_err(|error| RunError::Harness(format!("start a thread: {error}")))
    }

    fn take(
        &mut self,
        at: usize,
        word: FromJail,
        ended: &mut BTreeMap<ScenarioId, ScenarioOutcome>,
        sink: &mut dyn FnMut(Event),
    ) {
        let Some(inmate) = self.inmates.get_mut(&at) else { return };
        inmate.heard = Instant::now();
        inmate.paused = false;
        match word {
            FromJail::Ready => {
                inmate.ready = true;
                self.ever_ready = true;
            }
            FromJail::Event(event) => {
                if let Event::ScenarioFinished { outcome, .. } = &*event {
                    inmate.finished = true;
                    ended.insert(inmate.scenario.clone(), *outcome);
                }
                sink(*event);
            }
            FromJail::Paused(step) => {
                inmate.paused = true;
                if let Some(pause) = &self.options.pause {
                    (pause.meanwhile)(&inmate.scenario, &step);
                }
                // It had nothing to say meanwhile.
                inmate.heard = Instant::now();
            }
            FromJail::WrongInput => self.wrong_input = true,
            FromJail::Lacking(_) => self.lacking += 1,
            FromJail::Packets(lines) => self.packets.extend(lines),
            FromJail::Cells(_) | FromJail::Failed(_) | FromJail::Waits => {}
        }
    }

    /// A jail's stream has ended: its process has, or will at once.
    fn release(
        &mut self,
        at: usize,
        how: Result<(), String>,
        ended: &mut BTreeMap<ScenarioId, ScenarioOutcome>,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(), RunError> {
        let Some(mut inmate) = self.inmates.remove(&at) else { return Ok(()) };
        let status = inmate.process.wait().map_err(|error| RunError::Harness(format!("wait for a jail: {error}")))?;
        if inmate.finished {
            return Ok(());
        }
        if !inmate.ready && !self.ever_ready && status.code() == Some(ENVIRONMENT) {
            return Err(RunError::Environment("a jail cannot be made here (try `eastwest doctor`)".into()));
        }
        let why = how.err().map_or(String::new(), |error| format!(": cannot {error}"));
        let outcome = ScenarioOutcome::Error;
        ended.insert(inmate.scenario.clone(), outcome);
        sink(Event::ScenarioFinished {
            scenario: inmate.scenario.clone(),
            outcome,
            seconds: 0.0,
            reason: Some(format!("the jail ended with {status}{why}")),
            findings: Vec::new(),
        });
        Ok(())
    }

    fn end_the_silent(&mut self) {
        for inmate in self.inmates.values_mut().filter(|inmate| !inmate.paused && inmate.heard.elapsed() > PATIENCE) {
            if !inmate.halted {
                inmate.halt();
                continue;
            }
            if inmate.heard.elapsed() < PATIENCE + LAST_WORDS {
                continue;
            }
            // Its stream ends with it, and that is heard.
            if let Err(error) = inmate.process.kill() {
                tracing::warn!(%error, "a jail that hangs could not be ended");
            }
        }
    }
}

impl Drop for Pool<'_> {
    fn drop(&mut self) {
        for inmate in self.inmates.values_mut() {
            if inmate.process.kill().and_then(|()| inmate.process.wait()).is_err() {
                tracing::warn!(scenario = inmate.scenario.name, "a jail could not be ended");
            }
        }
    }
}

fn hear(at: usize, control: UnixStream, sender: &Sender<Heard>) {
    let mut stream = BufReader::new(control);
    let how = loop {
        match read(&mut stream) {
            Ok(Some(word)) => match sender.send(Heard::Word(at, word)) {
                Ok(()) => {}
                Err(_) => break Ok(()),
            },
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    // Nobody listens any more: the run is over.
    let _ = sender.send(Heard::Silence(at, how));
}

fn hear_interrupts(sender: &Sender<Heard>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        let (Ok(mut interrupt), Ok(mut end)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        loop {
            tokio::select! { _ = interrupt.recv() => {}, _ = end.recv() => {} }
            if sender.send(Heard::Interrupt).is_err() {
                // Nobody listens any more: the run is over.
                return;
            }
        }
    });
}
