//! Certificates as a server sends them, read for people and for metrics. Nothing is believed here.

use std::fmt::Write as _;
use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};
use x509_parser::time::ASN1Time;

use crate::clock::Timestamp;
use crate::config::visible;
use crate::outcome::Certificate;

/// How many of a chain are told.
const MAX_CHAIN: usize = 8;
/// How many alternative names of a certificate are told.
const MAX_NAMES: usize = 256;

/// The chain, leaf first; what cannot be read is left out.
pub(super) fn read_chain(chain: &[CertificateDer<'_>]) -> Vec<Certificate> {
    chain.iter().take(MAX_CHAIN).filter_map(|der| read(der)).collect()
}

/// Whether a certificate says that it issued itself.
pub(super) fn self_issued(der: &[u8]) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, certificate)| certificate.subject().as_raw() == certificate.issuer().as_raw())
}

/// Hexadecimal digits, lower case.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn read(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let names = alternatives.iter().flat_map(|extension| &extension.value.general_names);
    Some(Certificate {
        subject: distinguished(certificate.subject()),
        issuer: distinguished(certificate.issuer()),
        serial: hexadecimal(certificate.raw_serial()),
        not_before: moment(certificate.validity().not_before),
        not_after: moment(certificate.validity().not_after),
        alt_names: names.filter_map(alternative).take(MAX_NAMES).collect(),
        fingerprint_sha256: hexadecimal(&Sha256::digest(der)),
    })
}

fn alternative(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.chars().filter(|char| !visible::is_hidden(*char)).collect()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => Some(IpAddr::from(<[u8; 4]>::try_from(*bytes).ok()?).to_string()),
            16 => Some(IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?).to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn moment(time: ASN1Time) -> Timestamp {
    Timestamp(u64::try_from(time.timestamp()).unwrap_or(0).saturating_mul(1_000_000_000))
}

/// RFC 4514: the most specific part first, what has a meaning escaped.
fn distinguished(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = Vec::new();
    for relative in name.iter_rdn() {
        let attributes = relative.iter().map(|attribute| {
            let kind =
                oid2abbrev(attribute.attr_type(), oid_registry()).map_or_else(|_| attribute.attr_type().to_id_string(), str::to_owned);
            let value = attribute.as_str().map_or_else(|_| String::from_utf8_lossy(attribute.as_slice()).into_owned(), str::to_owned);
            format!("{kind}={}", escaped(&value))
        });
        parts.push(attributes.collect::<Vec<_>>().join("+"));
    }
    parts.reverse();
    parts.join(",")
}

fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (at, char) in value.chars().enumerate() {
        match char {
            char if visible::is_hidden(char) => {
                for byte in char.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(text, "\\{byte:02X}");
                }
            }
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => text.extend(['\\', char]),
            '#' if at == 0 => text.push_str("\\#"),
            ' ' if at == 0 || at == last => text.push_str("\\ "),
            char => text.push(char),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_read_with_its_names_and_dates() {
        let mut params = rcgen::CertificateParams::new(vec!["a.example".to_owned(), "10.0.0.1".to_owned(), "::1".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "Acme, Inc.");
        params.distinguished_name.push(rcgen::DnType::CommonName, "a.example");
        params.not_before = rcgen::date_time_ymd(2026, 1, 2);
        params.not_after = rcgen::date_time_ymd(2026, 1, 3);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let read = read(certificate.der()).unwrap();
        assert_eq!(read.subject, "CN=a.example,O=Acme\\, Inc.");
        assert_eq!(read.issuer, read.subject);
        assert!(self_issued(certificate.der()));
        assert_eq!(read.alt_names, ["a.example", "10.0.0.1", "::1"]);
        assert_eq!(read.not_before.to_string(), "2026-01-02T00:00:00.000Z");
        assert_eq!(read.not_after.since(read.not_before).as_secs(), 86_400);
        assert_eq!(read.fingerprint_sha256.len(), 64);
    }

    #[test]
    fn what_is_no_certificate_is_left_out() {
        assert!(read_chain(&[CertificateDer::from(b"rubbish".to_vec())]).is_empty());
        assert!(!self_issued(b"rubbish"));
    }

    #[test]
    fn what_has_a_meaning_in_a_name_is_escaped() {
        assert_eq!(escaped("#a+b\n "), "\\#a\\+b\\0A\\ ");
    }
}
