//! The plugins that are embedded in the agent's binary, compiled from their sources by this crate's build script.

/// A plugin that every agent has.
#[derive(Clone, Copy, Debug)]
pub struct Bundled {
    /// Its name in the configuration.
    pub name: &'static str,
    /// The component, as compiled and validated.
    pub component: &'static [u8],
}

/// All of them.
pub static PLUGINS: &[Bundled] = &[
    Bundled { name: "http", component: include_bytes!(concat!(env!("OUT_DIR"), "/plugin-http.wasm")) },
    Bundled { name: "availability", component: include_bytes!(concat!(env!("OUT_DIR"), "/plugin-availability.wasm")) },
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Magic, version and layer of a component.
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn every_bundled_plugin_is_a_component() {
        for plugin in PLUGINS {
            assert!(plugin.component.starts_with(COMPONENT), "{} is none", plugin.name);
        }
    }
}
