//! Five targets, one for each thing that a target usually does.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A target that is being served.
pub(super) struct Target {
    pub(super) name: &'static str,
    pub(super) url: String,
    /// Settings of its check, as YAML.
    pub(super) settings: String,
    /// For people.
    pub(super) behaviour: &'static str,
}

/// How long the slow one takes.
const SLOW: Duration = Duration::from_millis(600);

/// Opens all of them; they are served until the process ends.
pub(super) async fn open(folder: &Path) -> anyhow::Result<Vec<Target>> {
    Ok(vec![
        Target {
            name: "healthy",
            url: plain(|_| async { (StatusCode::OK, HEALTHY) }).await?,
            settings: r#"{expect: {status: 200, json: {"$.status": "ok"}}}"#.to_owned(),
            behaviour: "answers 200",
        },
        Target {
            name: "slow",
            url: plain(|_| async {
                tokio::time::sleep(SLOW).await;
                (StatusCode::OK, HEALTHY)
            })
            .await?,
            settings: "{warn: {latency: 300ms}}".to_owned(),
            behaviour: "takes 600 ms where 300 ms are wanted: degraded",
        },
        Target {
            name: "flaky",
            url: plain(|number| async move { if number % 4 == 0 { UNAVAILABLE } else { (StatusCode::OK, HEALTHY) } }).await?,
            settings: "{}".to_owned(),
            behaviour: "answers 503 every fourth time",
        },
        Target {
            name: "failing",
            url: plain(|_| async { UNAVAILABLE }).await?,
            settings: r#"{expect: {status: 200, body_contains: "ok"}}"#.to_owned(),
            behaviour: "answers 503 always",
        },
        expired(folder).await?,
    ])
}

const HEALTHY: &str = "{\"status\": \"ok\"}\n";
const UNAVAILABLE: (StatusCode, &str) = (StatusCode::SERVICE_UNAVAILABLE, "{\"status\": \"down for maintenance\"}\n");

/// Serves answers over plain HTTP; the function is given the number of the request, from 1.
async fn plain<F, A>(answer: F) -> anyhow::Result<String>
where
    F: Fn(u64) -> A + Clone + Send + Sync + 'static,
    A: Future<Output: IntoResponse> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot open a target on loopback")?;
    let url = format!("http://{}/health", listener.local_addr()?);
    let count = Arc::new(AtomicU64::new(0));
    let router = Router::new().fallback(move || answer(count.fetch_add(1, Relaxed) + 1));
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(url)
}

/// A target whose certificate ended yesterday, signed by an authority that its check trusts.
async fn expired(folder: &Path) -> anyhow::Result<Target> {
    let (authority, acceptor) = certificates().context("cannot make certificates")?;
    let file = folder.join("ca.pem");
    std::fs::write(&file, authority).with_context(|| format!("cannot write {}", file.display()))?;
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot open a target on loopback")?;
    let url = format!("https://{}/health", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(secured(acceptor.clone(), stream));
        }
    });
    Ok(Target {
        name: "expired",
        url,
        settings: "{tls: {ca: ./ca.pem}, warn: {certificate_valid_for: 14d}}".to_owned(),
        behaviour: "has a certificate that ended yesterday",
    })
}

/// The authority's certificate as PEM, and what serves a certificate of it that has ended.
fn certificates() -> anyhow::Result<(String, TlsAcceptor)> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "Vedette demo authority");
    let key = KeyPair::generate()?;
    let authority = params.self_signed(&key)?;
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
    params.distinguished_name.push(rcgen::DnType::CommonName, "expired.demo");
    let (from, until) = (day(-91), day(-1));
    params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
    params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
    let key = KeyPair::generate()?;
    let leaf = params.signed_by(&key, &issuer)?;
    let chain = vec![leaf.der().clone(), authority.der().clone()];
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))?;
    Ok((authority.pem(), TlsAcceptor::from(Arc::new(config))))
}

/// Midnight in UTC, so many days from now.
fn day(days: i64) -> (i32, u8, u8) {
    let at = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days));
    (i32::from(at.year()), at.month().unsigned_abs(), at.day().unsigned_abs())
}

async fn secured(acceptor: TlsAcceptor, stream: TcpStream) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut head = [0; 4096];
    let _ = stream.read(&mut head).await?;
    let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{HEALTHY}", HEALTHY.len());
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
