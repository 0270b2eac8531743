//! The key that asks a command to end, where the command itself decides when it does.

/// Calls `tell` each time that the user asks for an end, until that says that nobody listens any more.
pub(crate) fn hear(tell: impl Fn() -> bool + Send + 'static) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        while runtime.block_on(tokio::signal::ctrl_c()).is_ok() && tell() {}
    });
}
