//! The command line of `eastwest lab`.

use std::path::PathBuf;

use clap::Subcommand;

use super::fault::Fault;
use crate::args::{Format, seconds};

/// A lab to try things in
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eastwest lab up scenario.yaml
  eastwest lab probe hr-1 fin-db tcp/5432          the verdict on real packets, and why
  eastwest lab exec web-1 -- ip addr
  eastwest lab publish draft.yaml
  eastwest lab do 'move: {vm: hr-1, to: rack-b}'    any item of a step's `do`
  eastwest lab fault kill agent hr-1
  eastwest lab capture fin-db -w fin-db.pcapng --for 10s
  eastwest lab traffic start
  eastwest lab watch
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
    /// A shell in a VM's network, with a terminal of its own where you sit at one
    Shell {
        /// A VM or an outside endpoint
        vm: String,
    },
    /// Capture packets at a VM's wire, at the host's end of it: a line for each, or whole as pcapng
    #[command(after_help = "\
Examples:
  eastwest lab capture fin-db                          until Ctrl-C
  eastwest lab capture fin-db --count 20
  eastwest lab capture fin-db -w fin-db.pcapng --for 10s
  eastwest lab capture fin-db -w - | wireshark -k -i -

A line is: the time (UTC), which way, from, to, what, how many bytes. What an agent in the VM drops on its way out never comes to the
wire; what it drops on its way in does. How many packets it was, and how many the kernel lost for want of room, is said at the end.")]
    Capture(CaptureArgs),
    /// Hosts and VMs, and verdicts as they happen, on your terminal; `q` ends
    Watch,
    /// Break something, or mend it: a short spelling of items of `do`
    #[command(after_help = "\
Examples:
  eastwest lab fault partition hr-1 fin-db
  eastwest lab fault partition rack-a,rack-b center
  eastwest lab fault slow hr-1 64kbit
  eastwest lab fault kill agent hr-1
  eastwest lab fault restart center
  eastwest lab fault heal")]
    Fault {
        /// What
        #[command(subcommand)]
        fault: Fault,
    },
    /// Have the lab's endpoints talk to each other by the services that the policy names, so that there is something to see
    #[command(after_help = "\
Examples:
  eastwest lab traffic start
  eastwest lab traffic start --rate 20 --seed 7
  eastwest lab traffic
  eastwest lab traffic stop

Every service of the policy from every endpoint to every other takes its turn, in an order by the seed. Nothing is sent while a step
or a probe is under way, and nobody judges it.")]
    Traffic(TrafficArgs),
    /// Publish another policy, and wait until every agent holds it
    Publish {
        /// The policy file; several tiers in their order, divided by commas
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
    /// A program that begins a session at its terminal (started by `shell`)
    #[command(hide = true)]
    Terminal {
        /// The kind of terminal
        term: String,
        /// The program and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// The process that holds a lab (started by `up`)
    #[command(hide = true)]
    Hold {
        /// The lab's folder
        folder: PathBuf,
        /// The scenario
        file: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct CaptureArgs {
    /// A VM or an outside endpoint
    pub(crate) vm: String,
    /// Write whole packets as pcapng to a file; `-` for standard output
    #[arg(short = 'w', long = "write", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// End with so many packets
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// End after a time, such as 10s or 5m
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    pub(crate) time: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TrafficArgs {
    /// What to do
    #[arg(default_value = "status")]
    pub(crate) what: TrafficWord,
    /// Flows a second
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub(crate) rate: u32,
    /// The seed of their order
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// What to write to standard output
    #[arg(long, default_value = "human")]
    pub(crate) format: Format,
}

/// What is done to a lab's traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TrafficWord {
    /// Begin, or begin anew
    Start,
    /// End
    Stop,
    /// How many flows were sent, and what came of them
    Status,
}
