//! Writes a segment, front to back.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::{Head, Place, RECORD_HEAD, SEGMENT_HEAD, path, segment_head};
use crate::telemetry::queue::Request;

/// A segment that is being written.
#[derive(Debug)]
pub(in super::super) struct Writer {
    file: File,
    number: u64,
    length: u64,
}

impl Writer {
    /// Begins a segment with the sequence of its first record as its name. One of that name held nothing.
    pub(in super::super) fn create(folder: &Path, number: u64) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path(folder, number))?;
        file.write_all_at(&segment_head(), 0)?;
        Ok(Self { file, number, length: SEGMENT_HEAD as u64 })
    }

    /// Adds a record. After an error it is not to be used any more: what stands behind the last whole record is cut off
    /// here if it can be, or else by who reads it.
    pub(in super::super) fn append(&mut self, sequence: u64, request: &Request) -> io::Result<Place> {
        let head = Head::of(sequence, request).ok_or(io::ErrorKind::FileTooLarge)?;
        let mut record = Vec::with_capacity(RECORD_HEAD + request.body.len());
        record.extend_from_slice(&head.encode());
        record.extend_from_slice(&request.body);
        if let Err(error) = self.file.write_all_at(&record, self.length) {
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        let place = head.kept(self.number, self.length + RECORD_HEAD as u64).place;
        self.length += record.len() as u64;
        Ok(place)
    }

    /// Until this returns a power cut may take what was written.
    pub(in super::super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    pub(in super::super) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes so far.
    pub(in super::super) fn length(&self) -> u64 {
        self.length
    }
}
