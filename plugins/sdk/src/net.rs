//! What an exchange that failed says: of the target, or of the plugin and its grants.

pub use crate::bindings::check::vedette::plugin::net::{
    Certificate, DnsFailure, Endpoint, IpFamily, NetError, Phase, Timings, TlsFailure, TlsInfo, TlsOptions,
};
use crate::http::FailedExchange;
use crate::{ConfigIssue, Failure, Fault, Report, RetryAdvice, Timestamp, text};

/// DNS RCODE of a name server that failed.
const SERVFAIL: u16 = 2;
/// DNS RCODE of a name that does not exist.
const NXDOMAIN: u16 = 3;

/// What a failed exchange says of its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was wrong.
    pub fault: Fault,
    /// Whether it may be gone in a moment.
    pub transient: bool,
    /// One line for people.
    pub message: String,
}

impl Finding {
    fn lasting(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, transient: false, message: message.into() }
    }

    fn transient(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, transient: true, message: message.into() }
    }
}

impl From<Finding> for Report {
    fn from(finding: Finding) -> Self {
        let retry = finding.transient.then_some(RetryAdvice { after: None });
        Self { retry, ..Self::failure(finding.fault, finding.message) }
    }
}

/// What a failed exchange means. `Err` says something of the plugin or of its grants, never of the target.
///
/// Worth another attempt is what may be gone in a moment: refused, closed early, unreachable, any time that ran out, and a name
/// server that did not answer or failed itself.
pub fn judge(failed: &FailedExchange) -> Result<Finding, Failure> {
    Ok(match &failed.error {
        NetError::Denied(rule) => return Err(Failure::Internal(format!("denied: {rule}"))),
        NetError::InvalidRequest(message) => {
            return Err(Failure::InvalidConfig(vec![ConfigIssue { pointer: String::new(), message: message.clone() }]));
        }
        NetError::BudgetExhausted(what) => return Err(Failure::Internal(format!("the run's budget is used up: {what}"))),
        NetError::TimedOut(Phase::Queue) => return Err(Failure::Unavailable("the time ran out before the host let the probe go".into())),
        NetError::Dns(failure) => dns(failure),
        NetError::ConnectionRefused => Finding::transient(Fault::ConnectRefused, format!("connection refused{}", by(failed))),
        NetError::ConnectionClosed => {
            Finding::transient(Fault::ConnectionClosed, "connection closed before the answer was complete".to_owned())
        }
        NetError::Unreachable(message) => Finding::transient(Fault::ConnectUnreachable, or(message, "unreachable")),
        NetError::TimedOut(phase) => timed_out(*phase, failed.timings.total),
        NetError::Tls(failure) => tls(failure, failed.timings.started_at),
        NetError::Protocol(message) => Finding::lasting(Fault::Protocol, or(message, "the answer breaks the protocol")),
        NetError::TooManyRedirects => {
            Finding::lasting(Fault::Redirects, format!("more redirects than allowed ({} followed)", failed.redirects.len()))
        }
        NetError::BodyLimit => Finding::lasting(Fault::BodyLimit, "the body is longer than max_body allows"),
        NetError::Other(message) => Finding::lasting(Fault::Other, or(message, "the exchange failed")),
    })
}

fn or(message: &str, otherwise: &str) -> String {
    if message.is_empty() { otherwise } else { message }.to_owned()
}

/// The address that refused, where it is known.
fn by(failed: &FailedExchange) -> String {
    failed.remote.as_ref().map_or_else(String::new, |peer| match peer.family {
        IpFamily::V4 => format!(" by {}:{}", peer.address, peer.port),
        IpFamily::V6 => format!(" by [{}]:{}", peer.address, peer.port),
    })
}

fn dns(failure: &DnsFailure) -> Finding {
    let message = if failure.rcode == Some(NXDOMAIN) {
        format!("the name {} does not exist", text::quoted(&failure.name, 255))
    } else {
        format!("no address for {}: {}", text::quoted(&failure.name, 255), or(&failure.message, "the name server said nothing"))
    };
    Finding { fault: Fault::Dns, transient: matches!(failure.rcode, None | Some(SERVFAIL)), message }
}

/// A name server that does not answer is `dns`: there was no peer yet that could have been late.
fn timed_out(phase: Phase, after: u64) -> Finding {
    let after = text::latency(after);
    match phase {
        Phase::Resolve => Finding::transient(Fault::Dns, format!("no answer from the name server within {after}")),
        Phase::Connect => Finding::transient(Fault::ConnectTimeout, format!("no connection within {after}")),
        Phase::Tls => Finding::transient(Fault::Timeout, format!("the TLS handshake did not end within {after}")),
        Phase::Send => Finding::transient(Fault::Timeout, format!("the request was not taken within {after}")),
        Phase::Receive => Finding::transient(Fault::Timeout, format!("the answer did not end within {after}")),
        Phase::Queue | Phase::Wait | Phase::Total => Finding::transient(Fault::Timeout, format!("no answer within {after}")),
    }
}

fn tls(failure: &TlsFailure, now: Timestamp) -> Finding {
    let chain = failure.info.as_ref().map(|info| info.chain.as_slice()).unwrap_or_default();
    let message = match failure.reason.as_str() {
        "expired" => chain
            .iter()
            .find(|certificate| certificate.not_after < now)
            .map(|certificate| format!("{} expired {}", subject(chain, certificate), text::relative(certificate.not_after, now))),
        "not-yet-valid" => chain.iter().find(|certificate| certificate.not_before > now).map(|certificate| {
            format!("{} is not valid before {} from now", subject(chain, certificate), text::span(certificate.not_before - now))
        }),
        _ => None,
    };
    let message = message.unwrap_or_else(|| {
        let word = match failure.reason.as_str() {
            "expired" => "certificate expired",
            "not-yet-valid" => "certificate not yet valid",
            "unknown-issuer" => "certificate of an unknown issuer",
            "name-mismatch" => "certificate for another name",
            "revoked" => "certificate revoked",
            _ => "the TLS handshake failed",
        };
        if failure.message.is_empty() { word.to_owned() } else { format!("{word}: {}", failure.message) }
    });
    let fault = match failure.reason.as_str() {
        "expired" | "not-yet-valid" | "unknown-issuer" | "name-mismatch" | "revoked" => Fault::TlsCertificate,
        _ => Fault::TlsHandshake,
    };
    Finding::lasting(fault, message)
}

/// The leaf needs no name: everyone knows which certificate is meant.
fn subject(chain: &[Certificate], certificate: &Certificate) -> String {
    let leaf = chain.first().is_some_and(|leaf| std::ptr::eq(leaf, certificate));
    if leaf { "certificate".to_owned() } else { format!("certificate of {}", text::quoted(&certificate.subject, 100)) }
}

#[cfg(test)]
mod tests;
