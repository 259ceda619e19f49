//! A folder of things that are kept for a look and never read again, the oldest going first when there are too many.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::home::private;
use crate::clock::Timestamp;

/// What a file takes of a disk is a multiple of that, in bytes.
const BLOCK: u64 = 4 << 10;

#[derive(Debug)]
pub(super) struct Aside {
    folder: PathBuf,
    /// Bytes of all.
    limit: u64,
    /// What is there, read from the folder when the first file comes. Names begin with a number of twenty digits, so
    /// their order is that of time.
    files: Option<BTreeMap<OsString, u64>>,
    sum: u64,
}

impl Aside {
    pub(super) fn new(folder: PathBuf, limit: u64) -> Self {
        Self { folder, limit, files: None, sum: 0 }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes down a body. Its name says when it was made; those of one moment are numbered.
    pub(super) fn keep(&mut self, at: Timestamp, body: &[u8]) -> io::Result<()> {
        let bytes = self.make_room(body.len() as u64)?;
        for number in 0..=u16::MAX {
            let name = OsString::from(format!("{:020}-{number:05}.binpb", at.0));
            if self.files.as_ref().is_some_and(|files| files.contains_key(&name)) {
                continue;
            }
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.folder.join(&name)) {
                Ok(mut file) => {
                    self.enter(name, bytes);
                    return file.write_all(body);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Moves a file here.
    pub(super) fn take(&mut self, file: &Path) -> io::Result<()> {
        let Some(name) = file.file_name() else { return Ok(()) };
        let bytes = self.make_room(fs::metadata(file)?.len())?;
        fs::rename(file, self.folder.join(name))?;
        self.enter(name.to_owned(), bytes);
        Ok(())
    }

    fn enter(&mut self, name: OsString, bytes: u64) {
        self.sum += bytes;
        self.files.get_or_insert_default().insert(name, bytes);
    }

    /// Lets the oldest go until so many bytes more fit; says how many the new file takes of the disk.
    fn make_room(&mut self, coming: u64) -> io::Result<u64> {
        if self.files.is_none() {
            private(&self.folder)?;
            let mut found = BTreeMap::new();
            for entry in fs::read_dir(&self.folder)? {
                let entry = entry?;
                found.insert(entry.file_name(), blocks(entry.metadata()?.len()));
            }
            self.sum = found.values().sum();
            self.files = Some(found);
        }
        let (coming, files) = (blocks(coming), self.files.get_or_insert_default());
        while self.sum + coming > self.limit
            && let Some((name, bytes)) = files.pop_first()
        {
            self.sum -= bytes;
            match fs::remove_file(self.folder.join(name)) {
                // Whoever had a look may have tidied up.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // The folder may have been taken away as well.
        private(&self.folder)?;
        Ok(coming)
    }
}

fn blocks(length: u64) -> u64 {
    length.max(1).next_multiple_of(BLOCK)
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::*;

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let scratch = Scratch::new();
        let mut aside = Aside::new(scratch.path().join("aside"), 3 * BLOCK);
        for at in [3, 1, 2, 2] {
            aside.keep(Timestamp(at), &[7; 30]).unwrap();
        }
        let names = |aside: &Aside| {
            let mut names: Vec<_> = fs::read_dir(aside.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names.into_iter().map(|name| name.to_str().unwrap()[19..26].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&aside), ["2-00000", "2-00001", "3-00000"]);
        let file = scratch.path().join("00000000000000000009.segment");
        fs::write(&file, [0; 5000]).unwrap();
        aside.take(&file).unwrap();
        assert_eq!(names(&aside), ["3-00000", "9.segme"]);
        assert!(!file.exists());
    }
}
