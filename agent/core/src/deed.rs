//! What the machine aims at, and what it is busy with.

use std::sync::Arc;

use wire::{Seal, View};

use crate::compile::Program;

/// What shall be in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aim {
    /// The view; `None`: nothing may pass but the center.
    pub(crate) view: Option<Arc<View>>,
    /// The view's seal, if the center gave one.
    pub(crate) seal: Option<Arc<Seal>>,
    /// The center sent it just now, and waits for an answer.
    pub(crate) ack: bool,
    /// The center was missed for longer than the view's policy allows: nothing may pass but the center, until it sends
    /// a view.
    pub(crate) over: bool,
}

impl Aim {
    /// The generation of its view; 0 for none.
    pub(crate) fn generation(&self) -> u64 {
        self.view.as_ref().map_or(0, |view| view.generation)
    }

    /// The generation that is in force as it was meant; 0 for none, as where rules end and the time was not known.
    pub(crate) fn holds_by(&self, time: Option<i64>) -> u64 {
        let ends = self.view.as_ref().is_some_and(|view| view.rules.iter().any(|rule| rule.until.is_some()));
        if ends && time.is_none() { 0 } else { self.holds() }
    }

    /// The generation whose policy lets traffic pass; 0 for none.
    pub(crate) fn holds(&self) -> u64 {
        if self.over { 0 } else { self.generation() }
    }
}

/// A ruleset on its way to the kernel, or in force.
#[derive(Debug)]
pub(crate) struct Deed {
    pub(crate) program: Program,
    /// From what it was made.
    pub(crate) aim: Aim,
}

/// What the kernel half is busy with.
#[derive(Debug)]
pub(crate) enum Job {
    Apply(Box<Deed>),
    Sweep,
}
