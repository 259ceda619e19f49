//! The plugins that are part of the binary: the component of each, and the machine code that the build script made of it.
//! Both are compressed (zstd): a third of the size, for a few milliseconds of each start.

use std::io;

/// One of them.
struct Embedded {
    name: &'static str,
    component: &'static [u8],
    /// Empty where the compiler does not know the target.
    code: &'static [u8],
}

/// Not a constant: each use of one may carry a copy of these megabytes.
static EMBEDDED: [Embedded; 2] = [
    Embedded {
        name: "http",
        component: include_bytes!(concat!(env!("OUT_DIR"), "/http.component")),
        code: include_bytes!(concat!(env!("OUT_DIR"), "/http.code")),
    },
    Embedded {
        name: "availability",
        component: include_bytes!(concat!(env!("OUT_DIR"), "/availability.component")),
        code: include_bytes!(concat!(env!("OUT_DIR"), "/availability.code")),
    },
];

/// The names of the built-in plugins.
pub fn built_in() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(|plugin| plugin.name)
}

/// The component of the built-in plugin of that name; none if there is no such.
pub fn built_in_component(name: &str) -> Option<io::Result<Vec<u8>>> {
    find(name).map(|plugin| zstd::decode_all(plugin.component))
}

/// Its machine code; none if there is none that can be read.
pub(super) fn code(name: &str) -> Option<Vec<u8>> {
    zstd::decode_all(find(name)?.code).ok().filter(|code| !code.is_empty())
}

fn find(name: &str) -> Option<&'static Embedded> {
    EMBEDDED.iter().find(|plugin| plugin.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_plugin_is_a_component_with_its_machine_code() {
        for name in built_in() {
            let component = built_in_component(name).unwrap().unwrap();
            assert!(component.starts_with(b"\0asm\x0d\0\x01\0"), "{name} is none");
            assert!(code(name).is_some_and(|code| code.len() > component.len()), "{name} has none");
        }
        assert!(built_in_component("ping").is_none() && code("ping").is_none());
    }
}
