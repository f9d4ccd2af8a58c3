//! Quantiles of what was measured.

/// Samples in order.
#[derive(Debug, Default)]
pub(super) struct Sorted(Vec<f64>);

impl FromIterator<f64> for Sorted {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Self {
        let mut samples: Vec<f64> = samples.into_iter().collect();
        samples.sort_by(f64::total_cmp);
        Self(samples)
    }
}

impl Sorted {
    /// The smallest sample that so many in a thousand do not exceed; NaN without samples.
    pub(super) fn permille(&self, permille: usize) -> f64 {
        let rank = (self.0.len() * permille).div_ceil(1000);
        self.0.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
    }

    pub(super) fn median(&self) -> f64 {
        self.permille(500)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_samples() {
        let sorted: Sorted = (1..=200).rev().map(f64::from).collect();
        assert_eq!(sorted.permille(990).to_bits(), 198_f64.to_bits());
        assert_eq!(sorted.median().to_bits(), 100_f64.to_bits());
        let one: Sorted = [7.0].into_iter().collect();
        assert_eq!(one.permille(990).to_bits(), 7_f64.to_bits());
        assert!(Sorted::default().median().is_nan());
    }
}
