//! `eastwest center`: the real center, and the operator's commands to it.

mod args;
pub(crate) mod show;

use std::path::Path;
use std::time::Duration;

use center::{CenterError, ServeOptions, serve};
use policy::Mode;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::StreamExt;
use wire::admin::{AdminClient, AdminError, connect};
use wire::{CenterEvent, InventoryFile, RecordQuery};

pub(crate) use self::args::CenterArgs;
use self::args::{CenterCommand, EventsArgs, ModeName, PolicyCommand, ServeArgs, VmCommand};
use crate::args::Format;
use crate::ending::{Ending, Failure, Outcome};
use crate::given;
use crate::output;

pub(crate) fn center(args: CenterArgs) -> Outcome {
    let CenterArgs { state, command } = args;
    if let CenterCommand::Serve(args) = command {
        return serve_until_told(&state, &args);
    }
    runtime(&mut Builder::new_current_thread())?.block_on(ask(&ServeOptions::admin_socket(&state), command))
}

fn runtime(builder: &mut Builder) -> Result<Runtime, Failure> {
    builder.enable_all().build().map_err(|error| Failure::Environment(format!("start a runtime: {error}")))
}

fn serve_until_told(state: &Path, args: &ServeArgs) -> Outcome {
    let mut options = ServeOptions::new(state.to_owned(), args.listen);
    options.heartbeat = Duration::from_millis(args.heartbeat_ms);
    let ready = |address| output::say(&format!("listening on {address}\n"));
    let served = runtime(&mut Builder::new_multi_thread())?.block_on(async {
        let (mut ended, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stop = async move {
            tokio::select! {
                _ = ended.recv() => {}
                _ = interrupted.recv() => {}
            }
        };
        Ok::<_, std::io::Error>(serve(options, ready, stop).await)
    });
    let served: Result<(), CenterError> =
        served.map_err(|error| Failure::Environment(format!("listen for signals: {error}")))?;
    served.map(|()| Ending::AsExpected).map_err(|error| Failure::Environment(error.to_string()))
}

async fn ask(socket: &Path, command: CenterCommand) -> Outcome {
    let mut client = connect(socket).await.map_err(failure)?;
    let said = match command {
        CenterCommand::Serve(_) => return Err(Failure::Fault("serve and ask at once".to_owned())),
        CenterCommand::Token { vm, valid } => {
            client.token(&vm, Duration::from_secs(valid * 60)).await.map(|token| token + "\n")
        }
        CenterCommand::Vm { command } => return vm(&mut client, command).await,
        CenterCommand::Policy { command } => return policy(&mut client, command).await,
        CenterCommand::Events(args) => return events(&mut client, args).await,
        CenterCommand::Quarantine { vm } => client.quarantine(&vm).await.map(show::generation),
        CenterCommand::Release { vm } => client.release(&vm).await.map(show::generation),
    };
    output::say(&said.map_err(failure)?);
    Ok(Ending::AsExpected)
}

async fn vm(client: &mut AdminClient, command: VmCommand) -> Outcome {
    match command {
        VmCommand::Apply { file } => {
            let text = given::text(&file)?;
            let inventory: InventoryFile = serde_saphyr::from_str(&text)
                .map_err(|error| Failure::Input(format!("read the inventory {}: {error}", file.display())))?;
            let generation = client.apply_inventory(inventory).await.map_err(failure)?;
            output::say(&show::generation(generation));
        }
        VmCommand::Mode { vm, mode } => {
            let mode = match mode {
                ModeName::Enforce => Mode::Enforce,
                ModeName::Monitor => Mode::Monitor,
            };
            let generation = client.set_mode(&vm, mode).await.map_err(failure)?;
            output::say(&show::generation(generation));
        }
        VmCommand::List { format } => {
            let status = client.status().await.map_err(failure)?;
            match format {
                Format::Human => output::say(&show::status(&status)),
                Format::Json => output::say_json(&status)?,
            }
        }
    }
    Ok(Ending::AsExpected)
}

async fn policy(client: &mut AdminClient, command: PolicyCommand) -> Outcome {
    match command {
        PolicyCommand::Publish { file } => {
            let bundle = given::bundle(&file)?;
            // The center checks it again; mistakes found here are shown at their places.
            bundle.policy()?;
            let generation = client.publish(&bundle.text()).await.map_err(failure)?;
            output::say(&show::generation(generation));
        }
        PolicyCommand::History { format } => {
            let versions = client.history().await.map_err(failure)?;
            match format {
                Format::Human => versions.iter().for_each(|version| output::say(&show::version(version))),
                Format::Json => output::say_json(&versions)?,
            }
        }
        PolicyCommand::Show { generation } => {
            let versions = client.history().await.map_err(failure)?;
            let wanted = |found: u64| generation.is_none_or(|wanted| wanted >= found);
            match versions.iter().find(|version| wanted(version.generation)) {
                Some(version) => output::say(&version.text),
                None => return Err(Failure::Input("find a policy: none was published by then".to_owned())),
            }
        }
    }
    Ok(Ending::AsExpected)
}

async fn events(client: &mut AdminClient, args: EventsArgs) -> Outcome {
    let EventsArgs { vm, kind, rule, address, port, after, limit, follow, format } = args;
    let query = RecordQuery { vm, kind: kind.map(Into::into), rule, address, port, after, limit };
    if follow {
        return watch(client, &query, format).await;
    }
    for stored in client.records(query).await.map_err(failure)? {
        match format {
            Format::Human => output::say(&format!("{:>8}  {}", stored.id, show::record(&stored.record))),
            Format::Json => output::say_json(&stored)?,
        }
    }
    Ok(Ending::AsExpected)
}

/// Everything that the center learns from here on; records as the query wants them.
async fn watch(client: &mut AdminClient, query: &RecordQuery, format: Format) -> Outcome {
    let mut events = client.watch().await.map_err(failure)?;
    while let Some(event) = events.next().await {
        let event = event.map_err(failure)?;
        if matches!(&event, CenterEvent::Record(record) if !show::wanted(query, record)) {
            continue;
        }
        match format {
            Format::Human => output::say(&show::event(&event)),
            Format::Json => output::say_json(&event)?,
        }
    }
    Ok(Ending::AsExpected)
}

fn failure(error: AdminError) -> Failure {
    match error {
        AdminError::Refused(text) => Failure::Input(format!("do that: {text}")),
        AdminError::Unavailable(_) => {
            Failure::Environment(format!("{error}\nis `eastwest center serve` running with the same --state?"))
        }
        AdminError::Failed(_) | AdminError::Decode(_) => Failure::Fault(error.to_string()),
    }
}
