//! How long clocks of last resort wait: on a machine that is slow, or busy, all of them wait longer by the same factor, which is
//! measured once, and not by a moment in which something else had the processor. None of them proves anything, and each one
//! that ends a wait is counted.

use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// Turns between two threads that are measured at once, and how often: what counts is the middle one.
const TURNS: u32 = 20;
const ROUNDS: usize = 5;
/// How long one takes on the machine for which the clocks' own times were chosen, with room.
const TURN: Duration = Duration::from_micros(50);
/// How many times as long the clocks wait at most.
const MOST: u32 = 10;

static FACTOR: OnceLock<u32> = OnceLock::new();

/// What a clock waits in the place of its own time.
pub(crate) fn scaled(own: Duration) -> Duration {
    own * *FACTOR.get_or_init(|| factor(measured()))
}

/// By how much slower than it should be so many turns were.
fn factor(took: Duration) -> u32 {
    let times = took.as_nanos() / (TURN * TURNS).as_nanos();
    u32::try_from(times).unwrap_or(MOST).clamp(1, MOST)
}

/// How long the turns take here and now; where no thread can be had, nothing is known.
fn measured() -> Duration {
    let ((there, asked), (back, answered)) = (channel(), channel());
    let answer = thread::Builder::new()
        .name("turns".into())
        .spawn(move || while asked.recv().is_ok() && back.send(()).is_ok() {});
    if answer.is_err() {
        return Duration::ZERO;
    }
    middle(std::array::from_fn(|_| {
        let begun = Instant::now();
        let turned = (0..TURNS).all(|_| there.send(()).is_ok() && answered.recv().is_ok());
        if turned { begun.elapsed() } else { Duration::ZERO }
    }))
}

fn middle(mut rounds: [Duration; ROUNDS]) -> Duration {
    rounds.sort_unstable();
    rounds[ROUNDS / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_machine_waits_longer_and_none_for_ever() {
        let whole = TURN * TURNS;
        let rows = [(Duration::ZERO, 1), (whole, 1), (whole * 2, 2), (whole * 9 / 2, 4), (whole * 1000, MOST)];
        for (took, expected) in rows {
            assert_eq!(factor(took), expected, "{took:?}");
        }
        assert!(scaled(TURN) >= TURN && scaled(TURN) <= TURN * MOST);
    }

    #[test]
    fn a_moment_without_the_processor_does_not_count() {
        let (usual, hiccup) = (TURN * TURNS, Duration::from_secs(1));
        assert_eq!(middle([hiccup, usual, usual, hiccup, usual]), usual);
        assert_eq!(middle([hiccup, usual, hiccup, usual, hiccup]), hiccup);
    }
}
