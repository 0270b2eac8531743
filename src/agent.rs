//! `eastwest agent`: the real agent, and what it says of itself.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use agent::{Connection, Ease, Honest, Order, Status};
use policy::Timestamp;
use serde_json::json;

use crate::args::{AgentCommand, Format};
use crate::ending::{Ending, Failure, Outcome};
use crate::output;

pub(crate) fn agent(command: AgentCommand) -> Outcome {
    match command {
        AgentCommand::Run(options) => {
            let run = agent::run(&options, Honest, ready);
            run.map(|()| Ending::AsExpected).map_err(|error| Failure::Environment(error.to_string()))
        }
        AgentCommand::Status { state, format } => status(&state, format),
        AgentCommand::Suspend { time, end: _, state } => {
            let order = time.map_or(Order::Resume, |seconds| Order::Suspend { seconds });
            let answer = agent::order(&state, order).map_err(|error| Failure::Environment(error.to_string()))?;
            output::say(&answer);
            Ok(if answer.starts_with("cannot") { Ending::Lacking } else { Ending::AsExpected })
        }
        AgentCommand::Uninstall { yes: _, state } => {
            let told = agent::uninstall(&state).map_err(|error| Failure::Environment(error.to_string()))?;
            let center = if told { "" } else { "; no agent ran, so the center was not told" };
            output::say(&format!("the agent is gone, and nothing is judged here any more{center}\n"));
            Ok(Ending::AsExpected)
        }
    }
}

/// The rules are in force: who waits for that hears of it, systemd too.
fn ready() {
    output::say("ready\n");
    if let Some(Err(error)) = std::env::var_os("NOTIFY_SOCKET").map(|socket| notify(&socket)) {
        output::note(&format!("cannot tell systemd that the agent is ready: {error}"));
    }
}

fn notify(socket: &OsStr) -> std::io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address).map(drop)
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
    let Status { running, pid, vm, boot: _, connection, refused_kept, suspended, others, unkept, facts } = status;
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
    let suspended = suspended.as_ref().map(ease).unwrap_or_default();
    let others: String = others.iter().map(|other| format!("others      {other}\n")).collect();
    let disk = match unkept {
        true => {
            "disk        the newest state cannot be written: after a restart this machine is closed until its center speaks\n"
        }
        false => "",
    };
    format!(
        "vm          {vm}\nagent       {process}\ncenter      {connection}\ngeneration  {generation}\n\
         records     {} made, {} not yet stored by the center, {} packets' records lost\n{uncounted}{suspended}{others}{disk}{}{}",
        facts.records,
        facts.waiting,
        facts.lost,
        refused.unwrap_or_default(),
        kept.unwrap_or_default()
    )
}

fn ease(Ease { until, by }: &Ease) -> String {
    let until = Timestamp::from_millisecond(*until).map_or_else(|_| "?".to_owned(), |until| until.to_string());
    format!("suspended   until {until}, by {by}: the policy's rules only record\n")
}
