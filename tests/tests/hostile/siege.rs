//! All of them at once, again and again, beside honest probes: the process lives, nobody outstays its deadline, every
//! run is accounted for, and memory does not grow.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use e2e::HOSTILE;
use e2e::sandbox::{call, host, to_do, told};
use vedette::outcome::RunResult;
use vedette::plugin::{Call, Called, Host, Limits, Plugin};

use crate::guests::{self, Case, Fate};
use crate::{listen, loaded, reached};

/// Hostile runs in all, and how many of them at the same time.
const RUNS: usize = 3_000;
const ABREAST: usize = 24;
/// Probes that behave, each of which runs again as soon as it has ended and rested.
const HONEST: usize = 50;
const REST: Duration = Duration::from_millis(100);

const TIMEOUT: Duration = Duration::from_millis(200);
const GRACE: Duration = Duration::from_millis(50);

/// Little of everything, so that each run is over soon.
const LIMITS: Limits = Limits { memory: 16 << 20, cpu: Duration::from_millis(10), exchanges: 4 };

/// How much later than meant anything was woken here.
#[derive(Debug, Default)]
struct Lag(AtomicU64);

impl Lag {
    fn note(&self, late: Duration) {
        self.0.fetch_max(u64::try_from(late.as_nanos()).unwrap(), Relaxed);
    }

    fn most(&self) -> Duration {
        Duration::from_nanos(self.0.load(Relaxed))
    }
}

/// Sleeps and looks at the clock: what this machine does to those who do nothing.
async fn watch(lag: Arc<Lag>, over: Arc<AtomicBool>) {
    while !over.load(Relaxed) {
        let (began, meant) = (Instant::now(), Duration::from_millis(5));
        sleep(meant).await;
        lag.note(began.elapsed().saturating_sub(meant));
    }
}

/// Runs until it is over; how often it did, and whether it always succeeded.
async fn behave(plugin: Plugin, over: Arc<AtomicBool>) -> u64 {
    let mut runs = 0;
    while !over.load(Relaxed) {
        let called = plugin.run(Call { timeout: Duration::from_secs(30), ..to_do("ok") }).await;
        assert_eq!(told(&called), None, "an honest probe: {}", called.report.message);
        runs += 1;
        sleep(REST).await;
    }
    runs
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// What came of all runs.
#[derive(Debug, Default)]
struct Ledger {
    results: BTreeMap<&'static str, u64>,
    limits: BTreeMap<String, u64>,
    longest: Duration,
    wrong: Vec<String>,
    /// Resident, whenever a quarter of the runs is over and none is in flight.
    memory: Vec<u64>,
}

impl Ledger {
    fn enter(&mut self, case: &Case, called: &Called, took: Duration) {
        *self.results.entry(called.report.result().word()).or_default() += 1;
        for limit in reached(&called.report) {
            *self.limits.entry(limit.to_owned()).or_default() += 1;
        }
        self.longest = took.max(self.longest);
        if !fits(case.fate, called) {
            self.wrong.push(format!("{}: {:?} {}", case.name, told(called), called.report.message));
        }
    }
}

/// Limits are tighter here than where each guest meets its own fate, so that it may meet one of these before. That its time is over before it has used its CPU
/// is the machine's doing.
fn fits(fate: Fate, called: &Called) -> bool {
    let before = ["plugin_limit_cpu", "plugin_limit_memory", "plugin_limit_time"];
    match fate {
        Fate::Runs(error_type, _) => told(called) == error_type || told(called).is_some_and(|word| before.contains(&word)),
        Fate::Refused(_) => false,
    }
}

/// Every guest in turn, some abreast, until all runs are made.
async fn besiege(besiegers: &[(Case, Plugin)]) -> Ledger {
    let (mut ledger, abreast, mut runs) = (Ledger::default(), Arc::new(Semaphore::new(ABREAST)), JoinSet::new());
    for number in 1..=RUNS {
        let permit = Arc::clone(&abreast).acquire_owned().await.unwrap();
        let place = number % besiegers.len();
        let plugin = besiegers[place].1.clone();
        runs.spawn(async move {
            let began = Instant::now();
            let called = plugin.run(Call { timeout: TIMEOUT, limits: LIMITS, ..call("{}", "http://127.0.0.1:9/") }).await;
            drop(permit);
            (place, called, began.elapsed())
        });
        let quarter = number % (RUNS / 4) == 0;
        while let Some(ended) = if quarter { runs.join_next().await } else { runs.try_join_next() } {
            let (place, called, took) = ended.unwrap();
            ledger.enter(&besiegers[place].0, &called, took);
        }
        if quarter {
            ledger.memory.push(resident());
        }
    }
    ledger
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_thousand_hostile_runs_disturb_nobody_and_are_all_accounted_for() {
    listen();
    let host = host(None);
    let honest = host.load("honest", HOSTILE, false).await.unwrap();
    let besiegers: Vec<_> =
        loaded(&host, guests::all()).await.into_iter().filter_map(|(case, plugin)| Some((case, plugin.ok()?))).collect();
    // Those that spin while they say what they are have reached a limit already.
    let before = limits(&host);
    let (lag, over) = (Arc::<Lag>::default(), Arc::<AtomicBool>::default());
    let (mut watches, mut behaving) = (JoinSet::new(), JoinSet::new());
    (0..4).for_each(|_| _ = watches.spawn(watch(Arc::clone(&lag), Arc::clone(&over))));
    (0..HONEST).for_each(|_| _ = behaving.spawn(behave(honest.clone(), Arc::clone(&over))));
    let ledger = besiege(&besiegers).await;
    over.store(true, Relaxed);
    let behaved: Vec<u64> = behaving.join_all().await;
    watches.join_all().await;
    println!("lag {:?}, {ledger:?}", lag.most());

    assert!(ledger.wrong.is_empty(), "{}", ledger.wrong.join("\n"));
    assert!(behaved.iter().all(|runs| *runs > 0), "an honest probe did not come to run: {behaved:?}");
    // What this machine makes wait who only sleeps, it makes wait a run as well: before it starts, and at its end.
    let allowed = TIMEOUT + GRACE + GRACE + lag.most() * 2;
    assert!(ledger.longest <= allowed, "a run took {:?}; {allowed:?} with what was the longest lag", ledger.longest);
    let (first, last) = (ledger.memory[0], ledger.memory[ledger.memory.len() - 1]);
    assert!(last <= first + first / 10 + (16 << 20), "memory grew: {:?}", ledger.memory);
    balance(&host, &before, ledger, behaved.iter().sum());
}

fn limits(host: &Host) -> BTreeMap<String, u64> {
    host.options.vitals.plugin_limits.snapshot().into_iter().map(|(keys, count)| (keys.join(""), count)).collect()
}

/// What the agent counted of itself is what came of the runs, to one.
fn balance(host: &Host, before: &BTreeMap<String, u64>, mut ledger: Ledger, honest: u64) {
    *ledger.results.entry(RunResult::Success.word()).or_default() += honest;
    let vitals = &host.options.vitals;
    let mut counted = BTreeMap::<String, u64>::new();
    for (keys, count) in vitals.plugin_runs.snapshot() {
        *counted.entry(keys[1].clone()).or_default() += count;
    }
    let results: BTreeMap<String, u64> = ledger.results.into_iter().map(|(result, count)| (result.to_owned(), count)).collect();
    assert_eq!(counted, results);
    // What ends a run is counted once a run. What is left out of one (lines, items) is counted by its number.
    let counted = limits(host);
    for (limit, count) in ledger.limits {
        let of_agent = counted[&limit] - before.get(&limit).unwrap_or(&0);
        let exact = ["memory", "tables", "handles", "cpu", "time", "data"].contains(&limit.as_str());
        assert!(if exact { of_agent == count } else { of_agent >= count }, "{limit}: {of_agent} counted, {count} seen");
    }
}
