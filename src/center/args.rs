//! The command line of `eastwest center`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use wire::Kind;

use crate::args::Format;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  eastwest center serve --listen 0.0.0.0:7443
  eastwest center vm apply inventory.yaml
  eastwest center token fin-db
  eastwest center policy publish departments.yaml
  eastwest center events --kind deny --follow")]
pub(crate) struct CenterArgs {
    /// The center's state folder: database, authority, the socket for operators
    #[arg(long, global = true, value_name = "DIR", default_value = "/var/lib/eastwest/center")]
    pub(crate) state: PathBuf,
    #[command(subcommand)]
    pub(crate) command: CenterCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CenterCommand {
    /// Serve agents and operators until SIGTERM or SIGINT
    Serve(ServeArgs),
    /// Make a join token, with which one VM's agent can enrol once
    Token {
        /// The VM
        vm: String,
        /// How many minutes it is valid
        #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=525_600))]
        valid: u64,
    },
    /// The inventory: which VMs there are
    Vm {
        #[command(subcommand)]
        command: VmCommand,
    },
    /// The policy
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// What agents recorded: flows and interceptions
    Events(EventsArgs),
    /// Leave a VM nothing but its channel to the center
    Quarantine {
        /// The VM
        vm: String,
    },
    /// Release a VM from quarantine
    Release {
        /// The VM
        vm: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where agents find the center; `[::]:7443` serves both families
    #[arg(long, value_name = "ADDR:PORT", default_value = "[::]:7443")]
    pub(crate) listen: SocketAddr,
    /// How often center and agents assure each other that they live
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(10..))]
    pub(crate) heartbeat_ms: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VmCommand {
    /// Replace the inventory by that of a file; what is absent from it is revoked
    #[command(after_help = "\
A file:
  managed: [10.98.0.0/16]
  vms:
    fin-db: {labels: {dept: finance, app: db}, addresses: [10.98.0.1]}
    hr-1:   {labels: {dept: hr}, allowed: [10.98.0.0/24], mode: monitor}")]
    Apply {
        /// The inventory
        file: PathBuf,
    },
    /// Have the rules at one VM's end act, or only record; the next inventory says it anew
    Mode {
        /// The VM
        vm: String,
        /// Whether they act
        mode: ModeName,
    },
    /// Every VM, whether its agent is there, and what it acknowledged
    List {
        /// What to write to standard output
        #[arg(long, default_value = "human")]
        format: Format,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Put a policy in force
    Publish {
        /// The policy file; several tiers in their order, divided by commas
        file: PathBuf,
    },
    /// Every published version, the newest first
    History {
        /// What to write to standard output
        #[arg(long, default_value = "human")]
        format: Format,
    },
    /// The text of a published version
    Show {
        /// The version that was in force at this generation [default: the newest]
        generation: Option<u64>,
    },
}

/// Whether rules act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeName {
    /// They do
    Enforce,
    /// They only record
    Monitor,
}

/// Kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindName {
    /// The first packet of an allowed flow
    Allow,
    /// An interception of a new flow
    Deny,
    /// The first forbidden packet of a living flow
    Cut,
    /// A packet of no known flow
    Invalid,
    /// A sentinel of the harness
    Barrier,
    /// Records that are lost
    Gap,
    /// Changes of the kernel's tables by others
    Tamper,
    /// What a detector found
    Alert,
    /// A storm of records alike, told as one
    Aggregated,
    /// Packets that only the kernel's counters know of
    Suppressed,
}

impl From<KindName> for Kind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::Allow => Self::Allow,
            KindName::Deny => Self::Deny,
            KindName::Cut => Self::Cut,
            KindName::Invalid => Self::Invalid,
            KindName::Barrier => Self::Barrier,
            KindName::Gap => Self::Gap,
            KindName::Tamper => Self::Tamper,
            KindName::Alert => Self::Alert,
            KindName::Aggregated => Self::Aggregated,
            KindName::Suppressed => Self::Suppressed,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Made by this VM's agent
    #[arg(long)]
    pub(crate) vm: Option<String>,
    /// Of this kind
    #[arg(long)]
    pub(crate) kind: Option<KindName>,
    /// Decided by this rule
    #[arg(long)]
    pub(crate) rule: Option<String>,
    /// With this address at either end
    #[arg(long)]
    pub(crate) address: Option<IpAddr>,
    /// With this destination port
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Stored after the record with this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0, conflicts_with = "follow")]
    pub(crate) after: u64,
    /// At most so many; 0 for the center's own bound
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "follow")]
    pub(crate) limit: u32,
    /// Everything from here on: records, publications, agents, alerts
    #[arg(long)]
    pub(crate) follow: bool,
    /// What to write to standard output; JSON is one object a line
    #[arg(long, default_value = "human")]
    pub(crate) format: Format,
}
