//! What series are called: metrics, and the keys that tell the series of one probe apart.

use std::borrow::Cow;
use std::time::Duration;

use super::super::otlp::{Scope, flag, integer, key_value, real};
use crate::config::quantity::show_duration;
use crate::outcome::{ErrorType, Phase, RunResult, State, Value};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};

/// How values of a metric are aggregated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::telemetry) enum Kind {
    Gauge,
    Counter,
    Explicit,
    Exponential,
}

/// A metric of one scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::telemetry) struct Metric {
    pub(in crate::telemetry) scope: Scope,
    pub(in crate::telemetry) name: Cow<'static, str>,
    pub(in crate::telemetry) unit: Cow<'static, str>,
    pub(in crate::telemetry) kind: Kind,
    pub(in crate::telemetry) help: &'static str,
}

/// A metric that is known when the program is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known(pub(super) &'static str, pub(super) Kind, pub(super) &'static str, pub(super) &'static str);

/// What a series has beyond the keys of its probe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::telemetry) enum Extra {
    Nothing,
    /// A result, and why.
    Result(RunResult, Option<ErrorType>),
    State(State),
    Phase(Phase),
    Window(Duration),
    Expectation(Box<Expected>),
    /// Names and values as they come; sorted by name.
    Tags(Box<[(Cow<'static, str>, Tag)]>),
}

/// The word of an expectation, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::telemetry) struct Expected {
    pub(super) name: String,
    pub(super) met: bool,
    pub(super) soft: bool,
}

/// A value of a key, in an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::telemetry) enum Tag {
    Text(Cow<'static, str>),
    Flag(bool),
    Integer(i64),
    /// The bits of a number.
    Real(u64),
}

impl Tag {
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text.clone().into()),
            Value::Flag(flag) => Self::Flag(*flag),
            Value::Integer(integer) => Self::Integer(*integer),
            Value::Real(real) => Self::Real(real.to_bits()),
            Value::Texts(texts) => Self::Text(texts.join(",").into()),
        }
    }

    /// As a label has it.
    pub(in crate::telemetry) fn text(&self) -> Cow<'static, str> {
        match self {
            Self::Text(text) => text.clone(),
            Self::Flag(flag) => flag.to_string().into(),
            Self::Integer(integer) => integer.to_string().into(),
            Self::Real(bits) => f64::from_bits(*bits).to_string().into(),
        }
    }
}

fn word(key: &'static str, word: &'static str) -> (Cow<'static, str>, Tag) {
    (key.into(), Tag::Text(word.into()))
}

impl Extra {
    /// A few keys of the agent's own.
    pub(super) fn words(pairs: &[(&'static str, &str)]) -> Self {
        if pairs.is_empty() {
            return Self::Nothing;
        }
        Self::Tags(pairs.iter().map(|(key, value)| (Cow::from(*key), Tag::Text((*value).to_owned().into()))).collect())
    }

    /// Keys and values.
    pub(in crate::telemetry) fn pairs(&self) -> Vec<(Cow<'static, str>, Tag)> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Result(result, error) => {
                let error = error.map(|error| word("error.type", error.word()));
                [word("synthetic.check.result", result.word())].into_iter().chain(error).collect()
            }
            Self::State(state) => vec![word("synthetic.state", state.word())],
            Self::Phase(phase) => vec![word("synthetic.phase", phase.word())],
            Self::Window(window) => vec![("synthetic.window".into(), Tag::Text(window_name(*window).into()))],
            Self::Expectation(expected) => vec![
                ("synthetic.expectation".into(), Tag::Text(expected.name.clone().into())),
                word("synthetic.expectation.result", if expected.met { "met" } else { "unmet" }),
                ("synthetic.expectation.soft".into(), Tag::Flag(expected.soft)),
            ],
            Self::Tags(tags) => tags.to_vec(),
        }
    }

    /// The same as attributes.
    pub(super) fn attributes(&self) -> impl Iterator<Item = KeyValue> {
        self.pairs().into_iter().map(|(key, tag)| match tag {
            Tag::Text(text) => key_value(key, Any::StringValue(text.into_owned())),
            Tag::Flag(value) => flag(&key, value),
            Tag::Integer(value) => integer(&key, value),
            Tag::Real(bits) => real(&key, f64::from_bits(bits)),
        })
    }
}

/// `5m`, `24h`, `30d`: a single day is written in hours, as everybody does.
fn window_name(window: Duration) -> String {
    if window == Duration::from_hours(24) { "24h".to_owned() } else { show_duration(window) }
}
