//! Copies of VMs: an agent with a copy of another's state folder.

use std::path::Path;
use std::{fs, io};

use policy::Name;
use serde_json::Value;

use super::World;
use crate::witness::account::LAST_RESORT;

impl World {
    /// Starts the agent of a copy, and waits until the center has noticed it and the copy has its answer in force. What is
    /// no copy is left alone.
    pub(super) fn start_copy(&mut self, name: &Name) -> Result<(), String> {
        let Some(of) = self.state.vms.get(name).and_then(|spec| spec.copy_of.clone()) else { return Ok(()) };
        let original = self.agents.get(&of).map(|agent| agent.folder.join("state"));
        let (folder, kept) = (self.folder(name.as_str()), self.account.published);
        copied(&original.ok_or_else(|| format!("find the agent of {of}"))?, &folder.join("state"))
            .map_err(|error| format!("copy the agent of {of}: {error}"))?;
        self.start_agent(name, &folder, None)?;
        self.await_adopted(name)?;
        let status = folder.join("state").join("status.json");
        let read = move || fs::read(&status).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        let boot = read().and_then(|status| Some(status["boot"].as_str()?.to_owned()));
        self.account.copies.insert(boot.ok_or("learn the life of the copy")?, name.to_string());
        let vm = of.to_string();
        let flagged = self.await_word(LAST_RESORT, |account| {
            let clones = account.agents.get(&vm).map_or(0, |agent| agent.clones);
            let holds = read().and_then(|status| status["facts"]["generation"].as_u64());
            // What the copy holds may be known from its file before the center's own word of it has come.
            clones > 0 && holds.is_some_and(|holds| holds > kept && account.published >= holds)
        });
        self.generation = self.generation.max(self.account.published);
        flagged.then_some(()).ok_or_else(|| format!("see the center notice the copy of {of}"))?;
        self.await_agents()
    }
}

fn copied(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copied(&entry.path(), &target)?;
        } else if kind.is_file() {
            // A socket is no part of what was kept.
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
