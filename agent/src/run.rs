//! Runs an agent from its start to its end.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent_core::{Config, Limits, Machine, State};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use wire::channel::WallClock;
use wire::{FromAgent, View};

use crate::backoff::Backoff;
use crate::control::{self, Asked};
use crate::edge::Edge;
use crate::enrol;
use crate::error::Error;
use crate::folder::{Folder, Identity};
use crate::heard;
use crate::interfaces::addresses;
use crate::kept::Kept;
use crate::kernel::{self, InterfaceWatch, Kernel, KernelLog, KernelWatch};
use crate::link::{self, LinkEvent, QUEUE};
use crate::options::Options;
use crate::rim::Rim;
use crate::spool::Disk;
use crate::status::Connection;
use crate::suspended;

/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often counts are written to the status.
const STATUS: Duration = Duration::from_secs(1);
/// How often other tables' rules are looked at; a new table is at once.
const OTHERS: Duration = Duration::from_secs(30);
/// An instant that never comes.
const NEVER: Duration = Duration::from_secs(86_400 * 365);

/// Runs an agent in the calling thread's network namespace until SIGTERM or SIGINT; its ruleset stays in force then.
/// `ready` is called once, as soon as the kept policy, or the closed one, is in force.
///
/// # Errors
/// When it cannot start, or cannot go on; what was in force stays in force.
pub fn run(options: &Options, edge: impl Edge, ready: impl FnOnce()) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::System { what: "start a runtime", error })?;
    runtime.block_on(agent(options, edge, ready))
}

async fn agent(options: &Options, edge: impl Edge, ready: impl FnOnce()) -> Result<(), Error> {
    let mut signals = Signals::new()?;
    let (token, folder) = (enrol::token(options)?, Folder::open(&options.state)?);
    let identity = folder.identity()?;
    if identity.is_none() && token.is_none() && options.policy.is_none() {
        return Err(Error::NoToken);
    }
    let boot = random()?;
    let by_hand = options.policy.as_deref().map(view).transpose()?;
    let mut life = Life { identity: identity.as_ref(), by_hand: by_hand.clone(), boot };
    let (mut rim, mut ears) = start(options, edge, folder, &mut life)?;
    if let Some(view) = by_hand {
        rim.status.connection = Connection::Standalone;
        rim.view(view);
    }
    rim.pump()?;
    if !rim.in_force() {
        return Err(Error::Closed(rim.machine.facts().refused.map(|(_, reason)| reason).unwrap_or_default()));
    }
    ready();
    let (events, heard) = mpsc::channel(QUEUE);
    let (mut backoff, clock) = (Backoff::new(boot), WallClock { offset: options.clock_offset });
    let identity = match (identity, &token, options.center) {
        (None, Some(token), Some(center)) => {
            rim.status.connection = Connection::Enrolling;
            rim.write_status();
            let enrolled = tokio::select! {
                identity = enrol::enrol((center, clock), token, &rim.folder, &mut backoff) => Some(identity?),
                () = signals.next() => None,
            };
            let Some(identity) = enrolled else { return Ok(()) };
            Some(identity)
        }
        (identity, _, _) => identity,
    };
    if let (Some(Identity { vm, credentials }), Some(center)) = (identity, options.center) {
        rim.machine.handle_enrolled(&vm);
        rim.status.vm = vm;
        rim.status.connection = Connection::Connecting;
        tokio::spawn(link::keep((center, clock), credentials, backoff, events.clone()));
    }
    serve(&mut rim, &mut ears, heard, &mut signals).await
}

/// What the kernel tells by itself.
struct Ears {
    log: KernelLog,
    tables: KernelWatch,
    interfaces: InterfaceWatch,
    orders: mpsc::Receiver<Asked>,
}

/// What is known of this life before it begins.
struct Life<'a> {
    identity: Option<&'a Identity>,
    by_hand: Option<View>,
    boot: u64,
}

/// Brings the kernel and the core up; nothing is in force before the first pump but what stood.
fn start<E: Edge>(
    options: &Options,
    mut edge: E,
    folder: Folder,
    life: &mut Life<'_>,
) -> Result<(Rim<E>, Ears), Error> {
    let (log, interfaces) = (KernelLog::open()?, InterfaceWatch::open()?);
    let fresh = u32::try_from(random()? >> 32).unwrap_or(u32::MAX);
    let mut kernel = Kernel::open(folder.stamp(fresh)?)?;
    if let Some(why) = kernel.unguarded() {
        tracing::warn!("packets that no rule judged can leave by raw sockets: cannot {why}");
    }
    let tables = KernelWatch::open(&mut kernel)?;
    for warning in kernel::prepare() {
        tracing::warn!("{warning}");
    }
    let vm = life.identity.map(|identity| identity.vm.clone()).unwrap_or_default();
    let config = Config {
        vm: vm.clone(),
        boot: format!("{:016x}", life.boot),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: options.protocol,
        center: options.center,
        heard_before: heard::before(&folder),
        suspended: suspended::before(&folder),
        addresses: addresses(),
        spool: Limits { records: usize::try_from(options.spool).unwrap_or(usize::MAX), ..Limits::default() },
        max_epoch: options.epochs,
    };
    let (boot, (kept, refused)) = (config.boot.clone(), kept(&folder, &mut edge, life)?);
    let orders = control::listen(&options.state)?;
    let (disk, former) = Disk::open(folder.spool());
    let mut rim = Rim::new(Machine::new(config, kept, former), (folder, disk), kernel, edge);
    (rim.status.vm, rim.status.boot, rim.status.refused_kept) = (vm, boot, refused);
    Ok((rim, Ears { log, tables, interfaces, orders }))
}

/// What the last life kept and this one may begin with, or why it may not.
fn kept(folder: &Folder, edge: &mut impl Edge, life: &mut Life<'_>) -> Result<(Option<State>, Option<String>), Error> {
    match folder.state(life.identity)? {
        Kept::Nothing => Ok((None, None)),
        Kept::Refused(reason) => {
            tracing::error!("the kept policy is refused, and this machine is closed until its center speaks: {reason}");
            Ok((None, Some(reason)))
        }
        Kept::State(mut state) => {
            // A view by hand is not kept, and yet is what the next life begins with.
            let view = life.by_hand.take().map(Arc::new).or(state.view.take());
            state.view = view.map(|view| Arc::new(edge.view(Arc::unwrap_or_clone(view))));
            Ok((Some(*state), None))
        }
    }
}

/// Waits, and does what is due, until a signal comes.
async fn serve<E: Edge>(
    rim: &mut Rim<E>,
    ears: &mut Ears,
    mut heard: mpsc::Receiver<LinkEvent>,
    signals: &mut Signals,
) -> Result<(), Error> {
    let mut counts = interval(STATUS);
    counts.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Where many machines share processors, a change comes first: what is done now and then waits, once.
    let mut postponed = false;
    let mut others = interval(OTHERS);
    others.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let waits = rim.pump()?;
        let room = rim.queue().filter(|_| waits);
        let wake = rim.wake().unwrap_or_else(|| Instant::now() + NEVER);
        tokio::select! {
            batch = ears.log.next() => rim.logged(&batch?),
            foreign = ears.tables.next() => rim.tampered(&foreign?),
            changed = ears.interfaces.next() => {
                changed?;
                rim.look();
            }
            Some(asked) = ears.orders.recv() => {
                rim.ordered(asked)?;
                if rim.is_leaving() {
                    break;
                }
            }
            Some(event) = heard.recv() => {
                if event.is_change() && !postponed {
                    counts.reset();
                    postponed = true;
                }
                rim.linked(event);
            }
            () = room_in(room) => {}
            () = sleep_until(wake) => rim.machine.handle_tick(rim.now()),
            _ = counts.tick() => {
                postponed = false;
                rim.keep_again();
                rim.count();
                rim.weigh();
                rim.settle(&mut ears.log)?;
                rim.write_status();
            }
            _ = others.tick() => rim.look_at_others(),
            () = signals.next() => break,
        }
    }
    farewell(rim, &mut ears.log, &mut heard).await?;
    rim.take_away().await
}

/// Waits until the queue to the center is empty enough; for ever without a queue.
async fn room_in(queue: Option<mpsc::Sender<FromAgent>>) {
    match queue {
        // Half of the queue: then it is worth the while.
        Some(queue) => drop(queue.reserve_many(QUEUE / 2).await.map(drop)),
        None => std::future::pending().await,
    }
}

/// Sends what was recorded and waits until the center stored it; the ruleset stays as it is.
async fn farewell<E: Edge>(
    rim: &mut Rim<E>,
    log: &mut KernelLog,
    heard: &mut mpsc::Receiver<LinkEvent>,
) -> Result<(), Error> {
    let end = Instant::now() + FAREWELL;
    while let Some(batch) = log.try_next()? {
        rim.logged(&batch);
    }
    rim.machine.handle_end();
    rim.pump()?;
    while rim.queue().is_some() && rim.machine.facts().waiting > 0 {
        tokio::select! {
            Some(event) = heard.recv() => rim.linked(event),
            () = sleep_until(end) => break,
        }
        rim.pump()?;
    }
    rim.write_status();
    Ok(())
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        let on = |kind| signal(kind).map_err(|error| Error::System { what: "listen to signals", error });
        Ok(Self { terminate: on(SignalKind::terminate())?, interrupt: on(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A view by hand.
fn view(path: &Path) -> Result<View, Error> {
    let text = std::fs::read(path).map_err(|error| Error::File { what: "read", path: path.to_owned(), error })?;
    serde_json::from_slice(&text).map_err(|error| Error::Content { path: path.to_owned(), reason: error.to_string() })
}

/// A random number.
fn random() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    let read = || std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes);
    let mut read = read;
    read().map_err(|error| Error::System { what: "read /dev/urandom", error })?;
    Ok(u64::from_ne_bytes(bytes))
}
