//! What surrounds the core: writes its states, carries out its requests to the kernel, says its words to the center.

use std::net::IpAddr;
use std::sync::Arc;

use agent_core::{KernelRequest, LogEvent, LogKind, Machine, Ruleset};
use nft::Foreign;
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::{FromAgent, FromCenter, SealedView, View};

use crate::control::Answer;
use crate::edge::Edge;
use crate::error::Error;
use crate::folder::Folder;
use crate::heard;
use crate::interfaces::addresses;
use crate::keeper::{Keeper, Kept};
use crate::kernel::{Kernel, KernelBatch, KernelLog};
use crate::link::LinkEvent;
use crate::spool::Disk;
use crate::status::{Connection, Ease, Status};
use crate::totals::Totals;

mod orders;

/// The agent but for its waiting.
pub(crate) struct Rim<E> {
    pub(crate) machine: Machine,
    pub(crate) folder: Folder,
    edge: E,
    kernel: Kernel,
    disk: Disk,
    /// What the kernel holds; `None` where that is not known: before this life's first commit, and after a refusal.
    held: Option<Arc<Ruleset>>,
    queue: Option<mpsc::Sender<FromAgent>>,
    totals: Totals,
    keeper: Keeper,
    /// Who waits for the rules to be removed; then the agent ends.
    leaving: Option<Answer>,
    started: Instant,
    pub(crate) status: Status,
    written: Status,
}

impl<E: Edge> Rim<E> {
    pub(crate) fn new(machine: Machine, (folder, disk): (Folder, Disk), kernel: Kernel, edge: E) -> Self {
        Self {
            machine,
            folder,
            edge,
            kernel,
            disk,
            held: None,
            queue: None,
            totals: Totals::read(),
            keeper: Keeper::default(),
            leaving: None,
            started: Instant::now(),
            status: Status { pid: std::process::id(), ..Status::default() },
            written: Status::default(),
        }
    }

    /// The agent's own clock, in milliseconds.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The same in microseconds.
    fn stamp(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// When the core wants to be woken.
    pub(crate) fn wake(&self) -> Option<Instant> {
        let due = self.machine.poll_timeout(self.now())?;
        Some(self.started + std::time::Duration::from_millis(due))
    }

    /// Hands the core a view from a file.
    pub(crate) fn view(&mut self, view: View) {
        let now = self.now();
        self.machine.handle_view(self.edge.view(view), now);
    }

    /// Hands the core what the kernel logged.
    pub(crate) fn logged(&mut self, batch: &KernelBatch) {
        let stamp = self.stamp();
        if batch.lost > 0 {
            self.machine.handle_lost(batch.lost);
        }
        // What was dropped before a sentinel is told before it.
        if batch.events.iter().any(|event| event.kind == LogKind::Barrier) {
            self.count();
            self.weigh();
        }
        batch.events.iter().for_each(|event: &LogEvent| self.machine.handle_log(event, stamp));
    }

    /// Hands the core what the kernel dropped by itself since the last call.
    pub(crate) fn count(&mut self) {
        let now = Totals::read();
        let Totals { fragments, refused } = now.since(self.totals);
        self.totals = now;
        for (rule, packets) in [("eastwest/fragment", fragments), ("eastwest/table-full", refused)] {
            if packets > 0 {
                self.machine.handle_total(rule, packets);
            }
        }
    }

    /// Hands the core how many bytes came from those whom a volume detector watches.
    pub(crate) fn weigh(&mut self) {
        if !self.machine.wants_weights() {
            return;
        }
        match self.kernel.weights() {
            Ok(weights) => self.machine.handle_weights(&weights, self.stamp()),
            Err(error) => tracing::warn!("cannot read how many bytes came: {error}"),
        }
    }

    /// Reads the log to its end, and then the kernel's counters, where they have something to tell. A log that does not
    /// end in time is read to its end the next time.
    pub(crate) fn settle(&mut self, log: &mut KernelLog) -> Result<(), Error> {
        if !self.machine.wants_counts(self.stamp()) {
            return Ok(());
        }
        for _ in 0..MOST_BATCHES {
            let Some(batch) = log.try_next()? else {
                let counts = self.kernel.counts()?;
                self.machine.handle_counts(&counts, self.stamp());
                return Ok(());
            };
            self.logged(&batch);
        }
        Ok(())
    }

    /// Hands the core what others did to the kernel's tables.
    pub(crate) fn tampered(&mut self, foreign: &Foreign) {
        let Foreign { count, changes, tables, overrun } = foreign;
        // Our own changes, too, may be more than the kernel has room to tell.
        let overrun = *overrun && self.kernel.is_disturbed().unwrap_or(true);
        let ours = *count > 0 || overrun;
        if ours {
            // What is held is not known any more: the next change, too, is to be laid whole.
            self.held = None;
        }
        let more = usize::try_from(*count).unwrap_or(usize::MAX).saturating_sub(changes.len());
        let mut told: Vec<String> = changes.iter().chain(tables).cloned().collect();
        told.extend((more > 0).then(|| format!("{more} more changes")));
        told.extend(overrun.then(|| "changes that the kernel had no room to tell".to_owned()));
        if !tables.is_empty() {
            self.look_at_others();
        }
        if !told.is_empty() {
            let detail = told.join(", ");
            tracing::warn!(detail, "the kernel's tables were changed by others");
            self.machine.handle_tampered(*count, detail, ours);
        }
    }

    /// The machine's interfaces changed. Where their addresses find no place in our tables, others took it away.
    pub(crate) fn look(&mut self) {
        self.machine.handle_addresses(addresses(), self.now());
        if let Err(error) = self.kernel.look() {
            self.held = None;
            self.machine.handle_tampered(0, format!("the interfaces' addresses have no place: {error}"), true);
        }
    }

    /// Hands the core what the link told.
    pub(crate) fn linked(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up(queue) => {
                self.queue = Some(queue);
                self.machine.handle_connected(addresses());
                self.status.connection = Connection::Connected;
            }
            LinkEvent::Down(reason) => {
                tracing::info!("cannot {reason}");
                self.queue = None;
                self.machine.handle_disconnected();
                self.status.connection = Connection::Lost { reason };
            }
            LinkEvent::Heard(message) => self.heard(message),
        }
    }

    fn heard(&mut self, message: FromCenter) {
        let now = self.now();
        self.machine.handle_heard(now);
        match message {
            FromCenter::Welcome { protocol: _, now: center, heartbeat: _ } => self.machine.handle_time(center, now),
            FromCenter::View(view) => self.view(*view),
            FromCenter::Sealed(sealed) => {
                let SealedView { view, seal } = *sealed;
                self.machine.handle_sealed(SealedView { view: self.edge.view(view), seal }, now);
            }
            FromCenter::Stored { boot, up_to } => self.machine.handle_stored(&boot, up_to),
            FromCenter::Heartbeat { now: center } => self.machine.handle_heartbeat(center, now),
            FromCenter::Refused { reason: _ } => {}
        }
    }

    /// Carries out all that the core asks for. Gives whether words wait for room in the queue to the center.
    pub(crate) fn pump(&mut self) -> Result<bool, Error> {
        if let Some(change) = self.machine.poll_spool() {
            self.disk.carry_out(&change);
        }
        loop {
            if let Some(state) = self.machine.poll_persist() {
                self.keeper.keep(&self.folder, state);
            }
            if self.keeper.kept() == Kept::Older {
                break;
            }
            match self.machine.poll_kernel() {
                None => break,
                Some(request) => self.carry_out(request)?,
            }
        }
        if let Some(heard) = self.machine.poll_heard() {
            heard::keep(&self.folder, self.now().saturating_sub(heard));
        }
        let waits = self.speak();
        self.show();
        Ok(waits)
    }

    fn carry_out(&mut self, request: KernelRequest) -> Result<(), Error> {
        match request {
            KernelRequest::Sweep { except } => {
                self.kernel.sweep(except)?;
                self.machine.handle_swept(self.now());
            }
            KernelRequest::Repair { ruleset } => {
                let ruleset = self.edge.ruleset(ruleset);
                self.held = None;
                match self.kernel.repair(&ruleset) {
                    Ok(()) => {
                        self.held = Some(ruleset);
                        self.machine.handle_repaired();
                    }
                    Err(error) => {
                        tracing::error!("cannot repair what others changed: {error}");
                        self.machine.handle_unrepaired(&error.to_string(), self.now());
                    }
                }
            }
            KernelRequest::Apply { ruleset, forget } => {
                let ruleset = self.edge.ruleset(ruleset);
                match self.apply(ruleset) {
                    Ok(()) => {
                        self.forget(&forget)?;
                        self.machine.handle_committed(self.now());
                        // New counters count from here on.
                        self.weigh();
                    }
                    Err(error) => {
                        tracing::warn!("cannot apply a ruleset: {error}");
                        self.machine.handle_refused(&error.to_string(), self.now());
                    }
                }
            }
        }
        Ok(())
    }

    /// Brings the kernel to a ruleset. What it refuses as a change it is given whole: another may have changed what it
    /// holds, or removed the table.
    fn apply(&mut self, ruleset: Arc<Ruleset>) -> Result<(), nft::Error> {
        if let Some(held) = self.held.take() {
            match self.kernel.apply(&ruleset, Some(&held)) {
                Ok(()) => {
                    self.held = Some(ruleset);
                    return Ok(());
                }
                Err(error) => tracing::warn!("cannot change the ruleset, and lay it anew: {error}"),
            }
        }
        self.kernel.apply(&ruleset, None)?;
        self.held = Some(ruleset);
        Ok(())
    }

    fn forget(&mut self, addresses: &std::collections::BTreeSet<IpAddr>) -> Result<(), Error> {
        if !addresses.is_empty() {
            self.kernel.forget(addresses)?;
        }
        Ok(())
    }

    /// Whether a ruleset of this life is in force.
    pub(crate) fn in_force(&self) -> bool {
        self.machine.program().is_some()
    }

    /// Says what the core has to say, as far as the queue has room.
    fn speak(&mut self) -> bool {
        while let Some(queue) = &self.queue {
            if queue.capacity() < ROOM {
                return true;
            }
            let Some(message) = self.machine.poll_send() else { return false };
            for message in self.edge.outgoing(message) {
                // A queue that is closed belongs to a session that ended; its end is told soon.
                let _ended = queue.try_send(message);
            }
        }
        false
    }

    /// The queue to the center, for those who wait for room in it.
    pub(crate) fn queue(&self) -> Option<mpsc::Sender<FromAgent>> {
        self.queue.clone()
    }

    /// Writes the status, if anything but counts changed.
    fn show(&mut self) {
        self.look_at_facts();
        let told = |status: &Status| {
            let facts = &status.facts;
            let force = (facts.generation, facts.epoch, facts.over, facts.looked);
            (status.connection.clone(), status.vm.clone(), force, facts.refused.clone(), facts.suspended.clone())
        };
        if told(&self.status) != told(&self.written) {
            self.write_status();
        }
    }

    /// Writes the status, if anything changed.
    pub(crate) fn write_status(&mut self) {
        self.look_at_facts();
        if self.status != self.written {
            // It is for people: an agent goes on without it.
            if let Err(error) = self.folder.keep_status(&self.status) {
                tracing::warn!("cannot {error}");
            }
            self.written = self.status.clone();
        }
    }

    fn look_at_facts(&mut self) {
        let (before, now) = (self.status.facts.suspended.take(), self.now());
        self.status.facts = self.machine.facts();
        self.status.unkept = self.keeper.kept() != Kept::Whole;
        let suspended = &self.status.facts.suspended;
        if *suspended != before {
            self.status.suspended = suspended.as_ref().map(|one| Ease::of(one, now));
        }
    }
}

/// How many readings of the log one settlement waits for its end.
const MOST_BATCHES: usize = 64;
/// How much room the queue to the center must have before the core is asked for the next word.
const ROOM: usize = 8;
