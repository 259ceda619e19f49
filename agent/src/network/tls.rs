//! TLS: who is trusted, what is offered, the handshake, and what is known of it afterwards.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use parking_lot::Mutex;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::{Host, Url};

use super::certificate::read_chain;
use super::hello::{Overheard, cipher_name};
use super::verify::{Roots, Witness};
use super::{NetError, TlsOptions, wording};
use crate::bounded;
use crate::outcome::{HttpVersion, TlsInfo};

/// Of a file of certificates, in bytes: the roots of a whole system have a twentieth of that.
const LONGEST_FILE: u64 = 4 << 20;

/// What is read once and kept: the system's roots, those of files, and what all handshakes have in common.
#[derive(Debug, Default)]
pub(super) struct Trust {
    system: OnceCell<Arc<Roots>>,
    files: Mutex<HashMap<PathBuf, RootsOfFile>>,
    template: OnceLock<(Arc<CryptoProvider>, ClientConfig)>,
}

/// Roots, and when the file that they are of was last changed.
type RootsOfFile = (Option<SystemTime>, Arc<Roots>);

/// A handshake that is ready to begin.
pub(super) struct Plan {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    witness: Arc<Witness>,
}

/// What is known of a handshake, not yet put into words: that would cost time while the exchange is on.
pub(super) struct Facts {
    version: Option<String>,
    cipher: Option<String>,
    alpn: Option<String>,
    name: String,
    witness: Arc<Witness>,
}

impl Trust {
    /// Prepares a handshake, so that reading files is no part of the exchange.
    pub(super) async fn plan(&self, url: &Url, options: &TlsOptions, version: Option<HttpVersion>) -> Result<Plan, NetError> {
        let name = server_name(url, options)?;
        let roots = match &options.roots {
            Some(path) => self.of_file(path)?,
            None => self.of_system().await?,
        };
        if options.verify && roots.is_empty() {
            return Err(NetError::InvalidRequest(
                "there are no trusted roots on this system: install its CA certificates, or set SSL_CERT_FILE or `tls.ca`".to_owned(),
            ));
        }
        let (provider, template) = self.template()?;
        let witness = Arc::new(Witness::new(roots, Arc::clone(provider), options.verify));
        let mut config = template.clone();
        config.dangerous().set_certificate_verifier(Arc::clone(&witness) as _);
        config.alpn_protocols = offered(options, version);
        Ok(Plan { config: Arc::new(config), name, witness })
    }

    async fn of_system(&self) -> Result<Arc<Roots>, NetError> {
        let read = || async {
            let read = tokio::task::spawn_blocking(|| Arc::new(Roots::of(rustls_native_certs::load_native_certs().certs)));
            read.await.map_err(|error| NetError::InvalidRequest(format!("the system's roots cannot be read: {error}")))
        };
        self.system.get_or_try_init(read).await.cloned()
    }

    /// Read again when the file changes.
    fn of_file(&self, path: &Path) -> Result<Arc<Roots>, NetError> {
        let unusable = |why: &dyn std::fmt::Display| NetError::InvalidRequest(format!("roots `{}`: {why}", path.display()));
        let changed = fs::metadata(path).map_err(|error| unusable(&error))?.modified().ok();
        let mut files = self.files.lock();
        if let Some((at, roots)) = files.get(path)
            && *at == changed
        {
            return Ok(Arc::clone(roots));
        }
        let roots = Arc::new(read_roots(path).map_err(|why| unusable(&why))?);
        files.insert(path.to_owned(), (changed, Arc::clone(&roots)));
        Ok(roots)
    }

    fn template(&self) -> Result<&(Arc<CryptoProvider>, ClientConfig), NetError> {
        if let Some(template) = self.template.get() {
            return Ok(template);
        }
        let mut provider = aws_lc_rs::default_provider();
        // The longer key is no safer and costs more; servers that have no preference follow ours.
        provider.cipher_suites.sort_by_key(|suite| !format!("{suite:?}").contains("AES_128_GCM"));
        let provider = Arc::new(provider);
        let nobody = Witness::new(Arc::new(Roots::of(Vec::new())), Arc::clone(&provider), true);
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| NetError::Other(format!("TLS cannot be set up: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(nobody))
            .with_no_client_auth();
        // A resumed handshake shows no certificates, and is not the one that a new client would see.
        config.resumption = Resumption::disabled();
        Ok(self.template.get_or_init(|| (provider, config)))
    }
}

impl Plan {
    /// Shakes hands. What is known is told in both cases.
    pub(super) async fn handshake(self, stream: TcpStream) -> (Result<TlsStream<Overheard>, NetError>, Facts) {
        let name = self.name.to_str().into_owned();
        let mut facts = Facts { version: None, cipher: None, alpn: None, name, witness: self.witness };
        match TlsConnector::from(self.config).connect(self.name, Overheard::new(stream)).into_fallible().await {
            Ok(stream) => {
                let session = stream.get_ref().1;
                facts.version = session.protocol_version().map(version_number);
                facts.cipher = session.negotiated_cipher_suite().map(|suite| cipher_name(suite.suite()));
                facts.alpn = session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
                (Ok(stream), facts)
            }
            Err((error, overheard)) => {
                (facts.version, facts.cipher) = overheard.chosen().unzip();
                let error = facts.failure(&error);
                (Err(error), facts)
            }
        }
    }
}

impl Facts {
    /// The protocol agreed on.
    pub(super) fn alpn(&self) -> Option<&str> {
        self.alpn.as_deref()
    }

    /// What is known, for people and metrics; none if the server never spoke TLS.
    pub(super) fn info(&self) -> Option<Arc<TlsInfo>> {
        let seen = self.witness.seen();
        if self.version.is_none() && seen.chain.is_empty() {
            return None;
        }
        Some(Arc::new(TlsInfo {
            version: self.version.clone(),
            cipher: self.cipher.clone(),
            alpn: self.alpn.clone(),
            server_name: Some(self.name.clone()),
            verified: seen.verified,
            chain: read_chain(&seen.chain),
        }))
    }

    fn failure(&self, error: &io::Error) -> NetError {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(cause) => wording::tls(cause, &self.name, &self.witness.seen(), self.info()),
            None => wording::io(error, "in the TLS handshake"),
        }
    }
}

/// The certificates of a PEM file, or why there are none of use.
pub(super) fn read_roots(path: &Path) -> Result<Roots, String> {
    let text = bounded::read(path, LONGEST_FILE).map_err(|error| format!("it cannot be read: {error}"))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let roots = Roots::of(certificates.map_err(|error| format!("it is not in PEM: {error}"))?);
    if roots.is_empty() {
        return Err("there is no certificate in it that can be read; PEM is expected (`-----BEGIN CERTIFICATE-----`)".to_owned());
    }
    Ok(roots)
}

fn server_name(url: &Url, options: &TlsOptions) -> Result<ServerName<'static>, NetError> {
    let text = match (&options.server_name, url.host()) {
        (Some(name), _) => name.clone(),
        (None, Some(Host::Domain(name))) => name.to_owned(),
        (None, Some(Host::Ipv4(address))) => return Ok(IpAddr::V4(address).into()),
        (None, Some(Host::Ipv6(address))) => return Ok(IpAddr::V6(address).into()),
        (None, None) => String::new(),
    };
    let bare = text.strip_suffix('.').unwrap_or(&text).to_owned();
    ServerName::try_from(bare).map_err(|_| NetError::InvalidRequest(format!("`{text}` is no server name")))
}

/// In the order of preference.
fn offered(options: &TlsOptions, version: Option<HttpVersion>) -> Vec<Vec<u8>> {
    if !options.alpn.is_empty() {
        return options.alpn.iter().map(|name| name.clone().into_bytes()).collect();
    }
    let names: &[&str] = match version {
        None => &["h2", "http/1.1"],
        Some(HttpVersion::Http2) => &["h2"],
        // Servers know the older version under this name too, or under none.
        Some(HttpVersion::Http11 | HttpVersion::Http10) => &["http/1.1"],
    };
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

fn version_number(version: ProtocolVersion) -> String {
    match version {
        ProtocolVersion::TLSv1_2 => "1.2".to_owned(),
        ProtocolVersion::TLSv1_3 => "1.3".to_owned(),
        other => format!("{other:?}"),
    }
}
