//! Certificates good and bad, and servers that show them.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};

use super::*;

const DAY: Duration = Duration::from_hours(24);

/// Somebody who signs, and whose certificate can be trusted by way of a file.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(super) file: File,
}

/// A file that goes away with its test.
pub(super) struct File(pub(super) PathBuf);

impl File {
    pub(super) fn new(text: &str) -> Self {
        let file = Self(std::env::temp_dir().join(format!("vedette-test-{}.pem", uuid::Uuid::new_v4())));
        std::fs::write(&file.0, text).unwrap();
        file
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A certificate with the key that belongs to it.
pub(super) struct Shown {
    pub(super) chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Valid for a month around now, for these names.
pub(super) fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "leaf");
    valid(params, -15, 15)
}

/// From so many days from now until so many days from now.
pub(super) fn valid(mut params: CertificateParams, from: i64, until: i64) -> CertificateParams {
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_nanos(crate::clock::Timestamp::now().0);
    let shifted = |days: i64| {
        let length = DAY * u32::try_from(days.unsigned_abs()).unwrap();
        if days < 0 { now - length } else { now + length }
    };
    (params.not_before, params.not_after) = (shifted(from), shifted(until));
    params
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = params(&[]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = File::new(&issuer.pem());
        Self { issuer, file }
    }

    pub(super) fn sign(&self, params: &CertificateParams) -> Shown {
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        Shown { chain: vec![leaf.der().clone(), self.issuer.der().clone()], key: key.into() }
    }
}

pub(super) fn self_signed(params: &CertificateParams) -> (Shown, File) {
    let key = KeyPair::generate().unwrap();
    let leaf = params.self_signed(&key).unwrap();
    let file = File::new(&leaf.pem());
    (Shown { chain: vec![leaf.der().clone()], key: key.into() }, file)
}

/// How a server shakes hands.
pub(super) fn config(shown: Shown, old: bool, alpn: &[&str]) -> ServerConfig {
    let versions: &[_] = if old { &[&TLS12] } else { &[&TLS13, &TLS12] };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(shown.chain, shown.key).unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

type Secured = tokio_rustls::server::TlsStream<TcpStream>;

/// Shakes hands and then does what the test says; what fails in the handshake is the client's to tell.
pub(super) async fn secure<F: Future<Output = ()> + Send + 'static>(
    config: ServerConfig,
    serve: impl Fn(Secured) -> F + Send + Sync + 'static,
) -> SocketAddr {
    let (acceptor, serve) = (tokio_rustls::TlsAcceptor::from(Arc::new(config)), Arc::new(serve));
    raw(move |stream| {
        let (acceptor, serve) = (acceptor.clone(), Arc::clone(&serve));
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream).await;
            }
        }
    })
    .await
}

/// Answers one request and closes as it should be done.
pub(super) async fn polite(mut stream: Secured) {
    read_request(&mut stream).await;
    let _ = stream.write_all(&ok("", "all is well")).await;
    let _ = stream.shutdown().await;
}
