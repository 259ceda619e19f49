//! `checks:` as the agent reads them.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value as Json;

use super::address;
use super::budget::{budget, longest_pause};
use super::judge::Plugins;
use super::kind;
use super::mistake::{Found, Mistake, Place, SUBSTITUTED, Source, quoted};
use super::model::{CheckConfig, SloConfig, SummaryConfig, TargetConfig};
use super::quantity::{show_duration, show_size};
use super::sections::Secrets;
use super::settings::Judged;
use super::tree::{Node, Value};
use super::{PluginSchema, Purpose};
use crate::outcome::Label;

/// The longest that the settings of all checks may be together, in bytes.
pub(super) const LONGEST_SETTINGS: usize = 64 << 20;

/// What checks are judged with.
pub(super) struct Room<'a, 'b> {
    /// The files.
    pub(super) sources: &'a [Source],
    /// Names of secrets.
    pub(super) secrets: &'a Secrets<'a>,
    /// Plugins.
    pub(super) plugins: &'b mut Plugins<'a>,
    /// What the configuration is for.
    pub(super) purpose: Purpose,
    /// How long all settings together may still be, in bytes: what defaults of a plugin's schema add is bounded too.
    pub(super) left: usize,
    /// Mistakes.
    pub(super) found: &'b mut Found,
}

/// A check, and its settings as the operator may write them, defaults filled in.
pub(super) struct Checked {
    /// What the agent reads.
    pub(super) config: CheckConfig,
    /// `with:`
    pub(super) with: Json,
    /// `summary.with:`
    pub(super) summary_with: Json,
}

/// All of them. If nothing is found wrong, as many as the document has.
pub(super) fn checks(tree: &Node, room: &mut Room<'_, '_>) -> Vec<Checked> {
    let mut services = HashMap::new();
    let checks = tree.get("checks").map(Node::items).unwrap_or_default();
    checks.iter().filter(|node| !node.is_wrong()).filter_map(|node| check(node, &mut services, room)).collect()
}

/// Where each service got its name.
type Services = HashMap<String, Place>;

fn check(node: &Node, services: &mut Services, room: &mut Room<'_, '_>) -> Option<Checked> {
    let name = node.text("name").unwrap_or_default().to_owned();
    let place = node.get("name").map_or(node.place, |name| name.place).or(node.place);
    let several = node.get("targets").is_some();
    let plugin = node.text("plugin").unwrap_or_default().to_owned();
    let schema = named_plugin(node, &plugin, place, false, room);
    let targets = targets(node, &name, place, &plugin, schema, room);
    if !name.is_empty() {
        claim(&name, place, "check", services, room.found);
        let targets = targets.iter().filter(|_| several);
        targets.for_each(|(target, place)| claim(&format!("{name}/{}", target.name), *place, "target", services, room.found));
    }
    let with = settings(node, &plugin, schema, place, room);
    let summary = summary(node.get("summary")?, place, room);
    fits(node, place, room);
    let (with, (summary, summary_with)) = (with?, summary?);
    let slo = node
        .get("slo")
        .and_then(|slo| Some(SloConfig { objective: kind::percent(slo.text("objective")?)?, window: slo.duration("window")? }));
    let config = CheckConfig {
        name,
        plugin,
        targets: targets.into_iter().map(|(target, _)| target).collect(),
        several,
        every: node.duration("every")?,
        timeout: node.duration("timeout")?,
        retries: node.whole("retries")?,
        settings: with.settings,
        files: with.files,
        secrets: with.secrets,
        summary,
        slo,
        labels: labels(node),
        propagate_trace: node.flag("propagate_trace")?,
        peer_service: node.text("peer_service").map(str::to_owned),
    };
    Some(Checked { config, with: with.shown, summary_with })
}

/// A name that appears twice in a configuration is a mistake.
fn claim(name: &str, place: Place, what: &str, services: &mut Services, found: &mut Found) {
    match services.get(name) {
        Some(first) => found.add(
            Mistake::new(
                place,
                format!("a second {what} is called {}", if place.is_substituted() { SUBSTITUTED.to_owned() } else { quoted(name) }),
            )
            .also("the first is here", *first)
            .hint((what == "target").then_some("give one of them a `name`")),
        ),
        None => drop(services.insert(name.to_owned(), place)),
    }
}

fn named_plugin<'a>(node: &Node, name: &str, check: Place, summariser: bool, room: &mut Room<'a, '_>) -> Option<&'a PluginSchema> {
    let place = node.get("plugin").filter(|plugin| !plugin.is_wrong())?.place.or(check);
    room.plugins.schema(name, place, summariser, room.found)
}

/// Targets, each with the place that mistakes about it name.
fn targets(
    node: &Node,
    check: &str,
    place: Place,
    plugin: &str,
    schema: Option<&PluginSchema>,
    room: &mut Room<'_, '_>,
) -> Vec<(TargetConfig, Place)> {
    let mut told = |mistake| room.found.add(mistake);
    let (one, several) = (node.entry("target"), node.entry("targets"));
    let nodes: Vec<&Node> = match (one, several) {
        (Some(one), None) => vec![&one.node],
        (None, Some(several)) => several.node.items().iter().collect(),
        (None, None) => {
            told(Mistake::new(place, "a check has to have a `target`, or several `targets`"));
            return Vec::new();
        }
        (Some(one), Some(several)) => {
            let message = "a check has either a `target` or `targets`, not both";
            told(Mistake::new(several.place, message).also("the other is here", one.place));
            std::iter::once(&one.node).chain(several.node.items()).collect()
        }
    };
    if several.is_some_and(|several| nodes.is_empty() && !several.node.is_wrong()) {
        told(Mistake::new(several.map_or(place, |several| several.place), "`targets` has none"));
    }
    let schemes = schema.map(|schema| schema.target_schemes.as_slice()).unwrap_or_default();
    let mut targets = Vec::with_capacity(nodes.len());
    for node in nodes {
        let address = if let Value::Map(_) = node.value { node.get("address") } else { Some(node) };
        let Some((address, text)) = address.and_then(|address| Some((address, address.as_text()?))) else { continue };
        if let Some((message, hint)) = address::mistake(text, plugin, schemes) {
            told(match address.place {
                Place::NOWHERE => Mistake::new(Place::NOWHERE, message).hint(hint.or_else(|| file_meant(text))),
                place if place.is_substituted() => {
                    Mistake::new(place, format!("`target`: {SUBSTITUTED} is no url for {}", Place::NOWHERE.named("the plugin", plugin)))
                }
                place => Mistake::new(place, format!("`target`: {message}")).hint(hint),
            });
        }
        let name = match (several, node.get("name")) {
            (None, _) => check.to_owned(),
            (Some(_), Some(name)) => name.as_text().unwrap_or_default().to_owned(),
            (Some(_), None) => address::name(text),
        };
        let place = node.get("name").map_or(node.place, |name| name.place);
        targets.push((TargetConfig { name, address: text.to_owned(), labels: labels(node) }, place));
    }
    targets
}

/// For an argument that is no URL but may be a file.
fn file_meant(argument: &str) -> Option<String> {
    let named = [".yaml", ".yml"].iter().any(|end| argument.ends_with(end)) || std::path::Path::new(argument).exists();
    (named && !argument.is_empty()).then(|| format!("a configuration is given with `-c`: `vedette check -c {argument}`"))
}

fn labels(node: &Node) -> Vec<Label> {
    let entries = node.get("labels").map(Node::entries).unwrap_or_default();
    let labels = entries.iter().filter_map(|entry| Some(Label { name: entry.key.clone(), value: entry.node.as_text()?.to_owned() }));
    let mut labels: Vec<Label> = labels.collect();
    labels.sort_by(|one, other| one.name.cmp(&other.name));
    labels
}

/// `with:` of a check or of its summary.
fn settings<'a>(node: &Node, plugin: &str, schema: Option<&'a PluginSchema>, place: Place, room: &mut Room<'a, '_>) -> Option<Judged> {
    let with = node.get("with").filter(|with| !with.is_wrong())?;
    let named = node.get("plugin").map_or(place, |plugin| plugin.place.or(place));
    let settings = room.plugins.settings(plugin, schema?, named, room.found)?;
    let judged = settings.judge(with, place, room.sources, room.secrets, room.found)?;
    room.left = room.left.saturating_sub(judged.settings.len());
    if room.left == 0 {
        let message = format!("the settings of all checks together are longer than {}", show_size(LONGEST_SETTINGS as u64));
        room.found.add(Mistake::new(named, message));
        return None;
    }
    Some(judged)
}

fn summary(node: &Node, place: Place, room: &mut Room<'_, '_>) -> Option<(SummaryConfig, Json)> {
    let plugin = node.text("plugin").unwrap_or_default().to_owned();
    let schema = named_plugin(node, &plugin, place, true, room);
    let with = settings(node, &plugin, schema, place, room);
    let windows = node.get("windows")?;
    let mut lengths: Vec<Duration> = windows.items().iter().filter_map(Node::as_duration).collect();
    lengths.sort();
    let before = lengths.len();
    lengths.dedup();
    if lengths.len() < before {
        room.found.add(Mistake::new(windows.place.or(place), "`windows` has the same window twice"));
    }
    if windows.items().is_empty() && !windows.is_wrong() {
        room.found.add(Mistake::new(windows.place.or(place), "`windows` has none"));
    }
    let with = with?;
    Some((SummaryConfig { plugin, windows: lengths, settings: with.settings }, with.shown))
}

/// A run has to have ended when the next is due.
fn fits(node: &Node, place: Place, room: &mut Room<'_, '_>) -> Option<()> {
    let (every, timeout, retries) = (node.duration("every")?, node.duration("timeout")?, node.whole("retries")?);
    let longest = budget(timeout, retries);
    if room.purpose == Purpose::Once || longest <= every {
        return None;
    }
    // Where the operator said something about it: in the check if anything stands there, else in the defaults.
    let said = ["every", "timeout", "retries"].into_iter().filter_map(|key| node.entry(key));
    let (own, inherited): (Vec<_>, Vec<_>) = said.partition(|entry| entry.place != Place::NOWHERE);
    let places = own.iter().chain(&inherited).map(|entry| entry.node.place);
    let place = places.into_iter().find(|place| *place != Place::NOWHERE).unwrap_or(place);
    let pauses: Duration = (1..=retries).map(longest_pause).sum();
    let hint = room_for(every, timeout, retries, pauses, longest);
    let message = format!(
        "`every` is {}, but a run may take {}: (`retries` + 1) × `timeout` + pauses = {} × {} + {}",
        show_duration(every),
        show_duration(longest),
        retries + 1,
        show_duration(timeout),
        show_duration(pauses)
    );
    room.found.add(Mistake::new(place, message).hint(Some(hint)));
    Some(())
}

/// What to do about a run that does not fit: each of these is enough.
fn room_for(every: Duration, timeout: Duration, retries: u32, pauses: Duration, longest: Duration) -> String {
    let mut ways = vec![format!("raise `every` to {}", show_duration(longest))];
    // Rounded down to what people write.
    let fits = every.saturating_sub(pauses) / retries.saturating_add(1);
    let grain = if fits >= Duration::from_secs(1) { 100 } else { 10 };
    let fits = fits.as_millis() / grain * grain;
    if let Some(millis) = u64::try_from(fits).ok().filter(|millis| *millis > 0) {
        ways.push(format!("lower `timeout` to {}", show_duration(Duration::from_millis(millis))));
    }
    if let Some(fewer) = (0..retries).rev().find(|fewer| budget(timeout, *fewer) <= every) {
        ways.push(format!("lower `retries` to {fewer}"));
    }
    ways.join(", or ")
}
