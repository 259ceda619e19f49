//! An authority of one test's own, and targets' certificates that it signs.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// Year, month, day.
type Day = (i32, u8, u8);

const LONG_AGO: Day = (2020, 1, 1);
const ENDED: Day = (2021, 1, 1);
const FAR_AWAY: Day = (2099, 1, 1);

/// Whom the agent is told to trust.
#[derive(Debug)]
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one, unknown to everybody.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names are valid names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(LONG_AGO.0, LONG_AGO.1, LONG_AGO.2);
        params.not_after = date_time_ymd(FAR_AWAY.0, FAR_AWAY.1, FAR_AWAY.2);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Writes its certificate where `SSL_CERT_FILE` or `tls.ca` can point.
    pub fn write(&self, path: &Path) {
        std::fs::write(path, &self.pem).expect("the test's folder takes a file");
    }

    /// Serves a certificate for 127.0.0.1 that is valid.
    pub fn valid(&self) -> TlsAcceptor {
        self.acceptor(FAR_AWAY)
    }

    /// Serves a certificate for 127.0.0.1 that has ended.
    pub fn expired(&self) -> TlsAcceptor {
        self.acceptor(ENDED)
    }

    fn acceptor(&self, end: Day) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address is a valid name");
        params.not_before = date_time_ymd(LONG_AGO.0, LONG_AGO.1, LONG_AGO.2);
        params.not_after = date_time_ymd(end.0, end.1, end.2);
        let key = KeyPair::generate().expect("a key");
        let leaf = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .expect("the key is the certificate's");
        TlsAcceptor::from(Arc::new(config))
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
