//! Who judges a server's certificates, and remembers both chain and verdict.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

use super::certificate::self_issued;

/// The certificates that are trusted.
#[derive(Debug)]
pub(super) struct Roots {
    store: RootCertStore,
    /// Of each certificate as it stood in the file.
    digests: HashSet<[u8; 32]>,
}

impl Roots {
    /// What cannot be read is left out.
    pub(super) fn of(certificates: Vec<CertificateDer<'static>>) -> Self {
        let digests = certificates.iter().map(|der| Sha256::digest(der).into()).collect();
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates);
        Self { store, digests }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.store.is_empty()
    }
}

/// Judges one handshake.
#[derive(Debug)]
pub(super) struct Witness {
    roots: Arc<Roots>,
    provider: Arc<CryptoProvider>,
    /// Whether a bad verdict ends the handshake.
    enforce: bool,
    seen: Mutex<Seen>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// As the server sent it, leaf first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// Whether it was found good.
    pub(super) verified: bool,
}

impl Witness {
    pub(super) fn new(roots: Arc<Roots>, provider: Arc<CryptoProvider>, enforce: bool) -> Self {
        Self { roots, provider, enforce, seen: Mutex::default() }
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().clone()
    }

    fn judge(&self, leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>], name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let trusted = match verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots.store, rest, now, algorithms) {
            // An authority that serves its own certificate is no valid leaf to the library. It says so only after
            // it has looked at the dates. One that was itself put among the roots is what the operator meant.
            Err(Error::InvalidCertificate(CertificateError::Other(_) | CertificateError::UnknownIssuer)) if self_issued(leaf) => {
                let known = self.roots.digests.contains(&<[u8; 32]>::from(Sha256::digest(leaf)));
                if known { Ok(()) } else { Err(CertificateError::UnknownIssuer.into()) }
            }
            other => other,
        };
        trusted.and_then(|()| verify_server_name(&parsed, name))
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.judge(leaf, rest, name, now);
        *self.seen.lock() =
            Seen { chain: std::iter::once(leaf).chain(rest).map(|der| der.clone().into_owned()).collect(), verified: verdict.is_ok() };
        if self.enforce { verdict.map(|()| ServerCertVerified::assertion()) } else { Ok(ServerCertVerified::assertion()) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
