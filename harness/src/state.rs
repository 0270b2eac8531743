//! A state as a value: what stands, what is published, what each agent holds. It is folded from the items of `do`.

mod checks;
mod elsewhere;
mod faults;
mod floods;
mod kept;
mod links;
mod local;
mod programs;
mod published;
mod transition;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use policy::{Family, FlowService, Inventory, Name, Timestamp, Vm};

use crate::scenario::{
    Action, AgentKind, Outside, Party, PathChange, PolicyText, Process, Scenario, Stream, Topology, VmSpec,
};

pub use published::Published;
pub use transition::Transition;

/// One state of a scenario's world.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The hosts.
    pub hosts: Vec<Name>,
    /// The VMs, with placement, labels, addresses and who enforces.
    pub vms: BTreeMap<Name, VmSpec>,
    /// The outside endpoints.
    pub outside: BTreeMap<Name, Outside>,
    /// Whether the hosts stop what VMs send in others' names.
    pub guarded: bool,
    /// The managed networks.
    pub managed: Vec<IpNet>,
    /// The policy in the center.
    pub policy: Option<Arc<PolicyText>>,
    /// The quarantined VMs.
    pub quarantined: BTreeSet<Name>,
    /// The VMs whose agents are suspended.
    pub suspended: BTreeSet<Name>,
    /// The VMs whose policy is over, since their agents do not reach the center.
    pub over: BTreeSet<Name>,
    /// The processes that do not run.
    pub down: BTreeSet<Process>,
    /// Pairs of parties that the lab has cut off from each other.
    pub cuts: BTreeSet<(Party, Party)>,
    /// The VMs whose paths to the center are slow, with the bits a second that these carry.
    pub slow: BTreeMap<Name, u64>,
    /// The paths between endpoints that are not as they were at first, by their ends in order.
    pub paths: BTreeMap<(Name, Name), PathChange>,
    /// The open sessions by name.
    pub sessions: BTreeMap<String, Stream>,
    /// The floods that go on, by name.
    pub floods: BTreeSet<String>,
    /// The programs that go on, by name: where each runs, and where it listens.
    pub programs: BTreeMap<String, (Name, Option<FlowService>)>,
    /// The stand-in for the time, once a rule has ended while the scenario ran; `None`: none has.
    pub now: Option<Timestamp>,
    /// The VMs whose agents have not heard of their center in this life, and do not know what time it is.
    pub timeless: BTreeSet<Name>,
    /// What each agent holds; one that never reached its center is absent, and closed.
    pub held: BTreeMap<Name, Arc<Published>>,
}

impl State {
    /// The state before the first step.
    #[must_use]
    pub fn initial(scenario: &Scenario) -> Self {
        Self::of(&scenario.topology, scenario.policy.clone())
    }

    /// The state in which a topology stands and a policy is published.
    #[must_use]
    pub fn of(topology: &Topology, policy: Option<Arc<PolicyText>>) -> Self {
        let mut state = Self {
            hosts: topology.hosts.clone(),
            guarded: topology.guarded,
            vms: topology.vms.clone(),
            outside: topology.outside.clone(),
            managed: topology.managed.clone(),
            policy,
            quarantined: BTreeSet::new(),
            suspended: BTreeSet::new(),
            over: BTreeSet::new(),
            down: BTreeSet::new(),
            cuts: BTreeSet::new(),
            slow: BTreeMap::new(),
            paths: BTreeMap::new(),
            sessions: BTreeMap::new(),
            floods: BTreeSet::new(),
            programs: BTreeMap::new(),
            now: None,
            timeless: BTreeSet::new(),
            held: BTreeMap::new(),
        };
        state.sync();
        state
    }

    /// The inventory as the policy is judged by: a VM is managed where anybody enforces. The center is told of its own
    /// agents alone.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        let vm = |(name, spec): (&Name, &VmSpec)| {
            let vm = Vm {
                labels: spec.labels.clone(),
                addresses: spec.addresses.iter().copied().filter(|one| !spec.unbound.contains(one)).collect(),
                managed: spec.agent != AgentKind::None,
                quarantined: self.quarantined.contains(name),
                dhcp: spec.dhcp,
                mode: spec.mode,
            };
            (name.clone(), vm)
        };
        // The center knows of no copy.
        let known = self.vms.iter().filter(|(_, spec)| spec.copy_of.is_none());
        Inventory { managed: self.managed.clone(), vms: known.map(vm).collect() }
    }

    /// The names of all endpoints, VMs before outside endpoints.
    pub fn endpoints(&self) -> impl Iterator<Item = &Name> {
        self.vms.keys().chain(self.outside.keys())
    }

    /// The addresses of an endpoint; empty for a name that there is not.
    #[must_use]
    pub fn addresses(&self, endpoint: &Name) -> &[IpAddr] {
        let outside = || self.outside.get(endpoint).map(|outside| &outside.addresses);
        self.vms.get(endpoint).map(|vm| &vm.addresses).or_else(outside).map_or(&[], Vec::as_slice)
    }

    /// The address of an endpoint that probes of a family use: its first.
    #[must_use]
    pub fn address(&self, endpoint: &Name, family: Family) -> Option<IpAddr> {
        self.addresses(endpoint).iter().copied().find(|&address| Family::of(address) == family)
    }

    /// The families that two endpoints have in common, IPv4 first.
    #[must_use]
    pub fn families(&self, a: &Name, b: &Name) -> Vec<Family> {
        let both = |&family: &Family| self.address(a, family).is_some() && self.address(b, family).is_some();
        [Family::V4, Family::V6].into_iter().filter(both).collect()
    }

    /// The host of an endpoint.
    #[must_use]
    pub fn host(&self, endpoint: &Name) -> Option<&Name> {
        let outside = || self.outside.get(endpoint).map(|outside| &outside.host);
        self.vms.get(endpoint).map(|vm| &vm.host).or_else(outside)
    }

    /// Whether an agent of ours enforces at an endpoint.
    #[must_use]
    pub fn is_managed(&self, endpoint: &Name) -> bool {
        self.vms.get(endpoint).is_some_and(|vm| vm.agent == AgentKind::Eastwest)
    }

    /// Whether somebody else enforces at an endpoint.
    #[must_use]
    pub fn is_foreign(&self, endpoint: &Name) -> bool {
        self.vms.get(endpoint).is_some_and(|vm| matches!(vm.agent, AgentKind::Foreign(_)))
    }

    /// Whether the center knows a VM, which has an agent, by this name: a copy goes by another's.
    #[must_use]
    pub fn is_listed(&self, vm: &Name) -> bool {
        self.is_managed(vm) && self.vms.get(vm).is_some_and(|spec| spec.copy_of.is_none())
    }

    /// Whether the lab has cut the path between two endpoints.
    #[must_use]
    pub fn is_cut(&self, a: &Name, b: &Name) -> bool {
        let (a, b) = (self.parties(a), self.parties(b));
        self.cuts.iter().any(|(x, y)| (a.contains(x) && b.contains(y)) || (a.contains(y) && b.contains(x)))
    }

    /// Whether a VM's agent runs and reaches a center that runs.
    #[must_use]
    pub fn is_connected(&self, vm: &Name) -> bool {
        let parties = self.parties(vm);
        let center = |x: &Party, y: &Party| *x == Party::Center && parties.contains(y);
        self.is_managed(vm)
            && !self.down.contains(&Process::Center)
            && !self.down.contains(&Process::Agent(vm.clone()))
            && !self.cuts.iter().any(|(x, y)| center(x, y) || center(y, x))
    }

    /// Whether a VM's agent runs.
    #[must_use]
    pub fn is_alive(&self, vm: &Name) -> bool {
        self.is_managed(vm) && !self.down.contains(&Process::Agent(vm.clone()))
    }

    fn parties(&self, endpoint: &Name) -> Vec<Party> {
        let host = self.host(endpoint).map(|host| Party::Host(host.clone()));
        std::iter::once(Party::Station(endpoint.clone())).chain(host).collect()
    }

    /// Does one item. `history` holds the states at the ends of the steps so far. On an error the state is unchanged.
    ///
    /// # Errors
    /// What is wrong with the item in this state, as a fragment.
    pub fn apply(&mut self, action: &Action, history: &[Self]) -> Result<(), String> {
        let mut next = self.clone();
        next.change(action, history)?;
        next.center_must_run_for(action, self)?;
        next.sync();
        *self = next;
        Ok(())
    }

    fn change(&mut self, action: &Action, history: &[Self]) -> Result<(), String> {
        match action {
            Action::Policy(policy) => (self.policy, self.now) = (Some(Arc::clone(policy)), None),
            Action::Label { vm, set, whole } => self.label(vm, set, *whole)?,
            Action::Move { vm, to } => self.place(vm, to)?,
            Action::Add { vm, spec } => self.add(vm, spec)?,
            Action::Clone { vm, name, spec } => {
                self.must_be_managed(vm)?;
                self.add(name, spec)?;
            }
            Action::Remove { vm } => self.remove(vm)?,
            Action::Open { name, stream } => self.open(name, stream)?,
            Action::Close { name } => drop(self.sessions.remove(name).ok_or_else(|| self.no_session(name))?),
            Action::SendOn { names } => names.iter().try_for_each(|name| self.must_be_open(name))?,
            Action::Send { stream, .. } => self.must_exist(stream)?,
            Action::SendRaw(sending) => {
                sending.crafted.about.iter().try_for_each(|session| self.must_be_open(session))?;
                sending.over.iter().try_for_each(|over| self.must_own(&sending.from, *over))?;
                [&sending.from, &sending.to].into_iter().try_for_each(|name| self.must_have(name, sending.family))?;
            }
            Action::Flood(flooding) => self.begin_flood(flooding)?,
            Action::EndFlood { name } => self.end_flood(name)?,
            Action::Bulk(transfer) => self.must_exist(&transfer.stream)?,
            Action::Exec(exec) => self.exec(exec)?,
            Action::EndProgram { name } => self.end_program(name)?,
            // What is refused changes nothing, and what another process does to a ruleset is undone.
            Action::Publish(_) => {}
            Action::Tamper { vm, .. } => self.must_be_managed(vm)?,
            Action::Address { vm, address, add } => self.readdress(vm, *address, *add)?,
            Action::Interface { vm, addresses } => self.interface(vm, addresses)?,
            Action::Mode { vm, mode } => self.set_mode(vm, *mode)?,
            Action::Suspend { vm, .. } => self.suspend(vm)?,
            Action::Resume { vm, .. } => self.resume(vm)?,
            Action::Upgrade { vm } => self.upgrade(vm)?,
            Action::Lapse { vm } => self.lapse(vm)?,
            Action::Kept { vm, .. } => self.lose(vm)?,
            Action::Quarantine { vm } => self.quarantine(vm, true)?,
            Action::Release { vm } => self.quarantine(vm, false)?,
            Action::Process { act, process } => self.process(*act, process)?,
            Action::Partition { a, b } => self.partition(a, b)?,
            Action::Slow { vm, rate } => self.slow(vm, *rate)?,
            Action::Path(path) => self.path(path)?,
            Action::Heal => self.heal()?,
            Action::Expire { rule, .. } => self.now = Some(self.end_of(rule).ok_or("no such rule ends here")?),
            Action::Reset { step } => self.reset(history.get(*step).ok_or("reset names no earlier step")?)?,
        }
        Ok(())
    }

    fn end_of(&self, rule: &str) -> Option<Timestamp> {
        let rules = &self.policy.as_ref()?.policy.rules;
        rules.iter().find(|one| one.full_name() == rule)?.until.max(self.now)
    }

    fn vm(&mut self, vm: &Name) -> Result<&mut VmSpec, String> {
        self.vms.get_mut(vm).ok_or_else(|| format!("there is no VM `{vm}` at this point"))
    }

    fn label(&mut self, vm: &Name, set: &BTreeMap<String, String>, whole: bool) -> Result<(), String> {
        let spec = self.vm(vm)?;
        if whole {
            spec.labels.clear();
        }
        spec.labels.extend(set.iter().map(|(key, value)| (key.clone(), value.clone())));
        Ok(())
    }

    fn place(&mut self, vm: &Name, to: &Name) -> Result<(), String> {
        if !self.hosts.contains(to) {
            return Err(format!("there is no host `{to}`"));
        }
        let spec = self.vm(vm)?;
        if !spec.second.is_empty() {
            return Err(format!("`{vm}` has a second interface, with which it cannot move yet"));
        }
        if spec.host == *to {
            return Err(format!("`{vm}` is on `{to}` already"));
        }
        spec.host = to.clone();
        Ok(())
    }

    fn add(&mut self, vm: &Name, spec: &VmSpec) -> Result<(), String> {
        if self.endpoints().any(|name| name == vm) {
            return Err(format!("there is a `{vm}` already at this point"));
        }
        let taken = |name: &&Name| self.addresses(name).iter().any(|address| spec.addresses.contains(address));
        if let Some(owner) = self.endpoints().find(taken) {
            return Err(format!("an address of `{vm}` belongs to `{owner}` at this point"));
        }
        self.vms.insert(vm.clone(), spec.clone());
        if let Some(eager) = &spec.eager
            && (eager.to == *vm || self.families(vm, &eager.to).is_empty())
        {
            return Err(format!("`{vm}` cannot send to `{}` at this point", eager.to));
        }
        Ok(())
    }

    fn remove(&mut self, vm: &Name) -> Result<(), String> {
        self.vm(vm)?;
        self.vms.remove(vm);
        self.forget(vm)
    }

    /// Drops what hangs on a VM that is gone.
    fn forget(&mut self, vm: &Name) -> Result<(), String> {
        let on = |stream: &Stream| stream.source == *vm || stream.destination == *vm;
        if let Some((session, _)) = self.sessions.iter().find(|(_, stream)| on(stream)) {
            return Err(format!("session `{session}` is open on `{vm}`: close it first"));
        }
        if let Some(program) = self.program_at(vm) {
            return Err(format!("the program `{program}` goes on in `{vm}`: end it first"));
        }
        self.quarantined.remove(vm);
        self.suspended.remove(vm);
        self.over.remove(vm);
        self.down.remove(&Process::Agent(vm.clone()));
        self.held.remove(vm);
        self.timeless.remove(vm);
        self.slow.remove(vm);
        self.paths.retain(|(a, b), _| a != vm && b != vm);
        let gone = Party::Station(vm.clone());
        self.cuts.retain(|(a, b)| *a != gone && *b != gone);
        Ok(())
    }

    fn open(&mut self, name: &str, stream: &Stream) -> Result<(), String> {
        if self.sessions.contains_key(name) {
            return Err(format!("session `{name}` is open already"));
        }
        self.must_exist(stream)?;
        self.sessions.insert(name.to_owned(), stream.clone());
        Ok(())
    }

    fn quarantine(&mut self, vm: &Name, on: bool) -> Result<(), String> {
        self.vm(vm)?;
        let changed = if on { self.quarantined.insert(vm.clone()) } else { self.quarantined.remove(vm) };
        match (changed, on) {
            (true, _) => Ok(()),
            (false, true) => Err(format!("`{vm}` is quarantined already")),
            (false, false) => Err(format!("`{vm}` is not quarantined")),
        }
    }

    /// A center that does not run cannot be told anything.
    fn center_must_run_for(&self, action: &Action, before: &Self) -> Result<(), String> {
        let told = self.policy != before.policy || self.inventory() != before.inventory();
        let publishes = matches!(action, Action::Policy(_) | Action::Publish(_)) || told;
        if publishes && self.down.contains(&Process::Center) {
            return Err("the center does not run at this point, so it cannot be told of this".to_owned());
        }
        Ok(())
    }

    /// Every agent that reaches its center gets what is published.
    fn sync(&mut self) {
        let reached: Vec<Name> = self.vms.keys().filter(|vm| self.is_connected(vm)).cloned().collect();
        self.vms.iter_mut().filter(|(vm, _)| reached.contains(vm)).for_each(|(_, spec)| spec.unbound.clear());
        let published = Arc::new(Published { policy: self.policy.clone(), inventory: self.inventory() });
        self.timeless.retain(|vm| !reached.contains(vm));
        self.over.retain(|vm| !reached.contains(vm));
        // What others enforce is measured by what is published, whatever they know of it.
        let foreign: Vec<Name> = self.vms.keys().filter(|vm| self.is_foreign(vm)).cloned().collect();
        self.held.extend(reached.into_iter().chain(foreign).map(|vm| (vm, Arc::clone(&published))));
    }
}
