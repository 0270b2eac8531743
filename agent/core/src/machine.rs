//! The agent as a machine without input and output: events go in by `handle_…`, deeds come out by `poll_…`.
//!
//! The one who drives it writes each [`State`] to disk before it asks for the next deed, and carries out one
//! [`KernelRequest`] at a time.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

use wire::{Ack, AckResult, FromAgent, Hello, Kind, MAX_TEXT, PROTOCOL, View};

use crate::compile::{self, Program};
use crate::deed::{Deed, Job, Wish};
use crate::epochs::Epochs;
use crate::event::LogEvent;
use crate::evidence::{Reader, Told};
use crate::history::{self, History};
use crate::outcome::Numbering;
use crate::ruleset::{MAX_EPOCH, Ruleset};
use crate::spool::{Spool, notice};
use crate::terms::{Config, Facts, KernelRequest, State};

/// The rule of records about changes that others made.
const TAMPER: &str = "eastwest/tamper";

/// The agent's core.
#[derive(Debug)]
pub struct Machine {
    config: Config,
    epochs: Epochs,
    numbering: Numbering,
    history: History,
    reader: Reader,
    spool: Spool,
    enforced: Option<Deed>,
    wish: Option<Wish>,
    job: Option<Job>,
    /// The job was handed out.
    asked: bool,
    /// The center waits for an answer to the job.
    ack: bool,
    /// A sweep is due as soon as something is in force: without a kept state, what the marks hold is unknown, whether
    /// a table stands or not, and a mark may even name the epoch in force.
    unknown_marks: bool,
    /// Others changed what is in force.
    tampered: bool,
    dirty: bool,
    /// The center's time minus the agent's own, in milliseconds.
    clock: Option<i64>,
    connected: bool,
    outbox: VecDeque<FromAgent>,
    refused: Option<(u64, String)>,
}

impl Machine {
    /// A machine that begins with what the last life kept.
    #[must_use]
    pub fn new(config: Config, kept: Option<State>) -> Self {
        let unknown_marks = kept.is_none();
        let State { view, epochs, numbering } = kept.unwrap_or_default();
        let wish = view.map_or(Wish::Closed, |view| Wish::View { view: Box::new(view), ack: false });
        let spool = Spool::new(config.vm.clone(), config.boot.clone());
        let mut machine = Self {
            config,
            epochs,
            numbering,
            history: History::default(),
            reader: Reader::default(),
            spool,
            enforced: None,
            wish: Some(wish),
            job: None,
            asked: false,
            ack: false,
            unknown_marks,
            tampered: false,
            dirty: false,
            clock: None,
            connected: false,
            outbox: VecDeque::new(),
            refused: None,
        };
        machine.proceed(0);
        machine
    }

    /// The center said who this agent is.
    pub fn handle_enrolled(&mut self, vm: &str) {
        self.spool.name(vm);
    }

    /// The center sent a view. `now` is the agent's own clock in milliseconds, here and below.
    pub fn handle_view(&mut self, view: View, now: u64) {
        self.clock = Some(view.now - signed(now));
        self.spool.name(&view.vm);
        self.wish = Some(Wish::View { view: Box::new(view), ack: true });
        self.proceed(now);
    }

    /// The kernel committed the ruleset.
    pub fn handle_committed(&mut self, now: u64) {
        let Some(Job::Apply(deed)) = self.job.take() else { return };
        self.asked = false;
        self.epochs.commit();
        if let Some(view) = deed.view.as_ref().filter(|_| self.ack) {
            self.answer(view.generation, AckResult::InForce);
        }
        self.refused = self.refused.take().filter(|_| deed.view.is_none());
        self.enforced = Some(*deed);
        self.proceed(now);
    }

    /// The kernel refused the ruleset whole: the one before stays. The epoch's number is spent: when the kernel's answer
    /// was lost on its way, marks may hold it.
    pub fn handle_refused(&mut self, reason: &str, now: u64) {
        let Some(Job::Apply(deed)) = self.job.take() else { return };
        self.asked = false;
        self.history.forget_newest();
        self.refuse(deed.view.as_ref().map_or(0, |view| view.generation), reason, self.ack);
        self.dirty = true;
        self.proceed(now);
    }

    /// Every mark was reset.
    pub fn handle_swept(&mut self, now: u64) {
        if !matches!(self.job, Some(Job::Sweep)) {
            return;
        }
        self.job = None;
        self.asked = false;
        self.epochs.swept(self.config.max_epoch);
        self.unknown_marks &= self.enforced.is_none();
        if self.crowded() {
            let living = self.enforced.iter().flat_map(|deed| deed.program.outcomes.keys().copied()).collect();
            self.numbering.retain(&living);
        }
        self.dirty = true;
        self.proceed(now);
    }

    /// The kernel logged a packet. `stamp` is the agent's own clock in microseconds.
    pub fn handle_log(&mut self, event: &LogEvent, stamp: u64) {
        match self.reader.read(event, &self.history, &self.numbering, stamp) {
            Told::Record(record) => self.spool.push(*record),
            Told::Half => {}
            Told::Unreadable => self.spool.lose(1, "a log message could not be read"),
        }
    }

    /// Somebody else made this many changes; `ours`: to what is in force, which is to be laid anew.
    pub fn handle_tampered(&mut self, changes: u64, mut detail: String, ours: bool) {
        let cut = (0..=MAX_TEXT).rev().find(|cut| detail.is_char_boundary(*cut));
        detail.truncate(cut.unwrap_or(0));
        self.spool.push(notice(Kind::Tamper, TAMPER, changes, detail));
        self.tampered |= ours;
    }

    /// The kernel dropped this many packets before any rule saw them; `rule` names why.
    pub fn handle_total(&mut self, rule: &str, packets: u64) {
        self.spool.push(notice(Kind::Invalid, rule, packets, String::new()));
    }

    /// What is in force was laid anew.
    pub fn handle_repaired(&mut self) {
        self.asked = false;
    }

    /// The kernel lost this many log messages.
    pub fn handle_lost(&mut self, messages: u64) {
        self.spool.lose(messages, "the kernel's log queue was full");
    }

    /// A session with the center stands; `addresses` are those of this machine's interfaces.
    pub fn handle_connected(&mut self, addresses: Vec<IpAddr>) {
        self.connected = true;
        self.spool.rewind();
        self.outbox.clear();
        self.outbox.push_back(FromAgent::Hello(self.hello(addresses)));
    }

    /// The center said what time it is.
    pub fn handle_time(&mut self, center_now: i64, now: u64) {
        self.clock = Some(center_now - signed(now));
        self.handle_tick(now);
    }

    /// The session ended.
    pub fn handle_disconnected(&mut self) {
        self.connected = false;
        self.outbox.clear();
        self.spool.rewind();
    }

    /// The center stored all records of a boot up to a sequence number.
    pub fn handle_stored(&mut self, boot: &str, up_to: u64) {
        self.spool.stored(boot, up_to);
    }

    /// Time went by: a rule may have ended.
    pub fn handle_tick(&mut self, now: u64) {
        let view = self.enforced.as_ref().and_then(|deed| deed.view.as_ref());
        if let (Some(view), None) = (view, &self.wish) {
            self.wish = Some(Wish::View { view: Box::new(view.clone()), ack: false });
            self.proceed(now);
        }
    }

    /// When the next tick is due, by the agent's own clock.
    #[must_use]
    pub fn poll_timeout(&self, now: u64) -> Option<u64> {
        let clock = self.clock?;
        let view = self.enforced.as_ref()?.view.as_ref()?;
        let change = compile::next_change(view, signed(now) + clock)?;
        u64::try_from(change - clock).ok()
    }

    /// The state to write to disk, if it changed.
    pub fn poll_persist(&mut self) -> Option<State> {
        if !std::mem::take(&mut self.dirty) {
            return None;
        }
        let deed = match &self.job {
            Some(Job::Apply(deed)) => Some(&**deed),
            Some(Job::Sweep) | None => self.enforced.as_ref(),
        };
        let view = deed.and_then(|deed| deed.view.clone());
        Some(State { view, epochs: self.epochs, numbering: self.numbering.clone() })
    }

    /// What the kernel half shall do next; nothing while it is busy, or while a state is to be written first.
    pub fn poll_kernel(&mut self) -> Option<KernelRequest> {
        if self.dirty || self.asked {
            return None;
        }
        let request = match self.job.as_ref() {
            None => KernelRequest::Repair { ruleset: self.repair()? },
            Some(Job::Apply(deed)) => {
                let forget = self.reborn(deed.view.as_ref());
                KernelRequest::Apply { ruleset: Box::new(deed.program.ruleset.clone()), forget }
            }
            Some(Job::Sweep) => {
                let known = self.enforced.as_ref().filter(|_| !self.unknown_marks);
                KernelRequest::Sweep { except: known.map_or(0, |deed| deed.program.ruleset.epoch) }
            }
        };
        self.asked = true;
        Some(request)
    }

    /// What to say to the center next.
    pub fn poll_send(&mut self) -> Option<FromAgent> {
        if !self.connected {
            return None;
        }
        self.outbox.pop_front().or_else(|| self.spool.next_batch().map(FromAgent::Records))
    }

    /// Figures for people.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let enforced = self.enforced.as_ref();
        Facts {
            generation: self.generation(),
            epoch: enforced.map_or(0, |deed| deed.program.ruleset.epoch),
            records: self.spool.made(),
            waiting: self.spool.waiting() as u64,
            lost: self.spool.lost(),
            refused: self.refused.clone(),
        }
    }

    /// The program in force, for people.
    #[must_use]
    pub fn program(&self) -> Option<&Program> {
        self.enforced.as_ref().map(|deed| &deed.program)
    }

    /// What is to be laid anew, once. A job that waits does as much.
    fn repair(&mut self) -> Option<Box<Ruleset>> {
        let ruleset = self.enforced.as_ref().map(|deed| Box::new(deed.program.ruleset.clone()));
        ruleset.filter(|_| std::mem::take(&mut self.tampered))
    }

    /// Addresses that another VM has by the next view than by the one in force.
    fn reborn(&self, next: Option<&View>) -> BTreeSet<IpAddr> {
        let held = self.enforced.as_ref().and_then(|deed| deed.view.as_ref()).map(history::identities);
        let (Some(held), Some(view)) = (held, next) else { return BTreeSet::new() };
        let new = |(address, vm): &(IpAddr, String)| held.get(address) != Some(vm);
        history::identities(view).into_iter().filter(new).map(|(address, _)| address).collect()
    }

    fn generation(&self) -> u64 {
        self.enforced.as_ref().and_then(|deed| deed.view.as_ref()).map_or(0, |view| view.generation)
    }

    fn hello(&self, addresses: Vec<IpAddr>) -> Hello {
        Hello {
            protocol: PROTOCOL,
            capabilities: Vec::new(),
            version: self.config.version.clone(),
            boot: self.spool.boot().to_owned(),
            addresses,
            generation: self.generation(),
        }
    }

    /// Looks at the newest wish, unless the kernel half is busy.
    fn proceed(&mut self, now: u64) {
        if self.job.is_some() {
            return;
        }
        if self.unknown_marks && self.enforced.is_some() {
            self.job = Some(Job::Sweep);
            return;
        }
        match self.wish.take() {
            None => {}
            Some(Wish::Closed) => {
                let program = compile::closed(self.config.center, &mut self.numbering);
                self.consider(program, None, false);
            }
            Some(Wish::View { view, ack }) => {
                let time = self.clock.map(|clock| signed(now) + clock);
                let program = compile::compile(&view, time, &mut self.numbering).map(|mut program| {
                    program.ruleset.center = self.config.center.or(view.center);
                    program
                });
                self.consider(program, Some(*view), ack);
            }
        }
    }

    /// Decides what a compiled wish asks of the kernel.
    fn consider(&mut self, program: Result<Program, compile::TooBig>, view: Option<View>, ack: bool) {
        let crowded = self.crowded();
        match program {
            Ok(program) if self.stands(&program) && self.reborn(view.as_ref()).is_empty() => self.extend(view, ack),
            Ok(_) | Err(_) if crowded || self.epochs.must_sweep(self.config.max_epoch) => {
                self.wish = Some(view.map_or(Wish::Closed, |view| Wish::View { view: Box::new(view), ack }));
                self.job = Some(Job::Sweep);
            }
            Ok(program) => self.begin(program, view, ack),
            Err(reason) => self.refuse(view.map_or(0, |view| view.generation), &reason.to_string(), ack),
        }
    }

    /// Whether numbers run short, and most are held by words of the past alone. A sweep frees them then, and no
    /// sooner: a swept mark still tells which rule had admitted its flow.
    fn crowded(&self) -> bool {
        let used = self.enforced.as_ref().map_or(0, |deed| deed.program.outcomes.len());
        self.numbering.len() > Numbering::LIMIT / 2 && used < self.numbering.len() / 2
    }

    /// Whether a program asks of the kernel just what is in force.
    fn stands(&self, program: &Program) -> bool {
        self.enforced.as_ref().is_some_and(|deed| deed.program.asks_as(program))
    }

    /// The ruleset in force serves a later generation too.
    fn extend(&mut self, view: Option<View>, ack: bool) {
        let Some(view) = view else { return };
        let generation = view.generation;
        self.history.extend(&view);
        if let Some(deed) = &mut self.enforced {
            self.dirty |= deed.view.as_ref() != Some(&view);
            deed.view = Some(view);
        }
        self.refused = None;
        if ack {
            self.answer(generation, AckResult::InForce);
        }
    }

    /// A new epoch begins.
    fn begin(&mut self, mut program: Program, view: Option<View>, ack: bool) {
        let epoch = self.epochs.give(self.config.max_epoch.min(MAX_EPOCH));
        program.ruleset.epoch = epoch;
        self.history.begin(epoch, view.as_ref(), program.outcomes.clone());
        self.job = Some(Job::Apply(Box::new(Deed { program, view })));
        self.ack = ack;
        self.dirty = true;
    }

    fn refuse(&mut self, generation: u64, reason: &str, ack: bool) {
        self.refused = Some((generation, reason.to_owned()));
        if ack {
            self.answer(generation, AckResult::Refused { reason: reason.to_owned() });
        }
    }

    fn answer(&mut self, generation: u64, result: AckResult) {
        if self.connected {
            self.outbox.push_back(FromAgent::Ack(Ack { generation, result }));
        }
    }
}

/// The agent's own clock as a signed number.
fn signed(now: u64) -> i64 {
    i64::try_from(now).unwrap_or(i64::MAX)
}
