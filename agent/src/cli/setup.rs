//! From a document to a configuration that has been found right, with the sandbox and the store opened on the way.

use std::path::PathBuf;
use std::sync::Arc;

use super::descriptors;
use crate::config::{Document, Loaded, Purpose};
use crate::plan::Catalogue;
use crate::store::Store;
use crate::vitals::Vitals;

/// Everything that commands which read a configuration need.
pub(super) struct Opened {
    pub(super) loaded: Loaded,
    pub(super) catalogue: Catalogue,
    pub(super) store: Store,
    pub(super) vitals: Arc<Vitals>,
    /// How many runs there may be at one time.
    pub(super) slots: u32,
}

/// Where a command keeps things.
#[derive(Debug, Default)]
pub(super) enum StateDir {
    /// Where the configuration says.
    #[default]
    Configured,
    /// Here.
    At(PathBuf),
    /// Nowhere.
    Off,
}

impl StateDir {
    /// What `--state-dir` says: a directory, or `off`.
    pub(super) fn option(text: Option<&str>) -> Self {
        match text {
            None => Self::Configured,
            Some("off") => Self::Off,
            Some(path) => Self::At(path.into()),
        }
    }
}

/// Judges a document with the schemas of its plugins.
pub(super) async fn open(document: &Document, purpose: Purpose, state_dir: StateDir) -> anyhow::Result<Opened> {
    let agent = document.agent();
    let vitals = Arc::new(Vitals::default());
    let dir = match state_dir {
        StateDir::Configured => agent.state_dir,
        StateDir::At(path) => Some(path),
        StateDir::Off => None,
    };
    let store = Store::open(dir.as_deref());
    let slots = match purpose {
        Purpose::Schedule => agent.concurrency,
        Purpose::Once => agent.concurrency.min(descriptors::at_once()),
    };
    // A sandbox that is too large is one mistake among others: they leave together, or before it.
    let opened = Catalogue::open(slots, &store, &vitals);
    let catalogue = match &opened {
        Ok(catalogue) => catalogue,
        Err(_) => &Catalogue::open(1, &store, &vitals)?,
    };
    let loaded = document.judge(&catalogue.schemas(document).await, purpose)?;
    let catalogue = opened?;
    Ok(Opened { loaded, catalogue, store, vitals, slots })
}
