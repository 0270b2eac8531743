//! The programs that go on at endpoints.

use policy::{FlowService, Name};

use super::State;
use crate::scenario::Exec;

impl State {
    pub(super) fn exec(&mut self, exec: &Exec) -> Result<(), String> {
        if !self.endpoints().any(|name| *name == exec.at) {
            return Err(format!("there is no endpoint `{}` at this point", exec.at));
        }
        let Some(name) = &exec.name else { return Ok(()) };
        match self.goes_on(name) {
            true => Err(format!("`{name}` goes on already")),
            false => {
                self.programs.insert(name.clone(), (exec.at.clone(), exec.listens));
                Ok(())
            }
        }
    }

    pub(super) fn end_program(&mut self, name: &str) -> Result<(), String> {
        self.programs.remove(name).map(drop).ok_or_else(|| format!("no program `{name}` goes on"))
    }

    /// Whether a flood or a program of this name goes on.
    pub(super) fn goes_on(&self, name: &str) -> bool {
        self.floods.contains(name) || self.programs.contains_key(name)
    }

    /// The program that listens at a port of an endpoint.
    pub(crate) fn listener_at(&self, endpoint: &Name, service: FlowService) -> Option<&str> {
        let own = self.programs.iter().find(|(_, (at, listens))| at == endpoint && *listens == Some(service));
        own.map(|(name, _)| name.as_str())
    }

    /// What goes on at an endpoint, if anything.
    pub(super) fn program_at(&self, endpoint: &Name) -> Option<&str> {
        self.programs.iter().find(|(_, (at, _))| at == endpoint).map(|(name, _)| name.as_str())
    }
}
