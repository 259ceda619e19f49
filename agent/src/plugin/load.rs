//! Bytes -> a plugin that can be run: found compiled or compiled elsewhere, its imports served, its own words judged.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Error};

use super::attempt::{attend, store};
use super::bindings::{Check, CheckPre, Summary, SummaryPre, types};
use super::builtin;
use super::cache::{Described, Entry};
use super::compiler::{self, COMPONENT};
use super::engine::{Ceiling, max_memory};
use super::fit::fit;
use super::judge::{self, Said, Seen};
use super::lend::{Confined, Journal, Lent};
use super::limit::Tally;
use super::masks::Masks;
use super::meter::Meter;
use super::tidy::{MESSAGE, Tidy};
use super::{Host, Kind, Limits, Manifest, Plugin, PluginError, manifest, wasi};
use crate::clock::Instant;
use crate::config::quantity;

/// Of `describe`.
const CPU: Duration = Duration::from_millis(250);

/// Nothing that `describe` could wait for is served, so this is for a machine that is starved of CPU.
const PATIENCE: Duration = Duration::from_secs(30);

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

/// A compiled component.
struct Compiled {
    component: Component,
    origin: Origin,
}

/// Where machine code is from.
enum Origin {
    /// It is part of this program.
    Embedded,
    /// It was kept, with what the plugin said of itself.
    Kept(Described),
    /// It has just been made, and is kept once the plugin has said what it is.
    New(Vec<u8>),
}

/// Everything that checkers may import.
pub(super) fn for_checkers(engine: &Engine) -> Result<Linker<Lent>, Error> {
    let mut linker = Linker::new(engine);
    Check::add_to_linker::<_, HasSelf<Lent>>(&mut linker, |lent| lent)?;
    wasi::link(&mut linker)?;
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
        let embedded = builtin.then(|| name.to_owned());
        let loaded = self.load_or_say(bytes.to_vec(), embedded).await;
        let (digest, manifest, guest) = loaded.map_err(|message| PluginError::Unusable { name: name.to_owned(), message })?;
        let (host, manifest) = (self.clone(), Arc::new(manifest));
        Ok(Plugin { loaded: Arc::new(Loaded { host, name: name.to_owned(), builtin, digest, size, manifest, guest }) })
    }

    async fn load_or_say(self: &Arc<Self>, bytes: Vec<u8>, embedded: Option<String>) -> Result<(String, Manifest, Guest), String> {
        let (host, bytes, builtin) = (self.clone(), Arc::new(bytes), embedded.is_some());
        let component = bytes.clone();
        let found = aside(move || host.find(&component, embedded.as_deref())).await?;
        let (digest, found) = found;
        let Compiled { component, origin } = match found {
            Some(compiled) => compiled,
            None => self.compile(bytes, builtin).await?,
        };
        let guest = self.link(&component)?;
        let (described, new) = match origin {
            Origin::Kept(described) => (described, None),
            Origin::Embedded => (self.describe(&component, guest.kind()).await?, None),
            Origin::New(code) => (self.describe(&component, guest.kind()).await?, Some(code)),
        };
        let host = self.clone();
        aside(move || {
            let judged = manifest::judge(described.clone())?;
            if let Some(artefact) = new {
                host.cache.keep(&digest, &Entry { described, artefact });
            }
            Ok((digest, judged, guest))
        })
        .await
    }

    /// Its digest, and what is there of it already: in this program, or in the cache.
    fn find(&self, bytes: &[u8], embedded: Option<&str>) -> Result<(String, Option<Compiled>), String> {
        if bytes.len() > COMPONENT {
            let most = quantity::show_size(COMPONENT as u64);
            return Err(format!("it is too large: a component has at most {most}"));
        }
        is_component(bytes)?;
        let digest = format!("{:x}", Sha256::digest(bytes));
        let kept = || {
            let Entry { described, artefact } = self.cache.find(&digest)?;
            Some(Compiled { component: deserialize(&self.engine, &artefact).ok()?, origin: Origin::Kept(described) })
        };
        let found = match embedded.and_then(|name| deserialize(&self.engine, &builtin::code(name)?).ok()) {
            Some(component) => Some(Compiled { component, origin: Origin::Embedded }),
            None => kept(),
        };
        self.options.vitals.plugin_cache.add(&[if found.is_some() { "true" } else { "false" }], 1);
        Ok((digest, found))
    }

    /// Compiles it: in a process of its own, unless it is part of this program and so as good as its code.
    async fn compile(self: &Arc<Self>, bytes: Arc<Vec<u8>>, builtin: bool) -> Result<Compiled, String> {
        let host = self.clone();
        let Some(program) = self.options.compiler.as_deref().filter(|_| !builtin) else {
            return aside(move || {
                let component = Component::from_binary(&host.engine, &bytes).map_err(|error| said("it cannot be compiled", &error))?;
                let code = component.serialize().map_err(|error| said("it cannot be compiled", &error))?;
                Ok(Compiled { component, origin: if builtin { Origin::Embedded } else { Origin::New(code) } })
            })
            .await;
        };
        let code = compiler::compile(program, max_memory(&self.options), &bytes).await?;
        aside(move || {
            let component = deserialize(&host.engine, &code).map_err(|error| said("it cannot be used", &error))?;
            Ok(Compiled { component, origin: Origin::New(code) })
        })
        .await
    }

    /// Resolves imports and exports.
    fn link(&self, component: &Component) -> Result<Guest, String> {
        let guest = match fit(&self.engine, component)? {
            Kind::Checker => self.checkers.instantiate_pre(component).and_then(CheckPre::new).map(Guest::Checker),
            Kind::Summariser => self.summarisers.instantiate_pre(component).and_then(SummaryPre::new).map(Guest::Summariser),
        };
        guest.map_err(|error| said("it does not fit this version of the plugin interface", &error))
    }

    /// Asks it what it is, in an instance in which every import traps but those of WASI.
    async fn describe(&self, component: &Component, kind: Kind) -> Result<Described, String> {
        let mut linker = Linker::<Confined>::new(&self.engine);
        let with_wasi = if kind == Kind::Checker { wasi::link(&mut linker) } else { Ok(()) };
        let pre =
            with_wasi.and_then(|()| linker.define_unknown_imports_as_traps(component)).and_then(|()| linker.instantiate_pre(component));
        let pre = pre.map_err(|error| said("it does not fit this version of the plugin interface", &error))?;
        let deadline = Instant::now() + PATIENCE;
        let Some(_slot) = self.quick_slot(deadline).await else { return Err("no free slot to ask it what it is".to_owned()) };
        let meter = Meter::new(self.ticker.clone(), CPU);
        let ceiling = Ceiling::new(Limits::default().memory.min(self.options.max_memory));
        let mut store = store(&self.engine, Confined::new(ceiling, Journal::closed()), meter.clone());
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
        let seen = Seen { memory: ceiling.refusal(), cpu: meter.exceeded().then_some(CPU), time: PATIENCE, denied: None };
        let mut tally = Tally::default();
        let said = judge::sift::<types::Manifest>(ended, seen, &Masks::default(), &mut tally);
        tally.count(&self.options.vitals);
        let manifest = said.map_err(|report| {
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

/// Takes machine code. An error if it was made for another engine, or wants more than this one's slots have.
#[expect(unsafe_code, reason = "machine code is taken from our own compiler: see the comment")]
fn deserialize(engine: &Engine, artefact: &[u8]) -> Result<Component, Error> {
    // SAFETY: the bytes are what `Component::serialize` or `Engine::precompile_component` gave, and nobody else had a
    // hand in them. Either they are part of this binary, where the build script put them; or they come through a pipe
    // from this very program, started to compile (`compiler.rs`); or they come out of a file that this user owns and
    // nobody else may write to, in a directory that nobody else may enter, and their checksum holds (`cache.rs`). Who
    // could forge them could as well replace this program.
    unsafe { Component::deserialize(engine, artefact) }
}

/// Does what takes its time where nobody waits behind it.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(format!("a defect of the agent: {error}")))
}

/// One line of an error of the engine.
pub(super) fn said(what: &str, error: &Error) -> String {
    Tidy(&Masks::default()).text(format!("{what}: {error:#}"), MESSAGE)
}
