//! A run that is interrupted, or that says nothing for too long, is asked to keep what it knows: the world's waits end, nothing
//! is judged any more, and evidence is written before the lab goes down. Where the world does not come to that, a thread beside
//! it keeps the logs at least. A world that waits for long says so.

use std::io::BufReader;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::keep::Keep;
use super::protocol::{FromJail, Order, Speaker, read};

/// How long the world may take to come to an end by itself.
const PATIENCE: Duration = Duration::from_secs(3);
/// What a process ends with that a signal would have ended.
const ENDED: i32 = 143;
/// The reason that a scenario gives.
pub(crate) const REASON: &str = "interrupted: it was not run to its end";

/// What is said to a jail behind its order.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum ToJail {
    /// Keep what you know, and end.
    Halt,
}

/// One process holds one world: whether it is to come to an end.
static HALTS: AtomicBool = AtomicBool::new(false);

/// Whether the world is to come to an end.
pub(crate) fn halts() -> bool {
    HALTS.load(Ordering::Relaxed)
}

/// Where the one thread that holds the world can say that it waits on.
static WAITS: OnceLock<UnixStream> = OnceLock::new();

/// The world waits, for a time that is bounded, and does not hang. To be called by the thread that speaks for it.
pub(crate) fn waits() {
    if let Some(Err(error)) = WAITS.get().map(|control| Speaker::new(control).say(&FromJail::Waits)) {
        tracing::debug!(error, "nobody hears that the world waits");
    }
}

/// Listens for the word, on a thread of its own, until what it gives is dropped.
pub(super) fn listen(
    control: BufReader<UnixStream>,
    order: &Order,
    scratch: PathBuf,
) -> Result<impl Drop + use<>, String> {
    let speaking = control.get_ref().try_clone().map_err(|error| format!("share the control: {error}"))?;
    WAITS.get_or_init(|| speaking);
    let (over, ended) = channel::<()>();
    let order = order.clone();
    let wait = move || hear(control, &order, scratch, &ended);
    thread::Builder::new().name("halt".into()).spawn(wait).map_err(|error| format!("start a thread: {error}"))?;
    Ok(Over(Some(over)))
}

struct Over(Option<std::sync::mpsc::Sender<()>>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0 = None;
    }
}

fn hear(mut control: BufReader<UnixStream>, order: &Order, scratch: PathBuf, ended: &Receiver<()>) {
    let Ok(Some(ToJail::Halt)) = read(&mut control) else { return };
    HALTS.store(true, Ordering::Relaxed);
    if ended.recv_timeout(PATIENCE).is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout) {
        Keep::of(order).iter().for_each(|keep| keep.end(order, &scratch));
        process::exit(ENDED);
    }
}
