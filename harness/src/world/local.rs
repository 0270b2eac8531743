//! What is done to one VM: addresses come and go, its agent is suspended, or replaced by another build.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use policy::Name;

use super::World;
use crate::scenario::{Act, Ending};
use crate::state::State;
use crate::witness::account::{Account, LAST_RESORT};
use crate::witness::bound::Bound;

impl World {
    /// Gives a VM the addresses that it has in this state. Its agent sees them, the center learns them from it, and every
    /// agent from the center.
    pub(super) fn readdress(&mut self, vm: &Name) -> Result<(), String> {
        let second = self.lab.second_addresses(vm.as_str()).map_err(|error| error.to_string())?;
        let all = self.state.addresses(vm).iter().copied();
        let (addresses, known): (Vec<IpAddr>, u64) =
            (all.filter(|one| !second.contains(one)).collect(), self.generation);
        let before = self.lab.station(vm.as_str()).map_err(|error| error.to_string())?.addresses();
        let gone: Vec<IpAddr> = before.into_iter().filter(|address| !addresses.contains(address)).collect();
        self.prober.forget(vm.as_str(), &gone);
        self.lab.set_addresses(vm.as_str(), &addresses).map_err(|error| error.to_string())?;
        self.await_learned(vm, known)
    }

    /// Gives a VM the second interface that it has in this state, or takes it. Where its agent does not reach its center,
    /// nobody learns of it for now.
    pub(super) fn interface(&mut self, vm: &Name) -> Result<(), String> {
        let wrong = |error: lab::LabError| error.to_string();
        let wanted: Vec<IpAddr> =
            self.state.vms.get(vm).map(|spec| spec.second.iter().copied().collect()).unwrap_or_default();
        let (known, before) = (self.generation, self.lab.second_addresses(vm.as_str()).map_err(wrong)?);
        if wanted.is_empty() {
            self.prober.forget(vm.as_str(), &before);
            self.lab.remove_interface(vm.as_str()).map_err(wrong)?;
        } else {
            self.lab.add_interface(vm.as_str(), &wanted).map_err(wrong)?;
        }
        if self.state.is_connected(vm) {
            return self.await_learned(vm, known);
        }
        self.unbound.extend(wanted);
        Ok(())
    }

    /// Waits until the center has published all that an agent told it of its addresses, which may take it several times, and
    /// every agent holds that. `known` is the newest generation before.
    pub(super) fn await_learned(&mut self, vm: &Name, known: u64) -> Result<(), String> {
        let wanted: BTreeSet<IpAddr> = self.state.addresses(vm).iter().copied().collect();
        let mut bound = Bound::at(self.lab.station(vm.as_str()).map_err(|error| error.to_string())?)?;
        let holds = |account: &Account| match bound.addresses() {
            Some(addresses) => account.published > known && addresses == wanted,
            None => account.published > known,
        };
        let met = self.await_word(LAST_RESORT, holds);
        met.then_some(()).ok_or_else(|| format!("see the center learn the addresses of {vm}"))?;
        let (status, _) = self.operator.what_stands(u64::MAX).map_err(|error| error.to_string())?;
        self.generation = self.generation.max(status.generation);
        self.await_agents()
    }

    /// Suspends a VM by its agent's own command, which ends when it is in force.
    pub(super) fn suspend(&mut self, vm: &Name, seconds: u64) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(seconds);
        self.order(vm, &["--for", &format!("{seconds}s")])?;
        self.suspended.insert(vm.clone(), end);
        if self.state.is_connected(vm) { self.await_suspension(vm, true, LAST_RESORT) } else { Ok(()) }
    }

    /// Ends a suspension, or waits until it ends by itself.
    pub(super) fn resume(&mut self, vm: &Name, by: Ending) -> Result<(), String> {
        let left = self.suspended.remove(vm).map(|end| end.saturating_duration_since(Instant::now()));
        match by {
            Ending::Order => self.order(vm, &["--end"])?,
            Ending::Time => {}
        }
        self.await_suspension(vm, false, left.unwrap_or_default() + LAST_RESORT)
    }

    /// No suspension may have ended before the step was observed.
    pub(super) fn still_suspended(&self) -> Result<(), String> {
        match self.suspended.iter().find(|(_, end)| **end <= Instant::now()) {
            Some((vm, _)) => {
                Err(format!("observe the step before the suspension of {vm} ended: its `for` is too short"))
            }
            None => Ok(()),
        }
    }

    /// Replaces an agent that runs by one of another build, with the same state folder.
    pub(super) fn upgrade(&mut self, vm: &Name, before: &State) -> Result<(), String> {
        self.agent_process(Act::Restart, vm, Some(before.is_connected(vm)))
    }

    fn order(&mut self, vm: &Name, order: &[&str]) -> Result<(), String> {
        let folder = self.agents.get(vm).map(|agent| agent.folder.join("state"));
        let folder = folder.ok_or_else(|| format!("find the folder of {vm}'s agent"))?;
        let mut command = Command::new(&self.programs.exe);
        command.args(["agent", "suspend"]).args(order).arg("--state").arg(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let station = self.lab.station(vm.as_str()).map_err(|error| error.to_string())?;
        let mut child = station.spawn(command).map_err(|error| error.to_string())?;
        let status = child.wait().map_err(|error| format!("wait for an order to the agent of {vm}: {error}"))?;
        status.success().then_some(()).ok_or_else(|| format!("give the agent of {vm} an order: {status}"))
    }

    fn await_suspension(&mut self, vm: &Name, on: bool, patience: Duration) -> Result<(), String> {
        let name = vm.to_string();
        let is =
            |account: &Account| account.agents.get(&name).is_some_and(|agent| agent.suspended_until.is_some() == on);
        let met = self.await_word(patience, is);
        met.then_some(()).ok_or_else(|| format!("hear that {vm} is {}suspended", if on { "" } else { "no longer " }))
    }
}
