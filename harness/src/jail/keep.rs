//! What is kept, beside the report, of a scenario in which something was not as expected: written before its world is taken down.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use policy::Name;
use reports::event::Finding;

use super::protocol::Order;
use crate::plan::PlannedStep;
use crate::world::World;

/// Of how many VMs of a step the counters and connections are kept.
const MOST_VMS: usize = 8;
/// Of how many probes of a step that was not gone through the frames are kept.
const MOST_PAIRS: usize = 256;

/// Where evidence of one scenario is kept.
pub(super) struct Keep(PathBuf);

impl Keep {
    /// That of an order, if its run keeps any.
    pub(super) fn of(order: &Order) -> Option<Self> {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
        let name: String = order.scenario.name.chars().map(plain).collect();
        Some(Self(order.report_dir.as_ref()?.join("evidence").join(name)))
    }

    /// Keeps what concerns a step's findings: the frames between their ends, and of these what their kernels counted and
    /// which connections they track.
    pub(super) fn step(&self, world: &mut World, step: &PlannedStep, findings: &[Finding]) {
        let pair = |finding: &Finding| Some((finding.source.clone()?, finding.destination.clone()?));
        self.pairs(world, step, &findings.iter().filter_map(pair).collect());
    }

    /// Keeps what is known of a step that was not gone through to its end.
    pub(super) fn stopped(&self, world: &mut World, step: &PlannedStep) {
        let probed = step.cells.iter().chain(&step.throughout);
        let pairs = probed.map(|cell| (cell.source.to_string(), cell.destination.to_string()));
        self.pairs(world, step, &pairs.take(MOST_PAIRS).collect());
    }

    fn pairs(&self, world: &mut World, step: &PlannedStep, pairs: &BTreeSet<(String, String)>) {
        let number = step.index + 1;
        match world.frames(&pairs.iter().cloned().collect::<Vec<_>>()) {
            Ok((Some(frames), gone)) => {
                let gone = if gone > 0 { format!("-without-the-first-{gone}-frames") } else { String::new() };
                self.write(&format!("step-{number}{gone}.pcapng"), &frames);
            }
            Ok((None, _)) => {}
            Err(error) => tracing::warn!(error, "the frames of a step could not be kept"),
        }
        let named: BTreeSet<&str> = pairs.iter().flat_map(|(one, other)| [one.as_str(), other.as_str()]).collect();
        let vms = step.state.vms.keys().filter(|vm| named.contains(vm.as_str()));
        let vms: Vec<Name> = vms.take(MOST_VMS).cloned().collect();
        for vm in vms {
            match world.ruleset(&vm) {
                Some(ruleset) => self.write(&format!("step-{number}-{vm}-ruleset.txt"), &ruleset),
                None => self.write(&format!("step-{number}-{vm}-counters.txt"), world.counted(&vm).as_bytes()),
            }
            if let Some(connections) = world.connections(&vm) {
                self.write(&format!("step-{number}-{vm}-connections.txt"), connections.as_bytes());
            }
        }
    }

    /// Keeps the programs' logs, of every life that they had, and how the scenario is run again.
    pub(super) fn end(&self, order: &Order, scratch: &Path) {
        for entry in fs::read_dir(scratch).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Ok(log) = fs::read(entry.path().join("log")) {
                self.write(&format!("{name}.log"), &log);
            }
        }
        let visits = order.visits.options().map(|options| format!(" {options}")).unwrap_or_default();
        self.write("again.txt", format!("eastwest run {}{visits}\n", order.scenario.file).as_bytes());
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.join(name);
        if let Err(error) = fs::create_dir_all(&self.0).and_then(|()| fs::write(&path, bytes)) {
            tracing::warn!(%error, path = %path.display(), "evidence could not be kept");
        }
    }
}
