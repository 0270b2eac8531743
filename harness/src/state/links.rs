//! Slow paths in a state, and their healing.

use policy::Name;

use super::State;
use crate::scenario::PathChange;

impl State {
    /// Whether each item that is done waits for a VM's agent: it reaches its center, and not on a slow path.
    #[must_use]
    pub fn is_awaited(&self, vm: &Name) -> bool {
        self.is_connected(vm) && !self.slow.contains_key(vm)
    }

    pub(super) fn heal(&mut self) -> Result<(), String> {
        if self.cuts.is_empty() && self.slow.is_empty() && self.paths.is_empty() {
            return Err("nothing is partitioned here, and nothing slow".to_owned());
        }
        self.cuts.clear();
        self.paths.clear();
        self.slow.clear();
        Ok(())
    }

    pub(super) fn path(&mut self, path: &PathChange) -> Result<(), String> {
        let (a, b) = (path.a.clone().min(path.b.clone()), path.a.clone().max(path.b.clone()));
        if let Some(missing) = [&a, &b].into_iter().find(|name| !self.endpoints().any(|other| other == *name)) {
            return Err(format!("there is no endpoint `{missing}` at this point"));
        }
        if a == b {
            return Err("an endpoint does not speak to itself".to_owned());
        }
        if self.guarded && !path.delay.is_zero() {
            return Err("where ports are guarded, no path takes longer than it does".to_owned());
        }
        match path.is_none() {
            true => drop(self.paths.remove(&(a, b)).ok_or("this path is as it was at first")?),
            false => drop(self.paths.insert((a, b), path.clone())),
        }
        Ok(())
    }

    /// What an agent on a slow path holds while a step's items are done is any of what was published; behind them it holds
    /// the newest, for that is waited for.
    pub(super) fn slow(&mut self, vm: &Name, rate: Option<u64>) -> Result<(), String> {
        self.must_be_managed(vm)?;
        if !self.is_listed(vm) {
            return Err(format!("`{vm}` is a copy: its path is as quick as ever"));
        }
        match rate {
            Some(rate) => drop(self.slow.insert(vm.clone(), rate)),
            None => drop(self.slow.remove(vm).ok_or_else(|| format!("the path of `{vm}` is not slow"))?),
        }
        Ok(())
    }
}
