//! A living lab's own traffic: what people's programs and the lab itself send in its VMs beside steps and probes. Agents tell
//! of it as of all else, and no finding is made of it.

use std::collections::BTreeSet;
use std::process::{Child, Command};
use std::sync::{Arc, Weak};

use lab::Tap;
use policy::Name;
use wire::{Direction, Record};

use super::{Wanted, World};
use crate::evidence::Client;
use crate::living::find;
use crate::probe::ports::{Ports, TRAFFIC};

/// Who may have sent beside the harness.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// The VMs of programs that run, each for as long as somebody holds on to it.
    running: Vec<(Name, Weak<()>)>,
    /// Those in which programs ran since the step began.
    since: BTreeSet<Name>,
    /// Those in which programs ran since the step before, or run.
    now: BTreeSet<Name>,
    /// The lab has sent traffic.
    traffic: bool,
}

impl Own {
    /// A new step begins. A program that has ended since the one before may still be told of.
    pub(super) fn turn(&mut self) {
        self.running.retain(|(_, runs)| runs.strong_count() > 0);
        self.now = std::mem::replace(&mut self.since, self.running.iter().map(|(vm, _)| vm.clone()).collect());
    }

    /// A program runs until the last clone of what this gives is gone.
    fn start(&mut self, vm: &Name) -> Arc<()> {
        let runs = Arc::new(());
        self.running.retain(|(_, runs)| runs.strong_count() > 0);
        self.running.push((vm.clone(), Arc::downgrade(&runs)));
        self.since.insert(vm.clone());
        runs
    }
}

impl World {
    /// The world is a living lab's: in it others send, too.
    pub(crate) fn live(&mut self) {
        self.own = Some(Own::default());
    }

    /// Starts a program in a VM or an outside endpoint. It counts as running while what comes with it is held.
    pub(crate) fn start_in(&mut self, name: &str, command: Command) -> Result<(Child, Option<Arc<()>>), String> {
        let vm = find(&self.state, name)?;
        let station = self.lab.station(vm.as_str()).map_err(|error| error.to_string())?;
        let child = station.spawn(command).map_err(|error| error.to_string())?;
        Ok((child, self.own.as_mut().map(|own| own.start(vm))))
    }

    /// A tap at the wire of a VM or an outside endpoint.
    pub(crate) fn tap(&self, name: &str) -> Result<Tap, String> {
        let station = self.lab.station(find(&self.state, name)?.as_str()).map_err(|error| error.to_string())?;
        station.tap().map_err(|error| error.to_string())
    }

    /// Sends one flow that nobody judges, from ports of its own.
    pub(crate) fn chat(&mut self, wanted: Wanted, ports: &mut Ports) -> Result<Client, String> {
        self.own.as_mut().ok_or("send traffic in a run")?.traffic = true;
        let probe = self.probe(wanted);
        self.prober.prepare(&self.lab, std::slice::from_ref(&probe))?;
        std::mem::swap(ports, &mut self.prober.ports);
        let mut attempts = self.prober.run(&self.lab, vec![probe]);
        std::mem::swap(ports, &mut self.prober.ports);
        // Taps have room for little, and what they saw of it nobody asks for.
        self.taps.clear().map_err(|error| error.to_string())?;
        attempts.pop().map(|attempt| attempt.learned).ok_or_else(|| "send a flow".to_owned())
    }

    /// Whether somebody's own program, or the lab's own traffic, may have sent what a record tells of.
    pub(super) fn is_own(&self, record: &Record) -> bool {
        let Some(own) = &self.own else { return false };
        let sends = |vm: &Name| {
            let is_at_it = record.key.vm == vm.as_str() && record.direction == Direction::Out;
            is_at_it || self.state.addresses(vm).contains(&record.source.address)
        };
        let ports = [record.source.port, record.destination.port, record.icmp_id];
        let is_traffic = own.traffic && ports.iter().any(|port| TRAFFIC.contains(port));
        is_traffic || own.now.iter().any(sends)
    }

    /// Whether people's own programs may send at this moment.
    pub(super) fn others_send(&self) -> bool {
        self.own.as_ref().is_some_and(|own| !own.now.is_empty())
    }
}
