//! What guests say, made fit to leave: masked first, then cut, so that a cut never leaves half a secret.

use super::bindings::types;
use super::convert;
use super::masks::Masks;
use crate::config::visible;
use crate::outcome::{Attribute, Event, Expectation, Measurement, Value, is_reserved};

/// Bytes of a message for people.
pub(super) const MESSAGE: usize = 512;

const EVENT_MESSAGE: usize = 1024;
const NAME: usize = 128;
const UNIT: usize = 63;
const TEXT: usize = 4096;
const ITEM: usize = 256;
const ITEMS: usize = 64;
const MEASUREMENTS: usize = 256;
const DIMENSIONS: usize = 16;
const EVENTS: usize = 64;
const EXPECTATIONS: usize = 64;

/// Attributes of a report or an event.
pub(super) const ATTRIBUTES: usize = 64;

/// Applies the limits of `types.wit`. What is over one is dropped or cut, as it says there.
pub(super) struct Tidy<'a>(pub(super) &'a Masks);

impl Tidy<'_> {
    /// A text without secrets and characters that nobody sees, cut where a character ends.
    pub(super) fn text(&self, mut text: String, most: usize) -> String {
        self.0.apply_within(&mut text, most);
        if text.contains(visible::is_hidden) {
            text = text.replace(visible::is_hidden, " ");
        }
        text
    }

    /// A message for people, or what is said where there is none.
    pub(super) fn message(&self, text: String, otherwise: &str) -> String {
        let text = self.text(text, MESSAGE);
        if text.trim().is_empty() { otherwise.to_owned() } else { text }
    }

    /// The last of several with one name is kept.
    pub(super) fn attributes(&self, list: Vec<types::Attribute>, most: usize) -> Vec<Attribute> {
        let mut kept: Vec<Attribute> = Vec::new();
        for attribute in list {
            if let Some(attribute) = self.attribute(attribute) {
                replace_or_push(&mut kept, attribute, most);
            }
        }
        kept
    }

    /// None if its name or value may not stand.
    pub(super) fn attribute(&self, attribute: types::Attribute) -> Option<Attribute> {
        let name = self.name(attribute.name)?;
        let value = match attribute.value {
            types::AttributeValue::Text(text) => Value::Text(self.value(text, TEXT)),
            types::AttributeValue::Flag(flag) => Value::Flag(flag),
            types::AttributeValue::Integer(number) => Value::Integer(number),
            types::AttributeValue::Real(number) => Value::Real(Some(number).filter(|number| number.is_finite())?),
            types::AttributeValue::Texts(texts) => Value::Texts(texts.into_iter().take(ITEMS).map(|text| self.value(text, ITEM)).collect()),
        };
        (!is_reserved(&name)).then_some(Attribute { name, value })
    }

    pub(super) fn measurements(&self, list: Vec<types::Measurement>) -> Vec<Measurement> {
        list.into_iter().filter_map(|measurement| self.measurement(measurement)).take(MEASUREMENTS).collect()
    }

    pub(super) fn events(&self, list: Vec<types::Event>) -> Vec<Event> {
        list.into_iter().filter_map(|event| self.event(event)).take(EVENTS).collect()
    }

    pub(super) fn expectations(&self, list: Vec<types::Expectation>) -> Vec<Expectation> {
        let tidied = list.into_iter().take(EXPECTATIONS).map(|expectation| Expectation {
            name: self.text(expectation.name, NAME),
            met: expectation.met,
            soft: expectation.soft,
            detail: self.text(expectation.detail, MESSAGE),
        });
        tidied.collect()
    }

    fn measurement(&self, measurement: types::Measurement) -> Option<Measurement> {
        let instrument = convert::instrument(measurement.instrument);
        let value = measurement.value;
        let negative = instrument == crate::outcome::Instrument::Counter && value < 0.0;
        (value.is_finite() && !negative).then_some(())?;
        Some(Measurement {
            name: self.name(measurement.name)?,
            unit: self.text(measurement.unit, UNIT),
            instrument,
            value,
            attributes: self.attributes(measurement.attributes, DIMENSIONS),
        })
    }

    /// None of the agent's own, which nobody else may tell.
    fn event(&self, event: types::Event) -> Option<Event> {
        if is_reserved(&event.name) {
            return None;
        }
        Some(Event {
            at: crate::clock::Timestamp(event.at),
            severity: convert::severity(event.severity),
            name: self.name(event.name)?,
            message: self.text(event.message, EVENT_MESSAGE),
            attributes: self.attributes(event.attributes, ATTRIBUTES),
        })
    }

    /// Values may have lines; they are cut only.
    fn value(&self, mut text: String, most: usize) -> String {
        self.0.apply_within(&mut text, most);
        text
    }

    fn name(&self, mut name: String) -> Option<String> {
        if name.len() > NAME {
            return None;
        }
        self.0.apply(&mut name);
        is_name(&name).then_some(name)
    }
}

/// A name stands once in a list. What does not fit into it any more is dropped.
pub(super) fn replace_or_push(list: &mut Vec<Attribute>, attribute: Attribute, most: usize) {
    if let Some(known) = list.iter_mut().find(|known| known.name == attribute.name) {
        *known = attribute;
    } else if list.len() < most {
        list.push(attribute);
    }
}

/// `[a-z][a-z0-9_.]{0,127}`
pub(super) fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'.';
    name.len() <= NAME && name.starts_with(|char: char| char.is_ascii_lowercase()) && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::AttributeValue;

    fn attribute(name: &str, value: AttributeValue) -> types::Attribute {
        types::Attribute { name: name.to_owned(), value }
    }

    fn tidied(list: Vec<types::Attribute>) -> Vec<Attribute> {
        Tidy(&Masks::default()).attributes(list, 4)
    }

    #[test]
    fn a_message_has_one_line_and_is_cut_where_a_character_ends() {
        let masks = Masks::default();
        let tidy = Tidy(&masks);
        assert_eq!(tidy.message("a\nb\u{1b}[31m\u{9b}".to_owned(), ""), "a b [31m ");
        assert_eq!(tidy.message("é".repeat(300), "").len(), 512);
        assert_eq!(tidy.message(format!("x{}", "é".repeat(300)), "").len(), 511);
        assert_eq!(tidy.message(" \n".to_owned(), "nothing was said"), "nothing was said");
    }

    #[test]
    fn a_secret_across_the_cut_is_masked_whole() {
        let mut masks = Masks::default();
        masks.add("a-secret-token".to_owned());
        let text = Tidy(&masks).message(format!("{}a-secret-token", "x".repeat(506)), "");
        assert_eq!(text, format!("{}***", "x".repeat(506)));
    }

    #[test]
    fn names_of_the_host_and_names_of_another_form_are_dropped() {
        let flag = || AttributeValue::Flag(true);
        let names = ["vedette.x", "synthetic.x", "error.type", "Upper", "1st", "", "a-b", "ok.name_1", "synthetic"];
        let kept = tidied(names.map(|name| attribute(name, flag())).to_vec());
        assert_eq!(kept.iter().map(|kept| kept.name.as_str()).collect::<Vec<_>>(), ["ok.name_1", "synthetic"]);
        assert!(is_name(&"a".repeat(128)) && !is_name(&"a".repeat(129)));
    }

    #[test]
    fn values_are_cut_and_what_is_no_number_is_dropped() {
        let kept = tidied(vec![
            attribute("text", AttributeValue::Text("x".repeat(5000))),
            attribute("texts", AttributeValue::Texts(vec!["y".repeat(300); 100])),
            attribute("nan", AttributeValue::Real(f64::NAN)),
        ]);
        assert_eq!(kept.len(), 2);
        assert_eq!(kept[0].value, Value::Text("x".repeat(4096)));
        assert_eq!(kept[1].value, Value::Texts(vec!["y".repeat(256); 64]));
    }

    #[test]
    fn the_last_of_several_attributes_with_one_name_is_kept_and_no_more_than_may_be() {
        let many = (0..9).map(|number| attribute(&format!("a{}", number % 6), AttributeValue::Integer(number))).collect();
        let kept: Vec<Value> = tidied(many).into_iter().map(|attribute| attribute.value).collect();
        assert_eq!(kept, [6, 7, 8, 3].map(Value::Integer));
    }

    #[test]
    fn events_of_the_agent_are_told_by_nobody_else() {
        let event = |name: &str| types::Event {
            at: 0,
            severity: types::Severity::Error,
            name: name.to_owned(),
            message: String::new(),
            attributes: Vec::new(),
        };
        let told = ["synthetic.check.state_changed", "vedette.x", "tls.certificate.expires_soon"].map(event).to_vec();
        let kept = Tidy(&Masks::default()).events(told);
        assert_eq!(kept.iter().map(|kept| kept.name.as_str()).collect::<Vec<_>>(), ["tls.certificate.expires_soon"]);
    }

    #[test]
    fn numbers_that_are_none_and_counters_that_fall_are_dropped() {
        let measurement = |name: &str, instrument, value| types::Measurement {
            name: name.to_owned(),
            unit: "1".to_owned(),
            instrument,
            value,
            attributes: Vec::new(),
        };
        let list = vec![
            measurement("a", types::Instrument::Gauge, f64::NAN),
            measurement("b", types::Instrument::Histogram, f64::INFINITY),
            measurement("c", types::Instrument::Counter, -1.0),
            measurement("d", types::Instrument::Gauge, -1.0),
            // Nothing is reserved below `synthetic.plugin.`.
            measurement("synthetic.e", types::Instrument::Counter, 1.0),
        ];
        let kept = Tidy(&Masks::default()).measurements(list);
        assert_eq!(kept.iter().map(|kept| kept.name.as_str()).collect::<Vec<_>>(), ["d", "synthetic.e"]);
    }
}
