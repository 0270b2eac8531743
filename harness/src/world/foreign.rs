//! Others' enforcement: rulesets that the program `nft` loads into a VM, and programs that run in it. None of it speaks
//! with the center.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use policy::Name;

use super::World;
use super::programs::{Program, logged};
use crate::scenario::{Action, AgentKind, Foreign, Scenario, VmSpec};

/// What loads rulesets.
const NFT: &str = "nft";
/// Where it is, beside the folders in which programs are looked for: an ordinary user's may lack these.
const FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];
/// The queues to which programs of a network namespace listen, each a line.
const QUEUES: &str = "/proc/thread-self/net/netfilter/nfnetlink_queue";
/// The interfaces of a network namespace with what they have carried.
const INTERFACES: &str = "/proc/thread-self/net/dev";

/// What this machine lacks for a scenario to be run on packets, if anything.
#[must_use]
pub fn lack(scenario: &Scenario) -> Option<String> {
    let absent = |program: &str| !program.contains('/') && installed(program).is_none();
    let done = programs(scenario).map(|program| ("a step cannot be done".to_owned(), program));
    let loaded = rulesets(scenario).map(|(vm, _)| (format!("the ruleset of `{vm}` cannot be loaded"), NFT));
    let enforced = others(scenario).flat_map(|(vm, other)| {
        let Foreign::Exec { program, needs, .. } = other else { return Vec::new() };
        let all = std::iter::once(program).chain(needs);
        all.map(|program| (format!("`{vm}` cannot be enforced at"), program.as_str())).collect()
    });
    let lacking = done.chain(loaded).chain(enforced).find(|(_, program)| absent(program));
    lacking.map(|(what, program)| format!("{what}: the program `{program}` is not installed"))
}

/// Has `nft` look at every ruleset that a scenario names, before anything is raised.
pub(crate) fn check(scenario: &Scenario, beside: &Path) -> Result<(), String> {
    for (vm, file) in rulesets(scenario) {
        let output = command(beside, &["--check", "--file", file]).and_then(|mut nft| nft.output());
        taken(vm, file, output)?;
    }
    Ok(())
}

/// The folder of a scenario's file.
pub(crate) fn folder_of(path: &Path) -> Result<PathBuf, String> {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    folder.canonicalize().map_err(|error| format!("find the folder {}: {error}", folder.display()))
}

impl World {
    /// Has somebody else enforce at a VM, if it is such a VM. When this returns, what they enforce is in force.
    pub(super) fn enforce(&mut self, vm: &Name) -> Result<(), String> {
        let agent = self.state.vms.get(vm).map(|spec| spec.agent.clone());
        match agent {
            Some(AgentKind::Foreign(Foreign::Ruleset(file))) => self.load(vm, &file),
            Some(AgentKind::Foreign(Foreign::Exec { program, arguments, .. })) => {
                self.start_other(vm, &program, &arguments)
            }
            Some(AgentKind::Eastwest | AgentKind::None) | None => Ok(()),
        }
    }

    fn load(&self, vm: &Name, file: &str) -> Result<(), String> {
        let output = command(&self.beside, &["--file", file]).and_then(|mut nft| {
            nft.stdout(Stdio::null()).stderr(Stdio::piped());
            let station = self.lab.station(vm.as_str()).map_err(io::Error::other)?;
            station.spawn(nft).map_err(io::Error::other)?.wait_with_output()
        });
        taken(vm, file, output)
    }

    fn start_other(&mut self, vm: &Name, program: &str, arguments: &[String]) -> Result<(), String> {
        let failed = |why: String| format!("start {program} in {vm}: {why}");
        let full = if program.contains('/') { self.beside.join(program) } else { PathBuf::from(program) };
        let folder = self.folder(vm.as_str());
        let mut command = logged(&full, &folder).map_err(|error| failed(error.to_string()))?;
        command.args(arguments).current_dir(&self.beside).env("EASTWEST_VM", vm.as_str());
        command.env("EASTWEST_STATE", folder.join("state"));
        command.stdout(Stdio::piped()).process_group(0);
        let station = self.lab.station(vm.as_str()).map_err(|error| error.to_string())?;
        let mut program = Program::new(station.spawn(command).map_err(|error| failed(error.to_string()))?, folder);
        let ready = program.ready();
        self.others.insert(vm.clone(), program);
        ready.map_err(failed)
    }

    /// The rules that others have put into a VM at which they enforce, with what their counters have counted; `None` where
    /// `nft` cannot tell.
    pub(crate) fn ruleset(&self, vm: &Name) -> Option<Vec<u8>> {
        let mut nft = command(&self.beside, &["list", "ruleset"]).ok().filter(|_| self.state.is_foreign(vm))?;
        nft.stdout(Stdio::piped()).stderr(Stdio::null());
        let listed = self.lab.station(vm.as_str()).ok()?.spawn(nft).ok()?.wait_with_output().ok()?;
        listed.status.success().then_some(listed.stdout)
    }

    /// Ends the program by which others enforced at a VM.
    pub(super) fn end_others(&mut self, vm: &Name) -> Result<(), String> {
        let ended = self.others.remove(vm).map(|mut program| program.kill_group());
        ended.unwrap_or(Ok(())).map_err(|error| format!("end what enforces at {vm}: {error}"))
    }

    /// A program that has failed enforces nothing, and what is seen then says nothing of it.
    pub(super) fn still_enforced(&self) -> Result<(), String> {
        let failed = self.others.iter().find_map(|(vm, program)| Some((vm, program.end()?.err()?)));
        failed.map_or(Ok(()), |(vm, how)| Err(format!("cannot go on: what enforces at {vm} has failed: {how}")))
    }

    /// The VMs, of those at which others enforce, in which packets leave the kernel's ordinary way: a program takes them
    /// from a queue, or another interface than the lab's has carried some.
    pub(super) fn taken_out(&self) -> BTreeSet<String> {
        let foreign = self.state.vms.keys().filter(|vm| self.state.is_foreign(vm));
        let read = |vm: &Name, file: &'static str| {
            let read = self.lab.station(vm.as_str()).and_then(|station| station.enter(|| fs::read_to_string(file)));
            // A kernel without such queues has no such file.
            read.ok().and_then(Result::ok).unwrap_or_default()
        };
        let takes =
            |vm: &&Name| !read(vm, QUEUES).trim().is_empty() || read(vm, INTERFACES).lines().any(leads_elsewhere);
        foreign.filter(takes).map(ToString::to_string).collect()
    }
}

/// Whether a line tells of an interface that is none of the lab's, and has carried a packet.
fn leads_elsewhere(line: &str) -> bool {
    let Some((name, figures)) = line.split_once(':') else { return false };
    let of_the_lab = name.trim() == "lo" || name.trim().starts_with("eth");
    let figures: Vec<&str> = figures.split_whitespace().collect();
    let packets = [figures.get(1), figures.get(9)];
    !of_the_lab && packets.into_iter().flatten().any(|packets| *packets != "0")
}

/// Each ruleset that a scenario names, with its VM.
fn rulesets(scenario: &Scenario) -> impl Iterator<Item = (&Name, &str)> {
    others(scenario).filter_map(|(vm, other)| match other {
        Foreign::Ruleset(file) => Some((vm, file.as_str())),
        Foreign::Exec { .. } => None,
    })
}

/// Who else enforces at VMs: at those that stand at first, and those that are added.
fn others(scenario: &Scenario) -> impl Iterator<Item = (&Name, &Foreign)> {
    let added = scenario.steps.iter().flat_map(|step| &step.doing).filter_map(|doing| {
        let Action::Add { vm, spec } = &doing.action else { return None };
        Some((vm, spec))
    });
    let all = scenario.topology.vms.iter().chain(added);
    all.filter_map(|(vm, spec): (&Name, &VmSpec)| match &spec.agent {
        AgentKind::Foreign(other) => Some((vm, other)),
        AgentKind::Eastwest | AgentKind::None => None,
    })
}

/// The programs that steps run.
fn programs(scenario: &Scenario) -> impl Iterator<Item = &str> {
    let all = scenario.steps.iter().flat_map(|step| &step.doing);
    all.filter_map(|doing| if let Action::Exec(exec) = &doing.action { Some(exec.program.as_str()) } else { None })
}

/// A program, in one of the folders in which programs are looked for, or where it is otherwise.
pub(super) fn installed(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH");
    let folders = path.as_deref().map(env::split_paths).into_iter().flatten();
    let mut all = folders.chain(FOLDERS.map(PathBuf::from)).map(|folder| folder.join(program));
    all.find(|program| program.is_file())
}

fn command(beside: &Path, arguments: &[&str]) -> io::Result<Command> {
    let program = installed(NFT).ok_or_else(|| io::Error::other("`nft` is not installed"))?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(beside).stdin(Stdio::null());
    Ok(command)
}

/// What `nft` has made of a ruleset; where it refuses it, in its own words.
fn taken(vm: &Name, file: &str, output: io::Result<Output>) -> Result<(), String> {
    let output = output.map_err(|error| format!("load the ruleset {file} of {vm}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let refused = || format!("load the ruleset {file} of {vm}, which `nft` refuses:\n{}", said.trim_end());
    output.status.success().then_some(()).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::leads_elsewhere;

    #[test]
    fn only_what_carries_packets_past_the_lab_leads_elsewhere() {
        let rows = [
            (" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs", false),
            ("    lo:   90       3    0    0    0     0          0         0       90       3    0", false),
            ("  eth0: 1200      12    0    0    0     0          0         0      900       9    0", false),
            ("  sit0:    0       0    0    0    0     0          0         0        0       0    0", false),
            ("  tun0:    0       0    0    0    0     0          0         0       60       1    0", true),
            ("   wg0:   60       1    0    0    0     0          0         0        0       0    0", true),
        ];
        for (line, expected) in rows {
            assert_eq!(leads_elsewhere(line), expected, "{line}");
        }
    }
}
