//! `eastwest agent`: the real agent, and what it says of itself.

use std::path::Path;

use agent::{Connection, Honest, Status};
use serde_json::json;

use crate::args::{AgentCommand, Format};
use crate::ending::{Ending, Failure, Outcome};
use crate::output;

pub(crate) fn agent(command: AgentCommand) -> Outcome {
    match command {
        AgentCommand::Run(options) => {
            let run = agent::run(&options, Honest, || output::say("ready\n"));
            run.map(|()| Ending::AsExpected).map_err(|error| Failure::Environment(error.to_string()))
        }
        AgentCommand::Status { state, format } => status(&state, format),
    }
}

fn status(state: &Path, format: Format) -> Outcome {
    let status = agent::status(state).map_err(|error| Failure::Environment(error.to_string()))?;
    match format {
        Format::Human => output::say(&human(&status)),
        Format::Json => {
            output::say_json(&json!({ "running": status.running, "status": status }))?;
        }
    }
    Ok(if status.running { Ending::AsExpected } else { Ending::Lacking })
}

fn human(status: &Status) -> String {
    let Status { running, pid, vm, boot: _, connection, refused_kept, facts } = status;
    let vm = if vm.is_empty() { "not enrolled" } else { vm };
    let process = if *running { format!("runs (pid {pid})") } else { "does not run; this is its last word".to_owned() };
    let connection = match connection {
        Connection::Standalone => "without a center, from a file".to_owned(),
        Connection::Enrolling => "enrolling".to_owned(),
        Connection::Connecting => "connecting".to_owned(),
        Connection::Connected => "connected".to_owned(),
        Connection::Lost { reason } => format!("lost: {reason}"),
    };
    let generation = match facts.generation {
        0 => "none: closed but for the center".to_owned(),
        generation if facts.over => format!("{generation} is over without the center: closed (epoch {})", facts.epoch),
        generation if facts.strange => {
            format!("{generation} is for other addresses than this machine's: closed (epoch {})", facts.epoch)
        }
        generation => format!("{generation} (epoch {})", facts.epoch),
    };
    let refused = facts.refused.as_ref().map(|(generation, why)| format!("refused     {generation}: {why}\n"));
    let kept = refused_kept.as_ref().map(|why| format!("kept        the kept policy was refused: {why}\n"));
    let uncounted = match facts.uncounted {
        0 => String::new(),
        attempts => format!("detectors   {attempts} attempts not counted for want of room\n"),
    };
    format!(
        "vm          {vm}\nagent       {process}\ncenter      {connection}\ngeneration  {generation}\n\
         records     {} made, {} not yet stored by the center, {} packets' records lost\n{uncounted}{}{}",
        facts.records,
        facts.waiting,
        facts.lost,
        refused.unwrap_or_default(),
        kept.unwrap_or_default()
    )
}
