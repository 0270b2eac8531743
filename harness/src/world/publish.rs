//! Publications that must be refused.

use policy::Name;
use wire::admin::AdminError;

use super::World;
use crate::scenario::{Doing, Publication, Refuser};

impl World {
    /// Publishes what must be refused. What comes out otherwise is a finding, and what the state has is published again.
    pub(super) fn publish_refused(&mut self, doing: &Doing, publication: &Publication) -> Result<(), String> {
        let why = match (self.operator.publish(&publication.text), publication.by) {
            (Err(AdminError::Refused(why)), Refuser::Center) => unsaid("the center", &why, &publication.refused),
            (Err(AdminError::Refused(why)), Refuser::Agents) => Some(format!("the center refused it itself: {why}")),
            (Ok(generation), by) => self.taken(generation, by, &publication.refused)?,
            (Err(error @ (AdminError::Unavailable(_) | AdminError::Failed(_) | AdminError::Decode(_))), _) => {
                return Err(format!("publish the policy: {error}"));
            }
        };
        why.into_iter().for_each(|why| self.come_out(doing, why));
        Ok(())
    }

    /// The center took it: whether every agent refused it with these words, if that is what was asked for.
    fn taken(&mut self, generation: u64, by: Refuser, words: &str) -> Result<Option<String>, String> {
        self.generation = self.generation.max(generation);
        self.await_agents()?;
        let why = match by {
            Refuser::Center => Some(format!("the center took it, as generation {generation}")),
            Refuser::Agents => self.not_refused(generation, words),
        };
        if why.is_some() {
            let policy = self.state.policy.clone().ok_or("publish the policy again: there was none")?;
            self.publish(&policy.text)?;
            self.await_agents()?;
        }
        Ok(why)
    }

    fn not_refused(&self, generation: u64, words: &str) -> Option<String> {
        let vms: Vec<&Name> =
            self.state.vms.keys().filter(|vm| self.state.is_listed(vm) && self.state.is_connected(vm)).collect();
        vms.into_iter().find_map(|vm| {
            let refused = self.account.agents.get(vm.as_str()).and_then(|agent| agent.refused.as_ref());
            match refused.filter(|(of, _)| *of == generation) {
                Some((_, why)) => unsaid(&format!("the agent of {vm}"), why, words),
                None => Some(format!("the agent of {vm} did not refuse generation {generation}")),
            }
        })
    }
}

/// What is wrong with a refusal that does not say these words.
fn unsaid(who: &str, why: &str, words: &str) -> Option<String> {
    (!why.contains(words)).then(|| format!("{who} refused it, and does not say `{words}`: {why}"))
}
