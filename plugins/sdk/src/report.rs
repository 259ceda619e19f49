//! Building a report line by line.

use crate::{
    Attribute, AttributeValue, Event, Expectation, Fault, Instrument, Measurement, Report, RetryAdvice, Severity, Timestamp, Verdict,
};

impl Report {
    /// The target behaved, unless an expectation that follows is not met. `message` is one line for people.
    pub fn success(message: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Success,
            fault: None,
            retry: None,
            message: message.into(),
            expectations: Vec::new(),
            measurements: Vec::new(),
            events: Vec::new(),
            attributes: Vec::new(),
        }
    }

    /// The target did not behave.
    pub fn failure(fault: Fault, message: impl Into<String>) -> Self {
        let verdict = if matches!(fault, Fault::Timeout | Fault::ConnectTimeout) { Verdict::Timeout } else { Verdict::Failure };
        Self { verdict, fault: Some(fault), ..Self::success(message) }
    }

    /// Something that was expected. If it is not met, the verdict becomes a failure and the message says how many were not.
    #[must_use]
    pub fn expect(self, name: &str, met: bool, detail: impl Into<String>) -> Self {
        self.with(Expectation { name: name.to_owned(), met, soft: false, detail: detail.into() })
    }

    /// As [`Report::expect`], but what is not met degrades only.
    #[must_use]
    pub fn warn(self, name: &str, met: bool, detail: impl Into<String>) -> Self {
        self.with(Expectation { name: name.to_owned(), met, soft: true, detail: detail.into() })
    }

    /// An expectation, hard or soft. The fault is `status` if one of that name is among those not met, else `expectation`; a
    /// fault and a message that the report had before stay.
    #[must_use]
    pub fn with(mut self, expectation: Expectation) -> Self {
        if expectation.met || expectation.soft {
            self.expectations.push(expectation);
            return self;
        }
        let derived = self.verdict == Verdict::Success || self.headline(false).as_ref() == Some(&self.message);
        let status = expectation.name == "status";
        self.expectations.push(expectation);
        if self.verdict == Verdict::Success {
            (self.verdict, self.fault) = (Verdict::Failure, Some(Fault::Expectation));
        }
        if status && self.fault == Some(Fault::Expectation) {
            self.fault = Some(Fault::Status);
        }
        if let Some(headline) = self.headline(false).filter(|_| derived) {
            self.message = headline;
        }
        self
    }

    /// The first hard (or soft) expectation that is not met, and how many more there are.
    pub fn headline(&self, soft: bool) -> Option<String> {
        let mut unmet = self.expectations.iter().filter(|expectation| !expectation.met && expectation.soft == soft);
        let first = unmet.next()?;
        let text = if first.detail.is_empty() { &first.name } else { &first.detail };
        Some(match unmet.count() {
            0 => text.clone(),
            more => format!("{text} (and {more} more)"),
        })
    }

    /// Another attempt is worth making.
    #[must_use]
    pub fn retry(mut self, after: Option<std::time::Duration>) -> Self {
        let after = after.map(|length| u64::try_from(length.as_nanos()).unwrap_or(u64::MAX));
        self.retry = Some(RetryAdvice { after });
        self
    }

    /// The value now, of a measurement.
    #[must_use]
    pub fn measure(self, name: &str, unit: &str, value: f64) -> Self {
        self.measured(Measurement::new(name, unit, Instrument::Gauge, value))
    }

    /// An amount to add to a measurement.
    #[must_use]
    pub fn count(self, name: &str, unit: &str, value: f64) -> Self {
        self.measured(Measurement::new(name, unit, Instrument::Counter, value))
    }

    /// One sample of a measurement's distribution.
    #[must_use]
    pub fn sample(self, name: &str, unit: &str, value: f64) -> Self {
        self.measured(Measurement::new(name, unit, Instrument::Histogram, value))
    }

    /// A measurement with dimensions of its own.
    #[must_use]
    pub fn measured(mut self, measurement: Measurement) -> Self {
        self.measurements.push(measurement);
        self
    }

    /// A fact about this run.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: impl Into<AttributeValue>) -> Self {
        self.attributes.push(Attribute::new(name, value));
        self
    }

    /// Something noteworthy; `name` is a stable identifier.
    #[must_use]
    pub fn event(mut self, at: Timestamp, severity: Severity, name: &str, message: impl Into<String>) -> Self {
        self.events.push(Event { at, severity, name: name.to_owned(), message: message.into(), attributes: Vec::new() });
        self
    }
}

impl Measurement {
    /// One number, without dimensions.
    pub fn new(name: &str, unit: &str, instrument: Instrument, value: f64) -> Self {
        Self { name: name.to_owned(), unit: unit.to_owned(), instrument, value, attributes: Vec::new() }
    }

    /// With one dimension more.
    #[must_use]
    pub fn of(mut self, name: &str, value: impl Into<AttributeValue>) -> Self {
        self.attributes.push(Attribute::new(name, value));
        self
    }
}

impl Attribute {
    /// A named value.
    pub fn new(name: &str, value: impl Into<AttributeValue>) -> Self {
        Self { name: name.to_owned(), value: value.into() }
    }
}

/// What an attribute's value is made of.
macro_rules! attribute_values {
    ($($from:ty => $case:ident,)+) => {
        $(impl From<$from> for AttributeValue {
            fn from(value: $from) -> Self {
                Self::$case(value.into())
            }
        })+
    };
}

attribute_values! {
    &str => Text,
    String => Text,
    bool => Flag,
    i64 => Integer,
    u32 => Integer,
    u16 => Integer,
    f64 => Real,
    Vec<String> => Texts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_that_are_met_leave_success_and_message_alone() {
        let report = Report::success("fine").expect("status", true, "").warn("latency", false, "slow");
        assert_eq!((report.verdict, report.fault, report.message.as_str()), (Verdict::Success, None, "fine"));
        assert_eq!(report.expectations.len(), 2);
    }

    #[test]
    fn the_first_that_is_not_met_is_the_message_and_the_others_are_counted() {
        let report = Report::success("fine").expect("a", false, "a is off").warn("b", false, "soft").expect("c", false, "c is off");
        assert_eq!((report.fault, report.message.as_str()), (Some(Fault::Expectation), "a is off (and 1 more)"));
        assert_eq!(report.headline(true).as_deref(), Some("soft"));
    }

    #[test]
    fn status_wins_over_other_expectations_wherever_it_stands() {
        let report = Report::success("fine").expect("body", false, "x").expect("status", false, "y");
        assert_eq!(report.fault, Some(Fault::Status));
        let report = Report::success("fine").expect("status", false, "y").expect("body", false, "x");
        assert_eq!(report.fault, Some(Fault::Status));
    }

    #[test]
    fn a_fault_that_was_there_before_stays_with_its_message() {
        let report = Report::failure(Fault::TlsCertificate, "expired").expect("status", false, "y").expect("b", false, "z");
        assert_eq!((report.fault, report.message.as_str()), (Some(Fault::TlsCertificate), "expired"));
    }

    #[test]
    fn a_timeout_has_the_verdict_of_one() {
        assert_eq!(Report::failure(Fault::ConnectTimeout, "").verdict, Verdict::Timeout);
        assert_eq!(Report::failure(Fault::Dns, "").verdict, Verdict::Failure);
    }
}
