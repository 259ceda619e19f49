//! Looks through a segment, and reads the body of a record.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;

use super::{Head, Kept, Place, RECORD_HEAD, SEGMENT_HEAD, VERSION, holds, segment_head, short};

/// A damaged segment is searched for heads in so many bytes at most: what is longer is none of ours.
const SEARCHED: u64 = 64 << 20;

/// What is in a segment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Contents {
    /// In order.
    pub(in super::super) records: Vec<Kept>,
    /// Stretches that make no sense, although something was written there once.
    pub(in super::super) damaged: u64,
    /// Bytes up to the end of what makes sense, where something that was never written whole stands behind it.
    pub(in super::super) torn: Option<u64>,
}

/// Finds the records of a segment, whatever state it is in. Heads are checked here, bodies when they are read.
pub(in super::super) fn contents(file: &File, number: u64) -> io::Result<Contents> {
    let length = file.metadata()?.len();
    let mut contents = Contents::default();
    let mut at = SEGMENT_HEAD as u64;
    if length < at {
        contents.torn = Some(0);
        return Ok(contents);
    }
    let mut first = [0; SEGMENT_HEAD];
    file.read_exact_at(&mut first, 0)?;
    if first != segment_head() {
        contents.damaged = 1;
        if holds(&first) && short(&first[8..12]) != VERSION {
            // Written by another version, whole: nothing in it would be understood.
            return Ok(contents);
        }
    }
    while at < length {
        match record(file, number, at, length)? {
            Found::Record(kept) => {
                at += kept.length();
                contents.records.push(kept);
            }
            Found::Part => {
                contents.torn = Some(at);
                break;
            }
            Found::Nonsense => match next(file, at, length)? {
                Next::At(head) => {
                    contents.damaged += 1;
                    at = head;
                }
                Next::Zeros => {
                    contents.torn = Some(at);
                    break;
                }
                Next::Nothing => {
                    contents.damaged += 1;
                    break;
                }
            },
        }
    }
    Ok(contents)
}

enum Found {
    Record(Kept),
    /// The beginning of one, where the file ends.
    Part,
    Nonsense,
}

fn record(file: &File, number: u64, at: u64, length: u64) -> io::Result<Found> {
    let body = at + RECORD_HEAD as u64;
    if body > length {
        return Ok(Found::Part);
    }
    let mut head = [0; RECORD_HEAD];
    file.read_exact_at(&mut head, at)?;
    let Some(head) = Head::decode(&head) else { return Ok(Found::Nonsense) };
    let whole = body + u64::from(head.length) <= length;
    Ok(if whole { Found::Record(head.kept(number, body)) } else { Found::Part })
}

enum Next {
    At(u64),
    /// Space that was reserved and never written.
    Zeros,
    Nothing,
}

/// Where the next whole record begins behind one whose head is damaged.
fn next(file: &File, from: u64, length: u64) -> io::Result<Next> {
    let searched = usize::try_from((length - from).min(SEARCHED)).unwrap_or(0);
    let mut bytes = vec![0; searched];
    file.read_exact_at(&mut bytes, from)?;
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(Next::Zeros);
    }
    let found = (1..bytes.len()).find(|start| {
        let Some((head, rest)) = bytes[*start..].split_first_chunk::<RECORD_HEAD>() else { return false };
        let Some(head) = Head::decode(head) else { return false };
        // The body too: what looks like a head may stand in a body by chance.
        rest.get(..head.length as usize).is_some_and(|body| crc32fast::hash(body) == head.checksum)
    });
    Ok(found.map_or(Next::Nothing, |start| Next::At(from + start as u64)))
}

/// The body of a record; none if it is damaged.
pub(in super::super) fn body(file: &File, place: Place) -> io::Result<Option<Bytes>> {
    let mut body = vec![0; place.length as usize];
    file.read_exact_at(&mut body, place.offset)?;
    Ok((crc32fast::hash(&body) == place.checksum).then(|| body.into()))
}
