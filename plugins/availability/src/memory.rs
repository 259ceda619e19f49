//! What is handed back next time: the track of results and the windows, in a compact form with a version and a checksum.

use vedette_sdk::summary::Previous;

use crate::bytes::{Reader, put};
use crate::track::Track;
use crate::window::Window;

/// Of the form below. One that is not known starts anew.
const VERSION: u64 = 1;

/// The host takes 64 KiB.
const MOST: usize = 60 << 10;

/// All that is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Results in a row, and the state that they made.
    pub(crate) track: Track,
    /// Those that the operator asked for.
    pub(crate) windows: Vec<Window>,
}

impl Memory {
    /// What the last call handed back; what cannot be read starts anew, but for the state. Windows that nobody asks for any more
    /// are dropped.
    pub(crate) fn of(previous: Option<&Previous>, windows: &[u64]) -> Self {
        let read = previous.and_then(|previous| Self::read(&previous.memory));
        let Self { track, windows: mut kept } = read.unwrap_or_else(|| Self { track: Track::anew(previous), windows: Vec::new() });
        let take = |length: &u64| match kept.iter().position(|window| window.length == *length) {
            Some(place) => kept.swap_remove(place),
            None => Window::new(*length),
        };
        Self { windows: windows.iter().map(take).collect(), track }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (bytes, sum) = bytes.split_last_chunk()?;
        let mut reader = Reader(bytes);
        reader.number().filter(|version| *version == VERSION && checksum(bytes) == *sum)?;
        let track = Track::read(&mut reader)?;
        let windows = (0..reader.count()?).map(|_| Window::read(&mut reader)).collect::<Option<Vec<_>>>()?;
        reader.0.is_empty().then_some(Self { track, windows })
    }

    /// In the form in which it is handed back. If that is too long, latencies are kept less finely.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        loop {
            let bytes = self.bytes();
            if bytes.len() <= MOST || !self.coarsen() {
                return bytes;
            }
        }
    }

    /// All windows, so that those of one check stay comparable. False if nothing is left to be made coarser.
    fn coarsen(&mut self) -> bool {
        let mut any = false;
        for window in &mut self.windows {
            any |= window.coarsen();
        }
        any
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4 << 10);
        put(&mut bytes, VERSION);
        self.track.write(&mut bytes);
        put(&mut bytes, self.windows.len() as u64);
        for window in &self.windows {
            window.write(&mut bytes);
        }
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        bytes
    }
}

/// FNV-1a over words of eight bytes: against accidents, such as a torn write, and nothing else.
fn checksum(bytes: &[u8]) -> [u8; 8] {
    let (words, rest) = bytes.as_chunks::<8>();
    let mixed = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0100_0000_01b3);
    let sum = words.iter().fold(0xcbf2_9ce4_8422_2325, |sum, word| mixed(sum, u64::from_le_bytes(*word)));
    rest.iter().fold(sum, |sum, byte| mixed(sum, u64::from(*byte))).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use vedette_sdk::summary::State;

    use super::*;

    fn previous(state: State, memory: Vec<u8>) -> Previous {
        Previous { at: 0, version: "0.1.0".into(), state, since: 0, open_alerts: Vec::new(), memory }
    }

    fn full(windows: u64) -> Memory {
        let mut memory = Memory::of(None, &(1..=windows).map(|length| length * 3_000_000_000).collect::<Vec<_>>());
        for window in &mut memory.windows {
            for number in 0..30_000_u64 {
                window.add(number * window.length / 30_000, true, Some((16 + number / 20 % 16) << (12 + number % 20)));
            }
        }
        memory
    }

    #[test]
    fn it_comes_back_as_it_was() {
        let memory = full(2);
        let bytes = memory.clone().into_bytes();
        assert_eq!(Memory::of(Some(&previous(State::Up, bytes)), &[3_000_000_000, 6_000_000_000]), memory);
    }

    #[test]
    fn it_never_takes_more_than_the_host_takes() {
        let memory = full(12);
        assert!(memory.bytes().len() > MOST, "the test needs more");
        let bytes = memory.clone().into_bytes();
        assert!(bytes.len() <= MOST);
        let back = Memory::of(Some(&previous(State::Up, bytes)), &[3_000_000_000]);
        assert_eq!(back.windows[0].good_and_valid(), memory.windows[0].good_and_valid());
    }

    #[test]
    fn damage_starts_anew_but_for_the_state() {
        let whole = full(1).into_bytes();
        let mut damaged = vec![vec![], vec![2], whole[..whole.len() - 1].to_vec(), [whole.as_slice(), &[0]].concat()];
        damaged.extend((0..whole.len()).step_by(97).map(|place| [&whole[..place], &[!whole[place]], &whole[place + 1..]].concat()));
        for memory in damaged {
            let back = Memory::of(Some(&previous(State::Down, memory)), &[3_000_000_000]);
            assert_eq!((back.track.state(), back.windows[0].good_and_valid()), (State::Down, (0, 0)));
        }
    }
}
