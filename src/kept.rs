//! `run --keep`: the world of a scenario stays as a lab behind its first step with findings, for as long as this command lives.

use std::sync::Arc;

use harness::Pause;

use crate::ending::Failure;
use crate::lab::place::Taken;
use crate::output;

/// What a run is told of the place that it may keep a world in.
pub(crate) fn pause(taken: &Arc<Taken>) -> Pause {
    let name = taken.place.name.clone();
    let say = move |scenario: &reports::event::ScenarioId, step: &str| {
        output::note(&format!(
            "\nkept as it stands behind step `{step}` of {} ({})\n  eastwest lab --lab {name} status        what stands; \
             `probe`, `exec`, `shell`, `capture` and `do` as in any lab\n  eastwest lab --lab {name} down          end it, and \
             the run; Ctrl-C here does so, too",
            scenario.name, scenario.file
        ));
    };
    Pause { socket: taken.place.socket(), meanwhile: Arc::new(say) }
}

/// A place for one world of this run.
pub(crate) fn take() -> Result<Arc<Taken>, Failure> {
    Taken::take(&format!("kept-{}", std::process::id())).map(Arc::new)
}
