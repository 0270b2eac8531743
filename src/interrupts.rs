//! The key that asks a command to end, where the command itself decides when it does.

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Calls `tell` each time that the user asks for an end, from now on, until that says that nobody listens any more.
pub(crate) fn hear(tell: impl Fn() -> bool + Send + 'static) {
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return };
    let inside = runtime.enter();
    let Ok(mut interrupts) = signal(SignalKind::interrupt()) else { return };
    drop(inside);
    std::thread::spawn(move || while runtime.block_on(interrupts.recv()).is_some() && tell() {});
}
