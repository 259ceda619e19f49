//! The settings as the host hands them over (durations in nanoseconds, sizes in bytes), and the request that they make.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use vedette_sdk::http::Request;
use vedette_sdk::net::TlsOptions;

/// Settings of a check.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    method: String,
    headers: Map<String, Value>,
    body: Option<String>,
    pub(crate) redirects: Redirects,
    max_body: u64,
    tls: Option<Tls>,
    /// Hard expectations: word and value.
    pub(crate) expect: Map<String, Value>,
    /// Soft ones.
    pub(crate) warn: Map<String, Value>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            headers: Map::new(),
            body: None,
            redirects: Redirects::AtMost(10),
            max_body: 10 << 20,
            tls: None,
            expect: Map::new(),
            warn: Map::new(),
        }
    }
}

/// What is done with a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// It is the answer.
    AreAnswers,
    /// It is followed, up to so many times. 0 differs from the above: then a redirect is one too many.
    AtMost(u8),
}

impl<'de> Deserialize<'de> for Redirects {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value == "none" {
            return Ok(Self::AreAnswers);
        }
        let most = value.as_u64().and_then(|most| u8::try_from(most).ok()).filter(|most| *most <= 10);
        most.map(Self::AtMost).ok_or_else(|| serde::de::Error::custom("redirects is neither `none` nor a number up to 10"))
    }
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Tls {
    /// A handle; the file's contents never come here.
    ca: Option<String>,
    server_name: Option<String>,
    verify: bool,
}

impl Default for Tls {
    fn default() -> Self {
        Self { ca: None, server_name: None, verify: true }
    }
}

impl Settings {
    /// The request to `address`. Only a check that looks at the body has it handed over.
    pub(crate) fn request(&self, address: &str, looks_at_body: bool) -> Request {
        let mut request = Request::new(&self.method, address).max_body(u32::try_from(self.max_body).unwrap_or(u32::MAX));
        for (name, value) in &self.headers {
            request = match value.get("secret").and_then(Value::as_str) {
                Some(secret) => request.secret_field(name, secret),
                None => request.field(name, value.as_str().unwrap_or_default()),
            };
        }
        if let Some(body) = &self.body {
            request = request.body(body.as_str());
        }
        if !looks_at_body {
            request = request.keep_body(0);
        }
        if let Some(tls) = &self.tls {
            request = request.tls(TlsOptions {
                server_name: tls.server_name.clone(),
                verify: tls.verify,
                roots: tls.ca.clone(),
                alpn: Vec::new(),
            });
        }
        match self.redirects {
            Redirects::AreAnswers => request.redirects(0),
            Redirects::AtMost(most) => request.redirects(most),
        }
    }
}

#[cfg(test)]
mod tests {
    use vedette_sdk::http::RedirectPolicy;
    use vedette_sdk::secrets::{BytesPart, Encoding, SecretUse, TextPart};

    use super::*;

    fn request(text: &str, looks_at_body: bool) -> Request {
        serde_json::from_str::<Settings>(text).unwrap().request("http://x/", looks_at_body)
    }

    #[test]
    fn without_settings_it_is_a_get_whose_body_is_not_handed_over() {
        let request = request("{}", false);
        assert_eq!((request.method.as_str(), request.url.as_str()), ("GET", "http://x/"));
        assert_eq!(request.options.keep_body, Some(0));
        assert_eq!(request.options.max_body, Some(10 << 20));
        assert_eq!(request.options.redirects, Some(RedirectPolicy::Follow(10)));
        assert!(request.fields.is_empty() && request.body.is_empty() && request.options.tls.is_none());
    }

    #[test]
    fn a_check_that_looks_at_the_body_has_all_of_it() {
        assert_eq!(request("{}", true).options.keep_body, None);
    }

    #[test]
    fn fields_are_texts_or_secrets_by_name_in_the_order_of_the_file() {
        let request = request(r#"{"headers": {"x-b": "1", "authorization": {"secret": "token"}}}"#, false);
        let names: Vec<_> = request.fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["x-b", "authorization"]);
        assert_eq!(request.fields[0].value, [TextPart::Literal("1".into())]);
        assert_eq!(request.fields[1].value, [TextPart::Secret(SecretUse { name: "token".into(), encoding: Encoding::Raw })]);
    }

    #[test]
    fn everything_else_of_the_settings_reaches_the_request() {
        let request = request(
            r#"{"method": "POST", "body": "hi", "redirects": "none", "max_body": 5, "tls": {"ca": "h", "server_name": "n", "verify": false}}"#,
            false,
        );
        assert_eq!(request.method, "POST");
        assert_eq!(request.body, [BytesPart::Literal(b"hi".to_vec())]);
        assert_eq!(request.options.redirects, Some(RedirectPolicy::None));
        assert_eq!(request.options.max_body, Some(5));
        let tls = request.options.tls.unwrap();
        assert_eq!((tls.roots.as_deref(), tls.server_name.as_deref(), tls.verify), (Some("h"), Some("n"), false));
    }

    #[test]
    fn redirects_are_none_or_a_number_up_to_10() {
        for (text, redirects) in [(r#""none""#, Redirects::AreAnswers), ("0", Redirects::AtMost(0)), ("10", Redirects::AtMost(10))] {
            assert_eq!(serde_json::from_str::<Redirects>(text).unwrap(), redirects);
        }
        for text in ["11", "-1", "1.5", r#""some""#, "null"] {
            assert!(serde_json::from_str::<Redirects>(text).is_err(), "{text}");
        }
    }
}
