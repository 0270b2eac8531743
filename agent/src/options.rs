//! What `eastwest agent run` takes.

use std::net::SocketAddr;
use std::path::PathBuf;

/// How an agent runs.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The center's address and port.
    #[arg(long, value_name = "ADDR:PORT", required_unless_present = "policy", conflicts_with = "policy")]
    pub center: Option<SocketAddr>,
    /// The folder for the agent's key, its certificate and the policy that it keeps.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/eastwest/agent")]
    pub state: PathBuf,
    /// The join token; needed once.
    #[arg(long, conflicts_with = "policy")]
    pub token: Option<String>,
    /// A file with the join token.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token", "policy"])]
    pub token_file: Option<PathBuf>,
    /// Without a center: enforce the view in this file (JSON).
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// By how many seconds this machine's wall clock is wrong, for tests.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, hide = true, allow_hyphen_values = true)]
    pub clock_offset: i64,
    /// The version of the protocol that this agent speaks, for tests of older builds.
    #[arg(long, value_name = "VERSION", default_value_t = wire::PROTOCOL, hide = true)]
    pub protocol: u32,
    /// How many records wait for the center at most, while it is away; what is beyond is counted, and said.
    #[arg(long, value_name = "N", default_value_t = 65_536,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub spool: u32,
    /// The highest epoch, for tests of the wrap-around.
    #[arg(long, value_name = "N", default_value_t = agent_core::MAX_EPOCH, hide = true,
          value_parser = clap::value_parser!(u16).range(3..=agent_core::MAX_EPOCH as i64))]
    pub epochs: u16,
}
