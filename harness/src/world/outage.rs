//! What agents do without their center: a policy that is over is waited for, and none may be over before its step was
//! observed.

use std::fs;
use std::path::Path;
use std::time::Duration;

use policy::{Name, Outage};
use serde_json::Value;

use super::World;
use crate::witness::account::LAST_RESORT;

impl World {
    /// Waits until an agent says that its policy is over.
    pub(super) fn lapse(&mut self, vm: &Name) -> Result<(), String> {
        let file = self.status_file(vm).ok_or_else(|| format!("find the agent of {vm}"))?;
        let met = self.await_word(self.longest(vm) + LAST_RESORT, |_| is_over(&file) == Some(true));
        met.then_some(()).ok_or_else(|| format!("see the policy of {vm} end without the center"))
    }

    /// An agent whose policy was over before the step was observed testifies to another state than the scenario's.
    pub(super) fn still_in_force(&self) -> Result<(), String> {
        let state = &self.state;
        let holds = |vm: &&Name| state.is_alive(vm) && !state.is_connected(vm) && !state.over.contains(*vm);
        let over = |vm: &&Name| self.status_file(vm).is_some_and(|file| is_over(&file) == Some(true));
        match state.vms.keys().filter(holds).find(over) {
            Some(vm) => {
                Err(format!("observe the step before the policy of {vm} was over: say `lapse`, or give it longer"))
            }
            None => Ok(()),
        }
    }

    /// How long the policy of a VM may hold without the center.
    fn longest(&self, vm: &Name) -> Duration {
        let held = self.state.held.get(vm).and_then(|held| held.policy.as_ref());
        let beats = self.heartbeat.unwrap_or(wire::HEARTBEAT) * wire::MISSED;
        match held.map(|held| held.policy.outage) {
            Some(Outage::Lease(seconds)) => beats + Duration::from_secs(seconds.into()),
            Some(Outage::Closed | Outage::KeepLast) | None => beats,
        }
    }
}

fn is_over(status: &Path) -> Option<bool> {
    let status: Value = serde_json::from_slice(&fs::read(status).ok()?).ok()?;
    status["facts"]["over"].as_bool()
}
