//! VMs that send from before they have a network: their wire is dead until their agent says that its rules are in force, as a
//! machine's is whose agent is ordered before the network.

use lab::{Cut, CutId};
use policy::Name;

use super::World;
use super::floods::OnTheWay;
use crate::scenario::{Doing, Fate, Flooding};

/// So many at most; a thousand a second.
const MOST: u32 = 300_000;
const RATE: u32 = 1000;

/// A VM that sends already.
#[derive(Debug)]
pub(super) struct Begun {
    vm: Name,
    floods: Vec<OnTheWay>,
    wire: Option<CutId>,
}

impl World {
    /// Has a new VM's program send, if it is such a VM.
    pub(super) fn begin_eagerly(&mut self, doing: &Doing, vm: &Name) -> Result<Option<Begun>, String> {
        let Some(eager) = self.state.vms.get(vm).and_then(|spec| spec.eager.clone()) else { return Ok(None) };
        let wire = match self.programs.sabotage {
            Some(super::Sabotage::BornWired) => None,
            Some(_) | None => Some(self.lab.cut(Cut::LinkDown(vm.to_string())).map_err(|error| error.to_string())?),
        };
        let flooding = |family| Flooding {
            from: vm.clone(),
            to: eager.to.clone(),
            ports: eager.port..=eager.port,
            family,
            packets: MOST,
            rate: Some(RATE),
            name: None,
            fate: Some(Fate::Lost),
            but: 0,
        };
        let families = self.state.families(vm, &eager.to);
        let floods = families.into_iter().map(|family| self.begin_flood(doing, &flooding(family)));
        Ok(Some(Begun { vm: vm.clone(), floods: floods.collect::<Result<_, _>>()?, wire }))
    }

    /// Gives it its network, once its agent has said that its rules are in force.
    pub(super) fn let_out(&mut self, begun: &Begun) -> Result<(), String> {
        if let Some(agent) = self.agents.get_mut(&begun.vm) {
            agent.first_line()?;
        }
        begun.wire.map_or(Ok(()), |wire| self.lab.heal(wire)).map_err(|error| error.to_string())
    }

    /// Ends what it sends: none of it may have arrived.
    pub(super) fn end_eagerly(&mut self, begun: Begun) -> Result<(), String> {
        self.stop_floods(begun.floods)
    }
}
