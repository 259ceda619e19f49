//! What a plugin says of itself, judged.

use super::bindings::types;
use super::cache::{Described, DescribedMeasurement};
use super::masks::Masks;
use super::tidy::{Tidy, is_name};
use super::{Manifest, MeasurementInfo, convert};
use crate::outcome::Instrument;

const NAME: usize = 128;
const SUMMARY: usize = 256;
const SCHEMA: usize = 256 << 10;
const SCHEMES: usize = 64;
const MEASUREMENTS: usize = 256;
const DESCRIPTION: usize = 512;

impl From<types::Manifest> for Described {
    fn from(manifest: types::Manifest) -> Self {
        let measurements = manifest.measurements.into_iter().map(|info| {
            let instrument = convert::instrument(info.instrument) as u8;
            DescribedMeasurement { name: info.name, unit: info.unit, instrument, description: info.description }
        });
        Self {
            name: manifest.name,
            version: manifest.version,
            summary: manifest.summary,
            config_schema: manifest.config_schema,
            target_schemes: manifest.target_schemes,
            measurements: measurements.collect(),
        }
    }
}

/// What it says, if it says it as it has to; otherwise what is wrong.
pub(super) fn judge(described: Described) -> Result<Manifest, String> {
    let tidy = Tidy(&Masks::default());
    if !is_plugin_name(&described.name) {
        let name = tidy.text(described.name, NAME);
        return Err(format!("its name `{name}` has to be reverse-DNS or `namespace:name`, such as `acme:login-journey`"));
    }
    if !is_version(&described.version) {
        let version = tidy.text(described.version, NAME);
        return Err(format!("its version `{version}` is not SemVer, such as `1.2.3`"));
    }
    if let Some(scheme) = described.target_schemes.iter().find(|scheme| !is_scheme(scheme)) {
        return Err(format!("`{}` is no scheme of URLs in lower case", tidy.text(scheme.clone(), NAME)));
    }
    if described.target_schemes.len() > SCHEMES {
        return Err(format!("it names more than {SCHEMES} schemes of targets"));
    }
    if described.measurements.len() > MEASUREMENTS {
        return Err(format!("it declares more than {MEASUREMENTS} measurements"));
    }
    let measurements = described.measurements.into_iter().map(measurement).collect::<Result<_, _>>()?;
    Ok(Manifest {
        config_schema: schema(&described.config_schema)?,
        name: described.name,
        version: described.version,
        summary: tidy.text(described.summary, SUMMARY),
        target_schemes: described.target_schemes,
        measurements,
    })
}

fn schema(text: &str) -> Result<serde_json::Value, String> {
    if text.len() > SCHEMA {
        return Err(format!("the schema of its settings has {} bytes, at most {SCHEMA} are read", text.len()));
    }
    let schema: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("the schema of its settings is not JSON: {error}"))?;
    if !schema.is_object() {
        return Err("the schema of its settings is not an object".to_owned());
    }
    jsonschema::validator_for(&schema).map_err(|error| {
        let error = Tidy(&Masks::default()).text(error.to_string(), DESCRIPTION);
        format!("the schema of its settings is no JSON Schema: {error}")
    })?;
    Ok(schema)
}

fn measurement(info: DescribedMeasurement) -> Result<MeasurementInfo, String> {
    let tidy = Tidy(&Masks::default());
    if !is_name(&info.name) {
        return Err(format!("the measurement `{}` has to be named like `cart.items`", tidy.text(info.name, NAME)));
    }
    Ok(MeasurementInfo {
        name: info.name,
        unit: tidy.text(info.unit, NAME),
        instrument: Instrument::ALL.get(usize::from(info.instrument)).copied().unwrap_or(Instrument::Gauge),
        description: tidy.text(info.description, DESCRIPTION),
    })
}

fn is_plugin_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".:_-/".contains(&byte);
    let ends = |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric());
    let parts = name.contains(['.', ':']);
    parts && name.len() <= NAME && name.bytes().all(fits) && ends(name.chars().next()) && ends(name.chars().last())
}

fn is_scheme(scheme: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    (1..=32).contains(&scheme.len()) && scheme.starts_with(|char: char| char.is_ascii_lowercase()) && scheme.bytes().all(fits)
}

/// `SemVer` 2.0: `major.minor.patch[-pre][+build]`.
fn is_version(version: &str) -> bool {
    let (version, build) = version.split_once('+').map_or((version, None), |(version, build)| (version, Some(build)));
    let (core, pre) = version.split_once('-').map_or((version, None), |(core, pre)| (core, Some(pre)));
    let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| digits(text) && (text == "0" || !text.starts_with('0'));
    let identifier = |text: &str| word(text) && (!digits(text) || number(text));
    version.len() <= NAME
        && core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| pre.split('.').all(identifier))
        && build.is_none_or(|build| build.len() <= NAME && build.split('.').all(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described() -> Described {
        Described {
            name: "test:plugin".to_owned(),
            version: "1.0.0".to_owned(),
            summary: "x".repeat(300),
            config_schema: r#"{"type": "object"}"#.to_owned(),
            target_schemes: vec!["https".to_owned()],
            measurements: vec![DescribedMeasurement {
                name: "cart.items".to_owned(),
                unit: "1".to_owned(),
                instrument: Instrument::Counter as u8,
                description: String::new(),
            }],
        }
    }

    #[test]
    fn what_a_plugin_says_of_itself_is_taken_as_it_is() {
        let manifest = judge(described()).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.summary.len()), ("test:plugin", 256));
        assert_eq!(manifest.measurements[0].instrument, Instrument::Counter);
    }

    #[test]
    fn what_is_not_as_it_has_to_be_is_refused_and_named() {
        type Change = fn(&mut Described);
        let wrong: [(Change, &str); 10] = [
            (|it| it.name = "plugin".to_owned(), "`plugin` has to be"),
            (|it| it.name = "a:b\n".to_owned(), "has to be"),
            (|it| it.version = "1.0".to_owned(), "`1.0` is not SemVer"),
            (|it| it.config_schema = "[]".to_owned(), "not an object"),
            (|it| it.config_schema = "{".to_owned(), "not JSON"),
            (|it| it.config_schema = r#"{"type": "nonsense"}"#.to_owned(), "no JSON Schema"),
            (|it| it.config_schema = format!("{{\"title\": \"{}\"}}", "x".repeat(SCHEMA)), "at most"),
            (|it| it.target_schemes = vec!["HTTP".to_owned()], "`HTTP` is no scheme"),
            (|it| it.target_schemes = vec!["http".to_owned(); SCHEMES + 1], "more than 64 schemes"),
            (|it| it.measurements[0].name = "Cart".to_owned(), "`Cart` has to be"),
        ];
        for (change, expected) in wrong {
            let mut it = described();
            change(&mut it);
            let message = judge(it).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn versions_are_semver() {
        for version in ["0.1.0", "1.2.3-rc.1+build.01", "1.0.0-0a", "10.20.30"] {
            assert!(is_version(version), "{version}");
        }
        for version in ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3+", "v1.2.3", "1.2.x"] {
            assert!(!is_version(version), "{version}");
        }
    }
}
