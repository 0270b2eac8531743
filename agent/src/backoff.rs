//! Waits between tries: short first, doubled each time, jittered so that many agents do not return at once.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// The waits of one agent.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    wait: Duration,
    seed: u64,
}

impl Backoff {
    pub(crate) fn new(seed: u64) -> Self {
        Self { wait: FIRST, seed: seed | 1 }
    }

    /// A try succeeded: begin with the shortest wait again.
    pub(crate) fn reset(&mut self) {
        self.wait = FIRST;
    }

    /// Waits before the next try.
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.next_wait()).await;
    }

    /// The next wait: between half and all of a time that doubles.
    fn next_wait(&mut self) -> Duration {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let share = u32::try_from(self.seed % 1000).unwrap_or(0);
        let wait = self.wait / 2 + self.wait / 2 * share / 1000;
        self.wait = (self.wait * 2).min(LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_again() {
        let mut backoff = Backoff::new(7);
        let mut whole = FIRST;
        for _ in 0..12 {
            let wait = backoff.next_wait();
            assert!(whole / 2 <= wait && wait <= whole, "{wait:?} of {whole:?}");
            whole = (whole * 2).min(LONGEST);
        }
        assert_eq!(whole, LONGEST);
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST);
    }

    /// A thousand agents that lose their center at once: in each round no tenth of the time gets more than its share and
    /// half as much again.
    #[test]
    fn many_agents_do_not_return_at_once() {
        const AGENTS: usize = 1000;
        let mut agents: Vec<Backoff> = (0..AGENTS as u64).map(Backoff::new).collect();
        let mut whole = FIRST;
        for round in 0..12 {
            let mut tenths = [0; 10];
            for agent in &mut agents {
                let share = (agent.next_wait() - whole / 2).as_secs_f64() / (whole / 2).as_secs_f64();
                tenths[((share * 10.0) as usize).min(9)] += 1;
            }
            assert!(tenths.iter().all(|&agents| agents <= AGENTS * 3 / 20), "round {round}: {tenths:?}");
            whole = (whole * 2).min(LONGEST);
        }
    }
}
