//! Latencies in cells that grow with them, as `HdrHistogram` has it: sixteen in each power of two of nanoseconds, so that a
//! quantile is at most one sixteenth off. Cells of any two histograms add up.

/// Sixteen cells per power of two.
const SUB_BITS: u32 = 4;
/// As many cells as 64 bits have.
pub(crate) const CELLS: u16 = 64 << SUB_BITS;

/// Where a latency falls. Below sixteen nanoseconds nothing is told apart.
pub(crate) fn cell(nanoseconds: u64) -> u16 {
    let nanoseconds = nanoseconds.max(1 << SUB_BITS);
    let octave = nanoseconds.ilog2();
    let ([octave_byte, ..], [sub, ..]) = (octave.to_le_bytes(), (nanoseconds >> (octave - SUB_BITS)).to_le_bytes());
    u16::from(octave_byte) << SUB_BITS | u16::from(sub & ((1 << SUB_BITS) - 1))
}

/// Where a cell begins, in nanoseconds.
fn start(cell: u16) -> f64 {
    let (octave, sub) = (i32::from(cell >> SUB_BITS), cell & ((1 << SUB_BITS) - 1));
    (1.0 + f64::from(sub) / 16.0) * 2_f64.powi(octave)
}

/// Counts per cell; `2^shift` neighbours share one, where there was too little room for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    shift: u32,
}

impl Histogram {
    /// An empty one.
    pub(crate) fn new(shift: u32) -> Self {
        Self { counts: vec![0; usize::from(CELLS >> shift) + 1], total: 0, shift }
    }

    /// Adds a number of latencies that fell into a cell.
    pub(crate) fn add(&mut self, cell: u16, count: u32) {
        if let Some(there) = self.counts.get_mut(usize::from(cell)) {
            *there += u64::from(count);
            self.total += u64::from(count);
        }
    }

    /// For each of these, which rise: the latency, in nanoseconds, that so many per mille of all do not exceed (nearest rank,
    /// evenly spread within its cell). Nothing of an empty histogram.
    pub(crate) fn quantiles<const N: usize>(&self, per_mille: [u64; N]) -> Option<[f64; N]> {
        if self.total == 0 {
            return None;
        }
        let mut cells = (0_u16..).zip(&self.counts).filter(|(_, count)| **count > 0);
        let (mut before, mut cell, mut count) = (0, 0, 0);
        Some(per_mille.map(|share| {
            let rank = self.total.saturating_mul(share).div_ceil(1000).max(1);
            while before + count < rank
                && let Some((next, there)) = cells.next()
            {
                (before, cell, count) = (before + count, next, *there);
            }
            let (from, to) = (start(cell << self.shift), start((cell + 1) << self.shift));
            from + (to - from) * ((rank - before) as f64 - 0.5) / count as f64
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_holds_the_latency_that_fell_into_it() {
        for nanoseconds in [16_u64, 17, 1_000, 12_400_000, 999_999_999, 1 << 40, u64::MAX] {
            let cell = cell(nanoseconds);
            assert!(cell < CELLS && start(cell) <= nanoseconds as f64 && nanoseconds as f64 <= start(cell + 1), "{nanoseconds}");
        }
        assert_eq!(cell(0), cell(16));
    }

    #[test]
    fn quantiles_are_at_most_a_sixteenth_off() {
        let mut histogram = Histogram::new(0);
        for millis in 1..=1000_u64 {
            histogram.add(cell(millis * 1_000_000), 1);
        }
        let told = histogram.quantiles([0, 1, 500, 500, 950, 990, 1000]).unwrap();
        for (told, exact) in told.into_iter().zip([1e6, 1e6, 500e6, 500e6, 950e6, 990e6, 1000e6]) {
            assert!((told / exact - 1.0).abs() < 1.0 / 16.0, "{exact}: {told}");
        }
    }

    #[test]
    fn an_empty_histogram_has_no_quantiles() {
        assert_eq!(Histogram::new(0).quantiles([500]), None);
    }
}
