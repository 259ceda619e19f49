//! `vedette demo`: the main job with no backend at all. Local targets, the agent watching them, the page.

mod targets;

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::output;
use targets::Target;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where the status page is served; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9115")]
    listen: SocketAddr,
}

pub(super) async fn demo(arguments: Arguments) -> anyhow::Result<u8> {
    let folder = Folder::new()?;
    let targets = targets::open(&folder.0).await?;
    let listen = free(arguments.listen).await?;
    let file = folder.0.join("vedette.yaml");
    std::fs::write(&file, configuration(listen, &targets)).with_context(|| format!("cannot write {}", file.display()))?;
    let code = output::print(&introduction(listen, &targets, &file), super::OK);
    super::run::watch(file).await.map(|ended| super::worst(code, ended))
}

/// The wanted address, or a free port beside it if somebody else has that one.
async fn free(wanted: SocketAddr) -> anyhow::Result<SocketAddr> {
    for address in [wanted, SocketAddr::new(wanted.ip(), 0)] {
        if let Ok(listener) = tokio::net::TcpListener::bind(address).await {
            return Ok(listener.local_addr()?);
        }
    }
    anyhow::bail!("cannot listen on {}; give another address with --listen", wanted.ip())
}

fn configuration(listen: SocketAddr, targets: &[Target]) -> String {
    let mut text = format!(
        "agent: {{location: demo, listen: \"{listen}\", state_dir: \"off\"}}\n\
         defaults: {{every: 2s, timeout: 1s, retries: 0}}\n\
         checks:\n"
    );
    for target in targets {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "  - name: {}\n    target: {}\n    with: {}", target.name, target.url, target.settings);
    }
    text
}

fn introduction(listen: SocketAddr, targets: &[Target], file: &Path) -> String {
    let mut text = String::from("Five targets on this machine, each asked every two seconds:\n\n");
    for target in targets {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "  {:<8} {:<32} {}", target.name, target.url, target.behaviour);
    }
    let _ = write!(
        text,
        "\nStatus page    http://{listen}/\nAPI            http://{listen}/api/v1/checks\nMetrics        http://{listen}/metrics\n\
         Configuration  {}\n\nCtrl-C ends it.\n",
        file.display()
    );
    text
}

/// A folder for the configuration and the certificate, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("vedette-demo-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing of value is in it; what cannot be removed is left to the system.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
