//! A window that slides in thirtieths: good and valid runs and latencies per bucket, so that what leaves it can be taken away.

use crate::bytes::{Reader, put};
use crate::histogram::{CELLS, Histogram, cell};

/// The oldest bucket may reach out of the window by one thirtieth of it.
const BUCKETS: u64 = 30;

/// A window and what of it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// In nanoseconds.
    pub(crate) length: u64,
    /// How often neighbouring cells were merged, for want of room.
    shift: u32,
    /// Oldest first.
    buckets: Vec<Bucket>,
}

/// The runs that were planned within one thirtieth of the window, a grid that is fixed in time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bucket {
    /// When it begins, in buckets since 1970.
    index: u64,
    good: u32,
    valid: u32,
    /// Cell and count, by cell.
    latencies: Vec<(u16, u32)>,
}

impl Window {
    /// An empty one.
    pub(crate) fn new(length: u64) -> Self {
        Self { length, shift: 0, buckets: Vec::new() }
    }

    /// Takes a run that counts.
    pub(crate) fn add(&mut self, at: u64, good: bool, latency: Option<u64>) {
        let (index, shift) = (at / self.width(), self.shift);
        let place = self.buckets.partition_point(|bucket| bucket.index < index);
        if self.buckets.get(place).is_none_or(|bucket| bucket.index != index) {
            self.buckets.insert(place, Bucket { index, ..Bucket::default() });
        }
        let bucket = &mut self.buckets[place];
        bucket.valid = bucket.valid.saturating_add(1);
        bucket.good = bucket.good.saturating_add(u32::from(good));
        if let Some(latency) = latency.filter(|_| good) {
            bucket.add(cell(latency) >> shift, 1);
        }
    }

    /// Forgets what lies outside of the window that ends at `now`: also in a future that a clock once told.
    pub(crate) fn forget(&mut self, now: u64) {
        let (first, last) = (now.saturating_sub(self.length) / self.width(), now / self.width());
        self.buckets.retain(|bucket| (first..=last).contains(&bucket.index));
    }

    /// How many were good, of how many.
    pub(crate) fn good_and_valid(&self) -> (u64, u64) {
        self.buckets.iter().fold((0, 0), |(good, valid), bucket| (good + u64::from(bucket.good), valid + u64::from(bucket.valid)))
    }

    /// Latencies of the good ones.
    pub(crate) fn latencies(&self) -> Histogram {
        let mut all = Histogram::new(self.shift);
        for (cell, count) in self.buckets.iter().flat_map(|bucket| &bucket.latencies) {
            all.add(*cell, *count);
        }
        all
    }

    /// `5m`, `1h`, `24h`, `7d`: as people write it.
    pub(crate) fn name(&self) -> String {
        const SECOND: u64 = 1_000_000_000;
        let units = [("d", 86_400 * SECOND), ("h", 3600 * SECOND), ("m", 60 * SECOND), ("s", SECOND), ("ms", 1_000_000), ("us", 1000)];
        let fits = |(name, unit): &&(&str, u64)| self.length.is_multiple_of(*unit) && (*name != "d" || self.length > *unit);
        let (name, unit) = units.iter().find(fits).unwrap_or(&("ns", 1));
        format!("{}{name}", self.length / unit)
    }

    /// Halves the resolution of the latencies. False if there is nothing left to halve.
    pub(crate) fn coarsen(&mut self) -> bool {
        if self.buckets.iter().all(|bucket| bucket.latencies.is_empty()) || CELLS >> self.shift <= 1 {
            return false;
        }
        self.shift += 1;
        for bucket in &mut self.buckets {
            for (cell, count) in std::mem::take(&mut bucket.latencies) {
                bucket.add(cell >> 1, count);
            }
        }
        true
    }

    fn width(&self) -> u64 {
        (self.length / BUCKETS).max(1)
    }

    /// Appends it.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        for number in [self.length, u64::from(self.shift), self.buckets.len() as u64] {
            put(bytes, number);
        }
        let mut last = 0;
        for bucket in &self.buckets {
            for number in [bucket.index - last, u64::from(bucket.good), u64::from(bucket.valid), bucket.latencies.len() as u64] {
                put(bytes, number);
            }
            last = bucket.index;
            let mut before = 0;
            for (cell, count) in &bucket.latencies {
                put(bytes, u64::from(cell - before));
                put(bytes, u64::from(*count));
                before = *cell;
            }
        }
    }

    /// Reads it back; `None` if it is damaged.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut window = Self::new(reader.number()?);
        window.shift = reader.small().filter(|shift| CELLS >> shift > 0)?;
        let mut index = 0_u64;
        let buckets = reader.count()?;
        window.buckets.reserve(buckets + 1);
        for place in 0..buckets {
            let (step, good, valid) = (reader.number()?, reader.small()?, reader.small()?);
            index = index.checked_add(step).filter(|_| place == 0 || step > 0)?;
            let cells = reader.count()?;
            let mut bucket = Bucket { index, good, valid, latencies: Vec::with_capacity(cells) };
            let mut cell = 0_u16;
            for place in 0..cells {
                let (step, count) = (reader.small()?, reader.small()?);
                cell = cell.checked_add(step).filter(|cell| *cell < CELLS && (place == 0 || step > 0))?;
                bucket.latencies.push((cell, count));
            }
            window.buckets.push(bucket);
        }
        Some(window)
    }
}

impl Bucket {
    fn add(&mut self, cell: u16, count: u32) {
        let place = self.latencies.partition_point(|(there, _)| *there < cell);
        match self.latencies.get_mut(place) {
            Some((there, sum)) if *there == cell => *sum = sum.saturating_add(count),
            _ => self.latencies.insert(place, (cell, count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000_000_000;

    #[test]
    fn what_leaves_the_window_counts_no_more() {
        let mut window = Window::new(30 * MINUTE);
        for minute in 0..60 {
            window.add(minute * MINUTE, minute % 2 == 0, None);
            window.forget(minute * MINUTE);
        }
        assert_eq!(window.good_and_valid(), (15, 31), "minutes 29 to 59: the oldest bucket reaches out by one");
        window.forget(200 * MINUTE);
        assert_eq!(window.good_and_valid(), (0, 0));
    }

    #[test]
    fn late_ones_go_where_they_belong_and_a_wrong_future_is_forgotten() {
        let mut window = Window::new(30 * MINUTE);
        for minute in [100, 99, 1000, 98, 100] {
            window.add(minute * MINUTE, true, None);
        }
        window.forget(100 * MINUTE);
        assert_eq!(window.buckets.iter().map(|bucket| (bucket.index, bucket.valid)).collect::<Vec<_>>(), [(98, 1), (99, 1), (100, 2)]);
    }

    #[test]
    fn coarser_cells_hold_the_same_runs_in_fewer_bytes() {
        let mut window = Window::new(30 * MINUTE);
        for millis in 1..=500 {
            window.add(0, true, Some(millis * 1_000_000));
        }
        let before = (bytes(&window).len(), window.latencies().quantiles([500]).unwrap()[0]);
        assert!(window.coarsen());
        let after = (bytes(&window).len(), window.latencies().quantiles([500]).unwrap()[0]);
        assert!(after.0 < before.0, "{before:?} {after:?}");
        assert!((after.1 / before.1 - 1.0).abs() < 0.13, "{before:?} {after:?}");
        while window.coarsen() {}
        assert_eq!(window.good_and_valid(), (500, 500));
    }

    fn bytes(window: &Window) -> Vec<u8> {
        let mut bytes = Vec::new();
        window.write(&mut bytes);
        bytes
    }

    #[test]
    fn it_comes_back_as_it_was_and_damage_is_none() {
        let mut window = Window::new(30 * MINUTE);
        for minute in 0..40 {
            window.add(minute * MINUTE, true, Some(minute * 1_000_000));
        }
        let whole = bytes(&window);
        assert_eq!(Window::read(&mut Reader(&whole)), Some(window));
        for end in 0..whole.len() {
            assert_eq!(Window::read(&mut Reader(&whole[..end])), None);
        }
    }

    #[test]
    fn its_name_is_as_people_write_it() {
        let names = [5, 60, 90, 24 * 60, 48 * 60, 7 * 24 * 60].map(|minutes| Window::new(minutes * MINUTE).name());
        assert_eq!(names, ["5m", "1h", "90m", "24h", "2d", "7d"]);
        assert_eq!(Window::new(1).name(), "1ns");
    }
}
