//! What survives a restart: last successes, the instance's id, the little memory of guests, compiled plugins.
//!
//! A file per key, replaced atomically (written beside it, then renamed), so that several processes may share one
//! directory and none forgets what another saw. A file that cannot be read, or that holds rubbish, is as good as
//! absent: state never changes a verdict. A directory that cannot be written to is said once, and from then on
//! what is set lives in memory only.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::bounded;
use crate::clock::Timestamp;

/// Of a file, in bytes. The longest is what a guest keeps: 64 KiB, written as numbers of up to three digits each.
const LONGEST: u64 = 1 << 20;

/// Keeps small things. Clones share what they keep.
#[derive(Clone, Debug)]
pub struct Store(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    dir: Option<PathBuf>,
    /// What could not be written, or is not to be.
    memory: Mutex<HashMap<String, Vec<u8>>>,
    complained: AtomicBool,
    written: AtomicU64,
}

/// What stands in a file: the key beside the value, so that a file in the wrong place is noticed.
#[derive(Serialize, Deserialize)]
struct Entry<V> {
    key: String,
    value: V,
}

impl Store {
    /// Opens a directory, made if it is not there; none keeps everything in memory. Never fails.
    pub fn open(dir: Option<&Path>) -> Self {
        let kept = Kept {
            dir: dir.map(Path::to_path_buf),
            memory: Mutex::default(),
            complained: AtomicBool::new(false),
            written: AtomicU64::new(0),
        };
        Self(Arc::new(kept))
    }

    /// The end of the last success of a service, by whichever process it was seen.
    pub fn last_success(&self, service: &str) -> Option<Timestamp> {
        self.get::<u64>("last-success", service).map(Timestamp)
    }

    /// Notes a success. An older one than is known is ignored.
    pub fn set_last_success(&self, service: &str, at: Timestamp) {
        if self.last_success(service).is_none_or(|known| known < at) {
            self.set("last-success", service, &at.0);
        }
    }

    /// The UUID of this installation, made on the first call.
    pub fn instance_id(&self) -> String {
        let known = self.get::<String>("agent", "instance-id").filter(|id| uuid::Uuid::try_parse(id).is_ok());
        known.unwrap_or_else(|| {
            let id = uuid::Uuid::new_v4().to_string();
            self.set("agent", "instance-id", &id);
            id
        })
    }

    /// What a guest kept for one probe.
    pub fn guest_state(&self, check: &str, target: &str) -> BTreeMap<String, Vec<u8>> {
        self.get("guest", &probe_key(check, target)).unwrap_or_default()
    }

    /// Replaces what a guest kept for one probe.
    pub fn set_guest_state(&self, check: &str, target: &str, state: &BTreeMap<String, Vec<u8>>) {
        self.set("guest", &probe_key(check, target), state);
    }

    /// Where compiled plugins are kept: private to this user, since what lies there is run. None if there is no such
    /// place.
    pub fn cache_dir(&self) -> Option<PathBuf> {
        let dir = self.0.dir.as_ref()?.join("plugins");
        match private_dir(&dir) {
            Ok(()) => Some(dir),
            Err(error) => {
                self.complain(&error);
                None
            }
        }
    }

    fn get<V: DeserializeOwned>(&self, kind: &str, key: &str) -> Option<V> {
        let name = file_name(kind, key);
        let in_memory = self.0.memory.lock().get(&name).cloned();
        let bytes = in_memory.or_else(|| bounded::read(&self.0.dir.as_ref()?.join(kind).join(&name), LONGEST).ok())?;
        let entry: Entry<V> = serde_json::from_slice(&bytes).ok()?;
        (entry.key == key).then_some(entry.value)
    }

    fn set<V: Serialize>(&self, kind: &str, key: &str, value: &V) {
        let Ok(bytes) = serde_json::to_vec(&Entry { key: key.to_owned(), value }) else { return };
        let name = file_name(kind, key);
        match self.0.dir.as_ref().map(|dir| self.replace(&dir.join(kind), &name, &bytes)) {
            Some(Ok(())) => {
                // An earlier value may have found no way to the disk.
                self.0.memory.lock().remove(&name);
                return;
            }
            Some(Err(error)) => self.complain(&error),
            None => {}
        }
        self.0.memory.lock().insert(name, bytes);
    }

    /// Writes beside the file, then renames: a reader sees the old or the new, never half of one.
    fn replace(&self, dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
        private_dir(dir)?;
        let number = self.0.written.fetch_add(1, Ordering::Relaxed);
        let beside = dir.join(format!(".{name}.{}.{number}", std::process::id()));
        let written =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).and_then(|mut file| file.write_all(bytes));
        let replaced = written.and_then(|()| fs::rename(&beside, dir.join(name)));
        if replaced.is_err() {
            // Best effort: what is left over is never read.
            let _ = fs::remove_file(&beside);
        }
        replaced
    }

    fn complain(&self, error: &io::Error) {
        if let (Some(dir), false) = (&self.0.dir, self.0.complained.swap(true, Ordering::Relaxed)) {
            tracing::warn!(state_dir = %dir.display(), %error, "the state directory cannot be written to; what is learned is kept in memory only");
        }
    }
}

fn probe_key(check: &str, target: &str) -> String {
    format!("{}/{check}/{target}", check.len())
}

/// Keys may be of any length and hold any character; file names may not.
fn file_name(kind: &str, key: &str) -> String {
    let digest = Sha256::new().chain_update(kind).chain_update([0]).chain_update(key).finalize();
    format!("{digest:x}")
}

fn private_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("vedette-store-{}", uuid::Uuid::new_v4())))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_one_process_saw_another_knows() {
        let folder = Folder::new();
        let (one, other) = (Store::open(Some(&folder.0)), Store::open(Some(&folder.0)));
        one.set_last_success("api", Timestamp(7));
        other.set_last_success("shop", Timestamp(9));
        assert_eq!((other.last_success("api"), one.last_success("shop")), (Some(Timestamp(7)), Some(Timestamp(9))));
        assert_eq!(one.last_success("nobody"), None);
        assert_eq!(one.instance_id(), other.instance_id());
    }

    #[test]
    fn an_older_success_does_not_replace_a_newer_one() {
        let store = Store::open(None);
        store.set_last_success("api", Timestamp(9));
        store.set_last_success("api", Timestamp(7));
        assert_eq!(store.last_success("api"), Some(Timestamp(9)));
    }

    #[test]
    fn rubbish_is_as_good_as_absent_and_is_replaced() {
        let folder = Folder::new();
        let store = Store::open(Some(&folder.0));
        store.set_last_success("api", Timestamp(7));
        for entry in fs::read_dir(folder.0.join("last-success")).unwrap().flatten() {
            fs::write(entry.path(), b"\xff\x00rubbish").unwrap();
        }
        assert_eq!(store.last_success("api"), None);
        store.set_last_success("api", Timestamp(8));
        assert_eq!(Store::open(Some(&folder.0)).last_success("api"), Some(Timestamp(8)));
    }

    #[test]
    fn a_file_that_is_longer_than_any_state_is_as_good_as_absent() {
        let folder = Folder::new();
        let store = Store::open(Some(&folder.0));
        store.set_last_success("api", Timestamp(7));
        for entry in fs::read_dir(folder.0.join("last-success")).unwrap().flatten() {
            let text = fs::read_to_string(entry.path()).unwrap();
            fs::write(entry.path(), text + &" ".repeat(1 << 20)).unwrap();
        }
        assert_eq!(store.last_success("api"), None);
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_replaced_by_memory() {
        let folder = Folder::new();
        fs::write(&folder.0, b"a file where the directory should be").unwrap();
        let store = Store::open(Some(&folder.0));
        store.set_last_success("api", Timestamp(7));
        assert_eq!(store.last_success("api"), Some(Timestamp(7)));
        assert_eq!(store.cache_dir(), None);
        fs::remove_file(&folder.0).unwrap();
    }

    #[test]
    fn the_state_of_guests_is_told_apart_by_probe() {
        let folder = Folder::new();
        let store = Store::open(Some(&folder.0));
        let state = BTreeMap::from([("token".to_owned(), vec![0, 255])]);
        store.set_guest_state("a", "b/c", &state);
        assert_eq!(store.guest_state("a", "b/c"), state);
        assert_eq!(store.guest_state("a/b", "c"), BTreeMap::new());
    }

    #[test]
    fn nothing_is_left_beside_the_files() {
        let folder = Folder::new();
        let store = Store::open(Some(&folder.0));
        (0..50).for_each(|at| store.set_last_success("api", Timestamp(at)));
        assert_eq!(fs::read_dir(folder.0.join("last-success")).unwrap().count(), 1);
    }

    #[test]
    fn compiled_plugins_lie_where_nobody_else_may_look() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new();
        let dir = Store::open(Some(&folder.0)).cache_dir().unwrap();
        assert_eq!(fs::metadata(dir).unwrap().permissions().mode() & 0o077, 0);
    }
}
