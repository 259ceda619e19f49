//! The one task that records go through: it keeps the series, and hands spans, points and events to the queues.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::encode::{ITEMS, Items};
use super::events::{self, Fingerprint};
use super::otlp::{Scope, Signal};
use super::queue::{Lane, Request};
use super::series::{Pass, Table};
use super::spans::{exported, spans};
use crate::clock::{Instant, Timestamp};
use crate::config::SloConfig;
use crate::outcome::{Identity, Record};
use crate::vitals::Vitals;

/// Fewer items than this are encoded where they are; more would hold up other tasks.
const INLINE: usize = 64;

/// That data was lost is told at most so often.
const REMINDER: Duration = Duration::from_mins(1);

/// Where requests are handed to.
#[derive(Debug)]
pub(super) struct Export {
    pub(super) resource: Arc<Resource>,
    /// Of traces, metrics and logs.
    pub(super) lanes: [Arc<Lane>; 3],
    pub(super) span_delay: Duration,
    pub(super) event_delay: Duration,
}

/// Things that wait for others, so that they share a request.
#[derive(Debug)]
struct Batch<T> {
    items: Vec<(Scope, T)>,
    delay: Duration,
    /// When the first of them has waited long enough.
    due: Option<Instant>,
}

impl<T> Batch<T> {
    fn new(delay: Duration) -> Self {
        Self { items: Vec::new(), delay, due: None }
    }

    fn extend(&mut self, scope: &Scope, items: impl IntoIterator<Item = T>) {
        self.items.extend(items.into_iter().map(|item| (scope.clone(), item)));
        if !self.items.is_empty() && self.due.is_none() {
            self.due = Some(Instant::now() + self.delay);
        }
    }

    fn take(&mut self) -> Vec<(Scope, T)> {
        self.due = None;
        std::mem::take(&mut self.items)
    }

    async fn ripe(&self) {
        match self.due {
            Some(_) if self.items.len() >= ITEMS => {}
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }
}

/// What the task works with.
#[derive(Debug)]
pub(super) struct Gather {
    records: mpsc::Receiver<Arc<Record>>,
    table: Arc<Mutex<Table>>,
    vitals: Arc<Vitals>,
    slos: HashMap<Arc<Identity>, SloConfig>,
    export: Option<Export>,
    spans: Batch<Span>,
    events: Batch<LogRecord>,
    certificates: HashMap<Arc<Identity>, Fingerprint>,
    told: Told,
}

/// What has been said of losses, by what was lost and how.
#[derive(Debug, Default)]
struct Told {
    at: Option<Instant>,
    losses: BTreeMap<(String, String), u64>,
}

impl Gather {
    pub(super) fn new(
        records: mpsc::Receiver<Arc<Record>>,
        table: Arc<Mutex<Table>>,
        vitals: Arc<Vitals>,
        slos: HashMap<Arc<Identity>, SloConfig>,
        export: Option<Export>,
    ) -> Self {
        let (spans, events) = match &export {
            Some(export) => (Batch::new(export.span_delay), Batch::new(export.event_delay)),
            None => (Batch::new(Duration::ZERO), Batch::new(Duration::ZERO)),
        };
        Self { records, table, vitals, slos, export, spans, events, certificates: HashMap::new(), told: Told::default() }
    }

    /// Until it is stopped, or nobody can send records any more. What has come by then is handed on, then the senders
    /// are told to finish.
    pub(super) async fn run(
        mut self,
        interval: Duration,
        stop: CancellationToken,
        finished: watch::Sender<Option<Instant>>,
        grace: Arc<Mutex<Instant>>,
    ) {
        // Before any record, so that counters are seen at zero.
        self.tick().await;
        let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = ticks.tick() => self.tick().await,
                () = self.spans.ripe() => self.flush_spans().await,
                () = self.events.ripe() => self.flush_events().await,
                record = self.records.recv() => match record {
                    Some(record) => self.take(&record),
                    None => break,
                },
            }
        }
        self.records.close();
        while let Some(record) = self.records.recv().await {
            self.take(&record);
        }
        self.flush_spans().await;
        self.tick().await;
        self.flush_events().await;
        let deadline = *grace.lock();
        finished.send_replace(Some(deadline));
    }

    fn take(&mut self, record: &Record) {
        let probe = &record.outcome.probe;
        self.table.lock().record(record, self.slos.get(probe).copied(), &self.vitals);
        if self.export.is_none() {
            return;
        }
        let scope = Scope::of(probe);
        if exported(&record.outcome) {
            self.spans.extend(&scope, spans(&record.outcome));
        }
        let seen = Fingerprint::of(&record.outcome);
        let before = seen.and_then(|seen| {
            let differs = self.certificates.get(probe).is_some_and(|before| seen.differs(before));
            let before = self.certificates.insert(Arc::clone(probe), seen);
            before.filter(|_| differs)
        });
        self.events.extend(&scope, events::events(record, before.as_ref()));
    }

    /// Sends the series that are due: first the zeros that others need before them.
    async fn tick(&mut self) {
        let now = Timestamp::now();
        self.tell_losses(now);
        let Some(export) = &self.export else { return };
        let oldest = export.lanes.iter().filter_map(|lane| lane.oldest()).min();
        let millis = oldest.map_or(0, |oldest| i64::try_from(oldest.0 / 1_000_000).unwrap_or(i64::MAX));
        self.vitals.export_queue_oldest.set(millis);
        self.table.lock().read(&self.vitals, now);
        for pass in [Pass::Zeros, Pass::Values] {
            let mut from = Some(0);
            while let Some(group) = from {
                let (points, next) = self.table.lock().collect(pass, now, group);
                export.hand_over(Signal::Metrics, Items::Metrics(points)).await;
                from = next;
            }
        }
    }

    async fn flush_spans(&mut self) {
        let spans = Items::Traces(self.spans.take());
        if let Some(export) = &self.export {
            export.hand_over(Signal::Traces, spans).await;
        }
    }

    async fn flush_events(&mut self) {
        let events = Items::Logs(self.events.take());
        if let Some(export) = &self.export {
            export.hand_over(Signal::Logs, events).await;
        }
    }

    /// Nothing is lost silently. What is lost of the events themselves is left to the log, or one loss would make the
    /// next.
    fn tell_losses(&mut self, now: Timestamp) {
        if self.export.is_none() || self.told.at.is_some_and(|at| at.elapsed() < REMINDER) {
            return;
        }
        let items = self.vitals.export_items.snapshot().into_iter().filter_map(|(values, count)| match &values[..] {
            [signal, outcome] if signal != Signal::Logs.word() && ["rejected", "dropped"].contains(&outcome.as_str()) => {
                Some(((signal.clone(), outcome.clone()), count))
            }
            _ => None,
        });
        let records = (("records".to_owned(), "dropped".to_owned()), self.vitals.records_dropped.get());
        for (what, count) in items.chain([records]).collect::<Vec<_>>() {
            let known = self.told.losses.entry(what.clone()).or_default();
            if count > *known {
                let event = events::data_dropped(&what.0, &what.1, count - *known, now);
                *known = count;
                self.told.at = Some(Instant::now());
                self.events.extend(&Scope::own(), [event]);
            }
        }
    }
}

impl Export {
    /// Encodes and queues, away from the tasks that must not wait if there is much to do.
    async fn hand_over(&self, signal: Signal, items: Items) {
        let (count, resource) = (items.len(), Arc::clone(&self.resource));
        if count == 0 {
            return;
        }
        let lane = &self.lanes[signal as usize];
        let pack = move || -> Vec<Request> {
            let now = Timestamp::now();
            items.requests(&resource).into_iter().map(|plain| Request::new(plain, now)).collect()
        };
        let requests = if count < INLINE { Ok(pack()) } else { tokio::task::spawn_blocking(pack).await };
        match requests {
            Ok(requests) => requests.into_iter().for_each(|request| lane.push(request)),
            Err(error) => tracing::error!(%error, signal = signal.word(), "{count} items could not be encoded, and are lost"),
        }
    }
}
