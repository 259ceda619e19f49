//! Up to where everything has left: the sequence of the first record that has not, in a file that is replaced atomically.
//!
//! ```text
//! position = sequence: u64 | checksum of the 8 bytes before: u32
//! ```
//! It is never synced: a position that a power cut takes back sends some requests again, and loses none.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::bounded;

const NAME: &str = "position";

/// In bytes, for a file that is ours.
const LONGEST: u64 = 1 << 10;

/// The position that was written last. What cannot be read is 0: then everything that is there is sent again.
pub(super) fn read(folder: &Path) -> u64 {
    match bounded::read(&folder.join(NAME), LONGEST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        read => read.ok().and_then(|bytes| decode(&bytes)).unwrap_or_else(|| {
            tracing::warn!(folder = %folder.display(), "the position file of the queue is damaged; some telemetry may be sent twice");
            0
        }),
    }
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let (sequence, checksum) = bytes.split_first_chunk::<8>()?;
    (crc32fast::hash(sequence).to_le_bytes() == *checksum).then(|| u64::from_le_bytes(*sequence))
}

/// Writes beside the file, then renames: a reader sees the old or the new.
pub(super) fn write(folder: &Path, sequence: u64) -> io::Result<()> {
    let sequence = sequence.to_le_bytes();
    let bytes = [&sequence[..], &crc32fast::hash(&sequence).to_le_bytes()].concat();
    let beside = folder.join("position.new");
    // What an earlier process left there, whatever it is, is not written through.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(&bytes)?;
    fs::rename(&beside, folder.join(NAME))
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written_last() {
        let folder = Scratch::new();
        assert_eq!(read(folder.path()), 0);
        for sequence in [1, 7, u64::MAX] {
            write(folder.path(), sequence).unwrap();
            assert_eq!(read(folder.path()), sequence);
        }
    }

    #[test]
    fn whatever_byte_is_damaged_or_missing_a_wrong_position_is_never_believed() {
        let folder = Scratch::new();
        write(folder.path(), 770_001).unwrap();
        let whole = fs::read(folder.path().join(NAME)).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            assert_eq!((decode(&damaged), decode(&whole[..at])), (None, None));
        }
    }
}
