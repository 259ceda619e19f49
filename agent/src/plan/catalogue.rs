//! The plugins by the names that the configuration gives them: embedded ones and those from files, loaded once.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::PlanError;
use crate::bounded;
use crate::config::{Document, PluginSchema, PluginWanted, Schemas};
use crate::network::Network;
use crate::plugin::{COMPONENT_LIMIT, Host, HostOptions, Kind, MEMORY_LIMIT, Plugin, built_in, built_in_component, this_program};
use crate::store::Store;
use crate::vitals::Vitals;

/// Loads plugins when they are first asked for.
#[derive(Debug)]
pub struct Catalogue {
    host: Arc<Host>,
    loaded: Mutex<BTreeMap<String, Plugin>>,
}

impl Catalogue {
    /// Opens the sandbox for so many runs in flight.
    pub fn open(concurrency: u32, store: &Store, vitals: &Arc<Vitals>) -> Result<Self, PlanError> {
        let options = HostOptions {
            slots: concurrency,
            max_memory: MEMORY_LIMIT,
            cache: store.cache_dir(),
            compiler: Some(this_program()),
            network: Network::new(),
            vitals: Arc::clone(vitals),
        };
        Ok(Self { host: Host::new(options)?, loaded: Mutex::default() })
    }

    /// What the document has to know of the plugins that it names, or why one cannot be loaded.
    pub async fn schemas(&self, document: &Document) -> Schemas {
        let mut schemas = Schemas::new();
        for PluginWanted { name, source } in document.plugins() {
            let schema = self.plugin(&name, source.as_deref()).await.map(|plugin| schema(&plugin));
            schemas.insert(name, schema.map_err(|error| error.to_string()));
        }
        schemas
    }

    /// The plugin of that name: from a file if there is one, otherwise one of the embedded.
    pub async fn plugin(&self, name: &str, source: Option<&Path>) -> Result<Plugin, PlanError> {
        if let Some(plugin) = self.loaded.lock().get(name) {
            return Ok(plugin.clone());
        }
        let plugin = match source {
            Some(path) => {
                let unreadable = |error| PlanError::Unreadable { path: path.to_path_buf(), error };
                self.host.load(name, &component(path).await.map_err(unreadable)?, false).await
            }
            None => self.host.load(name, &embedded(name)?, true).await,
        }?;
        self.loaded.lock().insert(name.to_owned(), plugin.clone());
        Ok(plugin)
    }
}

/// Reads a component where waiting for the disk holds up nobody.
async fn component(path: &Path) -> io::Result<Vec<u8>> {
    let path = path.to_path_buf();
    tokio::task::spawn_blocking(move || bounded::read(&path, COMPONENT_LIMIT as u64)).await?
}

fn schema(plugin: &Plugin) -> PluginSchema {
    let manifest = plugin.manifest();
    PluginSchema {
        summariser: plugin.kind() == Kind::Summariser,
        schema: manifest.config_schema.clone(),
        target_schemes: manifest.target_schemes.clone(),
    }
}

fn embedded(name: &str) -> Result<Vec<u8>, PlanError> {
    let unknown = || PlanError::UnknownPlugin { name: name.to_owned(), known: built_in().collect::<Vec<_>>().join(", ") };
    let unreadable = |error| PlanError::Unreadable { path: name.into(), error };
    built_in_component(name).ok_or_else(unknown)?.map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_knows_the_names_of_the_embedded_plugins() {
        assert_eq!(built_in().collect::<Vec<_>>(), crate::config::BUILTIN);
    }
}
