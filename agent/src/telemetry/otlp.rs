//! Small constructors for the messages of OTLP, and the names that all of them share.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value as Any};

use crate::outcome::{Attribute, Identity, Value};

/// What kind of thing a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    pub(super) const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// The word in paths and in self telemetry.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

/// Who says it: a plugin and its version, or the agent itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Scope(Arc<(String, String)>);

impl Scope {
    pub(super) fn new(name: &str, version: &str) -> Self {
        Self(Arc::new((name.to_owned(), version.to_owned())))
    }

    /// The plugin of a probe.
    pub(super) fn of(identity: &Identity) -> Self {
        Self::new(&identity.plugin, &identity.plugin_version)
    }

    /// The agent, speaking of itself.
    pub(super) fn own() -> Self {
        Self::new("vedette", env!("CARGO_PKG_VERSION"))
    }

    /// Bytes that it takes in a request, at most.
    pub(super) fn len(&self) -> usize {
        self.0.0.len() + self.0.1.len() + 24
    }

    pub(super) fn message(&self) -> InstrumentationScope {
        InstrumentationScope { name: self.0.0.clone(), version: self.0.1.clone(), ..InstrumentationScope::default() }
    }
}

impl From<Option<InstrumentationScope>> for Scope {
    fn from(message: Option<InstrumentationScope>) -> Self {
        let scope = message.unwrap_or_default();
        Self(Arc::new((scope.name, scope.version)))
    }
}

pub(super) fn key_value(key: impl Into<String>, value: Any) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    key_value(key, Any::StringValue(value.into()))
}

pub(super) fn integer(key: &str, value: impl Into<i64>) -> KeyValue {
    key_value(key, Any::IntValue(value.into()))
}

pub(super) fn real(key: &str, value: f64) -> KeyValue {
    key_value(key, Any::DoubleValue(value))
}

pub(super) fn flag(key: &str, value: bool) -> KeyValue {
    key_value(key, Any::BoolValue(value))
}

pub(super) fn texts<'a>(key: &str, values: impl IntoIterator<Item = &'a str>) -> KeyValue {
    let values = values.into_iter().map(|value| string(value.to_owned())).collect();
    key_value(key, Any::ArrayValue(ArrayValue { values }))
}

pub(super) fn string(value: String) -> AnyValue {
    AnyValue { value: Some(Any::StringValue(value)) }
}

/// What a plugin noted.
pub(super) fn attribute(attribute: &Attribute) -> KeyValue {
    match &attribute.value {
        Value::Text(value) => text(&attribute.name, value),
        Value::Flag(value) => flag(&attribute.name, *value),
        Value::Integer(value) => integer(&attribute.name, *value),
        Value::Real(value) => real(&attribute.name, *value),
        Value::Texts(values) => texts(&attribute.name, values.iter().map(String::as_str)),
    }
}

/// What is on everything that is said about a probe.
pub(super) fn keys(identity: &Identity) -> Vec<KeyValue> {
    let own = [
        text("synthetic.check.name", &identity.check),
        text("synthetic.target.name", &identity.target),
        text("synthetic.location", &identity.location),
    ];
    own.into_iter().chain(identity.labels.iter().map(|label| text(&label.name, &label.value))).collect()
}
