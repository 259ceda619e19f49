//! What a server chose in its part of a TLS handshake, known even where the handshake then fails.
//!
//! The library tells version and cipher of a finished handshake only. A certificate that is refused ends it
//! earlier, so the server's hello, which is not encrypted, is kept as it passes by.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::CipherSuite;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Enough for a hello with a post-quantum key share.
const KEPT: usize = 2048;

/// TCP, with the first bytes that came remembered.
pub(super) struct Overheard {
    stream: TcpStream,
    first: Vec<u8>,
}

impl Overheard {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, first: Vec::new() }
    }

    /// Version and IANA name of the cipher, if a whole hello came.
    pub(super) fn chosen(&self) -> Option<(String, String)> {
        let (version, cipher) = hello(&self.first)?;
        Some((version.to_owned(), cipher_name(CipherSuite::from(cipher))))
    }
}

/// `TLS_AES_128_GCM_SHA256`: the library calls suites of TLS 1.3 differently.
pub(super) fn cipher_name(suite: CipherSuite) -> String {
    format!("{suite:?}").replacen("TLS13_", "TLS_", 1)
}

fn hello(bytes: &[u8]) -> Option<(&'static str, u16)> {
    let mut rest = Reader(bytes);
    let &[22, _, _, _, _, 2, _, _, _, major, minor] = rest.take(11)? else { return None };
    rest.take(32)?;
    let session = rest.byte()?;
    rest.take(session.into())?;
    let cipher = rest.word()?;
    rest.byte()?;
    let mut version = if (major, minor) == (3, 3) { "1.2" } else { "1.1" };
    let length = rest.word().unwrap_or(0);
    let mut extensions = Reader(rest.take(length.into())?);
    while let Some(kind) = extensions.word() {
        let length = extensions.word()?;
        if extensions.take(length.into())? == [3, 4] && kind == 43 {
            version = "1.3";
        }
    }
    Some((version, cipher))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn word(&mut self) -> Option<u16> {
        self.take(2).map(|word| u16::from_be_bytes([word[0], word[1]]))
    }
}

impl AsyncRead for Overheard {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        let room = KEPT - self.first.len();
        let new = &buffer.filled()[before..];
        self.first.extend_from_slice(&new[..new.len().min(room)]);
        Poll::Ready(result)
    }
}

impl AsyncWrite for Overheard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_that_is_cut_or_is_none_says_nothing() {
        let mut bytes = vec![22, 3, 3, 0, 50, 2, 0, 0, 46, 3, 3];
        bytes.extend([9; 32]);
        bytes.extend([0, 0x13, 0x01, 0, 0, 6, 0, 43, 0, 2, 3, 4]);
        assert_eq!(hello(&bytes), Some(("1.3", 0x1301)));
        assert_eq!(cipher_name(CipherSuite::from(0x1301)), "TLS_AES_128_GCM_SHA256");
        for length in 0..bytes.len() {
            assert!(hello(&bytes[..length]).is_none_or(|(version, _)| version == "1.2"), "{length}");
        }
        assert_eq!(hello(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), None);
    }
}
