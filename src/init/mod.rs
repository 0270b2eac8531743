//! A place to begin: a scenario that passes, the policy that it is about, and a file for CI.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::ending::{Ending, Failure, Outcome};
use crate::output;

/// What `init` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eastwest init
  eastwest init segments --template three-tier --ci gitlab
  eastwest run segments/scenarios

Nothing that is there already is written over.")]
pub(crate) struct InitArgs {
    /// Where to write; made if it is not there
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// What to begin with
    #[arg(long, default_value = "departments")]
    template: Template,
    /// For which CI system
    #[arg(long, default_value = "github")]
    ci: Ci,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Template {
    /// Departments that keep to themselves, on one host and on two
    Departments,
    /// Web, application and database, a bastion and clients outside
    ThreeTier,
    /// Services that trust nobody for where it stands; a rule on trial, a detector
    ZeroTrust,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Ci {
    /// GitHub's workflows
    Github,
    /// GitLab's pipelines
    Gitlab,
    /// None
    None,
}

/// The policy and the scenario of the departments.
pub(crate) const DEPARTMENTS: (&str, &str) =
    (include_str!("departments/policy.yaml"), include_str!("departments/scenario.yaml"));

/// A file to write: its place and its text.
type Text = (&'static str, &'static str);

impl Template {
    fn files(self) -> [Text; 2] {
        let (policy, scenario) = match self {
            Self::Departments => DEPARTMENTS,
            Self::ThreeTier => (include_str!("three-tier/policy.yaml"), include_str!("three-tier/scenario.yaml")),
            Self::ZeroTrust => (include_str!("zero-trust/policy.yaml"), include_str!("zero-trust/scenario.yaml")),
        };
        [("policy.yaml", policy), ("scenarios/first.yaml", scenario)]
    }
}

impl Ci {
    fn file(self) -> Option<Text> {
        match self {
            Self::Github => Some((".github/workflows/eastwest.yml", include_str!("github.yml"))),
            Self::Gitlab => Some((".gitlab-ci.yml", include_str!("gitlab.yml"))),
            Self::None => None,
        }
    }
}

/// Writes the files, all or none.
pub(crate) fn init(args: &InitArgs) -> Outcome {
    let files: Vec<Text> = args.template.files().into_iter().chain(args.ci.file()).collect();
    let there: Vec<&str> = files.iter().map(|(name, _)| *name).filter(|name| args.folder.join(name).exists()).collect();
    if !there.is_empty() {
        let there = there.join(", ");
        let folder = args.folder.display();
        return Err(Failure::Input(format!("write over what is there: {there} in {folder}; name another folder")));
    }
    files.iter().try_for_each(|(name, text)| write(&args.folder.join(name), text))?;
    let (scenarios, policy) = (args.folder.join("scenarios"), args.folder.join("policy.yaml"));
    let (scenarios, policy) = (scenarios.display(), policy.display());
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    output::say(&format!(
        "wrote {}\n\nnext:\n  eastwest run {scenarios}            on packets\n  eastwest check {policy}        what is idle or in vain\n  \
         eastwest lab up {scenarios}/first.yaml   the same VMs, to try things in\n",
        names.join(", ")
    ));
    Ok(Ending::AsExpected)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        let said = format!("write {}: {error}", path.display());
        let withheld = error.kind() == ErrorKind::PermissionDenied;
        if withheld { Failure::Environment(said) } else { Failure::Fault(said) }
    };
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
    fs::write(path, text).map_err(failed)
}
