//! TCP: the first of several addresses that answers.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::sleep_until;

use super::{NetError, Waiting};
use crate::clock::Instant;

/// How long an address is given before the next is tried beside it (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to the first of these that answers: in this order, the next one as soon as one fails, or beside it
/// if it hesitates.
pub(super) async fn connect(addresses: Vec<SocketAddr>) -> Result<(TcpStream, SocketAddr), NetError> {
    let mut left = VecDeque::from(addresses);
    let mut racing = FuturesUnordered::new();
    let mut worst: Option<NetError> = None;
    loop {
        if let Some(address) = left.pop_front() {
            racing.push(async move { (TcpStream::connect(address).await, address) });
        }
        let next = Instant::now() + STAGGER;
        tokio::select! {
            biased;
            Some((result, address)) = racing.next() => match result {
                Ok(stream) => {
                    // What is small is to be measured, not held back. Without effect it is merely slower.
                    let _ = stream.set_nodelay(true);
                    return Ok((stream, address));
                }
                Err(error) => worst = Some(worse(worst, failure(&error, address))),
            },
            () = sleep_until(next), if !left.is_empty() => {}
            else => return Err(worst.unwrap_or_else(|| NetError::Unreachable("there is no address".to_owned()))),
        }
    }
}

/// Of several failures the one that says most: a refusal comes from the host itself.
fn worse(before: Option<NetError>, now: NetError) -> NetError {
    match before {
        Some(before @ NetError::ConnectionRefused) => before,
        Some(before) if matches!(now, NetError::Unreachable(_)) => before,
        _ => now,
    }
}

fn failure(error: &io::Error, address: SocketAddr) -> NetError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => NetError::ConnectionRefused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => NetError::ConnectionClosed("while connecting"),
        io::ErrorKind::TimedOut => NetError::TimedOut(Waiting::Connect),
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::InvalidInput => NetError::Unreachable(format!("no route to {}: {error}", address.ip())),
        // Too many open files, no memory: nothing that the target could be blamed for.
        _ => NetError::InvalidRequest(format!("the agent cannot open a socket: {error}")),
    }
}
