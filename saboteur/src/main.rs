//! `eastwest-saboteur`: the same command line as `eastwest agent run`, and `--kind`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use saboteur::{Bug, Kind, Liar, Miscompiler};

/// The agent with a lie in it, for tests.
#[derive(Debug, Parser)]
#[command(name = "eastwest-saboteur", version)]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Runs the agent.
    Agent {
        #[command(subcommand)]
        agent: Agent,
    },
}

#[derive(Debug, Subcommand)]
enum Agent {
    /// Runs an agent that lies in one way.
    Run {
        /// How it lies.
        #[arg(long, required_unless_present = "bug")]
        kind: Option<Kind>,
        /// Which bug its compiler has.
        #[arg(long, conflicts_with = "kind")]
        bug: Option<Bug>,
        #[command(flatten)]
        options: agent::Options,
    },
}

fn main() -> ExitCode {
    let What::Agent { agent: Agent::Run { kind, bug, options } } = Command::parse().what;
    // Another provider may have been installed before; it is ring too.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let ended = match (kind, bug) {
        (Some(kind), _) => agent::run(&options, Liar::new(kind, lived(&options)), || say("ready")),
        (None, Some(bug)) => agent::run(&options, Miscompiler(bug), || say("ready")),
        (None, None) => agent::run(&options, agent::Honest, || say("ready")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("cannot {error}"));
            ExitCode::from(3)
        }
    }
}

/// Whether there was a life before this one, which kept a policy.
fn lived(options: &agent::Options) -> bool {
    options.state.join("state.json").exists()
}

#[expect(clippy::print_stdout, reason = "the program's output")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "the program's output")]
fn complain(line: &str) {
    eprintln!("{line}");
}
