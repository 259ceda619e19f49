//! Content codings: which ones a body has, and undoing them while it comes.

use std::io;

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use http::{HeaderMap, header};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, BufReader};

use super::NetError;

/// More codings on top of each other are nobody's honest wish.
const MAX_CODINGS: usize = 4;
/// 8 MiB, what RFC 9659 allows: a frame that asks for more would have us allocate it.
const ZSTD_WINDOW_LOG: u32 = 23;

/// A coding that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The codings of a body, in the order in which they were applied. Empty if one of them is not known: the body is
/// then handed over as it comes.
pub(super) fn codings(fields: &HeaderMap) -> Result<Vec<Coding>, NetError> {
    let values = fields.get_all(header::CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let words = values.flat_map(|value| value.split(',')).map(|word| word.trim().to_ascii_lowercase());
    let words: Vec<_> = words.filter(|word| !word.is_empty() && word != "identity").collect();
    if words.len() > MAX_CODINGS {
        return Err(NetError::Protocol(format!("more than {MAX_CODINGS} content codings")));
    }
    let known = words.iter().map(|word| match word.as_str() {
        "gzip" | "x-gzip" => Some(Coding::Gzip),
        "deflate" => Some(Coding::Deflate),
        "br" => Some(Coding::Brotli),
        "zstd" => Some(Coding::Zstd),
        _ => None,
    });
    Ok(known.collect::<Option<Vec<_>>>().unwrap_or_default())
}

type Reader<'a> = Box<dyn AsyncBufRead + Send + Unpin + 'a>;

/// The bytes as they were before these codings were applied.
pub(super) async fn undo<'a>(codings: &[Coding], wire: impl AsyncBufRead + Send + Unpin + 'a) -> io::Result<Reader<'a>> {
    let mut reader: Reader<'a> = Box::new(wire);
    for coding in codings.iter().rev() {
        reader = match coding {
            Coding::Gzip => {
                let mut decoder = GzipDecoder::new(reader);
                decoder.multiple_members(true);
                buffered(decoder)
            }
            // By name a zlib stream, by a long-standing mistake of some servers a bare one. The first byte of zlib
            // says `8` in its lower half, which a bare stream cannot begin with.
            Coding::Deflate => match reader.fill_buf().await?.first() {
                Some(first) if first & 0x0f == 8 => buffered(ZlibDecoder::new(reader)),
                _ => buffered(DeflateDecoder::new(reader)),
            },
            Coding::Brotli => buffered(BrotliDecoder::new(reader)),
            Coding::Zstd => {
                let mut decoder = ZstdDecoder::with_params(reader, &[DParameter::window_log_max(ZSTD_WINDOW_LOG)]);
                decoder.multiple_members(true);
                buffered(decoder)
            }
        };
    }
    Ok(reader)
}

fn buffered<'a>(decoder: impl AsyncRead + Send + Unpin + 'a) -> Reader<'a> {
    Box::new(BufReader::new(decoder))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn codings_are_read_in_the_order_in_which_they_were_applied() {
        let of = |values: &[&str]| {
            let mut fields = HeaderMap::new();
            for value in values {
                fields.append(header::CONTENT_ENCODING, HeaderValue::from_str(value).unwrap());
            }
            codings(&fields).map_err(|error| error.to_string())
        };
        let known = |codings: &[Coding]| Ok(codings.to_vec());
        assert_eq!(of(&["GZIP , identity", "br"]), known(&[Coding::Gzip, Coding::Brotli]));
        assert_eq!(of(&["deflate,zstd"]), known(&[Coding::Deflate, Coding::Zstd]));
        assert_eq!(of(&["gzip, rot13"]), known(&[]));
        assert_eq!(of(&["gzip,gzip", "gzip,gzip"]), known(&[Coding::Gzip; 4]));
        assert_eq!(of(&["gzip,gzip", "gzip,gzip,gzip"]), Err("protocol error: more than 4 content codings".to_owned()));
        assert_eq!(of(&[]), known(&[]));
    }
}
