//! Reads files that somebody names, within bounds: a regular file, not longer than what is meant can be.
//!
//! A path may lead to a device that never ends, to a FIFO into which nobody writes, or to the wrong file altogether.
//! None of them may cost the agent its memory, or keep it waiting.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file. Symbolic links are followed: mounted secrets are such.
pub fn open(path: &Path) -> io::Result<File> {
    // Opening a FIFO waits for its other end, unless it is told not to; to regular files it makes no difference.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {}; name a regular file", name(kind))))
}

/// The whole of a regular file that has at most so many bytes.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    // A file that says itself that it is too long need not be read at all.
    if file.metadata()?.len() > most {
        return Err(too_long(most));
    }
    read_to_end(file, most)
}

/// All that comes until it ends, if that is at most so many bytes.
pub fn read_to_end(source: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_long(most)) } else { Ok(bytes) }
}

fn too_long(most: u64) -> io::Error {
    let most = if most < 1 << 20 { format!("{}KiB", most >> 10) } else { format!("{}MiB", most >> 20) };
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("it is longer than {most}, and nothing of its kind is; name the file that is meant"),
    )
}

fn name(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rustix::fs::{CWD, FileType, Mode};

    use super::*;

    /// A folder of its own, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let folder = std::env::temp_dir().join(format!("vedette-bounded-{}", uuid::Uuid::new_v4()));
            std::fs::create_dir(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn refused(path: &Path) -> String {
        read(path, 1 << 10).unwrap_err().to_string()
    }

    #[test]
    fn a_file_of_just_the_bound_is_read_and_one_byte_more_is_not() {
        let folder = Folder::new();
        let path = folder.0.join("file");
        std::fs::write(&path, [b'x'; 1024]).unwrap();
        assert_eq!(read(&path, 1 << 10).unwrap().len(), 1024);
        std::fs::write(&path, [b'x'; 1025]).unwrap();
        assert!(refused(&path).contains("longer than 1KiB"), "{}", refused(&path));
        assert_eq!(read_to_end(&[0; 1025][..], 1 << 10).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once_and_named() {
        let folder = Folder::new();
        let fifo = folder.0.join("fifo");
        // Nobody ever opens its other end: whoever waits for that waits for ever.
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        for (path, name) in [(&*fifo, "a FIFO"), (Path::new("/dev/zero"), "a device"), (&*folder.0, "a directory")] {
            assert!(refused(path).contains(name), "{}", refused(path));
        }
    }

    #[test]
    fn a_link_leads_to_its_file() {
        let folder = Folder::new();
        let (file, link) = (folder.0.join("file"), folder.0.join("link"));
        std::fs::write(&file, "value").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read(&link, 1 << 10).unwrap(), b"value");
    }

    #[test]
    fn a_file_that_does_not_tell_its_length_is_read_within_the_bound() {
        // Files of the system have a length of 0 and are not empty.
        assert!(!read(Path::new("/proc/self/status"), 1 << 20).unwrap().is_empty());
        assert!(read(Path::new("/proc/self/status"), 8).is_err());
    }
}
