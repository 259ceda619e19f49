//! Waiting for what has to come, without saying how fast.

use std::time::Duration;

use tokio::time::Instant;

/// Beyond any time that a working agent needs on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until the closure finds what it looks for.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "this did not come to pass: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
