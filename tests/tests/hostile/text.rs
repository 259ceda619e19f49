//! Guests as text: a core module that no compiler would write, made a component of the interface in `wit/`.
//!
//! What a module does not say itself it has of [`Guest`]'s default, which is an honest checker: it says what it is, and
//! reports success. Its functions return the addresses below, where its data lies as the canonical ABI wants it.

use std::fmt::Write as _;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Where the manifest lies: name, version, summary, schema, schemes, measurements.
pub(crate) const MANIFEST: u32 = 1024;
/// Where the report lies, as `result<report, failure>`.
pub(crate) const REPORT: u32 = 1152;
/// Where fields of the report lie: verdict and fault are bytes, the rest are addresses and lengths.
pub(crate) const VERDICT: u32 = REPORT + 8;
pub(crate) const FAULT: u32 = VERDICT + 1;
pub(crate) const MESSAGE: u32 = VERDICT + 32;
pub(crate) const EXPECTATIONS: u32 = VERDICT + 40;
pub(crate) const MEASUREMENTS: u32 = VERDICT + 48;
/// Texts of the above.
const TEXTS: u32 = 1280;
/// Free for a guest's own data; what is allocated lies behind it.
pub(crate) const FREE: u32 = 4096;
const HEAP: u32 = 65536;

/// A module in parts.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    /// Imports of `log`, `clock` and the like, by their core signatures.
    pub(crate) imports: String,
    /// Memory, tables, globals, data, functions of its own.
    pub(crate) own: String,
    /// Pages of memory: at first, and at most.
    pub(crate) memory: &'static str,
    /// Bodies of functions. Each ends with what it returns, if that is not the usual.
    pub(crate) start: String,
    pub(crate) describe: String,
    pub(crate) run: String,
    pub(crate) after: String,
    pub(crate) allocate: String,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) message: String,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            imports: String::new(),
            own: String::new(),
            memory: "2",
            start: String::new(),
            describe: String::new(),
            run: String::new(),
            after: String::new(),
            allocate: String::new(),
            schema: r#"{"type": "object"}"#.to_owned(),
            name: "test:guest".to_owned(),
            message: "honest".to_owned(),
        }
    }
}

/// A guest that does this in its `run`.
pub(crate) fn running(run: &str) -> Guest {
    Guest { run: run.to_owned(), ..Guest::default() }
}

impl Guest {
    pub(crate) fn with(self, own: &str) -> Self {
        Self { own: own.to_owned(), ..self }
    }

    /// Imports a function of an interface, as `$name`.
    pub(crate) fn importing(mut self, interface: &str, function: &str, name: &str, signature: &str) -> Self {
        writeln!(self.imports, r#"(import "vedette:plugin/{interface}@0.1.0" "{function}" (func ${name} {signature}))"#).unwrap();
        self
    }

    /// Imports a function of WASI 0.2, as `$name`.
    pub(crate) fn importing_wasi(mut self, interface: &str, function: &str, name: &str, signature: &str) -> Self {
        writeln!(self.imports, r#"(import "wasi:{interface}@0.2.0" "{function}" (func ${name} {signature}))"#).unwrap();
        self
    }

    /// The component.
    pub(crate) fn component(&self) -> Vec<u8> {
        componentise(&self.text())
    }

    fn text(&self) -> String {
        let start = if self.start.is_empty() { String::new() } else { format!("(func $start {}) (start $start)", self.start) };
        format!(
            r#"(module
            {imports}
            (memory (export "memory") {memory})
            (global $heap (mut i32) (i32.const {HEAP}))
            {data}
            {own}
            {start}
            (func (export "cabi_realloc") (param $old i32) (param $before i32) (param $align i32) (param $size i32) (result i32)
                (local $at i32)
                {allocate}
                (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                (global.set $heap (i32.add (local.get $at) (local.get $size)))
                (block $fits (loop $grow
                    (br_if $fits (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
                    (br_if $grow (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
                    unreachable))
                (local.get $at))
            (func (export "vedette:plugin/checker@0.1.0#describe") (result i32)
                {describe}
                (i32.const {MANIFEST}))
            (func $run (export "vedette:plugin/checker@0.1.0#run") (param $in i32) (result i32)
                (local $n i32)
                {run}
                (i32.const {REPORT}))
            (func (export "cabi_post_vedette:plugin/checker@0.1.0#run") (param $out i32)
                {after})
            )"#,
            imports = self.imports,
            memory = self.memory,
            data = self.data(),
            own = self.own,
            allocate = self.allocate,
            describe = self.describe,
            run = self.run,
            after = self.after,
        )
    }

    fn data(&self) -> String {
        let (mut at, mut texts, mut words) = (TEXTS, String::new(), Vec::new());
        for text in [&self.name, "1.0.0", "a guest", &self.schema, &self.message] {
            // What is long lies behind everything else.
            let place = if text.len() > 1000 { HEAP / 2 } else { at };
            texts += &data(place, text.as_bytes());
            at += if text.len() > 1000 { 0 } else { length(text) };
            words.extend([place, length(text)]);
        }
        let message = words.split_off(8);
        words.extend([0; 4]);
        texts + &data(MANIFEST, &bytes(&words)) + &data(MESSAGE, &bytes(&message))
    }
}

fn length(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap()
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A data segment.
pub(crate) fn data(at: u32, bytes: &[u8]) -> String {
    let mut escaped = String::new();
    for byte in bytes {
        write!(escaped, "\\{byte:02x}").unwrap();
    }
    format!("(data (i32.const {at}) \"{escaped}\")\n")
}

/// What a tool chain adds to a checker's world, as far as the guests here use it.
const WITH_WASI: &str = r"
    package test:guest;
    world guest {
        include vedette:plugin/check@0.1.0;
        import wasi:cli/environment@0.2.0;
        import wasi:cli/exit@0.2.0;
        import wasi:cli/stderr@0.2.0;
        import wasi:clocks/monotonic-clock@0.2.0;
        import wasi:filesystem/preopens@0.2.0;
        import wasi:random/random@0.2.0;
    }
    package wasi:io@0.2.0 {
        interface error { resource error; }
        interface poll { resource pollable { block: func(); } }
        interface streams {
            use error.{error};
            variant stream-error { last-operation-failed(error), closed }
            resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; }
        }
    }
    package wasi:cli@0.2.0 {
        interface environment {
            get-environment: func() -> list<tuple<string, string>>;
            get-arguments: func() -> list<string>;
        }
        interface exit { exit: func(status: result); }
        interface stderr { use wasi:io/streams@0.2.0.{output-stream}; get-stderr: func() -> output-stream; }
    }
    package wasi:clocks@0.2.0 {
        interface monotonic-clock { use wasi:io/poll@0.2.0.{pollable}; subscribe-duration: func(when: u64) -> pollable; }
    }
    package wasi:filesystem@0.2.0 {
        interface types { resource descriptor; }
        interface preopens { use types.{descriptor}; get-directories: func() -> list<tuple<descriptor, string>>; }
    }
    package wasi:random@0.2.0 {
        interface random { get-random-bytes: func(len: u64) -> list<u8>; }
    }
";

/// The text of a core module -> a component. Of its world it imports what it uses.
pub(crate) fn componentise(text: &str) -> Vec<u8> {
    let mut module = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut resolve = Resolve::default();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit")).unwrap();
    let package = resolve.push_str("guest.wit", WITH_WASI).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    let mut encoder = ComponentEncoder::default();
    encoder.module(&module).unwrap_or_else(|error| panic!("{error:#}\n{text}"));
    encoder.validate(true).encode().unwrap_or_else(|error| panic!("{error:#}\n{text}"))
}
