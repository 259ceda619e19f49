//! What a plugin says of itself.

use crate::{Instrument, Manifest, MeasurementInfo};

/// Of a plugin without settings.
const NO_SETTINGS: &str = r#"{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false}"#;

impl Manifest {
    /// A plugin without settings that takes any target. `name` is reverse DNS or `namespace:name`, `version` is `SemVer`.
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            summary: summary.to_owned(),
            config_schema: NO_SETTINGS.to_owned(),
            target_schemes: Vec::new(),
            measurements: Vec::new(),
        }
    }

    /// JSON Schema (2020-12) of the settings.
    #[must_use]
    pub fn config_schema(mut self, schema: &str) -> Self {
        schema.clone_into(&mut self.config_schema);
        self
    }

    /// URL schemes of the targets that the plugin takes.
    #[must_use]
    pub fn target_schemes(mut self, schemes: &[&str]) -> Self {
        self.target_schemes = schemes.iter().map(|scheme| (*scheme).to_owned()).collect();
        self
    }

    /// Declares a measurement.
    #[must_use]
    pub fn measures(mut self, name: &str, unit: &str, instrument: Instrument, description: &str) -> Self {
        self.measurements.push(MeasurementInfo {
            name: name.to_owned(),
            unit: unit.to_owned(),
            instrument,
            description: description.to_owned(),
        });
        self
    }
}
