//! Doing the items of a step: each ends when the center has heard of it from every living, reachable agent.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use policy::{FlowService, Name};

use super::floods::Changed;
use super::raise::{has_agent, station};
use super::throughout::managed;
use super::{Wanted, World};
use crate::plan::PlannedAct;
use crate::probe::listener::Place;
use crate::probe::session::Session;
use crate::scenario::{Act, Action, Process, Speech, Stream, VmSpec};
use crate::state::{State, Transition};

impl World {
    /// Does items, in order.
    pub(super) fn act_all(&mut self, acts: &[PlannedAct]) -> Result<(), String> {
        acts.iter().try_for_each(|act| self.act(act).map_err(|error| format!("{}: cannot {error}", act.doing.text)))
    }

    /// Does one item of `do`.
    fn act(&mut self, act: &PlannedAct) -> Result<(), String> {
        let before = std::mem::replace(&mut self.state, Arc::clone(&act.state));
        self.prober.listeners.speeches = speeches(&self.state);
        match &act.doing.action {
            Action::Policy(_)
            | Action::Label { .. }
            | Action::Move { .. }
            | Action::Add { .. }
            | Action::Clone { .. }
            | Action::Remove { .. }
            | Action::Mode { .. }
            | Action::Quarantine { .. }
            | Action::Release { .. }
            | Action::Reset { .. } => {
                let begun = Instant::now();
                self.transform(&before, act)?;
                self.changed = Some(Changed { begun, acknowledged: Instant::now() });
                Ok(())
            }
            Action::Open { name, stream } => self.open(name, stream),
            Action::Close { name } => self.close(name),
            Action::SendOn { names } => self.send_on(names),
            Action::Send { stream, times } => self.send(stream, *times),
            Action::SendRaw(sending) => self.send_raw(sending).and_then(|()| self.await_detectors()),
            Action::Flood(flooding) => self.flood(&act.doing, flooding),
            Action::EndFlood { name } => self.end_flood(name),
            Action::Bulk(transfer) => self.bulk(&act.doing, transfer),
            Action::Exec(exec) => self.exec(&act.doing, exec),
            Action::EndProgram { name } => self.end_program(name),
            Action::Publish(publication) => self.publish_refused(&act.doing, publication),
            Action::Address { vm, .. } => self.readdress(vm),
            Action::Interface { vm, .. } => self.interface(vm),
            Action::Suspend { vm, seconds } => self.suspend(vm, *seconds),
            Action::Resume { vm, by } => self.resume(vm, *by),
            Action::Lapse { vm } => self.lapse(vm),
            Action::Upgrade { vm } => self.upgrade(vm, &before),
            Action::Tamper { vm, how } => self.tamper(&act.doing, vm, *how),
            Action::Kept { vm, how } => self.lose_kept(vm, *how),
            Action::Process { act, process } => self.process(*act, process, &before),
            Action::Partition { a, b } => self.partition(a, b),
            Action::Slow { vm, rate } => self.slow(vm, *rate),
            Action::Path(path) => self.path(path),
            Action::Heal => self.heal(&before),
            Action::Expire { after, .. } => self.expire(*after),
        }
    }

    /// Brings topology, inventory, quarantines and policy from one state to the next.
    fn transform(&mut self, before: &State, act: &PlannedAct) -> Result<(), String> {
        let transition = &act.transition;
        transition.removed.iter().try_for_each(|vm| self.remove(before, vm))?;
        transition.added.iter().try_for_each(|vm| self.add(vm))?;
        for (vm, host) in &transition.moved {
            self.lab.relocate(vm.as_str(), host.as_str()).map_err(|error| error.to_string())?;
        }
        if transition.inventory {
            self.tell_inventory()?;
            self.tell_quarantines(before)?;
        }
        if let Some(policy) = &transition.policy {
            self.publish(&policy.text)?;
        }
        let eager =
            transition.added.iter().map(|vm| self.begin_eagerly(&act.doing, vm)).collect::<Result<Vec<_>, _>>()?;
        let agents: Vec<Name> = transition.added.iter().filter(|vm| has_agent(&self.state, vm)).cloned().collect();
        self.enrol_agents(&agents)?;
        eager.iter().flatten().try_for_each(|one| self.let_out(one))?;
        let alone = agents.iter().filter(|vm| !self.state.is_connected(vm)).cloned().collect::<Vec<_>>();
        alone.iter().try_for_each(|vm| self.await_adopted(vm))?;
        self.await_agents()?;
        transition.added.iter().try_for_each(|vm| self.start_copy(vm))?;
        eager.into_iter().flatten().try_for_each(|one| self.end_eagerly(one))
    }

    /// Moves the VMs of a world that has just been raised to where they stand in this state.
    pub(crate) fn arrive(&mut self, state: &Arc<State>) -> Result<(), String> {
        let before = std::mem::replace(&mut self.state, Arc::clone(state));
        let moved = Transition::between(&before, state).moved;
        moved.iter().try_for_each(|(vm, host)| {
            let relocated = self.lab.relocate(vm.as_str(), host.as_str());
            relocated.map_err(|error| format!("move {vm} to {host}: {error}"))
        })
    }

    fn remove(&mut self, before: &State, vm: &Name) -> Result<(), String> {
        if let Some(mut agent) = self.agents.remove(vm) {
            agent.kill().map_err(|error| format!("end the agent of {vm}: {error}"))?;
        }
        self.end_others(vm)?;
        self.prober.forget(vm.as_str(), before.addresses(vm));
        self.taps.close(vm.as_str());
        self.counters.close(vm.as_str());
        self.account.agents.remove(vm.as_str());
        self.lab.remove(vm.as_str()).map_err(|error| error.to_string())
    }

    fn add(&mut self, vm: &Name) -> Result<(), String> {
        let spec = station(&self.state, vm).ok_or_else(|| format!("find a host for {vm}"))?;
        self.lab.add(spec).map_err(|error| error.to_string())?;
        self.settle_in(vm.as_str())?;
        self.enforce(vm)
    }

    fn tell_quarantines(&mut self, before: &State) -> Result<(), String> {
        let (now, then) = (self.state.quarantined.clone(), &before.quarantined);
        for vm in now.symmetric_difference(then).filter(|vm| self.state.vms.contains_key(*vm)) {
            let told = self.operator.quarantine(vm.as_str(), now.contains(vm));
            let generation = told.map_err(|error| format!("quarantine {vm}: {error}"))?;
            self.generation = self.generation.max(generation);
        }
        Ok(())
    }

    fn open(&mut self, name: &str, stream: &Stream) -> Result<(), String> {
        let probe = self.wanted(stream).map(|wanted| self.probe(wanted))?;
        let told = |error: lab::LabError| error.to_string();
        let station = |name: &str| self.lab.station(name).map_err(told);
        let ends = (station(&probe.source)?, station(&probe.destination)?);
        let prober = &mut self.prober;
        let mut session = Session::open(probe, ends, &mut prober.ports, &mut prober.listeners)?;
        if self.lab.takes_time(&session.probe.source, &session.probe.destination) {
            // The handshake's three packets are through behind two rounds.
            for _ in 0..2 {
                prober.fences.run(&self.lab, &session.probe.source, &session.probe.destination).map_err(told)?;
            }
        }
        session.complete(&mut prober.listeners);
        session.send(1);
        self.known.insert(session.tuple);
        self.sessions.insert(name.to_owned(), session);
        Ok(())
    }

    fn close(&mut self, name: &str) -> Result<(), String> {
        let session = self.sessions.remove(name).ok_or_else(|| format!("close session {name}: it is not open"))?;
        session.close();
        Ok(())
    }

    fn send_on(&mut self, names: &[String]) -> Result<(), String> {
        for name in names {
            let session = self.sessions.get_mut(name).ok_or_else(|| format!("send on {name}: it is not open"))?;
            session.send(1);
        }
        Ok(())
    }

    fn send(&mut self, stream: &Stream, times: u32) -> Result<(), String> {
        let wanted = self.wanted(stream)?;
        let probes = (0..times).map(|_| self.probe(wanted.clone())).collect::<Vec<_>>();
        self.prober.prepare(&self.lab, &probes)?;
        let attempts = self.prober.run(&self.lab, probes);
        self.known.extend(attempts.into_iter().map(|attempt| attempt.tuple));
        self.await_detectors()
    }

    /// Waits until every detector has made of the traffic what it makes: behind an agent's barrier what it does of its
    /// own accord is in force, and the center has published what it was asked for.
    fn await_detectors(&mut self) -> Result<(), String> {
        if self.state.policy.as_ref().is_none_or(|policy| policy.policy.detect.is_empty()) {
            return Ok(());
        }
        let mut managed = managed(&self.state, &self.account);
        self.raise_barriers(&mut managed)?;
        self.generation = self.generation.max(self.account.published);
        self.await_agents()
    }

    pub(super) fn wanted(&self, stream: &Stream) -> Result<Wanted, String> {
        let address = |name: &Name| {
            let found = self.state.address(name, stream.family);
            found.ok_or_else(|| format!("find a {} address of {name}", stream.family))
        };
        Ok(Wanted {
            source: stream.source.to_string(),
            destination: stream.destination.to_string(),
            from: address(&stream.source)?,
            to: address(&stream.destination)?,
            service: stream.service,
        })
    }

    fn process(&mut self, act: Act, process: &Process, before: &State) -> Result<(), String> {
        let running = !before.down.contains(process);
        match process {
            Process::Agent(vm) => self.agent_process(act, vm, running.then(|| before.is_connected(vm))),
            Process::Center => self.center_process(act, running),
        }
    }

    /// `connected`: whether it reaches the center, where it runs.
    pub(super) fn agent_process(&mut self, act: Act, vm: &Name, connected: Option<bool>) -> Result<(), String> {
        if let (Act::Kill | Act::Stop | Act::Restart, Some(connected)) = (act, connected) {
            let agent = self.agents.get_mut(vm).ok_or_else(|| format!("find the agent of {vm}"))?;
            let ended = if act == Act::Kill { agent.kill() } else { agent.stop().map(drop) };
            ended.map_err(|error| format!("end the agent of {vm}: {error}"))?;
            self.rounds.left(vm);
            if connected {
                self.await_presence(vm, false)?;
            }
        }
        if matches!(act, Act::Start | Act::Restart) {
            let folder = self.agents.get(vm).map(|agent| agent.folder.clone());
            let folder = folder.ok_or_else(|| format!("find the folder of {vm}'s agent"))?;
            self.start_agent(vm, &folder, None)?;
            if !self.state.is_connected(vm) {
                self.await_adopted(vm)?;
            }
            self.await_agents()?;
            self.rounds.returned(vm);
        }
        Ok(())
    }

    fn center_process(&mut self, act: Act, running: bool) -> Result<(), String> {
        if matches!(act, Act::Kill | Act::Stop | Act::Restart) && running {
            self.operator.disconnect();
            let center = self.center.as_mut().ok_or("find the center")?;
            let ended = if act == Act::Kill { center.kill() } else { center.stop().map(drop) };
            ended.map_err(|error| format!("end the center: {error}"))?;
            self.account.agents.clear();
        }
        if matches!(act, Act::Start | Act::Restart) {
            self.start_center()?;
            self.await_agents()?;
        }
        Ok(())
    }
}

/// What is spoken where.
pub(super) fn speeches(state: &State) -> HashMap<Place, Speech> {
    let of = |(vm, spec): (&Name, &VmSpec)| {
        let addresses = state.addresses(vm).to_vec();
        let speaks: Vec<(FlowService, Speech)> =
            spec.speaks.iter().map(|(service, speech)| (*service, *speech)).collect();
        addresses.into_iter().flat_map(move |address| {
            speaks.clone().into_iter().map(move |(service, speech)| ((address, service), speech))
        })
    };
    state.vms.iter().filter(|(_, spec)| !spec.speaks.is_empty()).flat_map(of).collect()
}
