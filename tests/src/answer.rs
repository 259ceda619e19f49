//! What a target says once it has read a request.

use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};

/// A behaviour, as data: made of few parts that can be put together.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These bytes, whatever they are.
    Bytes(Vec<u8>),
    /// RST in place of an answer.
    Reset,
    /// The answer, so much later.
    After(Duration, Box<Self>),
    /// One answer to the first so many requests of the target, another to the rest.
    First(usize, Box<Self>, Box<Self>),
    /// One answer to odd requests, another to even ones.
    Alternating(Box<Self>, Box<Self>),
    /// `/health` leads to `/1` and so on; the path of this number answers 200.
    Hops(usize),
}

impl Answer {
    /// A status and a body of plain text.
    pub fn new(status: u16, body: &str) -> Self {
        Self::bytes(status, "content-type: text/plain\r\n", body)
    }

    /// 200 and 12 bytes.
    pub fn healthy() -> Self {
        Self::new(200, "all is well\n")
    }

    /// A healthy answer after so long.
    pub fn slow(delay: Duration) -> Self {
        Self::After(delay, Box::new(Self::healthy()))
    }

    /// Unavailable the first time, healthy from then on.
    pub fn unavailable_once() -> Self {
        Self::First(1, Box::new(Self::new(503, "not yet\n")), Box::new(Self::healthy()))
    }

    /// Unavailable every first time, healthy every second.
    pub fn unavailable_by_turns() -> Self {
        Self::Alternating(Box::new(Self::new(503, "not yet\n")), Box::new(Self::healthy()))
    }

    fn bytes(status: u16, fields: &str, body: &str) -> Self {
        Self::Bytes(format!("HTTP/1.1 {status} Status\r\n{fields}content-length: {}\r\n\r\n{body}", body.len()).into_bytes())
    }

    /// Says it. `number` is the request's, from 1, `path` its path. False if the connection is to be reset.
    pub(crate) async fn say(&self, number: usize, path: &str, stream: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<bool> {
        let mut answer = self.clone();
        loop {
            answer = match answer {
                Self::Bytes(bytes) => {
                    stream.write_all(&bytes).await?;
                    stream.flush().await?;
                    return Ok(true);
                }
                Self::Reset => return Ok(false),
                Self::After(delay, then) => {
                    tokio::time::sleep(delay).await;
                    *then
                }
                Self::First(times, early, late) => *if number <= times { early } else { late },
                Self::Alternating(odd, even) => *if number % 2 == 1 { odd } else { even },
                Self::Hops(count) => match path[1..].parse().unwrap_or(0) {
                    here if here == count => Self::new(200, "arrived\n"),
                    here => Self::bytes(302, &format!("location: /{}\r\n", here + 1), ""),
                },
            };
        }
    }
}
