//! Wires the stages: the schedule starts runs, their outcomes are summarised, the records go to telemetry and page.
//!
//! Nothing waits for a stage further down: telemetry and page take a record at once or count that they could not.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{Anchor, Instant};
use crate::config::{AgentConfig, Auth, Config};
use crate::outcome::{ErrorType, Outcome, TraceId, Trigger};
use crate::plan::{Plan, Probe, Secrets};
use crate::runner::{LAST_WORDS, Occasion, Runner, budget};
use crate::schedule::{Due, Grid, in_time};
use crate::serve::{self, Access, Board, ProbeInfo, Service};
use crate::store::Store;
use crate::summary::Summaries;
use crate::telemetry::{self, ProbeSeries, Telemetry};
use crate::vitals::Vitals;

/// The scheduler gives a sign of life at least so often.
const BEAT: Duration = Duration::from_secs(1);
/// Last successes are written to the store so often, and at the end.
const PERSIST: Duration = Duration::from_secs(30);
/// Runs in flight get at most so long to end when the agent is asked to stop ...
const DRAIN: Duration = Duration::from_secs(15);
/// ... and what is queued for the collector so long to leave.
const FLUSH: Duration = Duration::from_secs(5);

/// Everything that has been found right before the agent starts.
#[derive(Debug)]
pub struct Setup {
    /// The configuration.
    pub config: Config,
    /// What it amounts to.
    pub plan: Plan,
    /// Values of its secrets.
    pub secrets: Secrets,
    /// What survives a restart.
    pub store: Store,
    /// About the agent itself.
    pub vitals: Arc<Vitals>,
    /// For page, API and metrics; none = not served.
    pub listener: Option<TcpListener>,
}

/// The stages that a run passes, shared by all runs.
struct Stages {
    probes: Vec<Arc<Probe>>,
    runner: Runner,
    summaries: Summaries,
    telemetry: Telemetry,
    board: Board,
    vitals: Arc<Vitals>,
    /// Runs in flight, and what comes after them.
    tasks: TaskTracker,
}

/// Watches until `stop` is cancelled; then lets the runs in flight end, sends what is left, and returns.
pub async fn run(setup: Setup, stop: CancellationToken) -> anyhow::Result<()> {
    let access = access(&setup.config.agent, &setup.secrets);
    let stages = Arc::new(stages(&setup)?);
    announce(&setup, &access);
    let end = CancellationToken::new();
    let server = setup.listener.map(|listener| {
        let telemetry = stages.telemetry.clone();
        let service = Service {
            board: stages.board.clone(),
            access,
            metrics: Arc::new(move || telemetry.prometheus()),
            vitals: Arc::clone(&stages.vitals),
            stopping: stop.clone(),
        };
        tokio::spawn(serve::serve(listener, service, end.clone()))
    });
    let persisting = tokio::spawn(persist(Arc::clone(&stages)));
    keep_time(&stages, &stop).await;
    drain(&stages).await;
    persisting.abort();
    stages.summaries.persist().await;
    stages.telemetry.shutdown(FLUSH).await;
    end.cancel();
    if let Some(server) = server {
        server.await?;
    }
    Ok(())
}

fn stages(setup: &Setup) -> anyhow::Result<Stages> {
    let (probes, agent) = (&setup.plan.probes, &setup.config.agent);
    let telemetry = Telemetry::start(telemetry::Options {
        otlp: setup.config.otlp.clone(),
        secrets: texts(&setup.secrets),
        instance_id: setup.store.instance_id(),
        state_dir: agent.state_dir.clone(),
        probes: probes.iter().map(|probe| series(probe)).collect(),
        vitals: Arc::clone(&setup.vitals),
    })?;
    Ok(Stages {
        runner: Runner::new(probes, agent.concurrency, setup.store.clone(), Arc::clone(&setup.vitals)),
        summaries: Summaries::new(probes, setup.store.clone()),
        telemetry,
        board: Board::new(&agent.location, probes.iter().map(|probe| info(probe)).collect()),
        vitals: Arc::clone(&setup.vitals),
        tasks: TaskTracker::new(),
        probes: probes.clone(),
    })
}

fn series(probe: &Probe) -> ProbeSeries {
    ProbeSeries { identity: Arc::clone(&probe.identity), windows: Arc::clone(&probe.summary.windows), slo: probe.slo }
}

fn info(probe: &Probe) -> ProbeInfo {
    ProbeInfo {
        identity: Arc::clone(&probe.identity),
        settings: Arc::clone(&probe.settings),
        timeout: probe.timeout,
        retries: probe.retries,
        windows: Arc::clone(&probe.summary.windows),
        slo: probe.slo,
    }
}

/// Secrets that are text. Headers and tokens cannot be anything else.
pub(crate) fn texts(secrets: &Secrets) -> BTreeMap<String, String> {
    secrets.iter().filter_map(|(name, value)| Some((name.clone(), String::from_utf8(value.clone()).ok()?))).collect()
}

/// Loopback is open unless a token is asked for; beyond it the operator has to say.
fn access(agent: &AgentConfig, secrets: &Secrets) -> Access {
    let loopback = agent.listen.is_none_or(|address| address.ip().is_loopback());
    match &agent.auth {
        Auth::Open => Access::Open,
        Auth::Unset if loopback => Access::Open,
        Auth::Token { secret } => match texts(secrets).remove(secret) {
            Some(token) => Access::Token(token),
            None => Access::HealthOnly,
        },
        Auth::Unset => {
            tracing::warn!("agent.listen is not loopback and agent.auth is not set: only /healthz and /readyz are served");
            Access::HealthOnly
        }
    }
}

/// Says what is watched from where, and which address a person can open; last of all, so that what is to be said of the
/// access stands before it.
fn announce(setup: &Setup, access: &Access) {
    let (probes, location) = (setup.plan.probes.len(), setup.config.agent.location.as_str());
    let address = setup.listener.as_ref().and_then(|listener| listener.local_addr().ok());
    match (address.map(|address| format!("http://{}/", at_hand(address))), access) {
        (None, _) => tracing::info!(probes, location, "watching"),
        (Some(site), Access::HealthOnly) => tracing::info!(probes, location, health = %format!("{site}healthz"), "watching"),
        (Some(page), _) => tracing::info!(probes, location, %page, "watching"),
    }
}

/// Where this machine reaches what listens: everywhere is no address to connect to.
fn at_hand(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    address
}

/// Starts each run when its time has come.
async fn keep_time(stages: &Arc<Stages>, stop: &CancellationToken) {
    let probes = stages.probes.iter().map(|probe| (probe.identity.service.as_str(), probe.identity.every));
    let mut grid = Grid::new(Anchor::now(), probes);
    loop {
        stages.vitals.beat();
        let next = Instant::now() + BEAT;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(grid.wakes_at().map_or(next, |at| at.min(next))) => {}
        }
        let now = Instant::now();
        while let Some(due) = grid.take(now) {
            start(stages, due, now);
        }
    }
}

/// Starts a run, or says why not. What was missed before it is not made good.
fn start(stages: &Arc<Stages>, due: Due, now: Instant) {
    if due.missed > 0 {
        skip(stages, due, due.missed, ErrorType::Late);
    }
    if !in_time(&due, now, stages.probes[due.probe].identity.every) {
        return skip(stages, due, 1, ErrorType::Late);
    }
    let (stages, tasks) = (Arc::clone(stages), stages.tasks.clone());
    tasks.spawn(async move {
        match stages.runner.admit(due.probe).await {
            Ok(admitted) => {
                stages.vitals.planned.increment();
                stages.vitals.run.increment();
                stages.vitals.lateness.record(Instant::now().saturating_duration_since(due.at));
                let trace_id = TraceId::random();
                let sampled = stages.telemetry.decide(trace_id);
                let occasion = Occasion { trigger: Trigger::Schedule, scheduled_at: due.scheduled_at, trace_id, sampled };
                let outcome = stages.runner.run(admitted, occasion).await;
                stages.complete(due.probe, outcome).await;
            }
            Err(why) => skip(&stages, due, 1, why),
        }
    });
}

fn skip(stages: &Arc<Stages>, due: Due, runs: u64, why: ErrorType) {
    stages.vitals.planned.add(runs);
    stages.vitals.missed.add(&[why.word()], runs);
    let outcome = stages.runner.skip(due.probe, due.scheduled_at, runs, why);
    let (stages, tasks) = (Arc::clone(stages), stages.tasks.clone());
    tasks.spawn(async move { stages.complete(due.probe, outcome).await });
}

impl Stages {
    /// The only fork of the data: from here it goes to telemetry and to the page.
    async fn complete(&self, probe: usize, outcome: Outcome) {
        let record = Arc::new(self.summaries.fold(probe, outcome).await);
        self.board.record(&record);
        self.telemetry.record(record);
    }
}

/// Runs in flight end by themselves; those that may take longer than anybody waits are cut and said.
async fn drain(stages: &Stages) {
    let longest = stages.probes.iter().map(|probe| budget(probe.timeout, probe.retries)).max().unwrap_or_default();
    stages.tasks.close();
    if tokio::time::timeout((longest + LAST_WORDS * 4).min(DRAIN), stages.tasks.wait()).await.is_err() {
        tracing::warn!(runs = stages.tasks.len(), "runs were still in flight after the grace period and were cut");
    }
}

async fn persist(stages: Arc<Stages>) {
    loop {
        tokio::time::sleep(PERSIST).await;
        stages.summaries.persist().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_told_can_be_opened() {
        for (listening, told) in [
            ("0.0.0.0:9115", "127.0.0.1:9115"),
            ("[::]:9115", "[::1]:9115"),
            ("127.0.0.1:9115", "127.0.0.1:9115"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            assert_eq!(at_hand(listening.parse().unwrap()).to_string(), told);
        }
    }
}
