//! Heartbeats: how each end of a session learns that the other is gone though nothing says so. They are messages of the
//! session itself, so that what answers is the other program and not the kernel below it, and they are counted, not
//! timed: an end that was itself held up takes nobody for gone.

use std::time::Duration;

/// How often both ends of a session say that they live, where nobody says otherwise.
pub const HEARTBEAT: Duration = Duration::from_secs(2);

/// After so many heartbeats of its own, an end that heard nothing takes the other for gone.
pub const MISSED: u32 = 3;

/// How many of its own heartbeats an end has heard nothing for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    missed: u32,
}

impl Pulse {
    /// Something came from the other end.
    pub fn heard(&mut self) {
        self.missed = 0;
    }

    /// An own heartbeat is due.
    pub fn beat(&mut self) {
        self.missed = self.missed.saturating_add(1);
    }

    /// How many heartbeats went by since something came.
    #[must_use]
    pub fn missed(self) -> u32 {
        self.missed
    }

    /// Whether the other end is to be taken for gone.
    #[must_use]
    pub fn is_lost(self) -> bool {
        self.missed >= MISSED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_beats_without_a_word_are_a_loss_and_a_word_begins_anew() {
        // `.` is a beat, `!` a word of the other end.
        let rows = [("", false), ("..", false), ("...", true), ("..!", false), ("..!..", false), ("...!...", true)];
        for (course, lost) in rows {
            let mut pulse = Pulse::default();
            course.chars().for_each(|step| if step == '!' { pulse.heard() } else { pulse.beat() });
            assert_eq!(pulse.is_lost(), lost, "{course}");
        }
    }
}
