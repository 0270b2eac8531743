//! What the machine is about: rulesets wished for, on their way to the kernel, and in force.

use wire::View;

use crate::compile::Program;

/// A ruleset on its way to the kernel, or in force.
#[derive(Debug)]
pub(crate) struct Deed {
    pub(crate) program: Program,
    /// The view from which it was made; `None` for closed.
    pub(crate) view: Option<View>,
}

/// What the kernel half is busy with.
#[derive(Debug)]
pub(crate) enum Job {
    Apply(Box<Deed>),
    Sweep,
}

/// What is to be looked at next.
#[derive(Debug)]
pub(crate) enum Wish {
    /// Nothing may pass but the center.
    Closed,
    /// A view; `ack`: the center waits for an answer.
    View { view: Box<View>, ack: bool },
}
