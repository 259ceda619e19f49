//! The engine: what guests may consist of, the pool of slots they live in, and the thread that ticks its epochs.
//!
//! What a run costs is system calls and page faults, not instructions: memories are kept resident and are laid over
//! the component's image by copy-on-write, so that a hot slot is taken and given back without the kernel doing much.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig, ResourceLimiter};

use super::limit::Limit;
use super::{HostOptions, PluginError, tuning};
use crate::config::quantity;

/// Between two looks at a guest that runs. Also the longest stretch for which one guest holds a worker thread.
pub(super) const TICK: Duration = Duration::from_millis(2);

/// Of a guest's linear memory, table or both: kept mapped between two runs in the same slot.
const KEEP_RESIDENT: usize = 256 << 10;

/// A component is a main module and a few that `wit-component` adds.
const CORE_INSTANCES: u32 = 8;
const TABLES: u32 = 4;
const TABLE_ELEMENTS: usize = 20_000;

const PAGE: u64 = 64 << 10;

/// Slots beside those of attempts: for summarisers, and for plugins that are asked what they are.
pub(super) const QUICK: u32 = 16;

/// Opens an engine with as many slots as the options say.
pub(super) fn open(options: &HostOptions) -> Result<Engine, PluginError> {
    let memory = max_memory(options);
    Engine::new(&config(options.slots.saturating_add(QUICK), memory)).map_err(|error| {
        let wanted = format!("{} slots of {} each", options.slots, quantity::show_size(memory as u64));
        PluginError::Engine(format!("{error:#} (wanted {wanted}; a lower `agent.concurrency` needs less)"))
    })
}

/// What the pool has for one guest: whole pages, and no more than 32 bits address.
pub(super) fn max_memory(options: &HostOptions) -> usize {
    let bytes = options.max_memory.clamp(PAGE, 4 << 30).next_multiple_of(PAGE);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn config(slots: u32, memory: usize) -> Config {
    let mut config = tuning::config(memory as u64);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(slots, memory)));
    config
}

fn pool(slots: u32, memory: usize) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(CORE_INSTANCES))
        .max_core_instances_per_component(CORE_INSTANCES)
        .total_memories(slots)
        .max_memories_per_component(1)
        .max_memory_size(memory)
        .total_tables(slots.saturating_mul(TABLES))
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .table_elements(TABLE_ELEMENTS)
        .total_stacks(slots)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// How much a guest may hold, and whether it wanted more.
#[derive(Debug)]
pub(super) struct Ceiling {
    limit: usize,
    held: usize,
    /// The most that it held.
    pub(super) peak: usize,
    /// The first limit that it wanted to pass.
    pub(super) refused: Option<Limit>,
}

impl Ceiling {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit: usize::try_from(limit).unwrap_or(usize::MAX), held: 0, peak: 0, refused: None }
    }

    /// The limit that it wanted to pass, and what to say of it.
    pub(super) fn refusal(&self) -> Option<(Limit, String)> {
        let what = match self.refused? {
            Limit::Tables => format!("{TABLE_ELEMENTS} elements in a table"),
            _ => format!("{} of memory", quantity::show_size(self.limit as u64)),
        };
        Some((self.refused?, format!("the plugin wanted more than its {what}")))
    }
}

impl ResourceLimiter for Ceiling {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let held = self.held.saturating_add(desired.saturating_sub(current));
        if held > self.limit {
            self.refused.get_or_insert(Limit::Memory);
            return Ok(false);
        }
        // Beyond the module's own maximum it is going to fail, which is the guest's own wish.
        if maximum.is_none_or(|maximum| desired <= maximum) {
            self.held = held;
            self.peak = self.peak.max(held);
        }
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let fits = desired <= TABLE_ELEMENTS;
        // As with memory, what the module itself rules out is its own wish. The engine says the slot's maximum where the module has none.
        if !fits && maximum.is_none_or(|maximum| maximum >= TABLE_ELEMENTS) {
            self.refused.get_or_insert(Limit::Tables);
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }

    fn memories(&self) -> usize {
        1
    }
}

/// Ticks the engine's epoch while a guest executes, and sleeps while none does.
#[derive(Debug)]
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Shared {
    executing: AtomicUsize,
    ended: AtomicBool,
}

impl Ticker {
    pub(super) fn start(engine: &Engine) -> Result<Self, PluginError> {
        let shared = Arc::<Shared>::default();
        let (engine, of_thread) = (engine.weak(), shared.clone());
        let thread = thread::Builder::new()
            .name("vedette-epoch".to_owned())
            .spawn(move || of_thread.tick(&engine))
            .map_err(|error| PluginError::Engine(format!("no thread for the epochs: {error}")))?;
        Ok(Self { shared, thread: thread.thread().clone() })
    }

    /// A guest is going to execute on this thread.
    pub(super) fn enter(&self) {
        if self.shared.executing.fetch_add(1, SeqCst) == 0 {
            self.thread.unpark();
        }
    }

    /// It does no more.
    pub(super) fn leave(&self) {
        self.shared.executing.fetch_sub(1, SeqCst);
    }
}

impl Shared {
    fn tick(&self, engine: &EngineWeak) {
        while !self.ended.load(SeqCst) {
            if self.executing.load(SeqCst) == 0 {
                // Whoever enters after this was read unparks, and parking returns at once if that came first.
                thread::park();
                continue;
            }
            thread::sleep(TICK);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.ended.store(true, SeqCst);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_beyond_the_limit_is_refused_and_noted() {
        let mut ceiling = Ceiling::new(3 * PAGE);
        let page = usize::try_from(PAGE).unwrap();
        assert!(ceiling.memory_growing(0, 2 * page, None).unwrap());
        assert!(ceiling.memory_growing(2 * page, 3 * page, None).unwrap());
        assert_eq!(ceiling.refused, None);
        assert!(!ceiling.memory_growing(3 * page, 4 * page, None).unwrap());
        assert_eq!(ceiling.refused, Some(Limit::Memory));
        assert_eq!(ceiling.peak, 3 * page);
    }

    #[test]
    fn a_table_beyond_the_limit_is_refused_and_noted_but_not_what_its_own_maximum_rules_out() {
        let mut ceiling = Ceiling::new(PAGE);
        assert!(ceiling.table_growing(0, TABLE_ELEMENTS, None).unwrap());
        assert!(!ceiling.table_growing(0, TABLE_ELEMENTS + 1, Some(10)).unwrap());
        assert_eq!(ceiling.refusal(), None);
        assert!(!ceiling.table_growing(0, TABLE_ELEMENTS + 1, Some(TABLE_ELEMENTS)).unwrap());
        assert_eq!(ceiling.refusal().unwrap().0, Limit::Tables);
    }

    #[test]
    fn the_thread_of_the_epochs_ends_with_its_ticker() {
        let mut config = Config::new();
        let engine = Engine::new(config.epoch_interruption(true)).unwrap();
        let ticker = Ticker::start(&engine).unwrap();
        let shared = Arc::downgrade(&ticker.shared);
        drop(ticker);
        while shared.strong_count() > 0 {
            thread::yield_now();
        }
    }
}
