//! Config + plugins -> Plan: everything that can run, ready to run. The last place where starting may fail.

mod catalogue;
mod grants;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{self, CheckConfig, Config, SloConfig, TargetConfig};
use crate::outcome::{Identity, Label};
use crate::plugin::{Grants, Limits, Plugin, PluginError};

pub use crate::plugin::built_in;
pub use catalogue::Catalogue;
pub use grants::{Secrets, secret_values};

/// What the agent is going to do.
#[derive(Debug)]
pub struct Plan {
    /// In the order of the configuration.
    pub probes: Vec<Arc<Probe>>,
}

/// One check on one target, ready to run.
#[derive(Debug)]
pub struct Probe {
    /// Which.
    pub identity: Arc<Identity>,
    /// The logic of the check.
    pub plugin: Plugin,
    /// The target's address as the operator wrote it: never shown.
    pub address: Arc<str>,
    /// The target's own labels.
    pub target_labels: Arc<[Label]>,
    /// Settings as JSON text, accepted by the plugin's schema.
    pub settings: Arc<str>,
    /// What the plugin may reach and use.
    pub grants: Arc<Grants>,
    /// How much it may use.
    pub limits: Limits,
    /// Of one attempt.
    pub timeout: Duration,
    /// Further attempts after a transient failure.
    pub retries: u32,
    /// Whether the target gets `traceparent`.
    pub propagate: bool,
    /// What judges the outcomes.
    pub summary: Arc<Summariser>,
    /// Its objective.
    pub slo: Option<SloConfig>,
}

/// The summariser of a check.
#[derive(Debug)]
pub struct Summariser {
    /// The logic.
    pub plugin: Plugin,
    /// Settings as JSON text.
    pub settings: String,
    /// Shortest first.
    pub windows: Arc<[Duration]>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The sandbox or a plugin.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// Neither declared nor embedded.
    #[error("there is no plugin `{name}`: built in are {known}; others are declared under `plugins:`")]
    UnknownPlugin {
        /// Its name.
        name: String,
        /// Names that would do.
        known: String,
    },
    /// A component that cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Secrets without a value, or with one of no use: which, what is wrong, and what to do.
    #[error("{}", .0.join("; "))]
    Secrets(Vec<String>),
    /// A file of certificates that are to be trusted, with none in it.
    #[error("check `{check}`: {} is no use as certificates to trust: {message}", path.display())]
    Roots {
        /// The check that names it first.
        check: String,
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        message: String,
    },
}

/// Builds the plan. Every plugin that the configuration names has been loaded while its settings were judged.
pub async fn build(config: &Config, catalogue: &Catalogue, secrets: &Secrets) -> Result<Plan, PlanError> {
    grants::judge_files(&config.checks)?;
    let mut probes = Vec::new();
    for check in &config.checks {
        let declared = config.plugins.get(&check.plugin);
        let plugin = catalogue.plugin(&check.plugin, declared.map(|plugin| plugin.source.as_path())).await?;
        let summariser = config.plugins.get(&check.summary.plugin).map(|plugin| plugin.source.as_path());
        let summary = Arc::new(Summariser {
            plugin: catalogue.plugin(&check.summary.plugin, summariser).await?,
            settings: check.summary.settings.clone(),
            windows: windows(&check.summary.windows, check.slo).into(),
        });
        let grants = Arc::new(grants::grants(check, declared, config, secrets));
        let limits = grants::limits(check, declared);
        let settings: Arc<str> = check.settings.as_str().into();
        probes.extend(check.targets.iter().map(|target| {
            Arc::new(Probe {
                identity: Arc::new(identity(config, check, target, &plugin)),
                plugin: plugin.clone(),
                address: target.address.as_str().into(),
                target_labels: target.labels.clone().into(),
                settings: Arc::clone(&settings),
                grants: Arc::clone(&grants),
                limits,
                timeout: check.timeout,
                retries: check.retries,
                propagate: check.propagate_trace,
                summary: Arc::clone(&summary),
                slo: check.slo,
            })
        }));
    }
    Ok(Plan { probes })
}

fn identity(settings: &Config, check: &CheckConfig, target: &TargetConfig, plugin: &Plugin) -> Identity {
    Identity {
        check: check.name.clone(),
        target: target.name.clone(),
        service: if check.several { format!("{}/{}", check.name, target.name) } else { check.name.clone() },
        address: config::masked(&target.address),
        location: settings.agent.location.clone(),
        labels: merged(&check.labels, &target.labels),
        plugin: check.plugin.clone(),
        plugin_version: plugin.manifest().version.clone(),
        plugin_digest: plugin.digest().to_owned(),
        peer_service: check.peer_service.clone(),
        every: check.every,
    }
}

/// What is summarised: the windows that the operator asked for, and that of the objective, or its budget could not be told.
fn windows(asked: &[Duration], slo: Option<SloConfig>) -> Vec<Duration> {
    let mut windows: Vec<Duration> = asked.iter().copied().chain(slo.map(|slo| slo.window)).collect();
    windows.sort_unstable();
    windows.dedup();
    windows
}

/// The labels of both, the target's winning; sorted by name.
fn merged(check: &[Label], target: &[Label]) -> Vec<Label> {
    let own = |label: &&Label| !target.iter().any(|other| other.name == label.name);
    let mut labels: Vec<Label> = check.iter().filter(own).chain(target).cloned().collect();
    labels.sort();
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str, value: &str) -> Label {
        Label { name: name.into(), value: value.into() }
    }

    #[test]
    fn the_window_of_the_objective_is_summarised_too() {
        let (hour, day) = (Duration::from_hours(1), Duration::from_hours(24));
        let slo = |window| Some(SloConfig { objective: 0.999, window });
        assert_eq!(windows(&[hour], slo(day)), [hour, day]);
        assert_eq!(windows(&[hour, day], slo(hour)), [hour, day]);
        assert_eq!(windows(&[hour], None), [hour]);
    }

    #[test]
    fn a_target_s_label_wins_over_its_check_s() {
        let labels = merged(&[label("tier", "2"), label("team", "payments")], &[label("tier", "1")]);
        assert_eq!(labels, [label("team", "payments"), label("tier", "1")]);
    }
}
