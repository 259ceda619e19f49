//! Regular expressions in settings, compiled while the file is read. What that costs is bounded, for here it is done once,
//! but by the plugin for every attempt.

use std::collections::HashMap;

use parking_lot::Mutex;
use regex::{Error, RegexBuilder};

use crate::config::quantity::show_size;

/// The largest that a pattern may be, compiled, in bytes.
const LARGEST: usize = 2 << 20;

/// The largest that all patterns of one `with:` may be together: what the guest's CPU time has room for.
const LARGEST_TOGETHER: usize = 4 << 20;

/// Sizes are told apart by what just holds them: this, or its double, and so on.
const SMALLEST: usize = 8 << 10;

/// Groups within groups: a guest has less stack than we.
const DEEPEST: u32 = 150;

/// What is known of the patterns of a plugin's settings. The same one in many checks is compiled once.
#[derive(Debug, Default)]
pub(super) struct Patterns(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    sizes: HashMap<String, Result<usize, String>>,
    /// What was compiled for the settings that are being judged.
    spent: usize,
}

impl Patterns {
    /// Other settings are going to be judged.
    pub(super) fn begin(&self) {
        self.0.lock().spent = 0;
    }

    /// How large a pattern is, compiled and rounded up, or what is wrong with it.
    pub(super) fn size(&self, pattern: &str) -> Result<usize, String> {
        let known = &mut *self.0.lock();
        if let Some(size) = known.sizes.get(pattern) {
            return size.clone();
        }
        // That it is too much has been told, or is going to be; the rest would only take time.
        if known.spent > LARGEST_TOGETHER {
            return Ok(0);
        }
        let size = size(pattern);
        known.spent += size.as_ref().copied().unwrap_or(LARGEST);
        known.sizes.insert(pattern.to_owned(), size.clone());
        size
    }
}

/// Whether patterns of so much together are too much, and what to do.
pub(super) fn too_much(together: usize) -> Option<String> {
    let most = show_size(LARGEST_TOGETHER as u64);
    (together > LARGEST_TOGETHER).then(|| format!("with this one, the patterns of this `with` take more than {most}, compiled; {SMALLER}"))
}

/// What to do about it.
const SMALLER: &str = "use fewer or shorter ones, repeat less, or write `(?-u)` before a `\\w` that stands for ASCII";

fn size(pattern: &str) -> Result<usize, String> {
    let mut limit = SMALLEST;
    loop {
        match RegexBuilder::new(pattern).nest_limit(DEEPEST).size_limit(limit).build() {
            Ok(_) => return Ok(limit),
            Err(Error::CompiledTooBig(_)) if limit < LARGEST => limit *= 2,
            Err(Error::CompiledTooBig(_)) => {
                return Err(format!("this pattern takes more than {}, compiled; {SMALLER}", show_size(LARGEST as u64)));
            }
            Err(error) => {
                // The last line says what; those above draw the pattern, which is shown anyway.
                let told = error.to_string();
                let told = told.lines().last().unwrap_or_default().trim_start_matches("error: ");
                return Err(format!("not a regular expression: {told}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_as_large_as_what_just_holds_it() {
        assert_eq!((size("v\\d+"), size("a")), (Ok(SMALLEST), Ok(SMALLEST)));
        let large = size(r"\w{20}").unwrap();
        assert!(large > SMALLEST && large <= LARGEST && large.is_power_of_two(), "{large}");
    }

    #[test]
    fn what_is_too_large_or_too_deep_is_told() {
        assert!(size(r"\w{200}").unwrap_err().contains("more than 2MiB"));
        assert!(size(&format!("{}{}", "(".repeat(151), ")".repeat(151))).unwrap_err().contains("nest"));
        assert!(size("(").unwrap_err().contains("unclosed group"));
    }

    #[test]
    fn what_many_patterns_cost_is_bounded_and_begins_anew_with_other_settings() {
        let patterns = Patterns::default();
        let compiled = |from: usize| (from..from + 100).filter(|number| patterns.size(&format!(r"\w{{20}}{number}")) != Ok(0)).count();
        let first = compiled(0);
        assert!(first < 20, "{first}");
        patterns.begin();
        assert_eq!(compiled(100), first);
        assert_ne!(patterns.size(r"\w{20}0"), Ok(0), "what has been compiled is known");
    }
}
