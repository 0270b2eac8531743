//! `eastwest completions` and `eastwest man`: the command line, told to shells and to readers of manuals.

use std::path::PathBuf;

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::args::Args;
use crate::ending::{Ending, Failure, Outcome};
use crate::output;

/// What `completions` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eastwest completions bash > ~/.local/share/bash-completion/completions/eastwest
  eastwest completions zsh > ~/.zfunc/_eastwest          a folder of `fpath`
  eastwest completions fish > ~/.config/fish/completions/eastwest.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Known,
}

/// What `man` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  eastwest man ~/.local/share/man/man1 && man eastwest-run")]
pub(crate) struct ManArgs {
    /// The folder to write to; made if it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Known {
    Bash,
    Zsh,
    Fish,
}

/// Writes a shell's script to standard output.
pub(crate) fn completions(args: &CompletionsArgs) -> Ending {
    let shell = match args.shell {
        Known::Bash => Shell::Bash,
        Known::Zsh => Shell::Zsh,
        Known::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "eastwest", &mut script);
    output::say(&String::from_utf8_lossy(&script));
    Ending::AsExpected
}

/// Writes a page for each subcommand.
pub(crate) fn man(args: &ManArgs) -> Outcome {
    let failed = |error: std::io::Error| Failure::Environment(format!("write to {}: {error}", args.folder.display()));
    std::fs::create_dir_all(&args.folder).map_err(failed)?;
    clap_mangen::generate_to(Args::command(), &args.folder).map_err(failed)?;
    Ok(Ending::AsExpected)
}
