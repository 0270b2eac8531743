//! The edge between the core and what surrounds it: three points at which a test build may change what passes.

use std::sync::Arc;

use agent_core::Ruleset;
use wire::{FromAgent, View};

/// What passes between core and surroundings. The agent that ships passes everything as it is ([`Honest`]).
pub trait Edge {
    /// A view on its way from the center to the core.
    fn view(&mut self, view: View) -> View {
        view
    }

    /// A ruleset on its way from the core to the kernel.
    fn ruleset(&mut self, ruleset: Arc<Ruleset>) -> Arc<Ruleset> {
        ruleset
    }

    /// A message on its way from the core to the center.
    fn outgoing(&mut self, message: FromAgent) -> Vec<FromAgent> {
        vec![message]
    }
}

/// Passes everything as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Honest;

impl Edge for Honest {}
