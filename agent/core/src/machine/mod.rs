//! The agent as a machine without input and output: events go in by `handle_…`, deeds come out by `poll_…`.
//!
//! The one who drives it writes each [`State`] to disk before it asks for the next deed, and carries out one
//! [`KernelRequest`] at a time.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use wire::{AckResult, FromAgent, Hello, Kind, MAX_ADDRESSES, SEALS, Seal, SealedView, View};

use crate::compile::{self, Program};
use crate::deed::{Aim, Deed, Job};
use crate::detect::Detectors;
use crate::epochs::Epochs;
use crate::evidence::Reader;
use crate::history::{self, History};
use crate::intercept::Interceptions;
use crate::journal::Journal;
use crate::outage::{Watch, signed};
use crate::outcome::Numbering;
use crate::spool::{Former, SpoolChange, notice};
use crate::terms::{Config, Facts, KernelRequest, State, Suspended};
use crate::volume::Volumes;

mod aim;
mod detection;
mod repair;
mod suspend;

use repair::Retry;

/// The protocol's version since which an agent tells of its addresses and of suspensions as they change.
const SINCE: u32 = 2;

/// The agent's core.
#[derive(Debug)]
pub struct Machine {
    config: Config,
    epochs: Epochs,
    numbering: Numbering,
    history: History,
    reader: Reader,
    journal: Journal,
    detectors: Detectors,
    volumes: Volumes,
    interceptions: Interceptions,
    enforced: Option<Deed>,
    /// What is to be looked at next.
    wish: Option<Aim>,
    job: Option<Job>,
    /// The job was handed out.
    asked: bool,
    /// A sweep is due as soon as something is in force: without a kept state, what the marks hold is unknown, whether
    /// a table stands or not, and a mark may even name the epoch in force.
    unknown_marks: bool,
    /// Others changed what is in force.
    tampered: bool,
    retry: Retry,
    dirty: bool,
    /// A policy found no number, and words of the past alone hold some.
    starved: bool,
    /// The center's time minus the agent's own, in milliseconds.
    clock: Option<i64>,
    /// The center's time by which the rules were chosen last.
    looked: Option<i64>,
    watch: Watch,
    connected: bool,
    outbox: VecDeque<FromAgent>,
    refused: Option<(u64, String)>,
    suspended: Option<Suspended>,
}

impl Machine {
    /// A machine that begins with what the last life kept, and with the records that it left.
    #[must_use]
    pub fn new(config: Config, kept: Option<State>, former: Former) -> Self {
        let unknown_marks = kept.is_none();
        let State { view, seal, epochs, numbering, over, interceptions } = kept.unwrap_or_default();
        let wish = Aim { view, seal, ack: false, over: over && config.center.is_some() };
        let watch = Watch::new(config.center.is_some(), config.heard_before);
        let journal = Journal::new(config.vm.clone(), config.boot.clone(), config.spool, former);
        let suspended = config.suspended.clone();
        let mut machine = Self {
            config,
            epochs,
            numbering,
            history: History::default(),
            reader: Reader::default(),
            journal,
            detectors: Detectors::default(),
            volumes: Volumes::default(),
            interceptions: Interceptions::new(interceptions),
            enforced: None,
            wish: Some(wish),
            job: None,
            asked: false,
            unknown_marks,
            tampered: false,
            retry: Retry::default(),
            dirty: false,
            starved: false,
            clock: None,
            looked: None,
            watch,
            connected: false,
            outbox: VecDeque::new(),
            refused: None,
            suspended,
        };
        machine.proceed(0);
        machine
    }

    /// The center said who this agent is.
    pub fn handle_enrolled(&mut self, vm: &str) {
        self.journal.spool.name(vm);
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
        self.carry(view.now, now);
        self.journal.spool.name(&view.vm);
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
        self.hold_detectors();
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
        if std::mem::take(&mut self.starved) || self.crowded() {
            let living = self.enforced.iter().flat_map(|deed| deed.program.outcomes.keys().copied()).collect();
            self.numbering.retain(&living);
        }
        self.dirty = true;
        self.proceed(now);
    }

    /// The kernel dropped this many packets before any rule saw them; `rule` names why.
    pub fn handle_total(&mut self, rule: &str, packets: u64) {
        self.journal.spool.push(notice(Kind::Invalid, rule, packets, String::new()));
    }

    /// The machine has other addresses.
    pub fn handle_addresses(&mut self, addresses: Vec<IpAddr>, now: u64) {
        if addresses != self.config.addresses {
            self.config.addresses = addresses;
            if self.connected && self.config.protocol >= SINCE {
                self.outbox.retain(|word| !matches!(word, FromAgent::Addresses(_)));
                let told = self.config.addresses.iter().copied().take(MAX_ADDRESSES).collect();
                self.outbox.push_back(FromAgent::Addresses(told));
            }
            self.look_again(now);
        }
    }

    /// A session with the center stands; `addresses` are those of this machine's interfaces.
    pub fn handle_connected(&mut self, mut addresses: Vec<IpAddr>) {
        self.connected = true;
        addresses.truncate(MAX_ADDRESSES);
        self.journal.spool.rewind();
        self.outbox.clear();
        self.outbox.push_back(FromAgent::Hello(self.hello(addresses)));
    }

    /// The center said something.
    pub fn handle_heard(&mut self, now: u64) {
        self.watch.heard(now);
    }

    /// The center said what time it is, as a session's first word.
    pub fn handle_time(&mut self, center_now: i64, now: u64) {
        self.clock = Some(center_now - signed(now));
        self.handle_tick(now);
        // The center may have heard of one in an earlier session, and not of its end.
        self.say_suspension(now);
    }

    /// The center said what time it is, and lives.
    pub fn handle_heartbeat(&mut self, center_now: i64, now: u64) {
        self.carry(center_now, now);
    }

    /// Within a session a word that was long on its way makes the center's time look earlier than it is, never later.
    fn carry(&mut self, center_now: i64, now: u64) {
        let told = center_now - signed(now);
        self.clock = Some(self.clock.map_or(told, |known| known.max(told)));
    }

    /// The session ended.
    pub fn handle_disconnected(&mut self) {
        self.connected = false;
        self.watch.ended();
        self.outbox.clear();
        self.journal.spool.rewind();
    }

    /// The center stored all records of a boot up to a sequence number.
    pub fn handle_stored(&mut self, boot: &str, up_to: u64) {
        self.journal.spool.stored(boot, up_to);
    }

    /// Time went by: a rule or an interception may have ended, and a detector may have something to tell.
    pub fn handle_tick(&mut self, now: u64) {
        let found = self.detectors.due(now);
        self.found(&found, now.saturating_mul(1000));
        self.journal.tick(now.saturating_mul(1000));
        self.repair_again(now);
        self.end_suspension(now);
        self.look_again(now);
    }

    /// When the next tick is due, by the agent's own clock.
    #[must_use]
    pub fn poll_timeout(&self, now: u64) -> Option<u64> {
        let aim = self.enforced.as_ref().map(|deed| &deed.aim).filter(|aim| !aim.over);
        let view = aim.and_then(|aim| aim.view.as_ref());
        let looked = |clock| self.looked.unwrap_or(signed(now) + clock);
        let rule = self.clock.and_then(|clock| Some(compile::next_change(view?, looked(clock))? - clock));
        let ends = [rule, self.interceptions.next(self.clock)].into_iter().flatten();
        let ends = ends.map(|end| u64::try_from(end).unwrap_or(0));
        let deadline = view.and_then(|view| self.watch.deadline(view.outage));
        let ease = self.suspended.as_ref().map(|suspended| suspended.until);
        ends.chain(deadline)
            .chain(self.detectors.next())
            .chain(self.journal.next())
            .chain(self.retry.due)
            .chain(ease)
            .min()
    }

    /// When the center was last heard, by the agent's own clock, if that is to be kept for the next life.
    pub fn poll_heard(&mut self) -> Option<u64> {
        let view = self.enforced.as_ref()?.aim.view.as_ref()?;
        self.watch.due(view.outage)
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
        let (numbering, interceptions) = (self.numbering.clone(), self.interceptions.kept());
        Some(State { view, seal, epochs: self.epochs, numbering, over, interceptions })
    }

    /// What to do to the records on disk, before any of them is sent.
    pub fn poll_spool(&mut self) -> Option<SpoolChange> {
        self.journal.poll_change()
    }

    /// What the kernel half shall do next; nothing while it is busy, or while a state is to be written first.
    pub fn poll_kernel(&mut self) -> Option<KernelRequest> {
        if self.dirty || self.asked {
            return None;
        }
        let request = match self.job.as_ref() {
            None => KernelRequest::Repair { ruleset: self.repair()? },
            Some(Job::Apply(deed)) => {
                let forget = self.reborn(deed.aim.view.as_deref());
                KernelRequest::Apply { ruleset: Arc::clone(&deed.program.ruleset), forget }
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
        self.outbox.pop_front().or_else(|| self.journal.spool.next_batch().map(FromAgent::Records))
    }

    /// Figures for people.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let enforced = self.enforced.as_ref();
        Facts {
            generation: enforced.map_or(0, |deed| deed.aim.generation()),
            over: enforced.is_some_and(|deed| deed.aim.over),
            epoch: enforced.map_or(0, |deed| deed.program.ruleset.epoch),
            looked: self.looked,
            strange: enforced.and_then(|deed| deed.aim.view.as_deref()).is_some_and(|view| self.is_anothers(view)),
            records: self.journal.spool.made(),
            waiting: self.journal.spool.waiting() as u64,
            lost: self.journal.spool.lost(),
            uncounted: self.detectors.dropped(),
            refused: self.refused.clone(),
            suspended: self.suspended.clone(),
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
            protocol: self.config.protocol,
            capabilities: vec![SEALS.to_owned()],
            version: self.config.version.clone(),
            boot: self.journal.spool.boot().to_owned(),
            addresses,
            generation: self.enforced.as_ref().map_or(0, |deed| deed.aim.holds_by(self.looked)),
        }
    }
}
