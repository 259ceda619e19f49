//! What a collector's answer means, by the specification of OTLP.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

use super::Verdict;
use crate::clock::Timestamp;
use crate::config::visible;

/// Bytes of an answer that are looked at.
pub(super) const ANSWER: usize = 64 << 10;

/// Characters of a collector's own words that are repeated.
const WORDS: usize = 300;

/// `google.rpc.Status`, as far as it matters here: the body of an error over HTTP, the details of one over gRPC.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<Detail>,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, Message)]
pub(super) struct Detail {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

/// What a status code that is not a success means; `words` is what the collector said besides.
pub(super) fn of_status(status: u16, after: Option<Duration>, words: &str) -> Verdict {
    let why = if words.is_empty() { format!("HTTP status {status}") } else { format!("HTTP status {status}: {words}") };
    match status {
        408 | 429 | 502..=504 => Verdict::Later { after, why },
        413 => Verdict::TooLong(why),
        500.. => Verdict::Stumbled(why),
        _ => Verdict::Refused(why),
    }
}

/// What a successful answer says. The answers of all signals look alike on the wire; one that cannot be read is still a
/// success.
pub(super) fn of_success(body: &[u8]) -> Verdict {
    let partial = ExportTraceServiceResponse::decode(body).ok().and_then(|answer| answer.partial_success).unwrap_or_default();
    Verdict::Accepted { rejected: u64::try_from(partial.rejected_spans).unwrap_or_default(), message: shown(&partial.error_message) }
}

/// What the body of an error over HTTP says: a `Status` as OTLP asks for, or any text.
pub(super) fn words(protobuf: bool, body: &[u8]) -> String {
    match Status::decode(body) {
        Ok(status) if protobuf => shown(&status.message),
        _ if protobuf => String::new(),
        _ => shown(&String::from_utf8_lossy(body)),
    }
}

/// A foreign text on one line of ours.
pub(super) fn shown(text: &str) -> String {
    let plain = text.chars().take(WORDS).map(|char| if visible::is_hidden(char) { ' ' } else { char });
    plain.collect::<String>().trim().to_owned()
}

/// `Retry-After`: seconds, or a date.
pub(super) fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    let nanos = u64::try_from(date.as_nanosecond()).ok()?;
    Some(Timestamp(nanos).since(Timestamp::now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_collector_are_read_from_protobuf_and_text_and_kept_short() {
        let status = Status { message: "no such\ntenant".to_owned(), details: Vec::new() };
        assert_eq!(words(true, &status.encode_to_vec()), "no such tenant");
        assert_eq!(words(true, b"\xffrubbish"), "");
        assert_eq!(words(false, b"bad \x1b[31mtoken\n"), "bad  [31mtoken");
        assert_eq!(words(false, &[b'x'; 10_000]).len(), WORDS);
    }
}
