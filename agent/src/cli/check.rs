//! `vedette check`: every target once, all at the same time.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::output;
use super::report::{self, Results, Service};
use super::setup::{self, Opened, StateDir};
use crate::clock::{Anchor, Instant, Timestamp};
use crate::config::{self, CheckConfig, Config, Document, Purpose};
use crate::outcome::{Outcome, RunResult, TraceId, Trigger};
use crate::plan::{self, Probe};
use crate::runner::{Occasion, Runner};
use crate::store::Store;
use crate::summary;

#[derive(Debug, Args)]
#[command(override_usage = "vedette check [OPTIONS] <URL>...\n       vedette check [OPTIONS] --config <FILE>")]
pub(super) struct Arguments {
    /// Addresses to ask with the built-in `http` plugin.
    #[arg(value_name = "URL", conflicts_with = "config")]
    urls: Vec<String>,
    /// A configuration file, or a directory of them.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only this check, or this `check/target`; may be given several times.
    #[arg(long, value_name = "NAME", requires = "config")]
    only: Vec<String>,
    /// How the results are printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Of one attempt [default: the configuration's, 2s].
    #[arg(long, value_name = "DURATION", value_parser = super::duration, allow_hyphen_values = true)]
    timeout: Option<Duration>,
    /// Further attempts on transient errors [default: the configuration's, 1].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(..=i64::from(config::MOST_RETRIES)), allow_hyphen_values = true)]
    retries: Option<u32>,
    /// Where the last successes are kept, `off` for nowhere [default: the configuration's, the XDG state directory].
    #[arg(long, value_name = "DIR")]
    state_dir: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// A line per service.
    #[default]
    Table,
    /// One object, the contract of `vedette check`.
    Json,
    /// The XML that CI systems read.
    Junit,
}

pub(super) async fn check(arguments: Arguments) -> anyhow::Result<u8> {
    super::logging::quiet();
    let document = document(&arguments)?;
    let opened = setup::open(&document, Purpose::Once, StateDir::option(arguments.state_dir.as_deref())).await?;
    let mut config = opened.loaded.config.clone();
    select(&mut config, &arguments.only)?;
    for check in &mut config.checks {
        check.timeout = arguments.timeout.unwrap_or(check.timeout);
        check.retries = arguments.retries.unwrap_or(check.retries);
    }
    let results = results(&opened, &config).await?;
    Ok(output::print(&render(&results, arguments.format)?, results.exit_code()))
}

fn document(arguments: &Arguments) -> anyhow::Result<Document> {
    match &arguments.config {
        Some(path) => Ok(config::read(path)),
        None if arguments.urls.is_empty() => bail!("nothing to check: give a URL, or a configuration with -c FILE"),
        None => Ok(config::for_urls(&arguments.urls)),
    }
}

/// Keeps what `--only` names. A name that is nowhere is a mistake: a pipeline must not pass because of a typing error.
fn select(config: &mut Config, only: &[String]) -> anyhow::Result<()> {
    if only.is_empty() {
        return Ok(());
    }
    let known: Vec<String> = config.checks.iter().flat_map(names).collect();
    let mut found = vec![false; only.len()];
    for check in &mut config.checks {
        let mut named = |name: &str| {
            let place = only.iter().position(|other| other == name);
            place.map(|place| found[place] = true).is_some()
        };
        if !named(&check.name) {
            let name = check.name.clone();
            check.targets.retain(|target| named(&format!("{name}/{}", target.name)));
        }
    }
    config.checks.retain(|check| !check.targets.is_empty());
    match found.iter().position(|found| !found) {
        Some(place) => {
            let hint = config::meant(&only[place], &known).map(|hint| format!("; {hint}")).unwrap_or_default();
            bail!("--only {}: no check or target of that name is in the configuration{hint}", only[place])
        }
        None => Ok(()),
    }
}

/// What `--only` may say of a check.
fn names(check: &CheckConfig) -> Vec<String> {
    let targets = check.targets.iter().map(|target| format!("{}/{}", check.name, target.name));
    std::iter::once(check.name.clone()).chain(targets).collect()
}

async fn results(opened: &Opened, config: &Config) -> anyhow::Result<Results> {
    let secrets = plan::secret_values(config)?;
    let plan = plan::build(config, &opened.catalogue, &secrets).await?;
    let runner = Runner::new(&plan.probes, opened.slots, opened.store.clone(), Arc::clone(&opened.vitals));
    let (runner, began) = (Arc::new(runner), Anchor::now());
    let runs: Vec<_> = (0..plan.probes.len()).map(|probe| tokio::spawn(once(Arc::clone(&runner), probe))).collect();
    let mut services = Vec::with_capacity(runs.len());
    for (run, probe) in runs.into_iter().zip(&plan.probes) {
        let outcome = run.await?.with_context(|| format!("{} was not run", probe.identity.service))?;
        services.push(service(probe, outcome, &opened.store));
    }
    Ok(Results {
        started: began.wall(),
        length: Instant::now().saturating_duration_since(began.instant()),
        location: config.agent.location.clone(),
        services,
    })
}

async fn once(runner: Arc<Runner>, probe: usize) -> Option<Outcome> {
    let scheduled_at = Timestamp::now();
    let admitted = runner.admit_in_turn(probe).await?;
    // `check` exports nothing, so nothing would hang below a trace that is announced as sampled.
    let occasion = Occasion { trigger: Trigger::Once, scheduled_at, trace_id: TraceId::random(), sampled: false };
    Some(runner.run(admitted, occasion).await)
}

/// The outcome, and when its service last succeeded; noted for the next invocation.
fn service(probe: &Probe, outcome: Outcome, store: &Store) -> Service {
    let key = summary::key(probe);
    let last_success = if outcome.result == RunResult::Success {
        store.set_last_success(&key, outcome.ended_at());
        Some(outcome.ended_at())
    } else {
        store.last_success(&key)
    };
    Service { outcome: Arc::new(outcome), last_success }
}

fn render(results: &Results, format: Format) -> anyhow::Result<String> {
    Ok(match format {
        Format::Table => report::table(results, output::colour(&io::stdout())),
        Format::Json => report::json(results)?,
        Format::Junit => report::junit(results)?,
    })
}
