//! HTTP/1.1 as it stands on the wire, no more of it than these tests need.

use std::collections::BTreeMap;
use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` and the like.
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Of the length that was announced.
    pub body: Vec<u8>,
    /// When its head was complete.
    pub at: Instant,
}

impl Request {
    /// The trace that the caller says this request belongs to, where it says so in a valid way.
    pub fn trace_id(&self) -> Option<&str> {
        let [_, trace, span, _] = self.headers.get("traceparent")?.split('-').collect::<Vec<_>>().try_into().ok()?;
        (trace.len() == 32 && span.len() == 16).then_some(trace)
    }

    /// Reads the next one; none if the peer is done.
    pub async fn read(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Self>> {
        let Some((first, headers)) = head(stream).await? else { return Ok(None) };
        let at = Instant::now();
        let mut words = first.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut body = vec![0; headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
        stream.read_exact(&mut body).await?;
        Ok(Some(Self { method, path, headers, body, at }))
    }
}

/// An answer of the agent.
#[derive(Clone, Debug)]
pub struct Reply {
    /// 200 and the like.
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub text: String,
}

/// Asks `http://{address}{path}` over a connection of its own.
pub async fn get(address: &str, path: &str) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut stream = tokio::io::BufReader::new(stream);
    let (first, headers) = head(&mut stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    let mut body = Vec::new();
    if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        chunks(&mut stream, &mut body).await?;
    } else if let Some(length) = headers.get("content-length").and_then(|length| length.parse().ok()) {
        body.resize(length, 0);
        stream.read_exact(&mut body).await?;
    } else {
        stream.read_to_end(&mut body).await?;
    }
    Ok(Reply { status, headers, text: String::from_utf8_lossy(&body).into_owned() })
}

/// First line and fields.
async fn head(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<(String, BTreeMap<String, String>)>> {
    let Some(first) = line(stream).await? else { return Ok(None) };
    let mut headers = BTreeMap::new();
    while let Some(field) = line(stream).await?.filter(|field| !field.is_empty()) {
        if let Some((name, value)) = field.split_once(':') {
            headers.insert(name.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    Ok(Some((first, headers)))
}

async fn chunks(stream: &mut (impl AsyncBufRead + Unpin), body: &mut Vec<u8>) -> io::Result<()> {
    while let Some(size) = line(stream).await? {
        let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
        let start = body.len();
        body.resize(start + size, 0);
        stream.read_exact(&mut body[start..]).await?;
        line(stream).await?;
        if size == 0 {
            break;
        }
    }
    Ok(())
}

async fn line(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut text = String::new();
    let length = stream.read_line(&mut text).await?;
    Ok((length > 0).then(|| text.trim_end_matches(['\r', '\n']).to_owned()))
}
