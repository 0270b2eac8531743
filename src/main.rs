//! The eastwest command: thin callers of the libraries, and the one place that prints.

mod agent;
mod args;
mod center;
mod check;
mod demo;
mod diff;
mod discover;
mod doctor;
mod ending;
mod fmt;
mod fuzz;
mod given;
mod importing;
mod init;
mod interrupts;
mod inventory;
mod kept;
mod lab;
mod list;
mod manner;
mod merge;
mod mutate;
mod output;
mod partition;
mod prompt;
mod prove;
mod reach;
mod recorded;
mod render;
mod replay;
mod rerun;
mod run;
mod schema;
mod shells;
mod tellers;
mod watch;
mod why;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::{Args, Command, ReportCommand};
use crate::ending::{Ending, Outcome};

fn main() -> ExitCode {
    let args = Args::parse();
    log_to_stderr();
    // A second installation fails harmlessly: the first provider stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ending = outcome(args.command).unwrap_or_else(|failure| {
        output::complain(&failure);
        failure.ending()
    });
    ending.code()
}

fn outcome(command: Command) -> Outcome {
    match command {
        Command::Demo(args) => demo::demo(&args),
        Command::Init(args) => init::init(&args),
        Command::Run(args) => run::run(args),
        Command::Rerun(args) => rerun::rerun(args),
        Command::List(args) => list::list(&args),
        Command::Why(args) => why::why(&args),
        Command::Reach(args) => reach::reach(&args),
        Command::Prove(args) => prove::prove(args),
        Command::Mutate(args) => mutate::mutate(&args),
        Command::Fuzz(args) => fuzz::fuzz(&args),
        Command::Check(args) => check::check(&args),
        Command::Diff(args) => diff::diff(&args),
        Command::Fmt(args) => fmt::fmt(&args),
        Command::Import { command } => importing::import(&command),
        Command::Replay(args) => replay::replay(&args),
        Command::Schema(args) => Ok(schema::schema(&args)),
        Command::Completions(args) => Ok(shells::completions(&args)),
        Command::Man(args) => shells::man(&args),
        Command::Report { command: ReportCommand::Render(args) } => render::render(&args),
        Command::Report { command: ReportCommand::Merge(args) } => merge::merge(&args),
        Command::Lab(args) => lab::lab(args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Agent { command } => agent::agent(command),
        Command::Center(args) => center::center(args),
        Command::Jail => Ok(Ending::Other(harness::jail_main())),
    }
}

/// The log of the program itself, apart from its output: `EASTWEST_LOG=debug` shows more.
fn log_to_stderr() {
    let wanted = std::env::var("EASTWEST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let filter = wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN));
    let format = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(output::colour_on_stderr());
    tracing_subscriber::registry().with(format.with_filter(filter)).init();
}
