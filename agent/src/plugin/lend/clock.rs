//! `clock`: time as the host sees it.

use std::time::Duration;

use super::super::bindings::clock;
use super::Lent;
use crate::clock::{Instant, Timestamp, nanos};

impl clock::Host for Lent {
    fn now(&mut self) -> u64 {
        Timestamp::now().0
    }

    fn monotonic(&mut self) -> u64 {
        nanos(Instant::now().saturating_duration_since(self.call.anchor.instant()))
    }

    fn remaining(&mut self) -> u64 {
        nanos(self.deadline.saturating_duration_since(Instant::now()))
    }

    async fn sleep(&mut self, length: u64) -> bool {
        let now = Instant::now();
        let remaining = self.deadline.saturating_duration_since(now);
        let length = Duration::from_nanos(length);
        let until = now + length.min(remaining);
        if until > now {
            self.meter.clone().wait_for(tokio::time::sleep_until(until)).await;
        }
        length <= remaining
    }
}
