//! What went wrong, in words: for people, on one line, without secrets.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, InvalidMessage};

use super::certificate::{read_chain, self_issued};
use super::tap::Marks;
use super::verify::Seen;
use super::{NetError, Waiting};
use crate::clock::{Timestamp, nanos};
use crate::config::visible;
use crate::outcome::{Certificate, TlsInfo};

/// What stands where a secret stood.
const MASK: &str = "***";
/// The library tells none of these from the others.
const TOO_LARGE: &str = "the head of the answer has more than 128 KiB or 256 fields, or a content-length that no body can have";
/// How many names of a certificate a message tells.
const TOLD_NAMES: usize = 3;

/// Texts that nobody may see.
#[derive(Debug, Default)]
pub(super) struct Masks(Vec<String>);

impl Masks {
    /// The texts themselves, and how they look in a URL.
    pub(super) fn new(secrets: &[String]) -> Self {
        let component = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let lenient = |byte: u8| byte.is_ascii_graphic() && !b"\"<>`{}#".contains(&byte);
        let mut all: Vec<String> = Vec::new();
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            all.extend([secret.clone(), percent_encoded(secret, component), percent_encoded(secret, lenient)]);
        }
        // The longest first, so that one within another leaves no rest.
        all.sort_by_key(|text| std::cmp::Reverse(text.len()));
        all.dedup();
        Self(all)
    }

    /// The text with every secret masked and on one line.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), MASK);
            }
        }
        text.replace(visible::is_hidden, " ")
    }

    /// Whether a secret occurs in these bytes.
    pub(super) fn occur_in(&self, bytes: &[u8]) -> bool {
        self.0.iter().any(|secret| bytes.windows(secret.len()).any(|window| window == secret.as_bytes()))
    }

    /// The same error with every text masked.
    pub(super) fn apply_to(&self, error: NetError) -> NetError {
        match error {
            NetError::Denied(text) => NetError::Denied(self.apply(&text)),
            NetError::InvalidRequest(text) => NetError::InvalidRequest(self.apply(&text)),
            NetError::Unreachable(text) => NetError::Unreachable(self.apply(&text)),
            NetError::Protocol(text) => NetError::Protocol(self.apply(&text)),
            NetError::Other(text) => NetError::Other(self.apply(&text)),
            NetError::Dns { name, rcode, message } => NetError::Dns { name: self.apply(&name), rcode, message: self.apply(&message) },
            NetError::Tls { alert, reason, message, info } => NetError::Tls { alert, reason, message: self.apply(&message), info },
            other => other,
        }
    }
}

fn percent_encoded(text: &str, kept: impl Fn(u8) -> bool) -> String {
    text.bytes().map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// What a failing exchange of HTTP came to.
pub(super) fn http(error: &hyper::Error, marks: Marks) -> NetError {
    // A request that could not be sent any more: the cause says why.
    if error.is_canceled()
        && let Some(cause) = error.source().and_then(|cause| cause.downcast_ref::<hyper::Error>())
    {
        return http(cause, marks);
    }
    let when = match marks {
        Marks { first: None, .. } => "before the answer",
        Marks { head: false, .. } => "within the head of the answer",
        Marks { .. } => "within the body",
    };
    if error.is_parse_too_large() {
        return NetError::Protocol(TOO_LARGE.to_owned());
    }
    if error.is_parse() {
        return NetError::Protocol(with_cause(error));
    }
    if let Some(cause) = io_cause(error) {
        return io(cause, when);
    }
    if error.is_incomplete_message() || marks.closed {
        return NetError::ConnectionClosed(when);
    }
    NetError::Protocol(with_cause(error))
}

/// What a failing connection came to.
pub(super) fn io(error: &io::Error, when: &'static str) -> NetError {
    if let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls(cause, "", &Seen::default(), None);
    }
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => NetError::Protocol(error.to_string()),
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected => NetError::ConnectionClosed(when),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            NetError::Unreachable(error.to_string())
        }
        io::ErrorKind::TimedOut => NetError::TimedOut(Waiting::Wait),
        _ => NetError::Other(error.to_string()),
    }
}

fn io_cause(error: &hyper::Error) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}

fn with_cause(error: &hyper::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// What a failing handshake came to.
pub(super) fn tls(error: &rustls::Error, name: &str, seen: &Seen, info: Option<Arc<TlsInfo>>) -> NetError {
    let (alert, reason, message) = match error {
        rustls::Error::InvalidCertificate(cause) => {
            let (reason, message) = certificate(cause, name, seen);
            (Some(AlertDescription::from(cause.clone()).into()), reason, message)
        }
        rustls::Error::AlertReceived(alert) => {
            (Some((*alert).into()), "handshake", format!("TLS handshake refused by the server: {alert:?}"))
        }
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            (None, "handshake", "the server does not speak TLS".to_owned())
        }
        error => (None, "handshake", format!("TLS handshake failed: {error}")),
    };
    NetError::Tls { alert, reason, message, info }
}

fn certificate(error: &CertificateError, name: &str, seen: &Seen) -> (&'static str, String) {
    let chain = read_chain(&seen.chain);
    let leaf = chain.first();
    match error {
        CertificateError::ExpiredContext { time, not_after } => {
            let (end, ago) = (date(*not_after), length(seconds(*time).saturating_sub(seconds(*not_after))));
            ("expired", format!("{} expired {ago} ago ({end})", whose(&chain, |one| one.not_after, *not_after)))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let (start, rest) = (date(*not_before), length(seconds(*not_before).saturating_sub(seconds(*time))));
            ("not-yet-valid", format!("{} is not valid for another {rest} ({start})", whose(&chain, |one| one.not_before, *not_before)))
        }
        CertificateError::Expired => ("expired", "certificate ends before it begins".to_owned()),
        CertificateError::NotValidYet => ("not-yet-valid", "certificate is not valid yet".to_owned()),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            ("name-mismatch", format!("certificate is for {}, not {name}", names(leaf)))
        }
        CertificateError::UnknownIssuer if seen.chain.first().is_some_and(|der| self_issued(der)) => {
            ("unknown-issuer", "certificate is self-signed and not trusted".to_owned())
        }
        CertificateError::UnknownIssuer => ("unknown-issuer", issuer(&chain)),
        CertificateError::BadSignature => ("unknown-issuer", "certificate is not signed by the issuer that it names".to_owned()),
        CertificateError::Revoked => ("revoked", "certificate is revoked".to_owned()),
        CertificateError::BadEncoding => ("other", "certificate cannot be read".to_owned()),
        error => ("other", format!("certificate is not acceptable: {error}")),
    }
}

/// The certificate that an error is about: the leaf's own, unless its date is another's.
fn whose(chain: &[Certificate], date: impl Fn(&Certificate) -> Timestamp, at: UnixTime) -> String {
    let at = Timestamp(nanos(Duration::from_secs(at.as_secs())));
    match chain.iter().position(|certificate| date(certificate) == at) {
        Some(place) if place > 0 => format!("certificate of the authority `{}`", chain[place].subject),
        _ => "certificate".to_owned(),
    }
}

fn names(leaf: Option<&Certificate>) -> String {
    let names = leaf.map(|leaf| leaf.alt_names.as_slice()).unwrap_or_default();
    match names.len() {
        0 => "no host".to_owned(),
        count if count > TOLD_NAMES => format!("{} and {} more", names[..TOLD_NAMES].join(", "), count - TOLD_NAMES),
        _ => names.join(", "),
    }
}

fn issuer(chain: &[Certificate]) -> String {
    let Some(last) = chain.last() else { return "certificate is of an unknown issuer".to_owned() };
    let lonely = if chain.len() == 1 { " (the server sent no intermediate certificate)" } else { "" };
    format!("certificate is issued by `{}`, which is not trusted{lonely}", last.issuer)
}

fn seconds(time: UnixTime) -> u64 {
    time.as_secs()
}

/// `2026-01-02`
fn date(time: UnixTime) -> String {
    let mut text = Timestamp(nanos(Duration::from_secs(time.as_secs()))).to_string();
    text.truncate(10);
    text
}

/// In the unit that people would use.
fn length(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_as_they_are_and_as_a_url_has_them() {
        let masks = Masks::new(&["s3cret/+ x".to_owned(), "s3cret".to_owned(), String::new()]);
        for text in ["s3cret/+ x", "s3cret%2F%2B%20x", "s3cret/+%20x"] {
            assert_eq!(masks.apply(&format!("a={text}&b")), "a=***&b");
        }
        assert_eq!(masks.apply("one\r\ntwo\u{2028}"), "one  two ");
        assert!(masks.occur_in(b"..s3cret..") && !masks.occur_in(b"none"));
    }

    #[test]
    fn lengths_are_in_the_unit_that_people_use() {
        assert_eq!([1, 59, 60, 7200, 86_400, 260_000].map(length), ["1 second", "59 seconds", "1 minute", "2 hours", "1 day", "3 days"]);
    }
}
