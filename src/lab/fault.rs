//! The short spelling of the items of `do` that break something.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::ending::Failure;

/// What is to be broken, or mended.
#[derive(Debug, Subcommand)]
pub(crate) enum Fault {
    /// Cut every path between two sides: hosts, VMs, `center`
    Partition {
        /// One side, names with commas between them
        a: String,
        /// The other side
        b: String,
    },
    /// Let the path between a VM and the center carry so many bits a second
    Slow {
        /// The VM
        vm: String,
        /// How many, such as 64kbit or 1mbit; `none` ends it
        rate: String,
    },
    /// Undo every partition, and make every path quick
    Heal,
    /// Kill a process: `agent VM`, or `center`
    Kill(Process),
    /// Ask a process to end: `agent VM`, or `center`
    Stop(Process),
    /// Start a process that has ended: `agent VM`, or `center`
    Start(Process),
    /// End a process and start it again: `agent VM`, or `center`
    Restart(Process),
    /// Do to an agent's ruleset what another process in its VM could
    Tamper {
        /// The VM
        vm: String,
        /// flush, delete-rule, insert-accept, delete-table, add-element, foreign-table, fill-connections or empty-connections
        how: String,
    },
    /// Change what a dead agent kept for its next life
    Kept {
        /// The VM
        vm: String,
        /// absent, altered or foreign
        how: String,
    },
}

/// Which process.
#[derive(Debug, clap::Args)]
pub(crate) struct Process {
    /// `agent VM`, or `center`
    #[arg(value_name = "PROCESS", required = true, num_args = 1..=2)]
    process: Vec<String>,
}

impl Fault {
    /// The item of `do`, as a scenario has it: JSON is YAML.
    pub(super) fn item(&self) -> Result<Value, Failure> {
        let names = |side: &str| side.split(',').map(str::trim).map(str::to_owned).collect::<Vec<_>>();
        Ok(match self {
            Self::Partition { a, b } => json!({"partition": {"a": names(a), "b": names(b)}}),
            Self::Slow { vm, rate } => json!({"slow": {"vm": vm, "rate": rate}}),
            Self::Heal => json!("heal"),
            Self::Kill(process) => json!({"kill": process.value("kill")?}),
            Self::Stop(process) => json!({"stop": process.value("stop")?}),
            Self::Start(process) => json!({"start": process.value("start")?}),
            Self::Restart(process) => json!({"restart": process.value("restart")?}),
            Self::Tamper { vm, how } => json!({"tamper": {"vm": vm, "how": how}}),
            Self::Kept { vm, how } => json!({"kept": {"vm": vm, "how": how}}),
        })
    }
}

impl Process {
    fn value(&self, verb: &str) -> Result<Value, Failure> {
        let words: Vec<&str> = self.process.iter().map(String::as_str).collect();
        match words[..] {
            ["center"] => Ok(json!("center")),
            ["agent", vm] => Ok(json!({"agent": vm})),
            _ => {
                let said = words.join(" ");
                Err(Failure::Input(format!("read `{verb} {said}`: it is `{verb} agent VM` or `{verb} center`")))
            }
        }
    }
}
