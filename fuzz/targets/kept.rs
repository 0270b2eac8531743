//! What an agent kept: no bytes on its disk make it fail, and an agent that begins with them is closed or holds a view.
#![no_main]

mod config;

use agent_core::{Former, KernelRequest, Machine, State, Tail};
use config::config;
use libfuzzer_sys::fuzz_target;

/// How often the kernel is asked at most before an agent must be at rest.
const REQUESTS: usize = 16;

fn begin(state: State, tail: Tail) {
    let mut machine = Machine::new(config(), Some(state), Former { records: Vec::new(), tail });
    for _ in 0..REQUESTS {
        let _ = machine.poll_persist();
        match machine.poll_kernel() {
            None => break,
            Some(KernelRequest::Sweep { .. }) => machine.handle_swept(0),
            Some(KernelRequest::Repair { .. }) => machine.handle_repaired(),
            Some(KernelRequest::Apply { .. }) => machine.handle_committed(0),
        }
    }
    let _ = machine.poll_spool();
    assert!(machine.program().is_some(), "an agent that begins has something in force");
}

fuzz_target!(|bytes: &[u8]| {
    let (state, tail) = bytes.split_at(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
    let tail = tail.get(1..).and_then(|tail| serde_json::from_slice(tail).ok()).unwrap_or_default();
    let Ok(mut state) = serde_json::from_slice::<State>(state) else { return };
    // Whose seal holds is another's question: here whatever it seals is believed.
    if let Some(seal) = &state.seal {
        state.view = seal.view().ok().map(std::sync::Arc::new);
    }
    begin(state, tail);
});
