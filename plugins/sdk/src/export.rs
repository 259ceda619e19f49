//! What the macros `checker!` and `summariser!` call: settings are read here, and the answer is brought into the interface's form.

use serde::de::DeserializeOwned;

use crate::answer::Stop;
use crate::summary::{Input, Summary};
use crate::{Checker, ConfigIssue, Failure, Report, Run, Summariser};

/// The type of a text in the interface.
pub type Text = String;

/// One run of a check.
pub fn run<C: Checker>(run: &Run, config: &str) -> Result<Report, Failure> {
    tell_panics();
    match C::run(run, settings(config)?) {
        Ok(report) => Ok(report),
        Err(Stop::Report(report)) => Ok(*report),
        Err(Stop::Failure(failure)) => Err(failure),
    }
}

/// One call of a summariser.
pub fn summarise<S: Summariser>(input: Input, config: &str) -> Result<Summary, Failure> {
    tell_panics();
    S::summarise(input, settings(config)?)
}

/// The author's type, of settings that have passed the schema: what does not fit here is a schema that promises too much.
fn settings<T: DeserializeOwned>(config: &str) -> Result<T, Failure> {
    serde_json::from_str(config)
        .map_err(|error| Failure::InvalidConfig(vec![ConfigIssue { pointer: String::new(), message: error.to_string() }]))
}

/// A panic is a trap, which carries no text: so it is logged first.
#[cfg(target_arch = "wasm32")]
fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| crate::log::write(crate::Severity::Error, &panic.to_string(), &[])));
}

#[cfg(not(target_arch = "wasm32"))]
fn tell_panics() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_do_not_fit_the_type_are_an_invalid_configuration() {
        let Err(Failure::InvalidConfig(issues)) = settings::<u8>("\"no number\"") else { panic!("accepted") };
        assert!(issues[0].message.contains("invalid type"), "{issues:?}");
    }
}
