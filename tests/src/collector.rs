//! A real OpenTelemetry collector, as `tests/install` builds it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::exposition::Exposition;
use crate::home::Home;
use crate::message;
use crate::patience::{PATIENCE, eventually};
use crate::received::Received;

const SIGNALS: [&str; 3] = ["traces", "metrics", "logs"];

/// A process of its own. It ends with this handle, by SIGKILL if it must.
#[derive(Debug)]
pub struct Collector {
    child: Child,
    folder: PathBuf,
    http: u16,
    grpc: u16,
    prometheus: u16,
}

impl Collector {
    /// Starts it and waits until it takes connections.
    pub async fn start(home: &Home) -> Self {
        let folder = home.folder().to_owned();
        let [http, grpc, prometheus] = free_ports();
        let file = home.write("collector.yaml", configuration(&folder, http, grpc, prometheus));
        let log = std::fs::File::create(folder.join("collector.log")).expect("the test's folder takes a file");
        let child = Command::new(binary())
            .arg("--config")
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the collector can be started");
        let mut collector = Self { child, folder, http, grpc, prometheus };
        for port in [http, grpc, prometheus] {
            eventually("the collector listens", async || collector.listens(port).await).await;
        }
        collector
    }

    /// Its endpoint for OTLP over HTTP.
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// Its endpoint for OTLP over gRPC.
    pub fn grpc(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc)
    }

    /// What its Prometheus exporter shows.
    pub async fn exposition(&self) -> Exposition {
        let reply = message::get(&format!("127.0.0.1:{}", self.prometheus), "/metrics").await;
        Exposition::read(&reply.expect("the exporter answers").text)
    }

    /// Ends it, so that its files are complete, and reads them.
    pub async fn stop(mut self) -> Received {
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).expect("the collector is running");
        kill_process(pid, Signal::TERM).expect("a child can be sent a signal");
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("the collector comes to an end");
        assert!(status.expect("a child can be waited for").success(), "the collector failed:\n{}", self.log());
        let mut received = Received::default();
        for signal in SIGNALS {
            let file = std::fs::read(self.folder.join(signal)).expect("the collector wrote a file for each signal");
            for message in messages(&file) {
                received.add(&format!("/v1/{signal}"), message);
            }
        }
        received
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("collector.log")).unwrap_or_default()
    }

    async fn listens(&mut self, port: u16) -> Option<()> {
        let ended = self.child.try_wait().expect("a child can be asked");
        assert!(ended.is_none(), "the collector did not start:\n{}", self.log());
        TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop)
    }
}

/// `$OTELCOL_BIN`, or what `tests/install` built.
pub fn binary() -> PathBuf {
    let path =
        std::env::var_os("OTELCOL_BIN").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/e2e/otelcol"), PathBuf::from);
    assert!(path.is_file(), "{} is not there; tests/install builds it, or OTELCOL_BIN names another", path.display());
    path
}

/// Free at this moment. The collector cannot be asked which port it took, so it has to be told.
fn free_ports<const N: usize>() -> [u16; N] {
    let sockets: [_; N] = std::array::from_fn(|_| std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port"));
    sockets.map(|socket| socket.local_addr().expect("a bound socket has an address").port())
}

/// One file per signal, of length-prefixed messages. Its own metrics are off: they would take a fixed port.
fn configuration(folder: &Path, http: u16, grpc: u16, prometheus: u16) -> String {
    let file = |signal: &str| format!("  file/{signal}: {{path: {}, format: proto}}\n", folder.join(signal).display());
    let files = SIGNALS.map(file).concat();
    format!(
        "receivers:\n  otlp:\n    protocols:\n      http: {{endpoint: \"127.0.0.1:{http}\"}}\n      grpc: {{endpoint: \"127.0.0.1:{grpc}\"}}\n\
         exporters:\n{files}  prometheus: {{endpoint: \"127.0.0.1:{prometheus}\"}}\n\
         service:\n  telemetry: {{metrics: {{level: none}}}}\n  pipelines:\n\
         \x20   traces: {{receivers: [otlp], exporters: [file/traces]}}\n\
         \x20   metrics: {{receivers: [otlp], exporters: [file/metrics, prometheus]}}\n\
         \x20   logs: {{receivers: [otlp], exporters: [file/logs]}}\n"
    )
}

/// Each behind four bytes that say how long it is.
fn messages(mut file: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let Some((length, rest)) = file.split_first_chunk::<4>() {
        let (message, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        messages.push(message);
        file = rest;
    }
    messages
}
