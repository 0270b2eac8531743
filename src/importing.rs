//! `eastwest import`: others' rules as a scenario on standard output.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use policy::Family;

use crate::discover::text_of;
use crate::ending::{Ending, Failure, Outcome};
use crate::output;

/// What is imported.
#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Pods, namespaces, NetworkPolicies, AdminNetworkPolicies and the BaselineAdminNetworkPolicy
    #[command(after_help = "\
Examples:
  kubectl get namespaces,networkpolicies -A -o yaml > policies.yaml
  kubectl get pods -A --field-selector spec.hostNetwork=false -o yaml > pods.yaml
  eastwest import kubernetes policies.yaml pods.yaml > cluster.yaml
  eastwest reach cluster.yaml --services tcp/443,tcp/5432
  eastwest import kubernetes policies.yaml pods.yaml --hosts 3 | eastwest run -

What cannot be carried is an error at its place; what is left out because no policy speaks of it is told on standard error.")]
    Kubernetes(ImportArgs),
    /// Instances and their security groups, as `aws ec2 describe-…` tells them
    #[command(after_help = "\
Examples:
  aws ec2 describe-security-groups > groups.json; aws ec2 describe-instances > instances.json
  eastwest import aws-security-groups groups.json instances.json > account.yaml")]
    AwsSecurityGroups(ImportArgs),
}

/// What an import is told.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// The files, YAML or JSON; `-` for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Over how many hosts the VMs are dealt, in the order of their names
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=256))]
    hosts: u16,
    /// Leave away the addresses of the other family
    #[arg(long)]
    family: Option<Only>,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

pub(crate) fn import(command: &ImportCommand) -> Outcome {
    let args = match command {
        ImportCommand::Kubernetes(args) | ImportCommand::AwsSecurityGroups(args) => args,
    };
    let source = |path: &PathBuf| Ok(import::Source { name: path.display().to_string(), text: text_of(path)? });
    let sources = args.files.iter().map(source).collect::<Result<Vec<_>, Failure>>()?;
    let family = args.family.map(|only| match only {
        Only::V4 => Family::V4,
        Only::V6 => Family::V6,
    });
    let options = import::Options { hosts: args.hosts, family };
    let outcome = match command {
        ImportCommand::Kubernetes(_) => import::kubernetes(&sources, options),
        ImportCommand::AwsSecurityGroups(_) => import::security_groups(&sources, options),
    };
    let imported = outcome.map_err(Failure::Mistakes)?;
    imported.notes.iter().for_each(|note| output::note(note));
    output::say(&imported.scenario);
    Ok(Ending::AsExpected)
}
