//! A local suspension: for a time, the policy's rules at this machine only record. What is built in stays in force, and so
//! does what detectors deny, a quarantine, and the closing of a machine whose policy is over.

use std::borrow::Cow;
use std::time::Duration;

use policy::Mode;
use wire::{FromAgent, Kind, MAX_TEXT, Suspension, View};

use super::{Machine, SINCE};
use crate::spool::notice;
use crate::terms::Suspended;

/// The rule of records about suspensions.
const SUSPENDED: &str = "eastwest/suspended";
/// That of the record by which an agent takes its leave.
const UNINSTALLED: &str = "eastwest/uninstalled";

impl Machine {
    /// Somebody who may suspends this machine until an instant of the agent's own clock, in milliseconds; a suspension
    /// that stands is replaced.
    pub fn handle_suspended(&mut self, suspended: Suspended, now: u64) {
        let seconds = suspended.until.saturating_sub(now).div_ceil(1000);
        self.tell_of_suspension(format!("for {seconds} s by {}", suspended.by));
        self.suspended = Some(suspended);
        self.say_suspension(now);
        self.look_again(now);
    }

    /// The suspension is to end before its time.
    pub fn handle_resumed(&mut self, by: &str, now: u64) {
        if self.suspended.take().is_some() {
            self.tell_of_suspension(format!("ended by {by}"));
            self.say_suspension(now);
            self.look_again(now);
        }
    }

    /// Time went by: the suspension may be over.
    pub(super) fn end_suspension(&mut self, now: u64) {
        if self.suspended.take_if(|suspended| suspended.until <= now).is_some() {
            self.tell_of_suspension("ended: its time is over".to_owned());
            self.say_suspension(now);
        }
    }

    /// Tells the center how long the suspension still lasts; zero without one.
    pub(super) fn say_suspension(&mut self, now: u64) {
        if self.connected && self.config.protocol >= SINCE {
            let left = |one: &Suspended| Duration::from_millis(one.until.saturating_sub(now));
            let (left, by) = self.suspended.as_ref().map_or_else(Default::default, |one| (left(one), one.by.clone()));
            self.outbox.push_back(FromAgent::Suspension(Suspension { left, by }));
        }
    }

    /// A view as it holds while the suspension lasts.
    pub(super) fn eased<'v>(&self, view: Cow<'v, View>) -> Cow<'v, View> {
        if self.suspended.is_none() {
            return view;
        }
        // Whether a rule acts is said of each.
        let mut eased = View { mode: Mode::Monitor, ..view.into_owned() };
        eased.rules.iter_mut().for_each(|rule| rule.mode = Mode::Monitor);
        Cow::Owned(eased)
    }

    /// The agent is to be taken away from this machine: the center is told.
    pub fn handle_uninstall(&mut self, by: &str) {
        self.tell_of(UNINSTALLED, format!("by {by}: its rules are removed, and nothing is judged here any more"));
    }

    fn tell_of_suspension(&mut self, detail: String) {
        self.tell_of(SUSPENDED, detail);
    }

    fn tell_of(&mut self, rule: &str, mut detail: String) {
        let cut = (0..=MAX_TEXT).rev().find(|cut| detail.is_char_boundary(*cut));
        detail.truncate(cut.unwrap_or(0));
        self.journal.spool.push(notice(Kind::Alert, rule, 0, detail));
    }
}
