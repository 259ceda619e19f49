//! How many files may be open, and how many targets that allows to be asked at one time.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is open besides the sockets of runs.
const OTHERS: u64 = 64;

/// What a run may have open: two sockets while a name is looked up, or while two addresses of it are tried.
const PER_RUN: u64 = 2;

/// However many files may be open: each run has a third of a MiB and some mappings, which the kernel counts.
const MOST: u64 = 4_096;

/// Raises the limit of open files as far as the system lets it: usually it is far below, for the sake of programs that
/// use `select`.
pub(super) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Where it cannot be raised the limit stands, and `at_once` keeps to it.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}

/// How many runs there may be at one time.
pub(super) fn at_once() -> u32 {
    runs(getrlimit(Resource::Nofile).current)
}

fn runs(files: Option<u64>) -> u32 {
    let runs = files.map_or(MOST, |files| files.saturating_sub(OTHERS) / PER_RUN);
    u32::try_from(runs.clamp(1, MOST)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_as_many_as_their_sockets_may_be() {
        assert_eq!([Some(0), Some(1_024), Some(20_000), Some(1 << 30), None].map(runs), [1, 480, 4_096, 4_096, 4_096]);
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
