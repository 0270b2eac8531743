//! Delays: of how many it is, and how they are spread.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Delays, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delays {
    /// How many they are.
    pub count: u64,
    /// Half are no longer.
    pub median_ms: f64,
    /// 99 in a hundred are no longer.
    pub p99_ms: f64,
    /// The longest.
    pub most_ms: f64,
}

impl Delays {
    /// The figures of some delays; nothing where there are none.
    #[must_use]
    pub fn of(all: &[Duration]) -> Option<Self> {
        let mut all = all.to_vec();
        all.sort_unstable();
        let at = |hundredths: usize| {
            let place = (all.len() * hundredths).div_ceil(100).saturating_sub(1);
            all.get(place).map(|delay| delay.as_secs_f64() * 1e3)
        };
        Some(Self { count: all.len() as u64, median_ms: at(50)?, p99_ms: at(99)?, most_ms: at(100)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundredth_may_be_longer_than_the_99th() {
        let all = |count: u64| (1..=count).map(Duration::from_millis).collect::<Vec<_>>();
        let figures = |count| Delays::of(&all(count)).map(|of| (of.count, of.median_ms, of.p99_ms, of.most_ms));
        assert_eq!(figures(0), None);
        assert_eq!(figures(1), Some((1, 1.0, 1.0, 1.0)));
        assert_eq!(figures(1000), Some((1000, 500.0, 990.0, 1000.0)));
    }
}
