//! What the value of a key may be: for the reader, which judges it, and for the JSON Schema, which describes it.

use std::net::SocketAddr;

use serde_json::{Value as Json, json};
use url::Url;

use super::keys::Section;
use super::mistake::{Source, quoted};
use super::model::AllowedHost;
use super::quantity;
use super::tree::Value;
use super::visible::is_hidden;
use crate::outcome::is_reserved;

/// What a value may be.
#[derive(Debug)]
pub(super) enum Kind {
    /// Any text but an empty one.
    Text,
    /// The same, without anything that nobody sees: it is shown in many places.
    Line,
    /// A short text on one line.
    Name,
    /// `true` or `false`.
    Flag,
    /// A whole number within bounds.
    Whole(u32, u32),
    /// A number from 0 to 1.
    Share,
    /// `99.9%`, between 0 and 100.
    Percent,
    /// `30s`, more than nothing.
    Duration,
    /// `64MiB`, more than nothing.
    Size,
    /// One of these.
    Word(&'static [&'static str]),
    /// A path, relative to the file that it stands in.
    Path,
    /// The same, of a file that is there.
    File,
    /// A path, or `off`.
    Folder,
    /// Where a plugin's component is.
    Component,
    /// An address and a port, or `off`.
    Listen,
    /// An `http` or `https` URL.
    Url,
    /// A URL of nothing but scheme, host and port.
    Origin,
    /// `host[:port]`.
    Host,
    /// Letters, digits, `_`, `.`, `-`, and not one of the agent's own.
    LabelName,
    /// Of a header field.
    HeaderName,
    /// Anything: a plugin's schema judges it.
    Settings,
    /// Of these.
    List(&'static Kind),
    /// From any key of the first kind to values of the second.
    Map(&'static Kind, &'static Kind),
    /// With known keys.
    Sub(&'static Section),
    /// A scalar, or a mapping with known keys.
    Either(&'static Kind, &'static Section),
}

/// What is wrong with a value, and what to do about it.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Follows the name of the key.
    pub(super) message: String,
    /// What to do.
    pub(super) hint: Option<String>,
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl Kind {
    /// Judges a scalar. Paths come back absolute, everything else as it is.
    pub(super) fn scalar(&self, value: Value, source: Option<&Source>) -> Result<Value, Wrong> {
        match (self, value) {
            (Self::Flag, value @ Value::Flag(_)) => Ok(value),
            (Self::Whole(least, most), Value::Number(number)) => {
                let within = number.as_str().parse::<u32>().is_ok_and(|number| (*least..=*most).contains(&number));
                if within { Ok(Value::Number(number)) } else { Err(self.mismatch(&Value::Number(number))) }
            }
            (Self::Share, Value::Number(number)) => match number.as_f64() {
                Some(share) if (0.0..=1.0).contains(&share) => Ok(Value::Number(number)),
                _ => Err(self.mismatch(&Value::Number(number))),
            },
            (_, Value::Null) => Err(Wrong::new("has no value").hint(format!("it has to be {}", self.what()))),
            (Self::Duration, Value::Number(number)) => Err(bare(quantity::duration(&number.to_string()))),
            (Self::Size, Value::Number(number)) => Err(bare(quantity::size(&number.to_string()))),
            (Self::Flag | Self::Whole(..) | Self::Share, value) => Err(self.mismatch(&value)),
            (_, Value::Text(text)) => self.text(text, source).map(Value::Text),
            (_, value @ (Value::Number(_) | Value::Flag(_))) => Err(self
                .mismatch(&value)
                .hint(if matches!(self, Self::Text | Self::Line | Self::Name) { "put it in quotes to make it a text" } else { "" })),
            (_, value) => Err(self.mismatch(&value)),
        }
    }

    fn mismatch(&self, value: &Value) -> Wrong {
        Wrong::new(format!("has to be {}, not {}", self.what(), value.describe()))
    }

    /// Judges a text.
    fn text(&self, text: String, source: Option<&Source>) -> Result<String, Wrong> {
        let mismatch = || Wrong::new(format!("has to be {}, not {}", self.what(), quoted(&text)));
        let absolute = || source.map_or_else(|| text.clone(), |source| source.absolute(&text).to_string_lossy().into_owned());
        let empty = text.trim().is_empty();
        let hidden = text.chars().find(|char| is_hidden(*char) && *char != '\n');
        if let (Self::Name | Self::Line, Some(char)) = (self, hidden) {
            let message = format!("holds U+{:04X}, a character that nobody sees: {}", char as u32, quoted(&text));
            return Err(Wrong::new(message).hint("leave it out"));
        }
        let fits = match self {
            Self::Text | Self::Path => !empty,
            Self::Line => !empty && !text.contains('\n'),
            Self::Name => !empty && text.trim() == text && text.len() <= 256 && !text.contains('\n'),
            Self::Word(words) => words.contains(&text.as_str()),
            Self::Percent => percent(&text).is_some(),
            Self::Listen => text == "off" || text.parse::<SocketAddr>().is_ok(),
            Self::Url => Url::parse(&text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()),
            Self::Origin => origin(&text).is_some(),
            Self::Host => host(&text).is_some(),
            Self::Duration => match quantity::duration(&text) {
                Ok(length) if length.is_zero() => return Err(Wrong::new("has to be longer than nothing")),
                Ok(_) => true,
                Err(error) => return Err(Wrong::new(format!(": {error}"))),
            },
            Self::Size => match quantity::size(&text) {
                Ok(size) => size > 0,
                Err(error) => return Err(Wrong::new(format!(": {error}"))),
            },
            Self::File | Self::Folder | Self::Component if empty => false,
            Self::File => return is_file(&absolute()).map(|()| absolute()),
            Self::Component if text.starts_with("oci://") => {
                return Err(Wrong::new("cannot be a registry yet").hint("pull the component and name its file"));
            }
            Self::Component => !text.contains("://"),
            Self::Folder => true,
            _ => false,
        };
        let path = matches!(self, Self::Path | Self::Component) || matches!(self, Self::Folder if text != "off");
        if fits { Ok(if path { absolute() } else { text }) } else { Err(mismatch()) }
    }

    /// Judges a key of a mapping.
    pub(super) fn key(&self, key: &str) -> Result<(), Wrong> {
        let fits = match self {
            Self::LabelName if is_reserved(key) => {
                return Err(
                    Wrong::new("is one of the agent's own names").hint("choose one that does not begin with `synthetic.` or `vedette.`")
                );
            }
            Self::LabelName => {
                !key.is_empty() && key.chars().all(|char| char.is_ascii_alphanumeric() || "_.-".contains(char)) && key.len() <= 256
            }
            Self::HeaderName => http::HeaderName::from_bytes(key.as_bytes()).is_ok(),
            _ => return self.text(key.to_owned(), None).map(|_| ()),
        };
        if fits { Ok(()) } else { Err(Wrong::new(format!("has to be {}", self.what()))) }
    }

    /// What it is, for people.
    pub(super) fn what(&self) -> String {
        let what = match self {
            Self::Text => "a text",
            Self::Line => "a text on one line",
            Self::Name => "a short text on one line",
            Self::Flag => "`true` or `false`",
            Self::Whole(least, most) => return format!("a whole number from {least} to {most}"),
            Self::Share => "a number from 0 to 1",
            Self::Percent => "more than 0% and less than 100%, such as `99.9%`",
            Self::Duration => "a length of time, such as `30s`",
            Self::Size => "a size, such as `64MiB`",
            Self::Word(words) => return one_of(words),
            Self::Path => "a path",
            Self::File => "the path of a file",
            Self::Folder => "a path, or `off`",
            Self::Component => "the path of a component",
            Self::Listen => "an address and a port, such as `127.0.0.1:9115`, or `off`",
            Self::Url => "a url that begins with `http://` or `https://`",
            Self::Origin => "scheme, host and port only, such as `https://shop.example.com`",
            Self::Host => "a host, or a host and a port, such as `shop.example.com:443`",
            Self::LabelName => "a name of letters, digits, `_`, `.` and `-`",
            Self::HeaderName => "the name of a header field",
            Self::List(_) => "a list",
            Self::Settings | Self::Map(..) | Self::Sub(_) => "a mapping",
            Self::Either(scalar, _) => return format!("{} or a mapping", scalar.what()),
        };
        what.to_owned()
    }

    /// What a JSON Schema says of a scalar. `${…}` may stand for any.
    pub(super) fn schema(&self) -> Json {
        let substituted = r"\$\{(env:|file:)";
        let pattern = |pattern: &str| json!({"type": "string", "pattern": format!("{pattern}|{substituted}")});
        let or_substituted = |schema: Json| json!({"anyOf": [schema, {"type": "string", "pattern": substituted}]});
        match self {
            Self::Flag => or_substituted(json!({"type": "boolean"})),
            Self::Whole(least, most) => or_substituted(json!({"type": "integer", "minimum": least, "maximum": most})),
            Self::Share => or_substituted(json!({"type": "number", "minimum": 0, "maximum": 1})),
            Self::Word(words) => or_substituted(json!({"enum": words})),
            Self::Percent => pattern(r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$"),
            Self::Duration => pattern(r"^\s*[0-9]+(\.[0-9]+)?\s*(d|h|m|s|ms|us|ns)\s*$"),
            Self::Size => pattern(r"^\s*[0-9]+(\.[0-9]+)?\s*(GiB|MiB|KiB|GB|MB|kB|B)\s*$"),
            Self::Url | Self::Origin => pattern("^[Hh][Tt][Tt][Pp][Ss]?:"),
            _ => json!({"type": "string", "minLength": 1}),
        }
    }
}

/// `a`, `b` or `c`
pub(super) fn one_of<T: AsRef<str>>(words: &[T]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

fn bare<T>(parsed: Result<T, quantity::QuantityError>) -> Wrong {
    Wrong::new(parsed.err().map_or_else(|| " carries no unit".to_owned(), |error| format!(": {error}")))
}

fn is_file(path: &str) -> Result<(), Wrong> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(Wrong::new(format!("has to be a file, {} is a directory", quoted(path)))),
        Ok(_) => Ok(()),
        Err(error) => Err(Wrong::new(format!(": {} cannot be read: {error}", quoted(path)))),
    }
}

/// `99.9%` as a share.
pub(super) fn percent(text: &str) -> Option<f64> {
    let number = text.trim().strip_suffix('%')?.trim_end();
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    // Moving the point is exact where dividing is not: 99.9% is 0.999.
    let share = plain.then(|| format!("{number}e-2").parse::<f64>().ok())??;
    (share > 0.0 && share < 1.0).then_some(share)
}

/// `https://shop.example.com:8443`
pub(super) fn origin(text: &str) -> Option<url::Origin> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())?;
    let more = url.path() != "/" || url.query().is_some() || url.fragment().is_some() || url.username() != "" || url.password().is_some();
    (!more).then(|| url.origin())
}

/// `shop.example.com:443`, `[::1]:443`, `::1`
pub(super) fn host(text: &str) -> Option<AllowedHost> {
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Some(AllowedHost { host: address.to_string(), port: None });
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port.parse::<u16>().ok().filter(|port| *port > 0)?)),
        _ => (text, None),
    };
    let host = match url::Host::parse(name).ok().filter(|_| !name.contains('*'))? {
        url::Host::Domain(name) => name,
        url::Host::Ipv4(address) => address.to_string(),
        url::Host::Ipv6(address) => address.to_string(),
    };
    Some(AllowedHost { host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_may_have_a_port() {
        let shown = |text: &str| host(text).map(|host| (host.host, host.port));
        assert_eq!(shown("Shop.example.com:443"), Some(("shop.example.com".to_owned(), Some(443))));
        assert_eq!(shown("10.0.0.1"), Some(("10.0.0.1".to_owned(), None)));
        assert_eq!(shown("[::1]:9"), Some(("::1".to_owned(), Some(9))));
        assert_eq!(shown("::1"), Some(("::1".to_owned(), None)));
        for text in ["", "https://shop.example.com", "shop:0", "shop:99999", "shop/x", "a b", ":443", "*"] {
            assert!(host(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_objective_is_less_than_all() {
        assert_eq!(percent("99.9%"), Some(0.999));
        for text in ["101%", "100%", "0%", "99.9", "-1%", "NaN%", "1e1%", "%"] {
            assert_eq!(percent(text), None, "{text}");
        }
    }

    #[test]
    fn an_origin_is_nothing_but_scheme_host_and_port() {
        assert!(origin("https://shop.example.com").is_some() && origin("http://[::1]:9/").is_some());
        for text in ["shop.example.com", "https://shop.example.com/x", "https://u@shop.example.com", "ftp://x", "https://x?y"] {
            assert!(origin(text).is_none(), "{text}");
        }
    }

    #[test]
    fn names_of_the_agent_are_no_labels() {
        for name in ["synthetic.x", "vedette.y", "error.type", "", "a b", "a/b"] {
            assert!(Kind::LabelName.key(name).is_err(), "{name}");
        }
        assert!(["team", "error.types", "tier-1", "k8s.pod_name"].iter().all(|name| Kind::LabelName.key(name).is_ok()));
    }
}
