//! A connection that notes when the request has left and when the answer begins, and does not let a flood of bytes
//! keep the thread: neither neighbours nor the deadline would get their turn.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::clock::Instant;

/// Interim answers (1xx) before the answer, at most. Each is bounded like any head.
pub(super) const MAX_INTERIM: u32 = 32;

/// So many bytes are read in a row before the runtime gets its turn.
const TURN: usize = 32 << 10;

/// Bytes in both directions: TCP, or TLS over it.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Shared by the connection, which notes, and the exchange, which reads.
pub(super) type SharedMarks = Arc<Mutex<Marks>>;

/// What a connection notes of one exchange.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    /// When the last byte so far of the request was written.
    pub(super) sent: Option<Instant>,
    /// Whether that was the request's last one.
    pub(super) done: bool,
    /// When the answer's first byte was read.
    pub(super) first: Option<Instant>,
    /// Interim answers so far.
    pub(super) interim: u32,
    /// Whether the head of the answer is complete.
    pub(super) head: bool,
    /// Whether the peer has closed the connection, or it broke.
    pub(super) closed: bool,
}

/// Stands above TLS, so that handshake messages that arrive late are not taken for the answer.
pub(super) struct Tap {
    wire: Box<dyn Wire>,
    marks: SharedMarks,
    /// With HTTP/2, which is talkative, only the frames of the request and of the answer count.
    frames: Option<(Frames, Frames)>,
    /// Bytes of the request were written that may still be in a buffer.
    dirty: bool,
    /// The last frame of the request was written.
    ended: bool,
    /// Bytes that were read since the runtime had its turn.
    unbroken: usize,
    /// The runtime's turn, while it is waited for.
    turn: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Tap {
    pub(super) fn new(wire: Box<dyn Wire>, marks: SharedMarks, http2: bool) -> Self {
        let frames = http2.then(|| (Frames::after(PREFACE), Frames::after(0)));
        Self { wire, marks, frames, dirty: false, ended: false, unbroken: 0, turn: None }
    }

    /// Lets the runtime look at timers, sockets and neighbours when it is time. The library reads on for as long as
    /// there is something to read, and tokio counts reads, however long they are and whatever is made of them.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.unbroken >= TURN {
            // tokio's own way of yielding; waking oneself would come before timers and sockets.
            ready!(self.turn.get_or_insert_with(|| Box::pin(tokio::task::yield_now())).as_mut().poll(cx));
            (self.turn, self.unbroken) = (None, 0);
        }
        Poll::Ready(())
    }

    fn written(&mut self, bytes: &[u8]) {
        let seen = self.frames.as_mut().map_or(Seen { any: !bytes.is_empty(), end: true }, |(out, _)| out.feed(bytes));
        self.ended |= seen.end;
        if seen.any {
            self.dirty = true;
            let mut marks = self.marks.lock();
            if marks.first.is_none() {
                marks.sent = Some(Instant::now());
                marks.done = false;
            }
        }
    }

    fn flushed(&mut self) {
        if std::mem::take(&mut self.dirty) {
            let mut marks = self.marks.lock();
            if marks.first.is_none() {
                marks.sent = Some(Instant::now());
                marks.done = self.ended;
            }
        }
    }

    fn received(&mut self, bytes: &[u8]) {
        self.unbroken += bytes.len();
        let any = self.frames.as_mut().is_none_or(|(_, into)| into.feed(bytes).any);
        let mut marks = self.marks.lock();
        if let Some((_, into)) = &self.frames {
            // All but the answer's own head and its trailers.
            marks.interim = into.heads.saturating_sub(2);
        }
        if any && marks.first.is_none() {
            marks.first = Some(Instant::now());
        }
    }
}

impl AsyncRead for Tap {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_turn(cx));
        if self.marks.lock().interim > MAX_INTERIM {
            // Nothing more is read; what this comes to the exchange knows.
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let Poll::Ready(result) = Pin::new(&mut self.wire).poll_read(cx, buffer) else {
            self.unbroken = 0;
            return Poll::Pending;
        };
        let bytes = &buffer.filled()[before..];
        if result.is_err() || (bytes.is_empty() && room > 0) {
            self.marks.lock().closed = true;
        } else if !bytes.is_empty() {
            self.received(bytes);
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.wire).poll_write(cx, bytes));
        match &result {
            Ok(length) => self.written(&bytes[..*length]),
            Err(_) => self.marks.lock().closed = true,
        }
        Poll::Ready(result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.wire).poll_flush(cx));
        if result.is_ok() {
            self.flushed();
        }
        Poll::Ready(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

/// Length of what a client says before its first frame.
const PREFACE: usize = 24;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;

/// Follows the frames of one direction of an HTTP/2 connection just as far as telling whose they are.
struct Frames {
    skip: usize,
    head: [u8; 9],
    filled: usize,
    left: usize,
    message: bool,
    end: bool,
    /// Heads so far: interim ones, the answer's own, trailers.
    heads: u32,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    /// Bytes of a message, as opposed to settings, pings and windows.
    any: bool,
    /// The last of them.
    end: bool,
}

impl Frames {
    fn after(skip: usize) -> Self {
        Self { skip, head: [0; 9], filled: 0, left: 0, message: false, end: false, heads: 0 }
    }

    fn feed(&mut self, mut bytes: &[u8]) -> Seen {
        let mut seen = Seen::default();
        while !bytes.is_empty() {
            let taken = if self.skip > 0 {
                let taken = self.skip.min(bytes.len());
                self.skip -= taken;
                taken
            } else if self.left > 0 {
                let taken = self.left.min(bytes.len());
                self.left -= taken;
                self.tell(&mut seen);
                taken
            } else {
                self.head[self.filled] = bytes[0];
                self.filled += 1;
                if self.filled == self.head.len() {
                    self.begin();
                    self.tell(&mut seen);
                }
                1
            };
            bytes = &bytes[taken..];
        }
        seen
    }

    fn begin(&mut self) {
        let [a, b, c, kind, flags, stream @ ..] = self.head;
        self.filled = 0;
        self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.message = stream != [0; 4] && matches!(kind, DATA | HEADERS | CONTINUATION);
        self.end = matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
        self.heads = self.heads.saturating_add(u32::from(kind == HEADERS));
    }

    fn tell(&self, seen: &mut Seen) {
        seen.any |= self.message;
        seen.end |= self.message && self.end && self.left == 0;
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn a_wire_that_always_has_more_is_left_to_the_runtime_after_its_turn() {
        // Beside the reads that tokio itself counts: few, but long.
        let wire = tokio::io::join(tokio::io::repeat(b'x'), tokio::io::sink());
        let mut tap = Tap::new(Box::new(wire), SharedMarks::default(), false);
        let mut buffer = vec![0; 8 << 10];
        for _ in 0..3 {
            let mut read = 0;
            let mut cx = Context::from_waker(Waker::noop());
            while let Poll::Ready(length) = std::pin::pin!(tap.read(&mut buffer)).poll(&mut cx) {
                read += length.unwrap();
                assert!(read <= TURN, "{read} bytes without a pause");
            }
            assert_eq!(read, TURN);
        }
    }

    #[test]
    fn frames_are_told_apart_wherever_they_are_cut() {
        let mut bytes = vec![0; PREFACE];
        bytes.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6]); // SETTINGS
        let settings = bytes.len();
        bytes.extend([0, 0, 2, HEADERS, 4, 0, 0, 0, 1, 7, 7]);
        bytes.extend([0, 0, 3, DATA, END_STREAM, 0, 0, 0, 1, 8, 8, 8]);
        let last = bytes.len() - 1;
        let mut frames = Frames::after(PREFACE);
        for (at, byte) in bytes.iter().enumerate() {
            let seen = frames.feed(&[*byte]);
            assert!(!seen.any || at > settings, "settings are no message");
            assert_eq!(seen.end, at == last, "byte {at}");
        }
        assert!(Frames::after(PREFACE).feed(&bytes).end);
        assert!(!Frames::after(PREFACE).feed(&bytes[..last]).end);
    }
}
