//! What others change is told and laid anew; a repair that is refused is tried again.

use std::sync::Arc;

use wire::{Kind, MAX_TEXT};

use super::Machine;
use crate::ruleset::Ruleset;
use crate::spool::notice;

/// The rule of records about changes that others made.
const TAMPER: &str = "eastwest/tamper";
/// How long a refused repair waits, in milliseconds; each further one twice as long …
const FIRST_PAUSE: u64 = 1_000;
/// … until it was doubled this often.
const DOUBLINGS: u32 = 5;

/// A repair that was refused.
#[derive(Debug, Default)]
pub(super) struct Retry {
    /// How often in a row.
    times: u32,
    /// When it is tried again, by the agent's own clock.
    pub(super) due: Option<u64>,
}

impl Machine {
    /// Somebody else made this many changes; `ours`: to what is in force, which is to be laid anew.
    pub fn handle_tampered(&mut self, changes: u64, detail: String, ours: bool) {
        self.tell_of_tampering(changes, detail);
        self.tampered |= ours;
    }

    /// What is in force was laid anew.
    pub fn handle_repaired(&mut self) {
        self.asked = false;
        self.retry = Retry::default();
    }

    /// What is in force could not be laid anew: it is tried again, less and less often. The first refusal is told.
    pub fn handle_unrepaired(&mut self, reason: &str, now: u64) {
        self.asked = false;
        let times = self.retry.times;
        self.retry = Retry { times: times.saturating_add(1), due: Some(now + (FIRST_PAUSE << times.min(DOUBLINGS))) };
        if times == 0 {
            self.tell_of_tampering(0, format!("what others changed cannot be undone: {reason}"));
        }
    }

    /// Time went by: a refused repair may be due.
    pub(super) fn repair_again(&mut self, now: u64) {
        if self.retry.due.is_some_and(|due| due <= now) {
            self.retry.due = None;
            self.tampered = true;
        }
    }

    /// What is to be laid anew, once. A job that waits does as much.
    pub(super) fn repair(&mut self) -> Option<Arc<Ruleset>> {
        let ruleset = self.enforced.as_ref().map(|deed| Arc::clone(&deed.program.ruleset));
        ruleset.filter(|_| std::mem::take(&mut self.tampered))
    }

    fn tell_of_tampering(&mut self, changes: u64, mut detail: String) {
        let cut = (0..=MAX_TEXT).rev().find(|cut| detail.is_char_boundary(*cut));
        detail.truncate(cut.unwrap_or(0));
        self.journal.spool.push(notice(Kind::Tamper, TAMPER, changes, detail));
    }
}
