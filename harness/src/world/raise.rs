//! Raising the world: the lab from the state's value, then the center, then every agent at once.

use std::path::Path;
use std::sync::Arc;

use lab::{Lab, Neighbours, Plan, Ports, StationSpec};
use policy::{Name, Timestamp};
use wire::{InventoryFile, InventoryVm};

use super::programs::{Program, Programs};
use super::{CENTER, CENTER_V4, CENTER_V6, OPERATORS, PORT, Sabotage, World};
use crate::scenario::{self, Scenario};
use crate::state::State;
use crate::witness::operator::Operator;

/// Where a VM's own programs find their source ports: above those of probes, below the sentinels'.
const EPHEMERAL: (&str, &str) = ("/proc/sys/net/ipv4/ip_local_port_range", "61000 64900");

impl World {
    /// Raises a state: when this returns, every agent holds what is published.
    pub(crate) fn raise(
        state: Arc<State>,
        scenario: &Scenario,
        programs: Programs,
        scratch: &Path,
        beside: &Path,
    ) -> Result<Self, String> {
        let operator = Operator::new().map_err(|error| format!("start the operator's thread: {error}"))?;
        let mut plan = plan(&state, scenario.topology.neighbours);
        if programs.sabotage == Some(Sabotage::OpenPorts) {
            plan.ports = Ports::Open;
        }
        let lab = Lab::raise(&plan).map_err(|error| error.to_string())?;
        let mut world = Self {
            programs,
            scratch: scratch.to_owned(),
            beside: beside.to_owned(),
            heartbeat: scenario.heartbeat,
            state: Arc::clone(&state),
            lab,
            center: None,
            agents: std::collections::BTreeMap::new(),
            others: std::collections::BTreeMap::new(),
            operator,
            account: Default::default(),
            prober: Default::default(),
            taps: Default::default(),
            counters: Default::default(),
            sessions: std::collections::BTreeMap::new(),
            cuts: Vec::new(),
            known: std::collections::HashSet::new(),
            crafted: std::collections::HashSet::new(),
            own: None,
            rounds: Default::default(),
            last: Default::default(),
            undone: Vec::new(),
            unbound: std::collections::BTreeSet::new(),
            tampered: std::collections::BTreeSet::new(),
            foreign: std::collections::BTreeMap::new(),
            suspended: std::collections::BTreeMap::new(),
            stopped: std::collections::BTreeMap::new(),
            floods: std::collections::BTreeMap::new(),
            running: std::collections::BTreeMap::new(),
            ran: std::collections::BTreeMap::new(),
            flooded: None,
            carried: None,
            busiest: 0.0,
            changed: None,
            outlived: Vec::new(),
            generation: 0,
            published_at: Timestamp::now(),
            next_probe: 0,
            folders: 0,
        };
        world.prober.listeners.speeches = super::act::speeches(&state);
        for name in state.endpoints() {
            world.settle_in(name.as_str())?;
        }
        state.vms.keys().try_for_each(|vm| world.enforce(vm))?;
        world.start_center()?;
        world.tell_inventory()?;
        if let Some(policy) = &state.policy {
            world.publish(&policy.text)?;
        }
        let managed: Vec<Name> = state.vms.keys().filter(|vm| state.is_managed(vm)).cloned().collect();
        world.enrol_agents(&managed)?;
        world.await_agents()?;
        world.break_raised()?;
        Ok(world)
    }

    /// Makes a new station ready for probing.
    pub(super) fn settle_in(&mut self, name: &str) -> Result<(), String> {
        let station = self.lab.station(name).map_err(|error| error.to_string())?;
        let (path, range) = EPHEMERAL;
        let ports = station.enter(|| std::fs::write(path, range)).map_err(|error| error.to_string())?;
        ports.map_err(|error| format!("set {path}: {error}"))?;
        self.taps.open(&self.lab, name, PORT).map_err(|error| error.to_string())
    }

    /// Starts the center, with the state that it has, and connects to it.
    pub(super) fn start_center(&mut self) -> Result<(), String> {
        let folder = match self.center.take() {
            Some(before) => before.folder,
            None => self.folder("center"),
        };
        let listen = std::net::SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), PORT);
        let command = self
            .programs
            .center(&folder, listen, self.heartbeat)
            .map_err(|error| format!("start the center: {error}"))?;
        let station = self.lab.station(CENTER).map_err(|error| error.to_string())?;
        let child = station.spawn(command).map_err(|error| error.to_string())?;
        let socket = folder.join("state").join(OPERATORS);
        let mut program = Program::new(child, folder);
        let ready = program.first_line();
        self.center = Some(program);
        ready?;
        // Agents may be quicker than this to return, and tell what they kept before anybody listens.
        self.account.fell_behind();
        self.operator.connect(&socket).map_err(|error| error.to_string())
    }

    /// Tells the center the inventory as the state has it.
    pub(super) fn tell_inventory(&mut self) -> Result<(), String> {
        let state = std::sync::Arc::clone(&self.state);
        let vm = |(name, vm): (&Name, &policy::Vm)| {
            let spec = state.vms.get(name);
            let is_late = |address: &std::net::IpAddr| spec.is_some_and(|spec| spec.late.contains(address));
            let vm = InventoryVm {
                labels: vm.labels.clone(),
                addresses: vm.addresses.iter().copied().filter(|address| !is_late(address)).collect(),
                allowed: spec.map(|spec| spec.allowed.clone()).unwrap_or_default(),
                managed: state.is_managed(name),
                dhcp: vm.dhcp,
                mode: vm.mode,
            };
            (name.clone(), vm)
        };
        let inventory = self.state.inventory();
        let vms = inventory.vms.iter().map(vm).collect();
        let file = InventoryFile { managed: inventory.managed, vms, record_all: true };
        let generation = self.operator.apply(file).map_err(|error| format!("tell the inventory: {error}"))?;
        self.generation = self.generation.max(generation);
        Ok(())
    }

    /// Starts the agents of new VMs, each with a token of its own.
    pub(super) fn enrol_agents(&mut self, vms: &[Name]) -> Result<(), String> {
        let names: Vec<String> = vms.iter().map(Name::to_string).collect();
        let tokens = self.operator.tokens(&names).map_err(|error| format!("make join tokens: {error}"))?;
        for (vm, token) in vms.iter().zip(tokens) {
            let folder = self.folder(vm.as_str());
            self.start_agent(vm, &folder, Some(&token))?;
        }
        Ok(())
    }

    /// Starts one agent.
    pub(super) fn start_agent(&mut self, vm: &Name, folder: &Path, token: Option<&str>) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("start the agent of {vm}: {error}");
        let center = self.center_address(vm).to_string();
        let mut options = vec!["--center", &center];
        options.extend(token.into_iter().flat_map(|token| ["--token", token]));
        let clock = self.state.vms.get(vm).map_or(0, |vm| vm.clock).to_string();
        if clock != "0" {
            options.extend(["--clock-offset", &clock]);
        }
        let spool = self.state.vms.get(vm).and_then(|spec| spec.spool).map(|records| records.to_string());
        options.extend(spool.iter().flat_map(|records| ["--spool", records]));
        let protocol = self.state.vms.get(vm).and_then(|spec| spec.protocol).map(|version| version.to_string());
        options.extend(protocol.iter().flat_map(|version| ["--protocol", version]));
        let mut command = self.programs.agent(vm.as_str(), folder, &options).map_err(failed)?;
        if self.state.vms.get(vm).is_some_and(|spec| spec.eager.is_some()) {
            // Its first word is waited for.
            command.stdout(std::process::Stdio::piped());
        }
        let station = self.lab.station(vm.as_str()).map_err(|error| error.to_string())?;
        let child = station.spawn(command).map_err(|error| error.to_string())?;
        self.agents.insert(vm.clone(), Program::new(child, folder.to_owned()));
        Ok(())
    }
}

/// One endpoint's station.
pub(super) fn station(state: &State, name: &Name) -> Option<StationSpec> {
    let host = state.host(name)?.to_string();
    Some(StationSpec { name: name.to_string(), host, addresses: state.addresses(name).to_vec() })
}

fn plan(state: &State, neighbours: scenario::Neighbours) -> Plan {
    let center = StationSpec { name: CENTER.into(), host: CENTER.into(), addresses: vec![CENTER_V4, CENTER_V6] };
    let endpoints = state.endpoints().filter_map(|name| station(state, name));
    Plan {
        hosts: state.hosts.iter().map(Name::to_string).chain([CENTER.to_owned()]).collect(),
        stations: endpoints.chain([center]).collect(),
        neighbours: match neighbours {
            scenario::Neighbours::Permanent => Neighbours::Permanent,
            scenario::Neighbours::Learned => Neighbours::Learned,
        },
        ports: if state.guarded { Ports::Guarded } else { Ports::Open },
    }
}

/// Whether the scenario runs our agent there.
pub(super) fn has_agent(state: &State, vm: &Name) -> bool {
    state.is_listed(vm)
}
