//! The floods that go on.

use super::State;
use crate::scenario::Flooding;

impl State {
    pub(super) fn begin_flood(&mut self, flooding: &Flooding) -> Result<(), String> {
        [&flooding.from, &flooding.to].into_iter().try_for_each(|name| self.must_have(name, flooding.family))?;
        if flooding.name.iter().any(|name| !self.floods.insert(name.clone())) {
            return Err("a flood of this name goes on already".to_owned());
        }
        Ok(())
    }

    pub(super) fn end_flood(&mut self, name: &str) -> Result<(), String> {
        if self.floods.remove(name) { Ok(()) } else { Err(format!("no flood `{name}` goes on")) }
    }
}
