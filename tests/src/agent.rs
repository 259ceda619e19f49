//! `vedette run` in the background.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::exposition::Exposition;
use crate::home::{DEFECT, Home};
use crate::message::{self, Reply};
use crate::patience::{PATIENCE, eventually};

/// A process of its own. It ends with this handle, by SIGKILL if it must.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    address: String,
    log: PathBuf,
}

impl Agent {
    /// Starts it and waits until it is ready. It listens on a free port and keeps its state in this home.
    pub async fn start(home: &Home, config: &Value) -> Self {
        let mut config = config.clone();
        config["agent"]["listen"] = json!("127.0.0.1:0");
        config["agent"]["location"] = json!("lab");
        config["agent"]["state_dir"] = json!(home.path("state"));
        let file = home.write("run.yaml", config.to_string());
        let mut command = home.command();
        command
            .envs([("OTEL_METRIC_EXPORT_INTERVAL", "1000"), ("OTEL_BSP_SCHEDULE_DELAY", "500"), ("OTEL_BLRP_SCHEDULE_DELAY", "500")])
            .args([OsStr::new("run"), "-c".as_ref(), file.as_os_str()]);
        Self::started(&mut command, home.path("agent.log")).await
    }

    /// Starts what is or becomes the agent, and waits until it is ready. What it says goes to a file.
    pub async fn started(command: &mut Command, log: PathBuf) -> Self {
        let output = std::fs::File::create(&log).expect("the test's folder takes a file");
        let child = command.stdout(Stdio::null()).stderr(output).spawn().expect("the program can be started");
        let mut agent = Self { child, address: String::new(), log };
        agent.address = eventually("the agent says where its page is", async || agent.page()).await;
        eventually("/readyz is 200", async || agent.ready().await.then_some(())).await;
        agent
    }

    /// `host:port` of its page.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What a path of its page answers.
    pub async fn get(&self, path: &str) -> Reply {
        let reply = message::get(&self.address, path).await;
        reply.unwrap_or_else(|error| panic!("nothing answers {path} ({error}):\n{}", self.log()))
    }

    /// `/metrics`, read.
    pub async fn metrics(&self) -> Exposition {
        Exposition::read(&self.get("/metrics").await.text)
    }

    /// Sends SIGTERM and waits for the exit code.
    pub async fn terminate(self) -> i32 {
        self.end(Signal::TERM).await
    }

    /// Sends a signal that ends it, and waits for the exit code.
    pub async fn end(mut self, signal: Signal) -> i32 {
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).expect("the agent is running");
        kill_process(pid, signal).expect("a child can be sent a signal");
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("the agent comes to an end");
        let log = self.log();
        assert!(!log.contains(DEFECT), "the agent crashed:\n{log}");
        status.expect("a child can be waited for").code().unwrap_or(128)
    }

    /// Sends SIGKILL, and is sure that nothing of it is left.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("a child can be killed");
    }

    /// The line at the start names the address, whichever port was free.
    fn page(&mut self) -> Option<String> {
        let log = self.log();
        assert!(self.child.try_wait().expect("a child can be asked").is_none(), "the agent did not start:\n{log}");
        let (_, rest) = log.split_once("page=http://")?;
        Some(rest.split_once('/')?.0.to_owned())
    }

    async fn ready(&self) -> bool {
        message::get(&self.address, "/readyz").await.is_ok_and(|reply| reply.status == 200)
    }
}
