//! Known secrets, and what the guest called one: masked in every text that leaves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::Grants;
use super::bindings::secrets::Encoding;

/// What stands in place of a secret.
const MASK: &str = "***";

/// Texts that a guest may have masked.
const MAX_TEXTS: usize = 32;
const TEXT_LENGTH: std::ops::RangeInclusive<usize> = 6..=4096;

/// What is masked, longest first, so that none is left half.
#[derive(Clone, Debug, Default)]
pub(super) struct Masks {
    /// Granted secrets in every encoding in which they may be put.
    secrets: Vec<Vec<u8>>,
    /// Secrets, and texts that the guest named.
    all: Vec<String>,
    texts: usize,
}

impl Masks {
    /// Every secret that is granted.
    pub(super) fn new(grants: &Grants) -> Self {
        let mut masks = Self::default();
        for secret in grants.secrets.values().filter(|secret| !secret.value.is_empty()) {
            let encodings = [Encoding::Raw, Encoding::Base64, Encoding::UrlComponent, Encoding::JsonString];
            masks.secrets.extend(encodings.into_iter().filter_map(|encoding| encode(&secret.value, encoding)));
        }
        longest_first(&mut masks.secrets);
        masks.all = masks.secrets.iter().filter_map(|secret| String::from_utf8(secret.clone()).ok()).collect();
        masks
    }

    /// A text that the guest wants masked; ignored beyond the limits.
    pub(super) fn add(&mut self, text: String) {
        if self.texts < MAX_TEXTS && TEXT_LENGTH.contains(&text.len()) {
            self.texts += 1;
            self.all.push(text);
            longest_first(&mut self.all);
        }
    }

    /// Whether the guest named texts, so that what was recorded before has to be looked at again.
    pub(super) fn grew(&self) -> bool {
        self.texts > 0
    }

    /// All texts that are masked.
    pub(super) fn all(&self) -> &[String] {
        &self.all
    }

    /// Masks a text that leaves.
    pub(super) fn apply(&self, text: &mut String) {
        for secret in self.all.iter().filter(|secret| !secret.is_empty()) {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), MASK);
            }
        }
    }

    /// Masks a text and cuts it to at most so many bytes, where a character ends. What is far behind the cut is not looked at: it may be megabytes of it. What
    /// remains of a secret that stood across the first cut is in the last bytes, and they go too.
    pub(super) fn apply_within(&self, text: &mut String, most: usize) {
        let longest = self.all.first().map_or(0, String::len);
        let enough = most.saturating_mul(4).saturating_add(longest);
        let cut = text.len() > enough;
        text.truncate(text.floor_char_boundary(enough));
        self.apply(text);
        let tail = if cut { longest } else { 0 };
        text.truncate(text.floor_char_boundary(text.len().saturating_sub(tail).min(most)));
    }

    /// Those that stand in an answer of the target: secrets only, since the guest has to read its own token.
    pub(super) fn of_secrets(&self) -> Sealed {
        Sealed(self.secrets.clone())
    }
}

/// The secrets alone, for what comes back from a target that may echo them.
#[derive(Clone, Debug)]
pub(super) struct Sealed(Vec<Vec<u8>>);

impl Sealed {
    /// Masks a text that comes back.
    pub(super) fn text(&self, text: &mut String) {
        for secret in self.0.iter().filter_map(|secret| std::str::from_utf8(secret).ok()) {
            if text.contains(secret) {
                *text = text.replace(secret, MASK);
            }
        }
    }

    /// Masks a body that comes back.
    pub(super) fn body(&self, body: &mut Bytes) {
        for secret in &self.0 {
            if let Some(masked) = replace(body, secret) {
                *body = masked.into();
            }
        }
    }
}

/// The bytes with every occurrence replaced; none if there is none.
fn replace(bytes: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    if let (Ok(text), Ok(secret)) = (std::str::from_utf8(bytes), std::str::from_utf8(secret)) {
        // The standard library's search is linear.
        return text.contains(secret).then(|| text.replace(secret, MASK).into_bytes());
    }
    let (mut rest, mut masked) = (bytes, Vec::new());
    while let Some(at) = rest.windows(secret.len()).position(|window| window == secret) {
        masked.extend_from_slice(&rest[..at]);
        masked.extend_from_slice(MASK.as_bytes());
        rest = &rest[at + secret.len()..];
    }
    (rest.len() < bytes.len()).then(|| {
        masked.extend_from_slice(rest);
        masked
    })
}

/// A secret as it is put into a request; none if it cannot be written so.
pub(super) fn encode(value: &[u8], encoding: Encoding) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Raw => Some(value.to_vec()),
        Encoding::Base64 => Some(STANDARD.encode(value).into_bytes()),
        Encoding::UrlComponent => Some(url_component(value)),
        Encoding::JsonString => {
            let quoted = serde_json::to_string(std::str::from_utf8(value).ok()?).ok()?;
            Some(quoted.as_bytes().get(1..quoted.len() - 1)?.to_vec())
        }
    }
}

/// RFC 3986: what is not unreserved is percent-encoded.
fn url_component(value: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(value.len());
    for &byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte);
        } else {
            encoded.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    encoded
}

fn longest_first<T: AsRef<[u8]> + Ord>(list: &mut Vec<T>) {
    list.sort_by(|a, b| b.as_ref().len().cmp(&a.as_ref().len()).then_with(|| a.cmp(b)));
    list.dedup();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Secret;
    use super::*;
    use crate::network::{Policy, Reach};

    fn masks(secrets: &[&[u8]]) -> Masks {
        let secret = |value: &[u8]| Secret { value: value.to_vec(), send_to: Vec::new() };
        let secrets = secrets.iter().enumerate().map(|(number, value)| (number.to_string(), secret(value))).collect();
        Masks::new(&Grants { policy: Policy { reach: Reach::Operator, insecure_tls: false }, secrets, files: BTreeMap::new() })
    }

    fn masked(masks: &Masks, text: &str) -> String {
        let mut text = text.to_owned();
        masks.apply(&mut text);
        text
    }

    #[test]
    fn a_secret_is_masked_in_every_encoding() {
        let masks = masks(&[b"p\"w d/1"]);
        for text in ["p\"w d/1", "cCJ3IGQvMQ==", "p%22w%20d%2F1", "p\\\"w d/1"] {
            assert_eq!(masked(&masks, &format!("<{text}>")), "<***>");
        }
        assert_eq!(masked(&masks, "nothing"), "nothing");
    }

    #[test]
    fn of_two_secrets_the_longer_is_masked_first() {
        assert_eq!(masked(&masks(&[b"token", b"token-two"]), "token-two token"), "*** ***");
    }

    #[test]
    fn however_long_a_text_no_part_of_a_secret_is_left_of_it() {
        let masks = masks(&[&[b's'; 100]]);
        for before in 0..1_000 {
            let mut text = format!("{}{}{}", "x".repeat(before), "s".repeat(100 * 20), "y".repeat(1000));
            masks.apply_within(&mut text, 256);
            assert!(text.len() <= 256 && !text.contains('s'), "{before}: {text}");
        }
    }

    #[test]
    fn an_empty_secret_masks_nothing() {
        assert_eq!(masked(&masks(&[b""]), "text"), "text");
    }

    #[test]
    fn a_guest_may_name_32_texts_of_a_sensible_length() {
        let mut masks = masks(&[]);
        masks.add("short".to_owned());
        masks.add("x".repeat(4097));
        assert!(!masks.grew());
        (0..40).for_each(|number| masks.add(format!("session-{number:02}")));
        assert_eq!(masked(&masks, "session-31 session-32"), "*** session-32");
    }

    #[test]
    fn an_echoed_secret_does_not_reach_the_guest_but_its_own_token_does() {
        let mut masks = masks(&[b"hunter2", b"\xff\xfe"]);
        masks.add("session-token".to_owned());
        let sealed = masks.of_secrets();
        for (body, expected) in
            [(&b"a hunter2 session-token"[..], &b"a *** session-token"[..]), (b"\x80 hunter2 \xff\xfe!", b"\x80 *** ***!")]
        {
            let mut body = Bytes::copy_from_slice(body);
            sealed.body(&mut body);
            assert_eq!(&body[..], expected);
        }
    }
}
