//! How agents stand to their center: what a step expects of it is waited for, and what agents themselves say is read.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use policy::Name;
use serde_json::Value;
use wire::Presence;

use super::World;
use crate::plan::PlannedStep;
use crate::scenario::{Claim, Standing};
use crate::witness::account::{Account, LAST_RESORT};

impl World {
    /// Waits until the agents stand as the step expects, where that comes of itself: the judge looks at it afterwards.
    pub(super) fn await_standings(&mut self, step: &PlannedStep) {
        for expectation in &step.events {
            let Claim::Agent { vms, standing } = &expectation.claim else { continue };
            let named = step.state.vms.keys().filter(|vm| vms.matches(vm) && step.state.is_listed(vm));
            let names: Vec<Name> = named.cloned().collect();
            let comes = match standing {
                Standing::Stale => self.await_word(LAST_RESORT, |account| names.iter().all(|vm| stale(account, vm))),
                Standing::Disconnected => {
                    let files: Vec<PathBuf> = names.iter().filter_map(|vm| self.status_file(vm)).collect();
                    self.await_word(LAST_RESORT, |_| files.iter().all(|file| lost(file).is_some()))
                }
                Standing::Online
                | Standing::Offline
                | Standing::Cloned
                | Standing::Skipped
                | Standing::Last
                | Standing::Unbroken => true,
            };
            // Who waited in vain for one does not wait for the next as long again.
            if !comes {
                return;
            }
        }
    }

    /// Waits until what is published is acknowledged by those of whom the step expects it: an agent that is just back,
    /// or has just told of an address, is about to.
    pub(super) fn await_acks(&mut self, step: &PlannedStep) {
        for expectation in &step.events {
            let Claim::AckedByAll { but } = &expectation.claim else { continue };
            let should = |vm: &&Name| step.state.is_listed(vm) && but.as_ref().is_none_or(|but| !but.matches(vm));
            let names: Vec<Name> = step.state.vms.keys().filter(should).cloned().collect();
            let acked = |account: &Account| names.iter().all(|vm| account.acked(vm.as_str()) == account.published);
            self.await_word(LAST_RESORT, acked);
        }
    }

    /// Waits until an agent that was away for all of its life has spoken with its center, and holds what that has for it.
    pub(super) fn await_met(&mut self, vm: &Name) -> Result<(), String> {
        let (wanted, file) = (self.generation, self.status_file(vm));
        let file = file.ok_or_else(|| format!("find the agent of {vm}"))?;
        let met = move || -> Option<bool> {
            let status: Value = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
            let holds = status["facts"]["generation"].as_u64()? >= wanted;
            Some(holds && status["connection"]["state"] == "connected")
        };
        let met = self.await_word(LAST_RESORT, |_| met() == Some(true));
        met.then_some(()).ok_or_else(|| format!("see the agent of {vm} meet its center"))
    }

    /// The agents that have lost their center by their own word, each with why.
    pub(super) fn disconnected(&self) -> BTreeMap<String, String> {
        let files = self.agents.keys().filter_map(|vm| Some((vm.to_string(), self.status_file(vm)?)));
        files.filter_map(|(vm, file)| Some((vm, lost(&file)?))).collect()
    }

    pub(super) fn status_file(&self, vm: &Name) -> Option<PathBuf> {
        self.agents.get(vm).map(|agent| agent.folder.join("state").join("status.json"))
    }
}

fn stale(account: &Account, vm: &Name) -> bool {
    account.agents.get(vm.as_str()).is_some_and(|agent| agent.presence == Presence::Stale)
}

/// Why an agent lost its center, if its status says that it did.
fn lost(file: &Path) -> Option<String> {
    let status: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let connection = status.get("connection").filter(|connection| connection["state"] == "lost")?;
    Some(connection["reason"].as_str().unwrap_or_default().to_owned())
}
