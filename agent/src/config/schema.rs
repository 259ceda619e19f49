//! The table of keys as a JSON Schema, for editors. It knows no plugin: `with:` is open.

use serde_json::{Map, Value as Json, json};

use super::keys::{ROOT, Section, Unsaid};
use super::kind::Kind;

/// JSON Schema of the whole configuration, for editors.
pub fn schema() -> Json {
    let mut schema = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Configuration of vedette"});
    if let (Json::Object(whole), Json::Object(root)) = (&mut schema, section(&ROOT)) {
        whole.extend(root);
    }
    schema
}

fn section(section: &Section) -> Json {
    let mut properties = Map::new();
    for key in section.keys {
        let mut schema = kind(&key.kind);
        if let Json::Object(schema) = &mut schema {
            schema.insert("description".to_owned(), key.doc.into());
            match &key.unsaid {
                Unsaid::Is(default) => drop(schema.insert("default".to_owned(), super::scalar::resolve(default).into())),
                Unsaid::Are(defaults) => drop(schema.insert("default".to_owned(), json!(defaults))),
                _ => {}
            }
        }
        properties.insert(key.name.to_owned(), schema);
    }
    let required: Vec<&str> = section.keys.iter().filter(|key| matches!(key.unsaid, Unsaid::Required)).map(|key| key.name).collect();
    let mut schema = json!({"type": ["object", "null"], "additionalProperties": false, "properties": properties});
    if !required.is_empty() {
        schema["type"] = json!("object");
        schema["required"] = json!(required);
    }
    if section.inherits {
        schema["oneOf"] = json!([{"required": ["target"]}, {"required": ["targets"]}]);
    }
    schema
}

fn kind(of: &Kind) -> Json {
    match of {
        Kind::List(items) => json!({"type": ["array", "null"], "items": kind(items)}),
        Kind::Map(keys, values) => {
            let mut schema = json!({"type": ["object", "null"], "additionalProperties": kind(values)});
            if matches!(keys, Kind::LabelName) {
                schema["propertyNames"] =
                    json!({"pattern": r"^[A-Za-z0-9_.-]+$", "not": {"pattern": r"^(synthetic\.|vedette\.|error\.type$)"}});
            }
            schema
        }
        Kind::Settings => json!({"type": ["object", "null"]}),
        Kind::Sub(sub) => section(sub),
        Kind::Either(scalar, sub) => json!({"anyOf": [kind(scalar), section(sub)]}),
        scalar => scalar.schema(),
    }
}

impl From<super::tree::Value> for Json {
    fn from(value: super::tree::Value) -> Self {
        super::tree::Node::implied(value).to_json()
    }
}
