//! An answer against the rules: all are judged, and all that are not met are told.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::Value;
use serde_json_path::JsonPath;
use vedette_sdk::http::{FailedExchange, Response};
use vedette_sdk::net::{self, NetError, TlsFailure, TlsInfo};
use vedette_sdk::{Answer, Expectation, Fault, Report, Timestamp, Verdict, text};

use crate::date;
use crate::reason::named;
use crate::rule::{Expected, Rule};
use crate::same::same;
use crate::settings::Redirects;

/// How much of a foreign text is shown, in characters.
const EXCERPT: usize = 100;

/// Codes that may be gone in a moment.
const TRANSIENT: [u16; 4] = [429, 502, 503, 504];

/// What an answer comes to. `started` is when the attempt began: its latency counts from there to the last byte.
pub(crate) fn judge(response: &Response, started: Timestamp, rules: &[Expected], redirects: Redirects) -> Report {
    if redirects == Redirects::AtMost(0) && is_redirect(response) {
        return Report::failure(Fault::Redirects, format!("{}, and no redirect is allowed", named(response.status)));
    }
    let latency = response.timings.started_at.saturating_add(response.timings.total).saturating_sub(started);
    let looked_at = LookedAt { response, latency, text: OnceCell::new(), json: OnceCell::new() };
    let fine = Report::success(format!("{} in {}", named(response.status), text::latency(latency)));
    let mut report = rules.iter().fold(fine, |report, expected| report.with(expectation(expected, looked_at.holds(&expected.rule))));
    if report.verdict == Verdict::Success {
        if let Some(warning) = report.headline(true) {
            report.message = format!("{}; warning: {warning}", report.message);
        }
    } else if report.fault == Some(Fault::Status) {
        report = report.attribute("http.response.status_code", response.status);
        if TRANSIENT.contains(&response.status) {
            report = report.retry(date::retry_after(response));
        }
    }
    report
}

/// What an exchange without an answer comes to. A certificate that was refused is all the same what a rule may be about.
pub(crate) fn failed(failed: &FailedExchange, rules: &[Expected]) -> Answer {
    let mut report = Report::from(net::judge(failed)?);
    if let NetError::Tls(TlsFailure { info: Some(info), .. }) = &failed.error {
        for expected in rules {
            if let Rule::CertificateValidFor(length) = expected.rule {
                report = report.with(expectation(expected, certificate(Some(info), length, failed.timings.started_at)));
            }
        }
    }
    Ok(report)
}

/// `None` is met; else what came and what was expected.
fn expectation(expected: &Expected, unmet: Option<String>) -> Expectation {
    let (met, detail) = (unmet.is_none(), unmet.unwrap_or_default());
    Expectation { name: expected.rule.word().to_owned(), met, soft: expected.soft, detail }
}

fn is_redirect(response: &Response) -> bool {
    matches!(response.status, 301 | 302 | 303 | 307 | 308) && response.field("location").is_some()
}

/// An answer, with its body read at most once in each way.
struct LookedAt<'a> {
    response: &'a Response,
    latency: u64,
    text: OnceCell<Cow<'a, str>>,
    json: OnceCell<Result<Value, String>>,
}

impl LookedAt<'_> {
    /// `None` if the rule holds, else why not.
    fn holds(&self, rule: &Rule) -> Option<String> {
        match rule {
            Rule::Status(ranges, words) => {
                let met = ranges.iter().any(|range| range.contains(&self.response.status));
                (!met).then(|| format!("{}, expected {words}", named(self.response.status)))
            }
            Rule::BodyContains(needle) => {
                let met = text::contains(self.text().as_bytes(), needle.as_bytes());
                (!met).then(|| format!("{} is not in the body", text::quoted(needle, EXCERPT)))
            }
            Rule::BodyMatches(regex) => (!regex.is_match(self.text())).then(|| format!("/{regex}/ is not found in the body")),
            Rule::Header(name, regex) => {
                let met = self.response.values(name).any(|value| regex.is_match(value));
                (!met).then(|| match self.response.field(name) {
                    Some(value) => format!("header {name} is {}, expected /{regex}/", text::quoted(value, EXCERPT)),
                    None => format!("there is no header {name}, expected /{regex}/"),
                })
            }
            Rule::Json(words, path, expected) => self.json(words, path, expected),
            Rule::Latency(most) => (self.latency > *most).then(|| too_long(self.latency, *most)),
            Rule::CertificateValidFor(length) => certificate(self.response.tls.as_ref(), *length, self.response.timings.started_at),
        }
    }

    fn text(&self) -> &str {
        self.text.get_or_init(|| self.response.text())
    }

    fn json(&self, words: &str, path: &JsonPath, expected: &Value) -> Option<String> {
        let read = || serde_json::from_str(self.text().trim_start_matches('\u{feff}')).map_err(|error| error.to_string());
        let value = match self.json.get_or_init(read) {
            Ok(value) => value,
            Err(error) => return Some(format!("the body is not JSON ({error}), expected {words} = {}", shown(expected))),
        };
        let found = path.query(value);
        if found.is_empty() {
            return Some(format!("{words} finds nothing, expected {}", shown(expected)));
        }
        let other = found.iter().find(|node| !same(node, expected))?;
        Some(format!("{words} is {}, expected {}", shown(other), shown(expected)))
    }
}

/// A limit is told as it was written, and what went beyond it never looks the same.
fn too_long(took: u64, most: u64) -> String {
    let (told, most) = (text::latency(took), text::exact(most));
    format!("{}, expected at most {most}", if told == most { text::exact(took) } else { told })
}

/// A JSON value as far as it fits on a line.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text::quoted(text, EXCERPT),
        Value::Array(items) if items.len() > 3 => format!("an array of {}", items.len()),
        Value::Object(members) if members.len() > 3 => format!("an object of {} members", members.len()),
        other => {
            let text = other.to_string();
            text.char_indices().nth(EXCERPT).map_or_else(|| text.clone(), |(cut, _)| format!("{}…", &text[..cut]))
        }
    }
}

/// `None` if every certificate is valid now and for `length` more.
fn certificate(tls: Option<&TlsInfo>, length: u64, now: Timestamp) -> Option<String> {
    let expected = format!("expected to be valid for at least {}", text::span(length));
    let Some(tls) = tls else { return Some(format!("there is no certificate over plain http, {expected}")) };
    let Some(first) = tls.chain.iter().min_by_key(|certificate| certificate.not_after) else {
        return Some(format!("the server sent no certificate, {expected}"));
    };
    let subject = text::quoted(&first.subject, EXCERPT);
    if first.not_after < now {
        return Some(format!("certificate of {subject} expired {}, {expected}", text::relative(first.not_after, now)));
    }
    if first.not_after - now < length {
        return Some(format!("certificate of {subject} is valid for {} more, {expected}", text::span(first.not_after - now)));
    }
    let early = tls.chain.iter().find(|certificate| certificate.not_before > now)?;
    let until = text::span(early.not_before - now);
    Some(format!("certificate of {} is not valid for {until} yet, {expected}", text::quoted(&early.subject, EXCERPT)))
}

#[cfg(test)]
pub(crate) mod tests;
