//! What must be there for an item to be done.

use policy::{Family, Name};

use super::State;
use crate::scenario::Stream;

impl State {
    pub(super) fn no_session(&self, name: &str) -> String {
        let open: Vec<String> = self.sessions.keys().map(|name| format!("`{name}`")).collect();
        match open.is_empty() {
            true => format!("session `{name}` is not open here: none is"),
            false => format!("session `{name}` is not open here: open are {}", open.join(", ")),
        }
    }

    pub(super) fn must_be_open(&self, name: &str) -> Result<(), String> {
        if self.sessions.contains_key(name) { Ok(()) } else { Err(self.no_session(name)) }
    }

    pub(super) fn must_exist(&self, stream: &Stream) -> Result<(), String> {
        [&stream.source, &stream.destination].into_iter().try_for_each(|name| self.must_have(name, stream.family))
    }

    pub(super) fn must_have(&self, name: &Name, family: Family) -> Result<(), String> {
        if !self.endpoints().any(|other| other == name) {
            return Err(format!("there is no endpoint `{name}` at this point"));
        }
        self.address(name, family).map(drop).ok_or_else(|| format!("`{name}` has no {family} address"))
    }

    pub(super) fn must_be_managed(&self, vm: &Name) -> Result<(), String> {
        if self.is_managed(vm) { Ok(()) } else { Err(format!("`{vm}` has no agent, and so no ruleset")) }
    }
}
