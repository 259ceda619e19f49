//! `state`: a little memory that outlives the run, if the run returns a report.

use std::collections::BTreeMap;

use super::super::bindings::state;
use super::super::limit::Limit;
use super::Lent;

const KEY: usize = 128;
const VALUE: usize = 32 << 10;
const KEYS: usize = 64;
const TOTAL: usize = 64 << 10;

/// The state as of the start of the run and the run's own writes.
#[derive(Debug, Default)]
pub(in super::super) struct Kept {
    entries: BTreeMap<String, Vec<u8>>,
    written: bool,
}

impl Kept {
    pub(super) fn new(entries: BTreeMap<String, Vec<u8>>) -> Self {
        Self { entries, written: false }
    }

    /// The whole state, if something was written.
    pub(in super::super) fn written(self) -> Option<BTreeMap<String, Vec<u8>>> {
        self.written.then_some(self.entries)
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), String> {
        if !(1..=KEY).contains(&key.len()) {
            return Err(format!("a key has 1 to {KEY} bytes, this one {}", key.len()));
        }
        if value.len() > VALUE {
            return Err(format!("a value has at most {VALUE} bytes, this one {}", value.len()));
        }
        let others = self.entries.iter().filter(|(known, _)| **known != key);
        let (count, size) = others.fold((0, 0), |(count, size), (key, value)| (count + 1, size + key.len() + value.len()));
        if count >= KEYS {
            return Err(format!("at most {KEYS} keys"));
        }
        if size + key.len() + value.len() > TOTAL {
            return Err(format!("at most {TOTAL} bytes in all"));
        }
        self.entries.insert(key, value);
        self.written = true;
        Ok(())
    }

    fn delete(&mut self, key: &str) {
        self.written |= self.entries.remove(key).is_some();
    }
}

impl state::Host for Lent {
    fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, state::StateError> {
        Ok(self.kept.entries.get(&key).cloned())
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), state::StateError> {
        self.kept.set(key, value).map_err(|refused| {
            self.tally.note(Limit::State, 1);
            state::StateError::TooLarge(refused)
        })
    }

    fn delete(&mut self, key: String) -> Result<(), state::StateError> {
        self.kept.delete(&key);
        Ok(())
    }

    fn keys(&mut self) -> Result<Vec<String>, state::StateError> {
        Ok(self.kept.entries.keys().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_a_limit_is_refused_and_changes_nothing() {
        let mut kept = Kept::default();
        for (key, length) in [("", 1), ("k".repeat(129).as_str(), 1), ("key", VALUE + 1)] {
            assert!(kept.set(key.to_owned(), vec![0; length]).is_err());
        }
        assert_eq!(Kept::default().written(), None);
        assert!(kept.written().is_none());
    }

    #[test]
    fn all_values_together_have_a_limit_and_replacing_one_frees_its_place() {
        let mut kept = Kept::default();
        let half = VALUE - 1;
        assert_eq!(kept.set("a".to_owned(), vec![0; half]), Ok(()));
        assert_eq!(kept.set("b".to_owned(), vec![0; half]), Ok(()));
        assert!(kept.set("c".to_owned(), Vec::new()).is_err());
        assert_eq!(kept.set("b".to_owned(), vec![1]), Ok(()));
        assert_eq!(kept.set("c".to_owned(), Vec::new()), Ok(()));
    }

    #[test]
    fn there_are_at_most_64_keys() {
        let mut kept = Kept::default();
        (0..64).for_each(|number| assert_eq!(kept.set(number.to_string(), Vec::new()), Ok(())));
        assert!(kept.set("64".to_owned(), Vec::new()).is_err());
        kept.delete("0");
        assert_eq!(kept.set("64".to_owned(), Vec::new()), Ok(()));
        assert_eq!(kept.written().unwrap().len(), 64);
    }

    #[test]
    fn to_delete_what_is_not_there_is_no_write() {
        let mut kept = Kept::default();
        kept.delete("nothing");
        assert_eq!(kept.written(), None);
    }
}
