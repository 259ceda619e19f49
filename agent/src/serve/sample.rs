//! A made-up board for tests: a dozen probes, each in another condition, with messages as bad as they come.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Access, Board, ProbeInfo, Service};
use crate::clock::{Anchor, Instant, Timestamp};
use crate::config::SloConfig;
use crate::outcome::{
    Attempt, Attribute, Certificate, ErrorType, Exchange, Expectation, HttpVersion, Identity, Instrument, Label, Measurement, Outcome,
    Phase, Phases, Record, Report, RunResult, Sli, SpanId, State, StateChange, Stretch, Summary, TlsInfo, TraceId, Trigger, Value,
};
use crate::vitals::Vitals;

/// What a hostile target answers.
pub(super) const HOSTILE: &str = "503, expected 2xx: <script src=http://evil.example/x.js></script><img src=x onerror=alert(1)>\"'";

const DAY: u64 = 86_400;

/// How a probe fares.
#[derive(Clone, Copy)]
pub(super) struct Fate {
    check: &'static str,
    target: &'static str,
    address: &'static str,
    several: bool,
    state: State,
    /// Seconds.
    since: u64,
    message: &'static str,
    /// Typical latency in milliseconds.
    latency: f64,
    /// One letter a run, the newest last: `.` success, `w` warned, `f` failure, `t` timeout, `e` error, `s` skipped, `u` unknown.
    pub(super) runs: &'static str,
    /// Days until the certificate ends.
    certificate: Option<i64>,
    label: &'static str,
}

/// The probes of the made-up board.
pub(super) const FATES: [Fate; 13] = [
    fate(
        "api",
        "api",
        "https://api.example.com/health",
        State::Up,
        4 * DAY,
        "up",
        12.4,
        "............................................................",
        Some(71),
        "platform",
    ),
    several(
        "shop",
        "home",
        "https://shop.example.com/",
        State::Up,
        9 * 3600,
        "up",
        88.0,
        ".................f..........................................",
        Some(12),
        "payments",
    ),
    several(
        "shop",
        "checkout",
        "https://shop.example.com/checkout",
        State::Down,
        750,
        "down: 3 failures in a row",
        130.0,
        "..............w............................s.........f...fff",
        Some(12),
        "payments",
    ),
    several(
        "shop",
        "search",
        "https://shop.example.com/search?q=…",
        State::Degraded,
        3 * 3600 + 120,
        "degraded: latency",
        340.0,
        ".....w..w...ww...w.....w..w.....w...wwwwwwwwwwwwwwwwwwwwwwww",
        Some(12),
        "payments",
    ),
    several(
        "shop",
        "images",
        "https://img.shop.example.com/logo.svg",
        State::Up,
        11 * DAY,
        "up",
        9.3,
        "............................................................",
        Some(64),
        "payments",
    ),
    fate(
        "login",
        "login",
        "https://accounts.example.com/login",
        State::Down,
        64,
        "down: 2 timeouts in a row",
        210.0,
        ".........................................................ftt",
        Some(45),
        "identity",
    ),
    fate(
        "legacy-gateway.internal",
        "gw",
        "https://legacy-gateway.internal:8443/status",
        State::Down,
        3 * DAY,
        "down",
        55.0,
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        Some(-3),
        "platform",
    ),
    fate(
        "payments-webhook",
        "hook",
        "https://hooks.payments.example.com/ping",
        State::Flapping,
        1260,
        "flapping: 9 changes in 1 h",
        160.0,
        "....................f...ff...f..f.ff.f..ff..f.fff..f.f..ff.f",
        Some(28),
        "payments",
    ),
    fate(
        "journey",
        "journey",
        "https://shop.example.com/login",
        State::Unknown,
        240,
        "no verdict: plugin_limit_cpu",
        900.0,
        "................e.......................................eeee",
        Some(40),
        "payments",
    ),
    fate(
        "dns",
        "resolver",
        "https://192.0.2.53/dns-query",
        State::Up,
        40 * DAY,
        "up",
        3.1,
        "..........................................u.u...............",
        None,
        "platform",
    ),
    fate(
        "status-page",
        "status",
        "http://status.example.net/",
        State::Up,
        6 * 3600,
        "up",
        41.0,
        ".......................",
        None,
        "platform",
    ),
    fate(
        "reports",
        "reports",
        "https://reports.example.com/nightly",
        State::Maintenance,
        1500,
        "maintenance until 04:00",
        1400.0,
        "..............................................ssssssssssssss",
        Some(100),
        "data",
    ),
    fate("brand-new", "brand-new", "https://new.example.com/", State::Unknown, 0, "", 0.0, "", None, "data"),
];

#[expect(clippy::too_many_arguments, reason = "a line of the table above")]
const fn fate(
    check: &'static str,
    target: &'static str,
    address: &'static str,
    state: State,
    since: u64,
    message: &'static str,
    latency: f64,
    runs: &'static str,
    certificate: Option<i64>,
    label: &'static str,
) -> Fate {
    Fate { check, target, address, several: false, state, since, message, latency, runs, certificate, label }
}

#[expect(clippy::too_many_arguments, reason = "a line of the table above")]
const fn several(
    check: &'static str,
    target: &'static str,
    address: &'static str,
    state: State,
    since: u64,
    message: &'static str,
    latency: f64,
    runs: &'static str,
    certificate: Option<i64>,
    label: &'static str,
) -> Fate {
    Fate { several: true, ..fate(check, target, address, state, since, message, latency, runs, certificate, label) }
}

/// What is known of a probe from the start.
pub(super) fn info(fate: &Fate) -> ProbeInfo {
    let mut labels = vec![Label { name: "team".to_owned(), value: fate.label.to_owned() }];
    if fate.check == "login" {
        labels.insert(0, Label { name: "runbook".to_owned(), value: "https://runbooks.example.com/login".to_owned() });
    }
    let identity = Identity {
        check: fate.check.to_owned(),
        target: fate.target.to_owned(),
        service: if fate.several { format!("{}/{}", fate.check, fate.target) } else { fate.check.to_owned() },
        address: fate.address.to_owned(),
        location: "eu-west-1".to_owned(),
        labels,
        plugin: "http".to_owned(),
        plugin_version: "0.1.0".to_owned(),
        plugin_digest: "5f1d".repeat(16),
        peer_service: None,
        every: Duration::from_secs(30),
    };
    ProbeInfo {
        identity: Arc::new(identity),
        settings: r#"{"expect":{"status":["2xx"],"latency":800000000},"method":"GET","headers":{"authorization":{"secret":"shop_token"}}}"#
            .into(),
        timeout: Duration::from_secs(2),
        retries: 1,
        windows: [300, 3600, DAY].map(Duration::from_secs).into(),
        slo: Some(SloConfig { objective: 0.999, window: Duration::from_secs(30 * DAY) }),
    }
}

/// Repeats itself: a number from 0 to 1 for each place.
fn noise(place: usize) -> f64 {
    let mut mixed = (place as u64 + 11).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let even = ((mixed ^ (mixed >> 27)) % 1000) as f64 / 1000.0;
    // Most are small, a few are large, as with latencies.
    even * even * even
}

/// A run of a probe that ended `ago` before now.
pub(super) fn outcome(info: &ProbeInfo, fate: &Fate, kind: char, place: usize, ago: Duration) -> Outcome {
    let (result, error_type, message) = match kind {
        '.' | 'w' => (RunResult::Success, None, "200 OK".to_owned()),
        'f' if fate.certificate.is_some_and(|days| days < 0) => {
            (RunResult::Failure, Some(ErrorType::TlsCertificate), "certificate expired 3 days ago".to_owned())
        }
        'f' if fate.check == "payments-webhook" => {
            (RunResult::Failure, Some(ErrorType::ConnectionClosed), "connection closed before the answer was complete".to_owned())
        }
        'f' => (RunResult::Failure, Some(ErrorType::Status), HOSTILE.to_owned()),
        't' => (RunResult::Timeout, Some(ErrorType::ConnectTimeout), "connect timed out after 2 s".to_owned()),
        'e' => (RunResult::Error, Some(ErrorType::PluginLimitCpu), "the plugin used up its 100 ms of CPU time".to_owned()),
        's' => (RunResult::Skipped, Some(ErrorType::Late), "skipped: the run before was still going".to_owned()),
        _ => (RunResult::Unknown, Some(ErrorType::AgentNetwork), "the agent's own network is sick".to_owned()),
    };
    let latency =
        Duration::from_secs_f64(fate.latency.max(1.0) / 1000.0 * (0.85 + noise(place) * 1.1 + if kind == 'w' { 0.9 } else { 0.0 }));
    let anchor = Anchor::now().back(ago + if kind == 't' { Duration::from_secs(5) } else { latency });
    let base = anchor.instant();
    let skipped = result == RunResult::Skipped;
    let attempts = if skipped { Vec::new() } else { attempts(info, fate, kind, base, latency, error_type, &message) };
    let ended = attempts.last().map_or(base, |attempt| attempt.stretch.end);
    Outcome {
        probe: info.identity.clone(),
        sequence: place as u64,
        runs: if skipped { 2 } else { 1 },
        trace_id: TraceId::random(),
        root: SpanId::random(),
        sampled: true,
        trigger: Trigger::Schedule,
        scheduled_at: Timestamp(anchor.wall().0 - 300_000),
        anchor,
        ended,
        result,
        error_type,
        message,
        attempts,
        quarantined: false,
    }
}

fn attempts(
    info: &ProbeInfo,
    fate: &Fate,
    kind: char,
    start: Instant,
    latency: Duration,
    error: Option<ErrorType>,
    message: &str,
) -> Vec<Attempt> {
    let one = |start: Instant| {
        let span_id = SpanId::random();
        let exchange = exchange(info, fate, kind, start, latency, span_id, error, message);
        let stretch = Stretch { start, end: exchange.stretch.end };
        let report = Report {
            error_type: error,
            message: message.to_owned(),
            expectations: vec![
                Expectation {
                    name: "status".to_owned(),
                    met: kind != 'f',
                    soft: false,
                    detail: if kind == 'f' { message.to_owned() } else { "200".to_owned() },
                },
                Expectation {
                    name: "latency".to_owned(),
                    met: kind != 'w',
                    soft: true,
                    detail: format!("{:.0} ms, expected at most 300 ms", latency.as_secs_f64() * 1e3),
                },
            ],
            attributes: vec![Attribute { name: "http.server".to_owned(), value: Value::Text("nginx <b>".to_owned()) }],
            ..Report::default()
        };
        Attempt { span_id, stretch, report, steps: Vec::new(), exchanges: if kind == 'e' { Vec::new() } else { vec![exchange] } }
    };
    let first = one(start);
    if kind != 't' {
        return vec![first];
    }
    let second = one(first.stretch.end + Duration::from_millis(80));
    vec![first, second]
}

#[expect(clippy::too_many_arguments, reason = "made-up facts")]
fn exchange(
    info: &ProbeInfo,
    fate: &Fate,
    kind: char,
    start: Instant,
    latency: Duration,
    parent: SpanId,
    error: Option<ErrorType>,
    message: &str,
) -> Exchange {
    let (shares, length): (&[(Phase, f64)], Duration) = match kind {
        't' => (&[(Phase::Dns, 0.006), (Phase::Connect, 0.994)], Duration::from_secs(2)),
        'f' if error == Some(ErrorType::TlsCertificate) => (&[(Phase::Dns, 0.05), (Phase::Connect, 0.35), (Phase::Tls, 0.6)], latency),
        _ => (
            &[
                (Phase::Dns, 0.04),
                (Phase::Connect, 0.16),
                (Phase::Tls, 0.25),
                (Phase::Send, 0.01),
                (Phase::Wait, 0.46),
                (Phase::Receive, 0.08),
            ],
            latency,
        ),
    };
    let (mut phases, mut at) = (Phases::default(), start);
    for (phase, share) in shares {
        let end = at + length.mul_f64(*share);
        phases.set(*phase, Stretch { start: at, end });
        at = end;
    }
    let answered = shares.len() > 3;
    Exchange {
        span_id: SpanId::random(),
        parent,
        method: "GET".to_owned(),
        url: info.identity.address.clone(),
        host: "shop.example.com".to_owned(),
        port: 443,
        stretch: Stretch { start, end: at },
        phases,
        remote: (kind != 't').then(|| ([192, 0, 2, 7], 443).into()),
        version: answered.then_some(HttpVersion::Http11),
        status: answered.then_some(if kind == 'f' { 503 } else { 200 }),
        resend_count: 0,
        body_size: answered.then_some(4812),
        tls: fate.certificate.filter(|_| kind != 't').map(|days| Arc::new(tls(days))),
        error: error.filter(|_| !answered).map(|error| (error, message.to_owned())),
    }
}

fn tls(days: i64) -> TlsInfo {
    let now = Timestamp::now();
    let link = |subject: &str, issuer: &str, days: i64| Certificate {
        subject: subject.to_owned(),
        issuer: issuer.to_owned(),
        serial: "04af".to_owned(),
        not_before: Timestamp(now.0 - 80 * DAY * 1_000_000_000),
        not_after: Timestamp(now.0.saturating_add_signed(days * 86_400_000_000_000).saturating_add(3_600_000_000_000)),
        alt_names: vec!["shop.example.com".to_owned(), "*.shop.example.com".to_owned()],
        fingerprint_sha256: "c0ffee42".repeat(8),
    };
    TlsInfo {
        version: Some("1.3".to_owned()),
        cipher: Some("TLS_AES_128_GCM_SHA256".to_owned()),
        alpn: None,
        server_name: Some("shop.example.com".to_owned()),
        verified: days > 0,
        chain: vec![
            link("CN=shop.example.com", "CN=Example CA R3,O=Example", days),
            link("CN=Example CA R3,O=Example", "CN=Example Root", 900),
        ],
    }
}

/// What the summariser made of it.
pub(super) fn summary(fate: &Fate) -> Summary {
    let runs = fate.runs.chars();
    let bad = runs.clone().filter(|kind| matches!(kind, 'f' | 't')).count() as u64;
    let valid = runs.filter(|kind| !matches!(kind, 'e' | 's' | 'u')).count() as u64;
    let quantile = |name: &str, value: f64, window: &str| Measurement {
        name: name.to_owned(),
        unit: "s".to_owned(),
        instrument: Instrument::Gauge,
        value,
        attributes: vec![Attribute { name: "window".to_owned(), value: Value::Text(window.to_owned()) }],
    };
    let windows = [("5m", 300, 1), ("1h", 3600, 12), ("24h", DAY, 48)];
    let sli = |(_, seconds, factor): (&str, u64, u64)| Sli {
        name: "availability".to_owned(),
        window: Duration::from_secs(seconds),
        good: valid * factor - if bad == valid { valid * factor } else { bad },
        valid: valid * factor,
    };
    Summary {
        state: fate.state,
        since: Timestamp(Timestamp::now().0 - fate.since * 1_000_000_000),
        message: fate.message.to_owned(),
        slis: if valid > 0 { windows.map(sli).to_vec() } else { Vec::new() },
        measurements: windows
            .iter()
            .flat_map(|(window, ..)| {
                [quantile("latency.p50", fate.latency / 1000.0, window), quantile("latency.p95", fate.latency / 700.0, window)]
            })
            .collect(),
        events: Vec::new(),
    }
}

/// Feeds the past of one probe to a board.
pub(super) fn live(board: &Board, info: &ProbeInfo, fate: &Fate) {
    let count = fate.runs.chars().count();
    for (place, kind) in fate.runs.chars().enumerate() {
        let ago = Duration::from_secs(30 * (count - place - 1) as u64 + 12);
        board.record(&record(info, fate, kind, place, ago));
    }
}

/// One record.
pub(super) fn record(info: &ProbeInfo, fate: &Fate, kind: char, place: usize, ago: Duration) -> Arc<Record> {
    let last = place + 1 == fate.runs.chars().count();
    let change = (last && fate.state != State::Up).then_some(StateChange { from: State::Up, to: fate.state, consecutive: 2 });
    let outcome = Arc::new(outcome(info, fate, kind, place, ago));
    let good = outcome.result == RunResult::Success;
    let last_success = good.then(|| outcome.ended_at());
    Arc::new(Record { outcome, summary: Arc::new(summary(fate)), change, last_success })
}

/// The made-up board.
pub(super) fn board() -> Board {
    let infos: Vec<ProbeInfo> = FATES.iter().map(info).collect();
    let board = Board::new("eu-west-1", infos.clone());
    infos.iter().zip(&FATES).for_each(|(info, fate)| live(&board, info, fate));
    board
}

/// The made-up board, served to all.
pub(super) fn service(access: Access) -> Service {
    let vitals = Arc::new(Vitals::default());
    vitals.beat();
    vitals.planned.add(12_345);
    vitals.run.add(12_330);
    vitals.missed.add(&["late"], 15);
    vitals.in_flight.set(3);
    vitals.export_queue_limit.set(64 * 1024 * 1024);
    vitals.export_queue_size.set(18_432);
    vitals.export_last_success.set(i64::try_from(Timestamp::now().0 / 1_000_000).unwrap() - 4_000);
    for (signal, produced) in [("logs", 41), ("metrics", 9_120), ("traces", 12_330)] {
        vitals.export_items.add(&[signal, "produced"], produced);
        vitals.export_items.add(&[signal, "sent"], produced - 12);
    }
    vitals.plugin_runs.add(&["http", "success"], 12_100);
    vitals.plugin_runs.add(&["http", "failure"], 230);
    vitals.plugin_cpu.add(&["http"], 3_400_000_000);
    vitals.plugin_memory_peak.set(1_400_000);
    for place in 0..400 {
        vitals.lateness.record(Duration::from_secs_f64(0.000_2 + noise(place) * noise(place + 7) * 0.004));
    }
    Service { board: board(), access, metrics: Arc::new(|| "vedette_info 1\n".to_owned()), vitals, stopping: CancellationToken::new() }
}
