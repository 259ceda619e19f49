use super::*;
use crate::{Stop, Verdict};

const DAY: u64 = 86_400_000_000_000;

fn failed(error: NetError) -> FailedExchange {
    let timings = Timings {
        started_at: 100 * DAY,
        queue: None,
        resolve: None,
        connect: None,
        tls: None,
        send: None,
        wait: None,
        receive: None,
        total: 2_000_000_000,
    };
    FailedExchange { error, timings, remote: None, redirects: Vec::new() }
}

fn report(error: NetError) -> Report {
    match Stop::from(Box::new(failed(error))) {
        Stop::Report(report) => *report,
        Stop::Failure(failure) => panic!("{failure:?}"),
    }
}

fn dns_failure(rcode: Option<u16>) -> NetError {
    NetError::Dns(DnsFailure { name: "api.example.com".into(), rcode, message: "no".into() })
}

fn tls_failure(reason: &str, message: &str, ends: &[u64]) -> NetError {
    let chain = ends
        .iter()
        .map(|not_after| Certificate {
            subject: "CN=x".into(),
            issuer: "CN=y".into(),
            serial: "01".into(),
            not_before: 0,
            not_after: *not_after,
            alt_names: Vec::new(),
            fingerprint_sha256: String::new(),
        })
        .collect();
    let info = TlsInfo { version: "1.3".into(), cipher: String::new(), alpn: None, server_name: None, verified: false, chain };
    NetError::Tls(TlsFailure { alert: None, reason: reason.into(), message: message.into(), info: Some(info) })
}

#[test]
fn what_may_be_gone_in_a_moment_is_worth_another_attempt() {
    let transient = [
        (NetError::ConnectionRefused, Fault::ConnectRefused),
        (NetError::ConnectionClosed, Fault::ConnectionClosed),
        (NetError::Unreachable(String::new()), Fault::ConnectUnreachable),
        (NetError::TimedOut(Phase::Resolve), Fault::Dns),
        (NetError::TimedOut(Phase::Connect), Fault::ConnectTimeout),
        (NetError::TimedOut(Phase::Tls), Fault::Timeout),
        (NetError::TimedOut(Phase::Wait), Fault::Timeout),
        (NetError::TimedOut(Phase::Receive), Fault::Timeout),
        (dns_failure(None), Fault::Dns),
        (dns_failure(Some(SERVFAIL)), Fault::Dns),
    ];
    for (error, fault) in transient {
        let report = report(error.clone());
        assert_eq!((report.fault, report.retry), (Some(fault), Some(RetryAdvice { after: None })), "{error:?}");
    }
}

#[test]
fn what_lasts_is_not_tried_again() {
    let lasting = [
        (dns_failure(Some(NXDOMAIN)), Fault::Dns),
        (dns_failure(Some(0)), Fault::Dns),
        (NetError::Protocol("bad".into()), Fault::Protocol),
        (NetError::TooManyRedirects, Fault::Redirects),
        (NetError::BodyLimit, Fault::BodyLimit),
        (NetError::Other(String::new()), Fault::Other),
        (tls_failure("unknown-issuer", "", &[]), Fault::TlsCertificate),
        (tls_failure("handshake", "", &[]), Fault::TlsHandshake),
    ];
    for (error, fault) in lasting {
        let report = report(error.clone());
        assert_eq!((report.fault, report.retry), (Some(fault), None), "{error:?}");
        assert!(!report.message.is_empty());
    }
}

#[test]
fn verdict_and_fault_of_a_timeout_agree() {
    assert_eq!(report(NetError::TimedOut(Phase::Connect)).verdict, Verdict::Timeout);
    assert_eq!(report(NetError::TimedOut(Phase::Total)).verdict, Verdict::Timeout);
    assert_eq!(report(NetError::TimedOut(Phase::Resolve)).verdict, Verdict::Failure);
}

#[test]
fn what_says_nothing_of_the_target_is_no_verdict() {
    let cases = [NetError::Denied("x".into()), NetError::BudgetExhausted("x".into()), NetError::TimedOut(Phase::Queue)];
    for error in cases {
        assert!(judge(&failed(error.clone())).is_err(), "{error:?}");
    }
    let invalid = judge(&failed(NetError::InvalidRequest("method".into())));
    assert!(matches!(invalid, Err(Failure::InvalidConfig(issues)) if issues[0].message == "method"));
}

#[test]
fn a_refusal_names_the_address_that_refused() {
    let mut exchange = failed(NetError::ConnectionRefused);
    exchange.remote = Some(Endpoint { address: "::1".into(), port: 80, family: IpFamily::V6 });
    assert_eq!(judge(&exchange).map(|finding| finding.message), Ok("connection refused by [::1]:80".into()));
}

#[test]
fn an_expired_certificate_is_told_with_its_age() {
    assert_eq!(report(tls_failure("expired", "invalid peer certificate", &[97 * DAY])).message, "certificate expired 3 days ago");
    let intermediate = report(tls_failure("expired", "", &[200 * DAY, 99 * DAY]));
    assert_eq!(intermediate.message, "certificate of \"CN=x\" expired 1 day ago");
    assert_eq!(report(tls_failure("expired", "", &[])).message, "certificate expired");
}
