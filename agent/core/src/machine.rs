//! The agent as a machine without input and output: events go in by `handle_…`, deeds come out by `poll_…`.
//!
//! The one who drives it writes each [`State`] to disk before it asks for the next deed, and carries out one
//! [`KernelRequest`] at a time.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use wire::{Ack, AckResult, FromAgent, Hello, PROTOCOL, Record, SEALS, Seal, SealedView, View};

use crate::compile::{self, Program};
use crate::deed::{Aim, Deed, Job};
use crate::epochs::Epochs;
use crate::event::LogEvent;
use crate::evidence::{Reader, Told};
use crate::history::{self, History};
use crate::outage::{Watch, signed};
use crate::outcome::Numbering;
use crate::ruleset::MAX_EPOCH;
use crate::spool::{Limits, Spool, SpoolChange};
use crate::terms::{Config, Facts, KernelRequest, State};

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
    /// What is to be looked at next.
    wish: Option<Aim>,
    job: Option<Job>,
    /// The job was handed out.
    asked: bool,
    /// A sweep is due as soon as something is in force: without a kept state, what the marks hold is unknown, whether
    /// a table stands or not, and a mark may even name the epoch in force.
    unknown_marks: bool,
    dirty: bool,
    /// The center's time minus the agent's own, in milliseconds.
    clock: Option<i64>,
    watch: Watch,
    connected: bool,
    outbox: VecDeque<FromAgent>,
    refused: Option<(u64, String)>,
}

impl Machine {
    /// A machine that begins with what the last life kept, and with the records that it left.
    #[must_use]
    pub fn new(config: Config, kept: Option<State>, former: Vec<Record>) -> Self {
        let unknown_marks = kept.is_none();
        let State { view, seal, epochs, numbering, over } = kept.unwrap_or_default();
        let wish = Aim { view, seal, ack: false, over: over && config.center.is_some() };
        let watch = Watch::new(config.center.is_some(), config.heard_before);
        let spool = Spool::new(config.vm.clone(), config.boot.clone(), Limits::default(), former);
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
            unknown_marks,
            dirty: false,
            clock: None,
            watch,
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

    /// A view came without a seal: it is in force for this life alone. `now` is the agent's own clock in milliseconds,
    /// here and below.
    pub fn handle_view(&mut self, view: View, now: u64) {
        self.receive(view, None, now);
    }

    /// The center sent a view under seal.
    pub fn handle_sealed(&mut self, SealedView { view, seal }: SealedView, now: u64) {
        self.receive(view, Some(Arc::new(seal)), now);
    }

    fn receive(&mut self, view: View, seal: Option<Arc<Seal>>, now: u64) {
        self.clock = Some(view.now - signed(now));
        self.spool.name(&view.vm);
        self.wish = Some(Aim { view: Some(Arc::new(view)), seal, ack: true, over: false });
        self.proceed(now);
    }

    /// The kernel committed the ruleset.
    pub fn handle_committed(&mut self, now: u64) {
        let Some(Job::Apply(deed)) = self.job.take() else { return };
        self.asked = false;
        self.epochs.commit();
        if deed.aim.ack {
            self.answer(deed.aim.generation(), AckResult::InForce);
        }
        self.refused = self.refused.take().filter(|_| deed.aim.holds() == 0);
        self.enforced = Some(*deed);
        self.proceed(now);
    }

    /// The kernel refused the ruleset whole: the one before stays. The epoch's number is spent: when the kernel's answer
    /// was lost on its way, marks may hold it.
    pub fn handle_refused(&mut self, reason: &str, now: u64) {
        let Some(Job::Apply(deed)) = self.job.take() else { return };
        self.asked = false;
        self.history.forget_newest();
        self.refuse(&deed.aim, reason);
        if deed.aim.over {
            self.watch.refused(now);
        }
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
            Told::Unreadable => self.spool.lose(1, "a log message could not be read", stamp),
        }
    }

    /// The kernel lost this many log messages.
    pub fn handle_lost(&mut self, messages: u64, stamp: u64) {
        self.spool.lose(messages, "the kernel's log queue was full", stamp);
    }

    /// A session with the center stands; `addresses` are those of this machine's interfaces.
    pub fn handle_connected(&mut self, addresses: Vec<IpAddr>) {
        self.connected = true;
        self.spool.rewind();
        self.outbox.clear();
        self.outbox.push_back(FromAgent::Hello(self.hello(addresses)));
    }

    /// The center said something.
    pub fn handle_heard(&mut self, now: u64) {
        self.watch.heard(now);
    }

    /// The center said what time it is.
    pub fn handle_time(&mut self, center_now: i64, now: u64) {
        self.clock = Some(center_now - signed(now));
        self.handle_tick(now);
    }

    /// The session ended.
    pub fn handle_disconnected(&mut self) {
        self.connected = false;
        self.watch.ended();
        self.outbox.clear();
        self.spool.rewind();
    }

    /// The center stored all records of a boot up to a sequence number.
    pub fn handle_stored(&mut self, boot: &str, up_to: u64) {
        self.spool.stored(boot, up_to);
    }

    /// Time went by: a rule may have ended, or the center been away for too long.
    pub fn handle_tick(&mut self, now: u64) {
        let aim = self.enforced.as_ref().map(|deed| &deed.aim);
        if let (Some(aim), None) = (aim.filter(|aim| aim.view.is_some()), &self.wish) {
            self.wish = Some(Aim { ack: false, ..aim.clone() });
            self.proceed(now);
        }
    }

    /// When the next tick is due, by the agent's own clock.
    #[must_use]
    pub fn poll_timeout(&self, now: u64) -> Option<u64> {
        let aim = self.enforced.as_ref().map(|deed| &deed.aim).filter(|aim| !aim.over)?;
        let view = aim.view.as_ref()?;
        let change = self.clock.and_then(|clock| {
            let change = compile::next_change(view, signed(now) + clock)?;
            u64::try_from(change - clock).ok()
        });
        [change, self.watch.deadline(view.outage)].into_iter().flatten().min()
    }

    /// When the center was last heard, by the agent's own clock, if that is to be kept for the next life.
    pub fn poll_heard(&mut self) -> Option<u64> {
        let view = self.enforced.as_ref()?.aim.view.as_ref()?;
        self.watch.to_keep(view.outage)
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
        let Aim { view, seal, ack: _, over } = deed.map(|deed| deed.aim.clone()).unwrap_or_default();
        Some(State { view, seal, epochs: self.epochs, numbering: self.numbering.clone(), over })
    }

    /// What to do to the records on disk, before any of them is sent.
    pub fn poll_spool(&mut self) -> Option<SpoolChange> {
        self.spool.poll_change()
    }

    /// What the kernel half shall do next; nothing while it is busy, or while a state is to be written first.
    pub fn poll_kernel(&mut self) -> Option<KernelRequest> {
        if self.dirty || self.asked {
            return None;
        }
        let request = match self.job.as_ref()? {
            Job::Apply(deed) => {
                let forget = self.reborn(deed.aim.view.as_deref());
                KernelRequest::Apply { ruleset: Box::new(deed.program.ruleset.clone()), forget }
            }
            Job::Sweep => {
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
            generation: enforced.map_or(0, |deed| deed.aim.generation()),
            over: enforced.is_some_and(|deed| deed.aim.over),
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

    /// Addresses that another VM has by the next view than by the one in force.
    fn reborn(&self, next: Option<&View>) -> BTreeSet<IpAddr> {
        let held = self.enforced.as_ref().and_then(|deed| deed.aim.view.as_deref()).map(history::identities);
        let (Some(held), Some(view)) = (held, next) else { return BTreeSet::new() };
        let new = |(address, vm): &(IpAddr, String)| held.get(address) != Some(vm);
        history::identities(view).into_iter().filter(new).map(|(address, _)| address).collect()
    }

    fn hello(&self, addresses: Vec<IpAddr>) -> Hello {
        Hello {
            protocol: PROTOCOL,
            capabilities: vec![SEALS.to_owned()],
            version: self.config.version.clone(),
            boot: self.spool.boot().to_owned(),
            addresses,
            generation: self.enforced.as_ref().map_or(0, |deed| deed.aim.holds()),
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
        let Some(mut aim) = self.wish.take() else { return };
        let Some(view) = aim.view.clone() else {
            let program = compile::closed(self.config.center, &mut self.numbering);
            return self.consider(program, aim);
        };
        // Once over, a policy is taken up again by the center's own word alone.
        aim.over |= !aim.ack && self.watch.is_over(view.outage, now);
        let time = self.clock.map(|clock| signed(now) + clock);
        let program = match aim.over {
            true => compile::over(&view, &mut self.numbering),
            false => compile::compile(&view, time, &mut self.numbering),
        };
        let program = program.map(|mut program| {
            program.ruleset.center = self.config.center.or(view.center);
            program
        });
        self.consider(program, aim);
    }

    /// Decides what a compiled aim asks of the kernel.
    fn consider(&mut self, program: Result<Program, compile::TooBig>, aim: Aim) {
        let crowded = self.crowded();
        match program {
            Ok(program) if self.stands(&program) && self.reborn(aim.view.as_deref()).is_empty() => self.extend(aim),
            Ok(_) | Err(_) if crowded || self.epochs.must_sweep(self.config.max_epoch) => {
                self.wish = Some(aim);
                self.job = Some(Job::Sweep);
            }
            Ok(program) => self.begin(program, aim),
            Err(reason) => self.refuse(&aim, &reason.to_string()),
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
    fn extend(&mut self, aim: Aim) {
        let Some(view) = &aim.view else { return };
        let generation = view.generation;
        self.history.extend(view);
        self.refused = None;
        if aim.ack {
            self.answer(generation, AckResult::InForce);
        }
        if let Some(deed) = &mut self.enforced {
            self.dirty |= deed.aim.view != aim.view || deed.aim.seal != aim.seal || deed.aim.over != aim.over;
            deed.aim = aim;
        }
    }

    /// A new epoch begins.
    fn begin(&mut self, mut program: Program, aim: Aim) {
        let epoch = self.epochs.give(self.config.max_epoch.min(MAX_EPOCH));
        program.ruleset.epoch = epoch;
        self.history.begin(epoch, aim.view.as_deref(), program.outcomes.clone());
        self.job = Some(Job::Apply(Box::new(Deed { program, aim })));
        self.dirty = true;
    }

    fn refuse(&mut self, aim: &Aim, reason: &str) {
        self.refused = Some((aim.generation(), reason.to_owned()));
        if aim.ack {
            self.answer(aim.generation(), AckResult::Refused { reason: reason.to_owned() });
        }
    }

    fn answer(&mut self, generation: u64, result: AckResult) {
        if self.connected {
            self.outbox.push_back(FromAgent::Ack(Ack { generation, result }));
        }
    }
}
