//! WASI 0.2 for guests whose tool chain cannot do without it (JavaScript, Python, Go): an empty one.
//!
//! No environment, no arguments, no directories; clocks and randomness are the host's as through `clock` and `random`;
//! what is written to stdout and stderr are lines of log; to exit is a fault. Sockets and HTTP are not linked at all.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView, async_trait};

use super::judge;
use crate::clock::{Anchor, Instant, Timestamp, nanos};
use crate::outcome::Severity;

/// What is linked, by package and interface.
pub(super) const SERVED: [&str; 20] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
];

/// Bytes of randomness at a time.
const RANDOM: u64 = 64 << 10;

/// Bytes of stdout, and as many of stderr, that are taken; as many as a run may log.
const HEARD: usize = 64 << 10;
/// A line that somebody else began to write ends there.
const PIECE: usize = 4096;

/// The world of one guest. Made when it first asks for anything.
pub(super) struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
    out: Heard,
    err: Heard,
}

impl Wasi {
    /// With clocks that stand at an anchor, or with such as stand still.
    pub(super) fn new(anchor: Option<Anchor>) -> Box<Self> {
        let (out, err) = (Heard::default(), Heard::default());
        let mut builder = WasiCtx::builder();
        builder.stdout(out.clone()).stderr(err.clone()).wall_clock(Clock(anchor)).monotonic_clock(Clock(anchor)).max_random_size(RANDOM);
        // Without any of it there is no need, so it is said as well.
        builder.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
        let mut table = ResourceTable::new();
        table.set_max_capacity(judge::HANDLES);
        Box::new(Self { ctx: builder.build(), table, out, err })
    }

    pub(super) fn view(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
    }

    /// What the guest wrote, line by line.
    pub(super) fn lines(&self) -> Vec<(Severity, String)> {
        let of = |heard: &Heard, severity| -> Vec<(Severity, String)> {
            let text = String::from_utf8_lossy(&heard.0.lock()).into_owned();
            text.lines().filter(|line| !line.is_empty()).map(|line| (severity, line.to_owned())).collect()
        };
        [of(&self.out, Severity::Debug), of(&self.err, Severity::Warning)].concat()
    }
}

/// Links what is [`SERVED`], and nothing else of WASI.
pub(super) fn link<T: WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let l = linker;
    io::error::add_to_linker::<T, Table>(l, |it| it.ctx().table)?;
    io::poll::add_to_linker::<T, Table>(l, |it| it.ctx().table)?;
    io::streams::add_to_linker::<T, Table>(l, |it| it.ctx().table)?;
    clocks::wall_clock::add_to_linker::<T, WasiClocks>(l, T::clocks)?;
    clocks::monotonic_clock::add_to_linker::<T, WasiClocks>(l, T::clocks)?;
    filesystem::types::add_to_linker::<T, WasiFilesystem>(l, T::filesystem)?;
    filesystem::preopens::add_to_linker::<T, WasiFilesystem>(l, T::filesystem)?;
    random::random::add_to_linker::<T, WasiRandom>(l, |it| it.ctx().ctx.random())?;
    random::insecure::add_to_linker::<T, WasiRandom>(l, |it| it.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<T, WasiRandom>(l, |it| it.ctx().ctx.random())?;
    cli::exit::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::environment::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::stdin::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::stdout::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::stderr::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_input::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_output::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_stdin::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_stdout::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_stderr::add_to_linker::<T, WasiCli>(l, T::cli)
}

/// For what needs the table only.
struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

/// The host's clocks; without an anchor they stand still, so that what is asked again answers the same.
#[derive(Clone, Copy)]
struct Clock(Option<Anchor>);

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.map_or(0, |_| Timestamp::now().0))
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.0.map_or(0, |anchor| nanos(Instant::now().saturating_duration_since(anchor.instant())))
    }
}

/// What a guest writes to a stream that nobody reads before the run is over.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl IsTerminal for Heard {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Heard {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Heard {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut heard = self.0.lock();
        let room = HEARD.saturating_sub(heard.len());
        heard.extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PIECE)
    }
}

#[async_trait]
impl Pollable for Heard {
    async fn ready(&mut self) {}
}
