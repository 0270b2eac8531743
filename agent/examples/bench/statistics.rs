//! Ratios of interleaved pairs, with a bootstrap interval of their median.

/// A ratio with its 95 % interval.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    pub low: f64,
    pub median: f64,
    pub high: f64,
    pub pairs: usize,
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 }
}

/// The median of ratios; the interval is that of 2,000 samples drawn anew from them, by a generator of fixed seed.
pub(crate) fn ratio(ratios: &[f64]) -> Ratio {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ratios[usize::try_from(state % ratios.len() as u64).unwrap_or(0)]
    };
    let mut medians: Vec<f64> =
        (0..2_000).map(|_| median(&mut (0..ratios.len()).map(|_| draw()).collect::<Vec<_>>())).collect();
    let all = median(&mut ratios.to_vec());
    medians.sort_by(f64::total_cmp);
    Ratio { low: medians[50], median: all, high: medians[1_949], pairs: ratios.len() }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} ({:.3}–{:.3})", self.median, self.low, self.high)
    }
}
