//! What an agent kept of its policy, and what becomes of it.

use policy::Name;

use super::State;
use crate::scenario::Process;

impl State {
    /// What a dead agent kept is nothing that its next life may believe: till it hears of its center, it is closed.
    pub(super) fn lose(&mut self, vm: &Name) -> Result<(), String> {
        self.must_be_managed(vm)?;
        if !self.down.contains(&Process::Agent(vm.clone())) {
            return Err(format!("the agent of `{vm}` runs at this point, and would keep its policy again"));
        }
        self.held.remove(vm);
        Ok(())
    }
}
