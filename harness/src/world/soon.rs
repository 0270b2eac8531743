//! Rules that end while a scenario runs: what is published has real instants, and their coming is waited for.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use policy::{Name, Timestamp};
use serde_json::Value;

use super::World;
use crate::scenario::soon;
use crate::witness::account::LAST_RESORT;

impl World {
    /// Publishes a policy.
    pub(super) fn publish(&mut self, text: &str) -> Result<(), String> {
        self.published_at = Timestamp::now();
        let text = soon::published(text, self.published_at);
        let generation = self.operator.publish(&text).map_err(|error| format!("publish the policy: {error}"))?;
        self.generation = self.generation.max(generation);
        Ok(())
    }

    /// Waits until a rule has ended, by the word of every agent that knows what time it is.
    pub(super) fn expire(&mut self, after: Duration) -> Result<(), String> {
        let end = self.published_at.checked_add(after).map_err(|error| error.to_string())?;
        let state = std::sync::Arc::clone(&self.state);
        let knows = |vm: &&Name| state.is_alive(vm) && !state.timeless.contains(*vm);
        let files: Vec<PathBuf> = state.vms.keys().filter(knows).filter_map(|vm| self.status_file(vm)).collect();
        let left = Duration::try_from(end.duration_since(Timestamp::now())).unwrap_or_default();
        let ended = |file: &PathBuf| {
            let status = fs::read(file).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
            let looked = status.and_then(|status| status["facts"]["looked"].as_i64());
            looked.is_some_and(|looked| looked >= end.as_millisecond())
        };
        let met = self.await_word(left + LAST_RESORT, |_| files.iter().all(ended));
        met.then_some(()).ok_or_else(|| "see the rule end at every agent".to_owned())
    }

    /// Nothing that ends may have ended before it was observed.
    pub(super) fn in_time(&self) -> Result<(), String> {
        let policy = self.state.policy.as_ref().map(|policy| &policy.policy);
        let Some(after) = policy.and_then(|policy| soon::next(policy, self.state.now)) else { return Ok(()) };
        match self.published_at.checked_add(after) {
            Ok(end) if end <= Timestamp::now() => {
                Err(format!("observe the step before a rule ended: `until: +{}s` is too soon", after.as_secs()))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Waits until an agent that cannot reach its center has something in force.
    pub(super) fn await_adopted(&mut self, vm: &Name) -> Result<(), String> {
        let (file, agent) = (self.status_file(vm), self.agents.get(vm));
        let (file, pid) = file.zip(agent.map(|agent| agent.pid())).ok_or_else(|| format!("find the agent of {vm}"))?;
        let adopted = move || -> Option<bool> {
            let status: Value = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
            Some(status["pid"].as_u64()? == u64::from(pid) && status["facts"]["epoch"].as_u64()? > 0)
        };
        let met = self.await_word(LAST_RESORT, |_| adopted() == Some(true));
        met.then_some(()).ok_or_else(|| format!("see the agent of {vm} put its rules in force"))
    }
}
