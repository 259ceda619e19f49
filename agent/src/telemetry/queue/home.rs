//! Where a process keeps its queues: `queue/otlp/{signal}/` below the state directory, private, and locked.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use crate::telemetry::otlp::Signal;

/// The folder of all queues, which is ours for as long as this or a clone of its lock lives.
#[derive(Debug)]
pub(in crate::telemetry) struct Home {
    folder: PathBuf,
    lock: Arc<File>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(in crate::telemetry) enum HomeError {
    #[error("another agent keeps its telemetry in {}; give each agent an agent.state_dir of its own", folder.display())]
    Taken { folder: PathBuf },
    #[error("telemetry cannot be kept in {}: {error}; agent.state_dir has to name a directory that can be written to", folder.display())]
    Unusable { folder: PathBuf, error: io::Error },
}

impl Home {
    /// Opens it below a state directory; made if it is not there.
    pub(in crate::telemetry) fn open(state_dir: &Path) -> Result<Self, HomeError> {
        let folder = state_dir.join("queue");
        let unusable = |error| HomeError::Unusable { folder: folder.clone(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(unusable)?;
        private(&folder).map_err(unusable)?;
        // Held by the process: a process that is killed holds nothing.
        let mut options = OpenOptions::new();
        // A FIFO in its place would be waited for.
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let lock = options.open(folder.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(HomeError::Taken { folder }),
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        Ok(Self { folder, lock: Arc::new(lock) })
    }

    /// Of one signal.
    pub(super) fn folder(&self, signal: Signal) -> PathBuf {
        self.folder.join("otlp").join(signal.word())
    }

    pub(super) fn lock(&self) -> Arc<File> {
        Arc::clone(&self.lock)
    }
}

/// Makes a folder that nobody else may look into, also if it is there already.
pub(super) fn private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    if fs::metadata(folder)?.permissions().mode() & 0o777 != 0o700 {
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::*;

    #[test]
    fn a_second_agent_is_told_that_the_first_is_there_until_it_is_gone() {
        let scratch = Scratch::new();
        let first = Home::open(scratch.path()).unwrap();
        let lock = first.lock();
        assert!(matches!(Home::open(scratch.path()), Err(HomeError::Taken { .. })));
        drop(first);
        assert!(matches!(Home::open(scratch.path()), Err(HomeError::Taken { .. })), "a keeper still writes");
        drop(lock);
        Home::open(scratch.path()).unwrap();
    }

    #[test]
    fn nobody_else_may_look_into_it_even_if_it_was_open_before() {
        let scratch = Scratch::new();
        fs::create_dir(scratch.path().join("queue")).unwrap();
        fs::set_permissions(scratch.path().join("queue"), Permissions::from_mode(0o755)).unwrap();
        let home = Home::open(scratch.path()).unwrap();
        assert_eq!(fs::metadata(&home.folder).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_file_in_its_place_is_said() {
        let scratch = Scratch::new();
        fs::write(scratch.path().join("queue"), "").unwrap();
        let error = Home::open(scratch.path()).unwrap_err().to_string();
        assert!(error.contains("agent.state_dir"), "{error}");
    }
}
