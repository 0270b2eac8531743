//! What an agent's process costs: memory, and the processor's time at rest.
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};

use crate::policy;

/// At rest an agent reads its counters every ten seconds.
const LOOK: Duration = Duration::from_secs(20);

/// A process that ends with this value.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Agent {
    fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// Clock ticks of its own and the kernel's on its behalf, of which a second has 100.
    fn ticks(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
    }

    /// Percent of a processor while `what` is done.
    fn busy(&self, what: impl FnOnce()) -> f64 {
        let (before, begun) = (self.ticks(), Instant::now());
        what();
        (self.ticks() - before) / begun.elapsed().as_secs_f64()
    }
}

pub(crate) fn print(eastwest: &str, rules: &[u32]) {
    println!("| rules | memory, MiB | CPU at rest, % |\n|---|---|---|");
    for rules in rules.iter().copied() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("view.json");
        fs::write(&file, serde_json::to_vec(&policy::view(rules)).unwrap()).unwrap();
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let agent = start(eastwest, folder.path(), &file);
        let rest = agent.busy(|| std::thread::sleep(LOOK));
        println!("| {rules} | {:.0} | {rest:.1} |", agent.memory());
    }
}

/// Starts an agent and waits until its policy is in force.
fn start(eastwest: &str, folder: &Path, view: &Path) -> Agent {
    let state = folder.join("state");
    let mut command = Command::new(eastwest);
    command.args(["agent", "run", "--state"]).arg(&state).arg("--policy").arg(view);
    let agent = Agent(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let begun = Instant::now();
    loop {
        let status = fs::read_to_string(state.join("status.json")).unwrap_or_default();
        if status.contains("\"generation\":1") {
            return agent;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "the agent does not come up: {status}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
