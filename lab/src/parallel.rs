//! The same work for many, done by as many threads as there are processors.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread::{self, Builder};

use crate::error::{Doing, Result};

/// How many make a thread worth its start.
const SHARE: usize = 16;

/// Does this for all: for work that waits for no lock of the kernel's (links wait for one). Gives what comes of it in their order, or the first failure.
pub(crate) fn for_all<T: Sync, U: Send>(all: &[T], work: impl Fn(&T) -> Result<U> + Sync) -> Result<Vec<U>> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(all.len() / SHARE).max(1);
    let work_on = |part: &[T]| part.iter().map(&work).collect::<Result<Vec<U>>>();
    thread::scope(|scope| {
        let mut parts = all.chunks(all.len().div_ceil(threads).max(1));
        let own = parts.next().unwrap_or_default();
        let start = |part| Builder::new().spawn_scoped(scope, move || work_on(part)).doing("start a thread");
        let others = parts.map(start).collect::<Result<Vec<_>>>()?;
        let mut done = work_on(own)?;
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok(done)
    })
}
