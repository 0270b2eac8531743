//! `eastwest demo`: the whole idea in a terminal, by the very commands that anybody would type.

use std::fs;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::ending::{Ending, Failure, Outcome};
use crate::init::DEPARTMENTS;
use crate::lab::line;
use crate::{interrupts, output};

/// What `demo` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  eastwest demo --pace 0

It needs what every lab needs (`eastwest doctor`), no root and no network, and leaves nothing behind.")]
pub(crate) struct DemoArgs {
    /// Seconds to read what was shown
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pace: u8,
}

/// What is told, and the command that shows it; `FILE` stands for the scenario.
const SCENES: [(&str, &[&str]); 12] = [
    (
        "Two hosts with four VMs out of network namespaces; the real control center, and the real agent in each VM.",
        &["up", "FILE"],
    ),
    (
        "HR's VM asks finance's database. Both run on rack-a: no firewall at a gate sees this. The agents do.",
        &["probe", "hr-1", "fin-db", "tcp/5432"],
    ),
    ("Finance's own web server may ask it.", &["probe", "fin-web", "fin-db", "tcp/5432"]),
    ("The database moves to the other host, and its policy with it.", &["do", "move: {vm: fin-db, to: rack-b}"]),
    ("Where a VM runs makes no difference.", &["probe", "hr-1", "fin-db", "tcp/5432"]),
    ("HR's agent is killed. Its rules stand in the VM's kernel.", &["do", "kill: {agent: hr-1}"]),
    ("So nothing is open.", &["probe", "hr-1", "fin-db", "tcp/5432"]),
    ("A new agent takes the rules over without a gap.", &["do", "start: {agent: hr-1}"]),
    (
        "The VM is given to finance: its rights follow its labels, at every other VM too.",
        &["do", "label: {vm: hr-1, set: {dept: finance}}"],
    ),
    ("So it may speak to finance's web server now.", &["probe", "hr-1", "fin-web", "tcp/443"]),
    ("And to HR no longer.", &["probe", "hr-1", "hr-2", "tcp/443"]),
    ("Nothing is left behind.", &["down"]),
];

/// Shows it.
pub(crate) fn demo(args: &DemoArgs) -> Outcome {
    let wrong = |error: std::io::Error| Failure::Environment(format!("write the demo's files: {error}"));
    let folder = std::env::temp_dir().join(format!("eastwest-demo-{}", std::process::id()));
    fs::create_dir(&folder).map_err(wrong)?;
    let file = folder.join("scenarios").join("first.yaml");
    let written = fs::create_dir(folder.join("scenarios"))
        .and_then(|()| fs::write(folder.join("policy.yaml"), DEPARTMENTS.0))
        .and_then(|()| fs::write(&file, DEPARTMENTS.1));
    let name = format!("demo-{}", std::process::id());
    let play = |_| {
        let played = scenes(&name, &file.to_string_lossy(), Duration::from_secs(args.pace.into()));
        if !matches!(played, Ok(Ending::AsExpected)) {
            // What stands of it is taken down; where nothing does, that is what was wanted.
            let _down = line(&name, ["down"]);
        }
        played
    };
    let played = written.map_err(wrong).and_then(play);
    let removed = fs::remove_dir_all(&folder).map_err(wrong);
    let ending = played?;
    removed?;
    if ending == Ending::AsExpected {
        output::say("\nnext: `eastwest init` writes a policy and a scenario to begin with\n");
    }
    Ok(ending)
}

fn scenes(name: &str, file: &str, pace: Duration) -> Outcome {
    let (tell, interrupted) = channel();
    interrupts::hear(move || tell.send(()).is_ok());
    for (told, command) in SCENES {
        let words: Vec<String> =
            command.iter().map(|word| if *word == "FILE" { file.to_owned() } else { (*word).to_owned() }).collect();
        let shown = words.iter().map(|word| if word.contains(' ') { format!("'{word}'") } else { word.clone() });
        output::say(&format!("\n# {told}\n$ eastwest lab {}\n", shown.collect::<Vec<_>>().join(" ")));
        let ending = line(name, words.iter().map(String::as_str))?;
        if ending != Ending::AsExpected {
            return Ok(ending);
        }
        if words != ["down"] && matches!(interrupted.recv_timeout(pace), Ok(()) | Err(RecvTimeoutError::Disconnected)) {
            return Ok(Ending::Interrupted);
        }
    }
    Ok(Ending::AsExpected)
}
