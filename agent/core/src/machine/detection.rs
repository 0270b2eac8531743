//! What the kernel logs, and what detectors make of it.

use policy::Response;
use wire::Record;

use super::Machine;
use crate::account::Count;
use crate::alert;
use crate::deed::{Aim, Job};
use crate::detect::Finding;
use crate::event::LogEvent;
use crate::evidence::Told;
use crate::outage::signed;
use crate::party::Party;
use crate::volume::Weight;

impl Machine {
    /// The kernel logged a packet. `stamp` is the agent's own clock in microseconds.
    pub fn handle_log(&mut self, event: &LogEvent, stamp: u64) {
        match self.reader.read(event, &self.history, &self.numbering, stamp) {
            Told::Record(record) => self.seen(*record, true, stamp),
            Told::Seen(record) => self.seen(*record, false, stamp),
            Told::Half => {}
            Told::Unreadable => self.journal.overrun(1),
        }
    }

    /// The kernel lost this many log messages: what they told of, its counters know.
    pub fn handle_lost(&mut self, messages: u64) {
        self.journal.overrun(messages);
    }

    /// Whether the kernel's counters are to be read, once its log has been read to its end. `stamp` is the agent's own
    /// clock in microseconds.
    #[must_use]
    pub fn wants_counts(&self, stamp: u64) -> bool {
        self.journal.wants_counts(stamp)
    }

    /// The kernel's counters, all of them, read when its log had been read to its end and at least the log's longest
    /// delay after they were last read. `stamp` is the agent's own clock in microseconds.
    pub fn handle_counts(&mut self, counts: &[Count], stamp: u64) {
        self.journal.settle(counts, &self.numbering, stamp);
    }

    /// Whether the kernel counts bytes for a detector: then its counters are to be read now and then.
    #[must_use]
    pub fn wants_weights(&self) -> bool {
        self.volumes.watch()
    }

    /// What the kernel counted of each sender by now. `stamp` is the agent's own clock in microseconds.
    pub fn handle_weights(&mut self, weights: &[Weight], stamp: u64) {
        let interceptions = &self.interceptions;
        let found = self.volumes.read(weights, stamp / 1000, |detector, who| interceptions.holds(detector, who));
        self.found(&found, stamp);
    }

    /// The agent is to end: what it has counted together is told as far as it has come.
    pub fn handle_end(&mut self) {
        self.journal.flush();
    }

    /// Takes in what a log message told: first the message's own record, if it asks for one, then what it brings to light.
    fn seen(&mut self, record: Record, is_asked_for: bool, stamp: u64) {
        let found = self.detectors.see(&record, stamp / 1000);
        if is_asked_for {
            self.journal.see(record);
        }
        self.found(&found, stamp);
    }

    /// Watches as the view in force says.
    pub(super) fn hold_detectors(&mut self) {
        if let Some(view) = self.enforced.as_ref().and_then(|deed| deed.aim.view.as_ref()) {
            self.detectors.hold(view);
            self.volumes.hold(view);
        }
    }

    /// Records findings, and acts on them.
    pub(super) fn found(&mut self, findings: &[Finding], stamp: u64) {
        let mut acts = false;
        for finding in findings {
            self.journal.spool.push(alert::record(finding, self.clock, stamp));
            if let Some(time) = here(finding) {
                let until = signed((stamp / 1000).saturating_add(time));
                self.interceptions.add(&finding.detector.name, &finding.who, until, self.clock);
                acts = true;
            }
        }
        if acts {
            self.dirty = true;
            self.look_again(stamp / 1000);
        }
    }

    /// Compiles the newest view once more: something beside it changed.
    pub(super) fn look_again(&mut self, now: u64) {
        if self.wish.is_none()
            && let Some(aim) = self.newest().filter(|aim| aim.view.is_some())
        {
            self.wish = Some(Aim { ack: false, ..aim.clone() });
            self.proceed(now);
        }
    }

    /// What is in force, or on its way to be.
    fn newest(&self) -> Option<&Aim> {
        let on_its_way = match &self.job {
            Some(Job::Apply(deed)) => Some(&**deed),
            Some(Job::Sweep) | None => None,
        };
        on_its_way.or(self.enforced.as_ref()).map(|deed| &deed.aim)
    }
}

/// How long a finding's source is to be denied here, in milliseconds: who is quarantined is denied at its own end.
fn here(finding: &Finding) -> Option<u64> {
    let time = match (finding.detector.then, &finding.who) {
        (Response::Alert, _) | (Response::Quarantine(_), Party::Vm(_)) => return None,
        (Response::Intercept(time), _) | (Response::Quarantine(time), Party::Address(_)) => time,
    };
    Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
