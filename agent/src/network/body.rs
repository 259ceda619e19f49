//! The body of an answer: read to its end, counted twice (as it came and as it was meant), kept in part.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use hyper::body::{Body as _, Incoming};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, ReadBuf};
use tokio::task::coop::consume_budget;

use super::NetError;
use super::decoding::{self, Coding};
use super::tap::SharedMarks;
use super::wording;

/// How much is decoded at a time.
const PIECE: usize = 16 << 10;

/// What of a body is wanted, and how it is encoded.
pub(super) struct Wanted {
    /// In the order in which they were applied; empty if nothing is to be undone.
    pub(super) codings: Vec<Coding>,
    /// More than so many bytes after decoding are an error.
    pub(super) max: u64,
    /// So many are kept.
    pub(super) keep: u64,
}

/// A body that was read to its end.
pub(super) struct Read {
    pub(super) kept: Bytes,
    pub(super) truncated: bool,
    /// As it came.
    pub(super) wire_size: u64,
    pub(super) trailers: HeaderMap,
}

/// Reads a body. `size` follows the decoded bytes, so that it is known also if this is cut short.
pub(super) async fn read(incoming: Incoming, wanted: &Wanted, marks: &SharedMarks, size: &mut u64) -> Result<Read, NetError> {
    let mut wire = WireBody::new(incoming);
    let mut kept = BytesMut::new();
    match consume(&mut wire, wanted, &mut kept, size).await {
        Ok(()) => Ok(Read {
            truncated: *size > kept.len() as u64,
            kept: kept.freeze(),
            wire_size: wire.size,
            trailers: wire.trailers.take().unwrap_or_default(),
        }),
        Err(Stopped::Limit) => Err(NetError::BodyLimit(wanted.max)),
        Err(Stopped::Broken(error)) => Err(match wire.error.take() {
            Some(cause) => wording::http(&cause, *marks.lock()),
            None => NetError::Protocol(format!("the body is not encoded as it says: {error}")),
        }),
    }
}

enum Stopped {
    Limit,
    Broken(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

async fn consume(wire: &mut WireBody, wanted: &Wanted, kept: &mut BytesMut, size: &mut u64) -> Result<(), Stopped> {
    let empty = wire.fill_buf().await?.is_empty();
    if wanted.codings.is_empty() || empty {
        if wire.promised() > wanted.max {
            return Err(Stopped::Limit);
        }
        loop {
            let piece = wire.fill_buf().await?;
            if piece.is_empty() {
                return Ok(());
            }
            let length = piece.len();
            take(piece, wanted, kept, size)?;
            wire.consume(length);
            consume_budget().await;
        }
    }
    let mut buffer = vec![0; PIECE];
    let mut plain = decoding::undo(&wanted.codings, &mut *wire).await?;
    loop {
        let length = plain.read(&mut buffer).await?;
        if length == 0 {
            break;
        }
        take(&buffer[..length], wanted, kept, size)?;
        // Little on the wire may be much to decode: neighbours and the deadline get their turn.
        consume_budget().await;
    }
    drop(plain);
    // What follows the encoded data is not part of it, but the message has to have its end.
    loop {
        let length = wire.fill_buf().await?.len();
        if length == 0 {
            return Ok(());
        }
        wire.consume(length);
        consume_budget().await;
    }
}

fn take(piece: &[u8], wanted: &Wanted, kept: &mut BytesMut, size: &mut u64) -> Result<(), Stopped> {
    let room = usize::try_from(wanted.keep.saturating_sub(kept.len() as u64)).unwrap_or(usize::MAX);
    kept.extend_from_slice(&piece[..piece.len().min(room)]);
    *size += piece.len() as u64;
    if *size > wanted.max { Err(Stopped::Limit) } else { Ok(()) }
}

/// The bytes of a message's body as they come.
struct WireBody {
    incoming: Incoming,
    piece: Bytes,
    size: u64,
    trailers: Option<HeaderMap>,
    /// Why it broke off; kept, as an error of I/O would hide it.
    error: Option<hyper::Error>,
}

impl WireBody {
    fn new(incoming: Incoming) -> Self {
        Self { incoming, piece: Bytes::new(), size: 0, trailers: None, error: None }
    }

    /// How long the body is going to be at least, by its own word.
    fn promised(&self) -> u64 {
        self.incoming.size_hint().lower().saturating_add(self.piece.len() as u64)
    }
}

impl AsyncBufRead for WireBody {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.piece.is_empty() {
            match std::task::ready!(Pin::new(&mut this.incoming).poll_frame(cx)) {
                None => break,
                Some(Err(error)) => {
                    this.error = Some(error);
                    return Poll::Ready(Err(io::ErrorKind::Other.into()));
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        this.size += data.len() as u64;
                        this.piece = data;
                    }
                    Err(frame) => this.trailers = frame.into_trailers().ok(),
                },
            }
        }
        Poll::Ready(Ok(&this.piece))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        let this = self.get_mut();
        drop(this.piece.split_to(amount.min(this.piece.len())));
    }
}

impl AsyncRead for WireBody {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let piece = std::task::ready!(self.as_mut().poll_fill_buf(cx))?;
        let length = piece.len().min(buffer.remaining());
        buffer.put_slice(&piece[..length]);
        self.consume(length);
        Poll::Ready(Ok(()))
    }
}
