//! The command line of `eastwest lab`.

use std::path::PathBuf;

use clap::Subcommand;

use crate::args::Format;

/// A lab to try things in
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eastwest lab up scenario.yaml
  eastwest lab probe hr-1 fin-db tcp/5432          the verdict on real packets, and why
  eastwest lab exec web-1 -- ip addr
  eastwest lab publish draft.yaml
  eastwest lab do 'kill: {agent: hr-1}'             any item of a step's `do`
  eastwest lab down

A lab is a scenario's state before its first step, in namespaces of its own, without a way out. It lives in the background until
`lab down`. Where several are up, `--lab NAME` says which is meant.")]
pub(crate) struct LabArgs {
    #[command(subcommand)]
    pub(crate) command: LabCommand,
    /// Which lab [default: the only one]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) lab: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// Raise a lab; its name is `--lab`, or the file's
    Up {
        /// A scenario; one without steps will do
        file: PathBuf,
    },
    /// What stands: hosts, VMs, addresses, labels, agents
    Status {
        /// What to write to standard output
        #[arg(long, default_value = "human")]
        format: Format,
    },
    /// The names of the labs that are up
    List,
    /// Send a flow on real packets: the verdict, the rule, and why; exit code 1 where it is not what the policy says
    Probe {
        /// The source
        #[arg(value_name = "SRC")]
        source: String,
        /// The destination
        #[arg(value_name = "DST")]
        destination: String,
        /// One service, such as tcp/443, udp/53, icmp/echo-request
        service: String,
        /// What to write to standard output
        #[arg(long, default_value = "human")]
        format: Format,
    },
    /// Run a program in a VM's network; its exit code is this command's
    Exec {
        /// A VM or an outside endpoint
        vm: String,
        /// The program and its arguments
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// A shell in a VM's network
    Shell {
        /// A VM or an outside endpoint
        vm: String,
    },
    /// Publish another policy, and wait until every agent holds it
    Publish {
        /// The policy file
        policy: PathBuf,
    },
    /// Do an item of a step's `do`, such as `kill: {agent: hr-1}`
    #[command(name = "do")]
    Item {
        /// The item, as a scenario has it
        #[arg(required = true, value_name = "ITEM")]
        item: Vec<String>,
    },
    /// Do steps from a file, one or a list of them, and judge what they expect; `-` for standard input
    Step {
        /// The file
        file: PathBuf,
        /// What to write to standard output
        #[arg(long, default_value = "human")]
        format: Format,
    },
    /// End a lab; nothing of it stays
    Down,
    /// The process that holds a lab (started by `up`)
    #[command(hide = true)]
    Hold {
        /// The lab's folder
        folder: PathBuf,
        /// The scenario
        file: PathBuf,
    },
}
