//! `secrets`: the guest names them, the host puts their values where they belong. No value enters a guest.

use super::super::bindings::secrets;
use super::super::masks::encode;
use super::{Lent, Refusal};

impl secrets::Host for Lent {
    fn available(&mut self, name: String) -> bool {
        self.call.grants.secrets.contains_key(&name)
    }

    fn mask(&mut self, value: String) {
        self.masks.add(value);
    }
}

/// Bytes put together by the host, and whether a secret is among them.
#[derive(Default)]
pub(super) struct Composed {
    pub(super) bytes: Vec<u8>,
    pub(super) secret: bool,
}

impl Composed {
    fn within(&self, most: usize) -> Result<(), Refusal> {
        let size = self.bytes.len();
        if size > most { Err(Refusal::Invalid(format!("{size} bytes and more where at most {most} are sent"))) } else { Ok(()) }
    }
}

impl Lent {
    /// Puts a text of at most so many bytes together. A secret is named in fewer bytes than its value has, so that it has to be looked at while it grows.
    pub(super) fn compose_text(&mut self, parts: Vec<secrets::TextPart>, origin: &url::Origin, most: usize) -> Result<Composed, Refusal> {
        let mut composed = Composed::default();
        for part in parts {
            match part {
                secrets::TextPart::Literal(text) => composed.bytes.extend_from_slice(text.as_bytes()),
                secrets::TextPart::Secret(wanted) => self.put(&wanted, origin, &mut composed)?,
            }
            composed.within(most)?;
        }
        Ok(composed)
    }

    /// The same with bytes.
    pub(super) fn compose_bytes(&mut self, parts: Vec<secrets::BytesPart>, origin: &url::Origin, most: usize) -> Result<Composed, Refusal> {
        let mut composed = Composed::default();
        for part in parts {
            match part {
                secrets::BytesPart::Literal(bytes) => composed.bytes.extend_from_slice(&bytes),
                secrets::BytesPart::Secret(wanted) => self.put(&wanted, origin, &mut composed)?,
            }
            composed.within(most)?;
        }
        Ok(composed)
    }

    /// Puts a secret's value, if it is granted and may go to that origin.
    fn put(&mut self, wanted: &secrets::SecretUse, origin: &url::Origin, into: &mut Composed) -> Result<(), Refusal> {
        let name = &wanted.name;
        let grants = self.call.grants.clone();
        let Some(secret) = grants.secrets.get(name) else {
            return Err(self.deny(format!("the secret `{name}` is not granted to this check")));
        };
        if !secret.send_to.contains(origin) {
            let origin = origin.ascii_serialization();
            return Err(self.deny(format!("the secret `{name}` may not be sent to {origin}; its `send_to` says where")));
        }
        let Some(value) = encode(&secret.value, wanted.encoding) else {
            return Err(Refusal::Invalid(format!("the secret `{name}` is no text and cannot stand in JSON")));
        };
        into.bytes.extend_from_slice(&value);
        into.secret = true;
        Ok(())
    }
}
