//! How requests lie in a file, version 1. All numbers are little-endian, all checksums CRC-32 (IEEE).
//!
//! ```text
//! segment = "vdtqueue" | version: u32 | checksum of the 12 bytes before: u32 | record*
//! record  = head | body
//! head    = sequence: u64 | produced at, ns since 1970: u64 | items: u32 | length of the body: u32
//!           | checksum of the body: u32 | checksum of the 28 bytes before: u32
//! body    = an export request of OTLP as protobuf, not compressed
//! ```
//! A segment is written once, front to back, and never touched again but to cut off a torn tail. Sequences rise by one
//! from record to record over all segments of a folder; a segment's name is the sequence of its first record.
//!
//! The head has a checksum of its own, so that a damaged body costs that one record, and looking through a segment does
//! not read the bodies. Where a head is damaged, the next one is looked for byte by byte.

mod reader;
mod writer;

use std::path::{Path, PathBuf};

pub(super) use reader::{Contents, body, contents};
pub(super) use writer::Writer;

use super::Request;
use crate::clock::Timestamp;

const MAGIC: [u8; 8] = *b"vdtqueue";

const VERSION: u32 = 1;

/// Bytes before the first record.
const SEGMENT_HEAD: usize = 16;

/// Bytes before each body.
pub(super) const RECORD_HEAD: usize = 32;

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The name of its segment, as a number.
    pub(super) segment: u64,
    pub(super) sequence: u64,
    /// Of its body in the segment.
    offset: u64,
    /// Of its body.
    length: u32,
    /// Of its body.
    checksum: u32,
}

/// A record that was found, without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) place: Place,
    pub(super) at: Timestamp,
    pub(super) items: u64,
}

impl Kept {
    /// Bytes that it takes.
    pub(super) fn length(&self) -> u64 {
        RECORD_HEAD as u64 + u64::from(self.place.length)
    }
}

/// What stands before a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    sequence: u64,
    at: Timestamp,
    items: u32,
    length: u32,
    checksum: u32,
}

impl Head {
    /// None if the request is longer than a segment can say.
    fn of(sequence: u64, request: &Request) -> Option<Self> {
        Some(Self {
            sequence,
            at: request.at,
            items: u32::try_from(request.items).ok()?,
            length: u32::try_from(request.body.len()).ok()?,
            checksum: crc32fast::hash(&request.body),
        })
    }

    fn encode(&self) -> [u8; RECORD_HEAD] {
        let mut bytes = [0; RECORD_HEAD];
        bytes[..8].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.at.0.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.items.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.length.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.checksum.to_le_bytes());
        seal(&mut bytes);
        bytes
    }

    /// None if the checksum does not hold.
    fn decode(bytes: &[u8; RECORD_HEAD]) -> Option<Self> {
        holds(bytes).then(|| Self {
            sequence: long(&bytes[..8]),
            at: Timestamp(long(&bytes[8..16])),
            items: short(&bytes[16..20]),
            length: short(&bytes[20..24]),
            checksum: short(&bytes[24..28]),
        })
    }

    /// Of a record whose body begins there.
    fn kept(self, segment: u64, offset: u64) -> Kept {
        let place = Place { segment, sequence: self.sequence, offset, length: self.length, checksum: self.checksum };
        Kept { place, at: self.at, items: u64::from(self.items) }
    }
}

fn segment_head() -> [u8; SEGMENT_HEAD] {
    let mut bytes = [0; SEGMENT_HEAD];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    seal(&mut bytes);
    bytes
}

/// Puts the checksum of all bytes but the last four there.
fn seal(bytes: &mut [u8]) {
    if let Some((content, checksum)) = bytes.split_last_chunk_mut::<4>() {
        *checksum = crc32fast::hash(content).to_le_bytes();
    }
}

fn holds(bytes: &[u8]) -> bool {
    bytes.split_last_chunk::<4>().is_some_and(|(content, checksum)| crc32fast::hash(content).to_le_bytes() == *checksum)
}

fn long(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

fn short(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}

/// Where a segment lies.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    // Twenty digits hold any number, so that names sort as numbers do.
    folder.join(format!("{number:020}.segment"))
}

/// The number that a file name says, if it is one of ours. Ours are far from any that could overflow.
pub(super) fn number(name: &str) -> Option<u64> {
    name.strip_suffix(".segment").filter(|digits| digits.len() == 20)?.parse().ok().filter(|number| *number < 1 << 62)
}

#[cfg(test)]
mod tests;
