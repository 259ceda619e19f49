//! `random`: strong randomness.

use super::super::bindings::random;
use super::Lent;

const MOST: u32 = 4096;

impl random::Host for Lent {
    fn bytes(&mut self, len: u32) -> wasmtime::Result<Vec<u8>> {
        if len > MOST {
            return Err(wasmtime::Error::msg(format!("random.bytes({len}): at most {MOST} at a time")));
        }
        let mut bytes = vec![0; len as usize];
        rand::fill(&mut bytes[..]);
        Ok(bytes)
    }

    fn number(&mut self) -> u64 {
        rand::random()
    }
}
