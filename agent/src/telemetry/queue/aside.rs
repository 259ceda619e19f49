//! A folder of things that are kept for a look and never read again, the oldest going first when there are too many.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::home::private;
use crate::clock::Timestamp;

#[derive(Debug)]
pub(super) struct Aside {
    folder: PathBuf,
    /// Bytes of all.
    limit: u64,
}

impl Aside {
    pub(super) fn new(folder: PathBuf, limit: u64) -> Self {
        Self { folder, limit }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes down a body. Its name says when it was made; those of one moment are numbered.
    pub(super) fn keep(&self, at: Timestamp, body: &[u8]) -> io::Result<()> {
        self.make_room(body.len() as u64)?;
        for number in 0..=u16::MAX {
            let path = self.folder.join(format!("{:020}-{number:05}.binpb", at.0));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
                Ok(mut file) => return file.write_all(body),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Moves a file here.
    pub(super) fn take(&self, file: &Path) -> io::Result<()> {
        let Some(name) = file.file_name() else { return Ok(()) };
        self.make_room(fs::metadata(file)?.len())?;
        fs::rename(file, self.folder.join(name))
    }

    fn make_room(&self, coming: u64) -> io::Result<()> {
        private(&self.folder)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            files.push((entry.file_name(), entry.metadata()?.len()));
        }
        // Names begin with a number of twenty digits, so their order is that of time.
        files.sort();
        let mut sum = coming + files.iter().map(|(_, length)| length).sum::<u64>();
        for (name, length) in files {
            if sum <= self.limit {
                break;
            }
            fs::remove_file(self.folder.join(name))?;
            sum -= length;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::*;

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let scratch = Scratch::new();
        let aside = Aside::new(scratch.path().join("aside"), 100);
        for at in [3, 1, 2, 2] {
            aside.keep(Timestamp(at), &[7; 30]).unwrap();
        }
        let names = || {
            let mut names: Vec<_> = fs::read_dir(aside.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names.into_iter().map(|name| name.to_str().unwrap()[19..26].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(), ["2-00000", "2-00001", "3-00000"]);
        let file = scratch.path().join("00000000000000000009.segment");
        fs::write(&file, [0; 60]).unwrap();
        aside.take(&file).unwrap();
        assert_eq!(names(), ["3-00000", "9.segme"]);
        assert!(!file.exists());
    }
}
