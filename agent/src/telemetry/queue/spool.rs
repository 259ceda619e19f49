//! The folder of one signal: segments in the order in which they were written, the position, and what was put aside.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::aside::Aside;
use super::home::private;
use super::segment::{self, Contents, Kept, Place, Writer};
use super::{DAMAGED, REJECTED, Request, SEGMENT, position};
use crate::bounded;

/// Segments with their files. Only one thread has it; nothing in it waits for anything but the disk.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    /// The oldest first; the last may be the one that is being written.
    segments: VecDeque<Segment>,
    writer: Option<Writer>,
    /// Whether the folder itself has something new in it that a power cut may take.
    renamed: bool,
    /// The segment that was read last.
    reader: Option<(u64, File)>,
    /// What the next record is called.
    next: u64,
    /// As it stands in its file.
    position: u64,
    rejected: Aside,
    damaged: Aside,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    /// The sequence of its last record.
    last: u64,
    damaged: bool,
}

/// What an earlier process left.
#[derive(Debug)]
pub(super) struct Left {
    /// What has not left yet, in order.
    pub(super) records: Vec<Kept>,
    /// Stretches of its files that make no sense.
    pub(super) damaged: u64,
}

impl Spool {
    /// Opens a folder, made if it is not there. Damage is told and never in the way.
    pub(super) fn open(folder: PathBuf) -> io::Result<(Self, Left)> {
        private(&folder)?;
        let position = position::read(&folder);
        let rejected = Aside::new(folder.join("rejected"), REJECTED);
        let damaged = Aside::new(folder.join("damaged"), DAMAGED);
        let (segments, writer, reader) = (VecDeque::new(), None, None);
        let mut spool = Self { folder, segments, writer, renamed: false, reader, next: position.max(1), position, rejected, damaged };
        let mut left = Left { records: Vec::new(), damaged: 0 };
        for number in numbers(&spool.folder)? {
            let contents = contents(&spool.folder, number).unwrap_or_else(|error| {
                tracing::warn!(%error, file = %spool.path(number).display(), "a file of the queue cannot be read");
                Contents { damaged: 1, ..Contents::default() }
            });
            spool.add(number, &contents, &mut left);
        }
        if left.damaged > 0 {
            tracing::warn!(
                places = left.damaged,
                folder = %spool.damaged.folder().display(),
                "the queue's files are damaged; what is whole in them is sent, then they are put aside"
            );
        }
        Ok((spool, left))
    }

    fn add(&mut self, number: u64, contents: &Contents, left: &mut Left) {
        left.damaged += contents.damaged;
        let last = contents.records.iter().map(|kept| kept.place.sequence).max();
        // A damaged segment may have held more than can be seen.
        self.next = self.next.max(last.unwrap_or(number).saturating_add(1));
        self.segments.push_back(Segment { number, last: last.unwrap_or(0), damaged: contents.damaged > 0 });
        left.records.extend(contents.records.iter().filter(|kept| kept.place.sequence >= self.position));
    }

    /// Writes a request behind all others. After an error nothing of it is there.
    pub(super) fn append(&mut self, request: &Request) -> io::Result<Place> {
        let sequence = self.next;
        match self.writer(sequence).and_then(|writer| writer.append(sequence, request)) {
            Ok(place) => {
                self.next += 1;
                if let Some(segment) = self.segments.back_mut() {
                    segment.last = sequence;
                }
                Ok(place)
            }
            Err(error) => {
                self.writer = None;
                Err(error)
            }
        }
    }

    fn writer(&mut self, sequence: u64) -> io::Result<&mut Writer> {
        match self.writer.take() {
            Some(writer) if writer.length() < SEGMENT => return Ok(self.writer.insert(writer)),
            Some(full) => full.sync()?,
            None => {}
        }
        private(&self.folder)?;
        let writer = Writer::create(&self.folder, sequence)?;
        self.renamed = true;
        if self.segments.back().is_none_or(|last| last.number != sequence) {
            self.segments.push_back(Segment { number: sequence, last: sequence, damaged: false });
        }
        Ok(self.writer.insert(writer))
    }

    /// What was written so far survives a power cut from now on.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let synced = self.writer.as_ref().map_or(Ok(()), Writer::sync).and_then(|()| {
            if self.renamed {
                // The name of a new segment is kept by the folder.
                File::open(&self.folder)?.sync_all()?;
                self.renamed = false;
            }
            Ok(())
        });
        if synced.is_err() {
            // What the disk did not take it may not take a second time either: the next request begins a new segment.
            self.writer = None;
        }
        synced
    }

    /// The body of a record; none if it is damaged, and its segment is put aside in the end.
    pub(super) fn read(&mut self, place: Place) -> io::Result<Option<Bytes>> {
        let body = match &self.reader {
            Some((number, file)) if *number == place.segment => segment::body(file, place),
            _ => {
                let file = bounded::open(&self.path(place.segment))?;
                segment::body(&self.reader.insert((place.segment, file)).1, place)
            }
        };
        if !matches!(body, Ok(Some(_)))
            && let Some(segment) = self.segments.iter_mut().find(|segment| segment.number == place.segment)
        {
            segment.damaged = true;
        }
        body
    }

    /// What the next record is called, and with it the position when nothing waits.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Everything before this sequence has left or is given up: segments that hold nothing else are deleted.
    pub(super) fn forget(&mut self, before: u64) -> io::Result<()> {
        let moved = if before == self.position { Ok(()) } else { position::write(&self.folder, before) };
        if moved.is_ok() {
            self.position = before;
        }
        let writing = self.writer.as_ref().map(Writer::number);
        while let Some(first) = self.segments.front() {
            if first.last >= before || Some(first.number) == writing {
                break;
            }
            let Segment { number, damaged, .. } = *first;
            self.remove(number, damaged);
            self.reader.take_if(|(read, _)| *read == number);
            self.segments.pop_front();
        }
        moved
    }

    fn remove(&mut self, number: u64, damaged: bool) {
        let path = self.path(number);
        let gone = if damaged { self.damaged.take(&path) } else { fs::remove_file(&path) };
        match gone {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                // It is tried again by the next process; until then its records are known to have left.
                tracing::warn!(%error, file = %path.display(), "a file of the queue that is done with cannot be removed");
            }
            _ => {}
        }
    }

    /// Keeps a request that was refused for good.
    pub(super) fn reject(&mut self, request: &Request) -> io::Result<()> {
        self.rejected.keep(request.at, &request.body)
    }

    /// Ends the segment that is being written; nothing is left of it if all in it has left.
    pub(super) fn close(mut self, before: u64) -> io::Result<()> {
        if before < self.next {
            self.sync()?;
        }
        self.writer = None;
        self.forget(before)
    }

    fn path(&self, number: u64) -> PathBuf {
        segment::path(&self.folder, number)
    }
}

/// The names of all segments, the oldest first.
fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        numbers.extend(entry?.file_name().to_str().and_then(segment::number));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// What is in a segment, whose torn tail is cut off.
fn contents(folder: &Path, number: u64) -> io::Result<Contents> {
    let path = segment::path(folder, number);
    let contents = segment::contents(&bounded::open(&path)?, number)?;
    if let Some(whole) = contents.torn {
        tracing::info!(file = %path.display(), "the end of a file of the queue was never written whole and is cut off");
        // Where that fails it is found, and passed over, again.
        let _ = OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(whole));
    }
    Ok(contents)
}

#[cfg(test)]
mod tests;
