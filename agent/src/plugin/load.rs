//! Bytes -> a plugin that can be run: compiled or found compiled, its imports served, its own words judged.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Error};

use super::attempt::{attend, store};
use super::bindings::{Check, CheckPre, Summary, SummaryPre, types};
use super::cache::{Described, Entry};
use super::engine::Ceiling;
use super::judge::{self, Said, Seen};
use super::lend::{Confined, Journal, Lent};
use super::masks::Masks;
use super::meter::Meter;
use super::tidy::{MESSAGE, Tidy};
use super::{Host, Kind, Limits, Manifest, Plugin, PluginError, manifest};
use crate::clock::Instant;
use crate::config::quantity;

const COMPONENT: usize = 32 << 20;

/// Of `describe`.
const CPU: Duration = Duration::from_millis(250);

/// Nothing that `describe` could wait for is served, so this is for a machine that is starved of CPU.
const PATIENCE: Duration = Duration::from_secs(30);

const PACKAGE: &str = "vedette:plugin/";
const FOR_CHECKERS: [&str; 9] = ["types", "net", "log", "clock", "random", "secrets", "state", "trace", "http"];
const FOR_SUMMARISERS: [&str; 2] = ["types", "log"];

/// A plugin, ready to be run.
pub(super) struct Loaded {
    pub(super) host: Arc<Host>,
    /// In the configuration.
    pub(super) name: String,
    pub(super) builtin: bool,
    pub(super) digest: String,
    pub(super) size: usize,
    pub(super) manifest: Arc<Manifest>,
    pub(super) guest: Guest,
}

/// What is instantiated: imports resolved and exports found ahead of time.
pub(super) enum Guest {
    Checker(CheckPre<Lent>),
    Summariser(SummaryPre<Confined>),
}

impl Guest {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Checker(_) => Kind::Checker,
            Self::Summariser(_) => Kind::Summariser,
        }
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("name", &self.name).field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// A compiled component, and what it said of itself when it was compiled.
struct Compiled {
    component: Component,
    digest: String,
    /// None if it has not been asked yet.
    described: Option<Described>,
}

/// Everything that checkers may import.
pub(super) fn for_checkers(engine: &Engine) -> Result<Linker<Lent>, Error> {
    let mut linker = Linker::new(engine);
    Check::add_to_linker::<_, HasSelf<Lent>>(&mut linker, |lent| lent)?;
    Ok(linker)
}

/// Everything that summarisers may import.
pub(super) fn for_summarisers(engine: &Engine) -> Result<Linker<Confined>, Error> {
    let mut linker = Linker::new(engine);
    Summary::add_to_linker::<_, HasSelf<Confined>>(&mut linker, |confined| confined)?;
    Ok(linker)
}

impl Host {
    pub(super) async fn load_plugin(self: &Arc<Self>, name: &str, bytes: &[u8], builtin: bool) -> Result<Plugin, PluginError> {
        let size = bytes.len();
        let embedded = embedded(name).filter(|_| builtin);
        let loaded = self.load_or_say(bytes.to_vec(), embedded).await;
        let (digest, manifest, guest) = loaded.map_err(|message| PluginError::Unusable { name: name.to_owned(), message })?;
        let (host, manifest) = (self.clone(), Arc::new(manifest));
        Ok(Plugin { loaded: Arc::new(Loaded { host, name: name.to_owned(), builtin, digest, size, manifest, guest }) })
    }

    async fn load_or_say(self: &Arc<Self>, bytes: Vec<u8>, embedded: Option<&'static [u8]>) -> Result<(String, Manifest, Guest), String> {
        let host = self.clone();
        let compiled = tokio::task::spawn_blocking(move || host.compile(&bytes, embedded)).await;
        let Compiled { component, digest, described } = compiled.map_err(|error| format!("compiling it failed: {error}"))??;
        let guest = self.link(&component)?;
        let (described, fresh) = match described {
            Some(described) => (described, false),
            None => (self.describe(&component, guest.kind()).await?, true),
        };
        let host = self.clone();
        let judged = tokio::task::spawn_blocking(move || {
            let judged = manifest::judge(described.clone())?;
            if fresh && embedded.is_none() {
                host.keep(&component, &digest, described);
            }
            Ok::<_, String>((digest, judged))
        });
        let (digest, manifest) = judged.await.map_err(|error| format!("judging it failed: {error}"))??;
        Ok((digest, manifest, guest))
    }

    /// Finds it compiled, or compiles it. Takes its time.
    fn compile(&self, bytes: &[u8], embedded: Option<&[u8]>) -> Result<Compiled, String> {
        if bytes.len() > COMPONENT {
            let most = quantity::show_size(COMPONENT as u64);
            return Err(format!("it has {} bytes; a component has at most {most}", bytes.len()));
        }
        is_component(bytes)?;
        let digest = format!("{:x}", Sha256::digest(bytes));
        if let Some(component) = embedded.and_then(|code| deserialize(&self.engine, &zstd::decode_all(code).ok()?)) {
            self.options.vitals.plugin_cache.add(&["true"], 1);
            return Ok(Compiled { component, digest, described: None });
        }
        let found = self.cache.find(&digest).and_then(|entry| Some((deserialize(&self.engine, &entry.artefact)?, entry.described)));
        self.options.vitals.plugin_cache.add(&[if found.is_some() { "true" } else { "false" }], 1);
        if let Some((component, described)) = found {
            return Ok(Compiled { component, digest, described: Some(described) });
        }
        let component = Component::from_binary(&self.engine, bytes).map_err(|error| said("it cannot be compiled", &error))?;
        Ok(Compiled { component, digest, described: None })
    }

    fn keep(&self, component: &Component, digest: &str, described: Described) {
        if let Ok(artefact) = component.serialize() {
            self.cache.keep(digest, &Entry { described, artefact });
        }
    }

    /// Resolves imports and exports.
    fn link(&self, component: &Component) -> Result<Guest, String> {
        let kind = kind(&self.engine, component)?;
        let served = match kind {
            Kind::Checker => &FOR_CHECKERS[..],
            Kind::Summariser => &FOR_SUMMARISERS[..],
        };
        is_served(&self.engine, component, served)?;
        let guest = match kind {
            Kind::Checker => self.checkers.instantiate_pre(component).and_then(CheckPre::new).map(Guest::Checker),
            Kind::Summariser => self.summarisers.instantiate_pre(component).and_then(SummaryPre::new).map(Guest::Summariser),
        };
        guest.map_err(|error| said("it does not fit this version of the plugin interface", &error))
    }

    /// Asks it what it is, in an instance in which every import traps.
    async fn describe(&self, component: &Component, kind: Kind) -> Result<Described, String> {
        let mut linker = Linker::<Confined>::new(&self.engine);
        let pre = linker.define_unknown_imports_as_traps(component).and_then(|()| linker.instantiate_pre(component));
        let pre = pre.map_err(|error| said("it does not fit this version of the plugin interface", &error))?;
        let deadline = Instant::now() + PATIENCE;
        let Some(_slot) = self.quick_slot(deadline).await else { return Err("no free slot to ask it what it is".to_owned()) };
        let meter = Meter::new(self.ticker.clone(), CPU);
        let ceiling = Ceiling::new(Limits::default().memory.min(self.options.max_memory));
        let mut store = store(&self.engine, Confined { ceiling, journal: Journal::closed() }, meter.clone());
        let ended = attend(&meter, deadline, async {
            let manifest = match kind {
                Kind::Checker => {
                    let check = CheckPre::new(pre)?.instantiate_async(&mut store).await?;
                    check.vedette_plugin_checker().call_describe(&mut store).await?
                }
                Kind::Summariser => {
                    let summary = SummaryPre::new(pre)?.instantiate_async(&mut store).await?;
                    summary.vedette_plugin_summariser().call_describe(&mut store).await?
                }
            };
            Ok(Ok(manifest))
        })
        .await;
        let Confined { ceiling, .. } = store.into_data();
        let seen =
            Seen { memory: ceiling.refused.then(|| ceiling.limit()), cpu: meter.exceeded().then_some(CPU), time: PATIENCE, denied: None };
        let manifest = judge::sift::<types::Manifest>(ended, seen, &Masks::default()).map_err(|report| {
            let message = report.message;
            if message.contains("unknown import") {
                return "it calls an import while it is asked what it is; `describe` has to answer by itself".to_owned();
            }
            format!("asked what it is: {message}")
        })?;
        Ok(manifest.into())
    }
}

/// How much of a manifest is read is judged with it.
impl Said for types::Manifest {
    fn weight(&self) -> usize {
        0
    }

    fn accuses(&self) -> bool {
        false
    }
}

// Not constants: each use of one may carry a copy of these megabytes.
static HTTP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/http.code"));
static AVAILABILITY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/availability.code"));

/// Machine code that the build script made of the plugin of that name, compressed (zstd).
fn embedded(name: &str) -> Option<&'static [u8]> {
    match name {
        "http" => Some(HTTP),
        "availability" => Some(AVAILABILITY),
        _ => None,
    }
}

/// Looks at the first bytes only: what is no WebAssembly at all deserves a better answer than a parser's.
fn is_component(bytes: &[u8]) -> Result<(), String> {
    match bytes {
        [b'\0', b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            Err("it is a core module, not a component; turn it into one with `wasm-tools component new`".to_owned())
        }
        [b'\0', b'a', b's', b'm', ..] => Err("it is WebAssembly of a version that is not known".to_owned()),
        _ => Err("it is no WebAssembly component".to_owned()),
    }
}

fn kind(engine: &Engine, component: &Component) -> Result<Kind, String> {
    let ty = component.component_type();
    let exports = |wanted: &str| ty.exports(engine).any(|(name, _)| interface(name) == Some(wanted));
    match (exports("checker"), exports("summariser")) {
        (true, false) => Ok(Kind::Checker),
        (false, true) => Ok(Kind::Summariser),
        (true, true) => Err(format!("it exports both `{PACKAGE}checker` and `{PACKAGE}summariser`; a plugin is one of them")),
        (false, false) => Err(format!("it exports neither `{PACKAGE}checker` nor `{PACKAGE}summariser`, so it is no plugin")),
    }
}

fn is_served(engine: &Engine, component: &Component, served: &[&str]) -> Result<(), String> {
    let ty = component.component_type();
    let unserved = ty.imports(engine).find(|(name, _)| !interface(name).is_some_and(|name| served.contains(&name)));
    let Some((name, _)) = unserved else { return Ok(()) };
    let hint = if name.starts_with("wasi:") {
        "a plugin has no WASI: build it for `wasm32-unknown-unknown`"
    } else if served.len() == FOR_SUMMARISERS.len() && interface(name).is_some_and(|name| FOR_CHECKERS.contains(&name)) {
        "a summariser has its log and nothing else"
    } else {
        "this version of vedette does not have it"
    };
    Err(format!("it imports `{}`, which is not served: {hint}", Tidy(&Masks::default()).text(name.to_owned(), MESSAGE)))
}

/// `http` of `vedette:plugin/http@0.1.0`.
fn interface(name: &str) -> Option<&str> {
    let name = name.strip_prefix(PACKAGE)?;
    Some(name.split_once('@').map_or(name, |(name, _)| name))
}

/// Takes an artefact of the cache or of the build script. None if it was made by another engine.
#[expect(unsafe_code, reason = "machine code is taken from the cache, or from this binary: see the comment")]
fn deserialize(engine: &Engine, artefact: &[u8]) -> Option<Component> {
    // SAFETY: either the bytes are part of this binary, where the build script put them; or they are what
    // `Component::serialize` gave to a process of this user: they come out of a file that this user owns and nobody else
    // may write to, in a directory that nobody else may enter, and their checksum holds (`cache.rs`). Who could forge
    // them could as well replace this program.
    unsafe { Component::deserialize(engine, artefact) }.ok()
}

/// One line of an error of the engine.
fn said(what: &str, error: &Error) -> String {
    Tidy(&Masks::default()).text(format!("{what}: {error:#}"), MESSAGE)
}
