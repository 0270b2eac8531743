//! `eastwest schema`: the JSON Schema of policies or scenarios, for editors.

use clap::ValueEnum;

use crate::ending::Ending;
use crate::output;

/// What `schema` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  eastwest schema scenario > scenario.schema.json

The first line of a scenario then names it: `# yaml-language-server: $schema=scenario.schema.json`.")]
pub(crate) struct SchemaArgs {
    /// The kind of file
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// `eastwest: policy/v1`
    Policy,
    /// `eastwest: scenario/v1`
    Scenario,
}

pub(crate) fn schema(args: &SchemaArgs) -> Ending {
    let schema = match args.kind {
        Kind::Policy => harness::schema::policy(),
        Kind::Scenario => harness::schema::scenario(),
    };
    output::say(&format!("{schema:#}\n"));
    Ending::AsExpected
}
