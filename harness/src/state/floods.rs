//! The floods that go on.

use super::State;
use crate::scenario::Flooding;

impl State {
    pub(super) fn begin_flood(&mut self, flooding: &Flooding) -> Result<(), String> {
        [&flooding.from, &flooding.to].into_iter().try_for_each(|name| self.must_have(name, flooding.family))?;
        let Some(name) = &flooding.name else { return Ok(()) };
        match self.goes_on(name) {
            true => Err(format!("`{name}` goes on already")),
            false => {
                self.floods.insert(name.clone());
                Ok(())
            }
        }
    }

    pub(super) fn end_flood(&mut self, name: &str) -> Result<(), String> {
        if self.floods.remove(name) { Ok(()) } else { Err(format!("nothing goes on by the name `{name}`")) }
    }
}
