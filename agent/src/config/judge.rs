//! What the document means: the rules that hold between its parts, and the configuration that the agent reads.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::checks::{self, Checked};
use super::mistake::{Found, Mistake, Place, Source, meant};
use super::model::Config;
use super::sections::{self, Secrets};
use super::settings::Settings;
use super::tree::Node;
use super::{BUILTIN, Loaded, PluginSchema, Purpose, Schemas};

/// The configuration, as far as it is right.
pub(super) fn judge(tree: &Node, sources: &[Source], schemas: &Schemas, purpose: Purpose, found: &mut Found) -> Option<Loaded> {
    let checks = tree.get("checks");
    if checks.is_none_or(|checks| !checks.is_wrong() && checks.items().is_empty()) && found.is_empty() {
        // Told only where nothing else explains it: a misspelt `checks` is one mistake, not two.
        let place = checks.map_or(tree.place, |checks| checks.place.or(tree.place));
        found.add(Mistake::new(place, "there are no `checks`: nothing would be watched"));
    }
    let secrets = Secrets::of(tree);
    let agent = tree.get("agent");
    if let Some(secret) = agent.and_then(|agent| agent.get("auth")?.get("token")?.get("secret")) {
        secrets.check(secret, found);
    }
    let otlp = tree.get("export").and_then(|export| export.get("otlp")).filter(|otlp| !otlp.is_wrong());
    let mut plugins = Plugins { tree, schemas, settings: BTreeMap::new() };
    let mut effective = effective(tree);
    let config = Config {
        agent: sections::agent(agent),
        otlp: otlp.map(|otlp| sections::otlp(otlp, &secrets, found)),
        secrets: sections::secrets(tree, found),
        plugins: sections::plugins(tree, schemas, found),
        checks: Vec::new(),
    };
    let mut room = checks::Room { sources, secrets: &secrets, plugins: &mut plugins, purpose, left: checks::LONGEST_SETTINGS, found };
    let checked = checks::checks(tree, &mut room);
    if !found.is_empty() {
        return None;
    }
    let mut checks = Vec::with_capacity(checked.len());
    for (number, Checked { config, with, summary_with }) in checked.into_iter().enumerate() {
        let shown = &mut effective["checks"][number];
        shown["with"] = with;
        shown["summary"]["with"] = summary_with;
        show_targets(shown, &config);
        checks.push(config);
    }
    Some(Loaded { config: Config { checks, ..config }, effective })
}

/// The document with its defaults as it is shown. Sections that are empty are left out.
fn effective(tree: &Node) -> Json {
    let mut whole = tree.to_json();
    if let Json::Object(sections) = &mut whole {
        sections.retain(|_, section| section.as_object().is_none_or(|section| !section.is_empty()));
    }
    whole
}

/// User information is masked wherever it is shown; targets carry the names that they have.
fn show_targets(shown: &mut Json, check: &super::CheckConfig) {
    if let (Some(target), Some(only)) = (shown.get_mut("target"), check.targets.first()) {
        *target = super::masked(&only.address).into();
    }
    let Some(Json::Array(targets)) = shown.get_mut("targets") else { return };
    for (shown, target) in targets.iter_mut().zip(&check.targets) {
        let labels = target.labels.iter().map(|label| (label.name.clone(), Json::String(label.value.clone()))).collect();
        let entries = [
            ("name", Json::String(target.name.clone())),
            ("address", super::masked(&target.address).into()),
            ("labels", Json::Object(labels)),
        ];
        *shown = Json::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
    }
}

/// What plugins there are, and what each takes.
pub(super) struct Plugins<'a> {
    tree: &'a Node,
    schemas: &'a Schemas,
    /// Schemas made ready, once per plugin.
    settings: BTreeMap<String, Option<Settings<'a>>>,
}

impl<'a> Plugins<'a> {
    /// The plugin that a check names. `place` is where it does.
    pub(super) fn schema(&self, name: &str, place: Place, summariser: bool, found: &mut Found) -> Option<&'a PluginSchema> {
        let declared = self.tree.get("plugins").map(Node::entries).unwrap_or_default();
        let own = declared.iter().any(|entry| entry.key == name);
        if !own && !BUILTIN.contains(&name) {
            let known = declared.iter().map(|entry| entry.key.as_str()).chain(BUILTIN.iter().copied());
            let hint = meant(name, known).unwrap_or_else(|| "name it under `plugins:`, with its `source`".to_owned());
            let message = format!("no {} stands under `plugins:`, and none is built in", place.named("plugin", name));
            found.add(Mistake::new(place, message).hint(Some(hint)));
            return None;
        }
        match self.schemas.get(name) {
            Some(Ok(schema)) if schema.summariser == summariser => Some(schema),
            Some(Ok(_)) => {
                let (is, wanted) = if summariser { ("checks", "summarises") } else { ("summarises", "checks") };
                found.add(Mistake::new(
                    place,
                    format!("the {} {is}; what is needed here is one that {wanted}", place.named("plugin", name)),
                ));
                None
            }
            // Told at its `source`, or what is wrong with its entry has been.
            Some(Err(_)) | None if own => None,
            Some(Err(why)) => {
                found.add(Mistake::new(place, why.as_str()));
                None
            }
            None => {
                found.add(Mistake::new(place, format!("the built-in {} is not there", place.named("plugin", name))));
                None
            }
        }
    }

    /// The plugin's schema, made ready. `place` is where a check names the plugin.
    pub(super) fn settings(&mut self, name: &str, schema: &'a PluginSchema, place: Place, found: &mut Found) -> Option<&Settings<'a>> {
        let ready = self.settings.entry(name.to_owned()).or_insert_with(|| match Settings::new(&schema.schema) {
            Ok(settings) => Some(settings),
            Err(why) => {
                found.add(Mistake::new(place, format!("the {} has an unusable schema of settings: {why}", place.named("plugin", name))));
                None
            }
        });
        ready.as_ref()
    }
}
