//! A place of its own for each test: folder, environment, and the program run in it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::Instant;

use crate::certificates::Authority;
use crate::patience::PATIENCE;

/// What the agent says when a part of it has panicked.
pub(crate) const DEFECT: &str = "a defect of the agent";

/// The program under test: `$VEDETTE_BIN`, or the `vedette` beside this test in the target folder.
pub fn binary() -> PathBuf {
    let path = std::env::var_os("VEDETTE_BIN").map_or_else(
        || {
            let this = std::env::current_exe().expect("a process has an executable");
            this.ancestors().nth(2).expect("tests are in deps/").join("vedette")
        },
        PathBuf::from,
    );
    assert!(path.is_file(), "{} is not there; `make test` builds it, or VEDETTE_BIN names another", path.display());
    path
}

/// A folder that is removed at the end, and what programs in it see of the world.
#[derive(Debug)]
pub struct Home {
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Finished {
    /// 128 and more if a signal ended it.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it said besides.
    pub stderr: String,
    /// How long it took.
    pub length: Duration,
}

impl Finished {
    /// What it printed, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("stdout is not JSON ({error}): {self:#?}"))
    }

    /// The services of `check --format json`, by name.
    pub fn services(&self) -> std::collections::BTreeMap<String, Value> {
        let document = self.json();
        let services = document["services"].as_array().expect("a list of services");
        services.iter().map(|service| (service["service"].as_str().expect("a name").to_owned(), service.clone())).collect()
    }
}

impl Home {
    /// A new one.
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("vedette-e2e-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(folder.join("home")).expect("the temporary folder can be written");
        let at = |name: &str| folder.join(name).display().to_string();
        let environment = vec![
            ("PATH".to_owned(), std::env::var("PATH").unwrap_or_default()),
            ("HOME".to_owned(), at("home")),
            ("XDG_STATE_HOME".to_owned(), at("xdg-state")),
            ("XDG_CONFIG_HOME".to_owned(), at("xdg-config")),
        ];
        Self { folder, environment }
    }

    /// Programs in it trust this authority, and no other.
    #[must_use]
    pub fn trusting(self, authority: &Authority) -> Self {
        let file = self.path("ca.pem");
        authority.write(&file);
        self.with("SSL_CERT_FILE", &file.display().to_string())
    }

    /// Programs in it see this variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A place in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file, a configuration mostly: JSON is YAML.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("the test's folder takes a file");
        path
    }

    /// The program under test, ready to be given arguments. It ends with its handle.
    pub fn command(&self) -> Command {
        self.tool(&binary())
    }

    /// Another program, in the same surroundings.
    pub fn tool(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).env_clear().envs(self.environment.clone()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs the program to its end.
    pub async fn vedette<I>(&self, arguments: I) -> Finished
    where
        I: IntoIterator<Item: AsRef<std::ffi::OsStr>>,
    {
        let started = Instant::now();
        let output = tokio::time::timeout(PATIENCE * 2, self.command().args(arguments).output());
        let output = output.await.expect("the program comes to an end").expect("the program can be started");
        let finished = Finished {
            code: output.status.code().unwrap_or(128),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            length: started.elapsed(),
        };
        assert!(finished.code < 100 && !finished.stderr.contains(DEFECT), "the program crashed: {finished:#?}");
        finished
    }

    /// `vedette check --format json`, with the state kept in this home.
    pub async fn check(&self, arguments: &[&str]) -> Finished {
        let state = self.path("state").display().to_string();
        self.vedette(["check", "--format", "json", "--state-dir", &state].iter().chain(arguments)).await
    }

    /// `vedette check` of a configuration.
    pub async fn check_file(&self, config: &Value) -> Finished {
        let file = self.write("vedette.yaml", config.to_string());
        self.check(&["-c", &file.display().to_string()]).await
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What cannot be removed is in the temporary folder and left to the system.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
