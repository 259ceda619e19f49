//! Compiled plugins on disk, so that a warm start compiles nothing.
//!
//! What lies there is machine code that is going to run in this process. So it is read only from a directory that is
//! this user's alone, out of files that nobody else can have written, and only if its checksum holds, which covers the
//! file's name too. What has not been used for longest goes when there is too much.

use std::fs::{DirBuilder, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_NOW};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasmtime::Engine;

/// Ends the name of every file.
const SUFFIX: &str = ".plugin";

/// Begins every file; another layout has another one.
const MAGIC: &[u8; 8] = b"vedette\x03";
const CHECKSUM: usize = 32;

/// Compiled plugins that are kept, and their bytes in all. Every version of agent and plugin leaves one.
const FILES: usize = 64;
const BYTES: u64 = 1 << 30;

/// What was begun so long ago is not going to be finished.
const UNFINISHED: Duration = Duration::from_hours(1);

/// The directory, if it may be trusted.
#[derive(Debug)]
pub(super) struct Cache {
    dir: Option<PathBuf>,
    /// What the engine and this program require of an artefact.
    compatible: String,
    written: AtomicU64,
}

/// What is kept of one component.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// What the plugin says of itself.
    pub(super) described: Described,
    /// Its compiled form.
    pub(super) artefact: Vec<u8>,
}

/// What a plugin says of itself, as it said it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) summary: String,
    pub(super) config_schema: String,
    pub(super) target_schemes: Vec<String>,
    pub(super) measurements: Vec<DescribedMeasurement>,
}

/// A number that it may yield.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DescribedMeasurement {
    pub(super) name: String,
    pub(super) unit: String,
    /// Place in `Instrument::ALL`.
    pub(super) instrument: u8,
    pub(super) description: String,
}

impl Cache {
    /// Opens a directory, made if it is not there. One that others may look into or write to is refused: nothing is
    /// kept then.
    pub(super) fn open(dir: Option<&Path>, engine: &Engine) -> Self {
        let dir = dir.filter(|dir| match private(dir) {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(cache = %dir.display(), %error, "compiled plugins are kept in memory only");
                false
            }
        });
        let mut hasher = Sha(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let engine = format!("{:x}", hasher.0.finalize());
        let compatible = format!("{}-{}", &engine[..16], env!("CARGO_PKG_VERSION"));
        Self { dir: dir.map(Path::to_path_buf), compatible, written: AtomicU64::new(0) }
    }

    /// What is kept of the component with this digest. Anything that is not just as it was written is as good as absent.
    pub(super) fn find(&self, digest: &str) -> Option<Entry> {
        let (dir, name) = (private(self.dir.as_ref()?).ok()?, self.name(digest));
        let file = rustix::fs::openat(&dir, &name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).ok()?;
        owned(&file, FileType::RegularFile, Mode::WGRP | Mode::WOTH).ok()?;
        let (file, mut bytes) = (File::from(file), Vec::new());
        (&file).take(BYTES).read_to_end(&mut bytes).ok()?;
        let entry = unpack(&name, &bytes)?;
        // Best effort: it was used now, and so goes later than others.
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let _ = rustix::fs::futimens(&file, &Timestamps { last_access: now, last_modification: now });
        Some(entry)
    }

    /// Keeps a compiled component. Best effort: what cannot be written is compiled again next time.
    pub(super) fn keep(&self, digest: &str, entry: &Entry) {
        let Some(dir) = &self.dir else { return };
        if let Err(error) = self.write(dir, &self.name(digest), entry) {
            tracing::debug!(cache = %dir.display(), %error, "a compiled plugin was not kept");
        }
        prune(dir, FILES, BYTES);
    }

    /// Writes beside the file, then renames: a reader sees the old or the new, never half of one.
    fn write(&self, dir: &Path, name: &str, entry: &Entry) -> io::Result<()> {
        let dir = private(dir)?;
        let beside = format!(".{name}.{}.{}", std::process::id(), self.written.fetch_add(1, Relaxed));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&dir, &beside, flags, Mode::RUSR | Mode::WUSR)?;
        let written = File::from(file).write_all(&pack(name, entry)?);
        let replaced = written.and_then(|()| Ok(rustix::fs::renameat(&dir, &beside, &dir, name)?));
        if replaced.is_err() {
            // Best effort: what is left over is never read.
            let _ = rustix::fs::unlinkat(&dir, &beside, AtFlags::empty());
        }
        replaced
    }

    fn name(&self, digest: &str) -> String {
        format!("{digest}-{}{SUFFIX}", self.compatible)
    }
}

/// Removes what has not been used for longest until so many files of so many bytes are left, and what was never
/// finished. Best effort: what cannot be removed now is tried again when the next one is kept.
fn prune(dir: &Path, files: usize, bytes: u64) {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().contains(SUFFIX));
    let mut kept: Vec<(SystemTime, u64, PathBuf)> = ours
        .filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some((metadata.modified().ok()?, metadata.len(), entry.path()))
        })
        .collect();
    // The newest first.
    kept.sort_by(|one, other| other.cmp(one));
    let newest = kept.first().map(|(used, ..)| *used);
    let (mut count, mut size) = (0, 0_u64);
    for (used, length, path) in kept {
        let unfinished = path.extension().is_none_or(|extension| extension != "plugin");
        let old = newest.and_then(|newest| newest.duration_since(used).ok()).is_some_and(|age| age > UNFINISHED);
        if !unfinished {
            count += 1;
            size = size.saturating_add(length);
        }
        if (unfinished && old) || (!unfinished && (count > files || size > bytes)) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Opens a directory that is this user's alone. What is opened is what was looked at.
fn private(dir: &Path) -> io::Result<OwnedFd> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let opened = rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    owned(&opened, FileType::Directory, Mode::RWXG | Mode::RWXO)?;
    Ok(opened)
}

/// That something is of this type, this user's, and grants nobody else any of this.
fn owned(file: &OwnedFd, wanted: FileType, denied: Mode) -> io::Result<()> {
    let stat = rustix::fs::fstat(file)?;
    let (mode, user) = (Mode::from_raw_mode(stat.st_mode), rustix::process::geteuid());
    if FileType::from_raw_mode(stat.st_mode) != wanted || stat.st_uid != user.as_raw() {
        return Err(io::Error::other("it is not this user's"));
    }
    if mode.intersects(denied) {
        return Err(io::Error::other(format!("others may use it (mode {:03o}); `chmod 700` it", mode.as_raw_mode())));
    }
    Ok(())
}

fn pack(name: &str, entry: &Entry) -> io::Result<Vec<u8>> {
    let described = serde_json::to_vec(&entry.described)?;
    let length = (described.len() as u64).to_le_bytes();
    let checksum = Sha256::new().chain_update(name).chain_update(length).chain_update(&described).chain_update(&entry.artefact).finalize();
    Ok([&MAGIC[..], &checksum, &length, &described, &entry.artefact].concat())
}

fn unpack(name: &str, bytes: &[u8]) -> Option<Entry> {
    let (checksum, rest) = bytes.strip_prefix(MAGIC)?.split_at_checked(CHECKSUM)?;
    if Sha256::new().chain_update(name).chain_update(rest).finalize().as_slice() != checksum {
        return None;
    }
    let (length, rest) = rest.split_first_chunk()?;
    let (described, artefact) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    Some(Entry { described: serde_json::from_slice(described).ok()?, artefact: artefact.to_vec() })
}

/// SHA-256 as a hasher: the same in every process.
struct Sha(Sha256);

impl Hasher for Sha {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A directory of its own, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("vedette-cache-{}", uuid::Uuid::new_v4())))
        }

        fn cache(&self) -> Cache {
            Cache::open(Some(&self.0), &Engine::default())
        }

        fn only_file(&self) -> PathBuf {
            let mut files = fs::read_dir(&self.0).unwrap();
            let file = files.next().unwrap().unwrap().path();
            assert!(files.next().is_none());
            file
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn entry() -> Entry {
        let described = Described {
            name: "test:plugin".to_owned(),
            version: "1.0.0".to_owned(),
            summary: String::new(),
            config_schema: "{}".to_owned(),
            target_schemes: vec!["http".to_owned()],
            measurements: Vec::new(),
        };
        Entry { described, artefact: b"machine code".to_vec() }
    }

    #[test]
    fn what_was_kept_is_found_by_the_next_process() {
        let folder = Folder::new();
        folder.cache().keep("abc", &entry());
        assert_eq!(folder.cache().find("abc"), Some(entry()));
        assert_eq!(folder.cache().find("abd"), None);
        let name = folder.only_file().file_name().unwrap().to_owned();
        assert!(name.to_string_lossy().ends_with(concat!(env!("CARGO_PKG_VERSION"), ".plugin")));
    }

    #[test]
    fn every_damaged_byte_and_every_torn_end_is_as_good_as_absent() {
        let whole = pack("name", &entry()).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert_eq!(unpack("name", &damaged), None, "byte {at}");
            assert_eq!(unpack("name", &whole[..at]), None, "{at} bytes");
        }
        assert_eq!(unpack("name", &whole), Some(entry()));
    }

    #[test]
    fn a_file_under_the_name_of_another_component_is_as_good_as_absent() {
        let folder = Folder::new();
        let cache = folder.cache();
        cache.keep("abc", &entry());
        fs::rename(folder.only_file(), folder.0.join(cache.name("abd"))).unwrap();
        assert_eq!(cache.find("abd"), None);
    }

    #[test]
    fn what_was_not_used_for_longest_goes_when_there_is_too_much() {
        let folder = Folder::new();
        let cache = folder.cache();
        let used = |digest: &str, ago: u64| {
            let file = File::open(folder.0.join(cache.name(digest))).unwrap();
            file.set_modified(file.metadata().unwrap().modified().unwrap() - Duration::from_secs(ago)).unwrap();
        };
        for (ago, digest) in (1..).zip(["a", "b", "c", "d"]) {
            cache.keep(digest, &entry());
            used(digest, ago);
        }
        let there =
            || -> Vec<&str> { ["a", "b", "c", "d"].into_iter().filter(|digest| folder.0.join(cache.name(digest)).exists()).collect() };
        assert!(cache.find("d").is_some(), "and so it is the newest");
        prune(&folder.0, 3, BYTES);
        assert_eq!(there(), ["a", "b", "d"]);
        let size = fs::metadata(folder.0.join(cache.name("a"))).unwrap().len();
        prune(&folder.0, 3, size + 1);
        assert_eq!(there(), ["d"]);
    }

    #[test]
    fn what_was_never_finished_goes_and_what_is_not_ours_stays() {
        let folder = Folder::new();
        let cache = folder.cache();
        cache.keep("a", &entry());
        let beside = |name: &str, ago: Duration| {
            let file = File::create(folder.0.join(name)).unwrap();
            file.set_modified(file.metadata().unwrap().modified().unwrap() - ago).unwrap();
        };
        let (torn, foreign, fresh) = (format!(".{}.1.0", cache.name("b")), "notes.txt", format!(".{}.2.0", cache.name("b")));
        beside(&torn, UNFINISHED * 2);
        beside(foreign, UNFINISHED * 2);
        beside(&fresh, Duration::ZERO);
        prune(&folder.0, 0, 0);
        let there = |name: &str| folder.0.join(name).exists();
        assert_eq!((there(&torn), there(foreign), there(&fresh), there(&cache.name("a"))), (false, true, true, false));
    }

    #[test]
    fn a_directory_that_others_may_look_into_is_refused() {
        let folder = Folder::new();
        folder.cache().keep("abc", &entry());
        for mode in [0o755, 0o770, 0o701, 0o777] {
            fs::set_permissions(&folder.0, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(folder.cache().find("abc"), None, "{mode:o}");
        }
        fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(folder.cache().find("abc"), Some(entry()));
    }

    #[test]
    fn a_file_that_others_may_write_to_and_a_link_are_refused() {
        let folder = Folder::new();
        let cache = folder.cache();
        cache.keep("abc", &entry());
        let file = folder.only_file();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).unwrap();
        assert_eq!(cache.find("abc"), None);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(cache.find("abc").is_some());
        let elsewhere = folder.0.join("elsewhere");
        fs::rename(&file, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        assert_eq!(cache.find("abc"), None);
    }

    #[test]
    fn without_a_directory_nothing_is_kept() {
        let cache = Cache::open(None, &Engine::default());
        cache.keep("abc", &entry());
        assert_eq!(cache.find("abc"), None);
    }
}
