//! A headless Chromium, driven over its debugging pipe: JSON, each message ended by a zero byte.

use std::process::Stdio;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout, timeout_at};

use crate::home::Home;
use crate::patience::PATIENCE;

/// It must not speak to anybody but the page, and this often runs as root in a container.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
];

/// The browser reads commands from descriptor 3 and answers on 4: here its standard input and output.
const START: &str = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;

/// A process of its own with an empty profile. It ends with this handle.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What has come of the next message.
    partial: Vec<u8>,
    last: u64,
    events: Vec<Value>,
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Of the window, in CSS pixels.
    pub width: u32,
    /// Of the window, in CSS pixels.
    pub height: u32,
    /// `light` or `dark`.
    pub scheme: &'static str,
}

/// What was seen.
#[derive(Debug)]
pub struct View {
    /// Of the document.
    pub title: String,
    /// The text that a person can read.
    pub text: String,
    /// How wide the window is.
    pub window: f64,
    /// How wide the document is; more than the window means that it scrolls sideways.
    pub document: f64,
    /// The addresses of everything that was asked for.
    pub requests: Vec<String>,
    /// Exceptions, and errors and warnings on the console.
    pub complaints: Vec<String>,
    /// PNG.
    pub picture: Vec<u8>,
}

impl Browser {
    /// Starts `$CHROMIUM_BIN` or `chromium`.
    pub fn start(home: &Home) -> Self {
        let program = std::env::var("CHROMIUM_BIN").unwrap_or_else(|_| "chromium".to_owned());
        let mut child = Command::new("sh")
            .args(["-c", START, &program])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", home.path("profile").display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a shell can be started");
        let commands = child.stdin.take().expect("standard input is piped");
        let answers = BufReader::new(child.stdout.take().expect("standard output is piped"));
        Self { child, commands, answers, partial: Vec::new(), last: 0, events: Vec::new() }
    }

    /// Opens an address in a new tab and looks at it for a while, in which it may change.
    pub async fn look(&mut self, url: &str, manner: Manner, length: Duration) -> View {
        let target = self.call(None, "Target.createTarget", json!({"url": "about:blank"})).await["targetId"].clone();
        let attached = self.call(None, "Target.attachToTarget", json!({"targetId": target, "flatten": true})).await;
        let session = attached["sessionId"].as_str().expect("a session").to_owned();
        let tab = Some(session.as_str());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(tab, &format!("{domain}.enable"), json!({})).await;
        }
        let size = json!({"width": manner.width, "height": manner.height, "deviceScaleFactor": 1, "mobile": manner.width < 600});
        self.call(tab, "Emulation.setDeviceMetricsOverride", size).await;
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": manner.scheme}]});
        self.call(tab, "Emulation.setEmulatedMedia", media).await;
        self.events.clear();
        self.call(tab, "Page.navigate", json!({"url": url})).await;
        self.until_loaded().await;
        self.watch(length).await;
        let view = self.view(tab).await;
        self.call(None, "Target.closeTarget", json!({"targetId": target})).await;
        view
    }

    /// Ends it, and waits until it writes to its profile no more.
    pub async fn close(mut self) {
        self.call(None, "Browser.close", json!({})).await;
        let ended = timeout(PATIENCE, self.child.wait()).await.expect("the browser comes to an end");
        ended.expect("a child can be waited for");
    }

    async fn view(&mut self, tab: Option<&str>) -> View {
        let expression = "({title: document.title, text: document.body.innerText, window: document.documentElement.clientWidth, \
                          document: document.documentElement.scrollWidth})";
        let seen = self.call(tab, "Runtime.evaluate", json!({"expression": expression, "returnByValue": true})).await;
        let picture = self.call(tab, "Page.captureScreenshot", json!({"captureBeyondViewport": false})).await;
        let seen = &seen["result"]["value"];
        View {
            title: seen["title"].as_str().unwrap_or_default().to_owned(),
            text: seen["text"].as_str().unwrap_or_default().to_owned(),
            window: seen["window"].as_f64().expect("a window has a width"),
            document: seen["document"].as_f64().expect("a document has a width"),
            requests: self.events.iter().filter_map(requested).collect(),
            complaints: self.events.iter().filter_map(complaint).collect(),
            picture: BASE64_STANDARD.decode(picture["data"].as_str().expect("a picture")).expect("base64"),
        }
    }

    /// Says a command and waits for its answer; what else comes is kept.
    async fn call(&mut self, tab: Option<&str>, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut command = json!({"id": self.last, "method": method, "params": params});
        if let Some(tab) = tab {
            command["sessionId"] = json!(tab);
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).await.expect("the browser listens");
        let end = Instant::now() + PATIENCE;
        loop {
            let message = timeout_at(end, self.message()).await.unwrap_or_else(|_| panic!("no answer to {method}"));
            if message["id"] == self.last {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    async fn until_loaded(&mut self) {
        let loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        let end = Instant::now() + PATIENCE;
        while !self.events.iter().any(loaded) {
            let message = timeout_at(end, self.message()).await.expect("the page loads");
            self.events.push(message);
        }
    }

    /// Keeps what the page does meanwhile.
    async fn watch(&mut self, length: Duration) {
        let collect = async {
            loop {
                let message = self.message().await;
                self.events.push(message);
            }
        };
        // The time is over when it is over; that nothing ends it before is the point.
        let _: Result<(), _> = timeout(length, collect).await;
    }

    /// The next one. If this is given up half-way, the next call goes on with it.
    async fn message(&mut self) -> Value {
        let length = self.answers.read_until(0, &mut self.partial).await.expect("the browser's pipe can be read");
        assert!(length > 0, "the browser has ended");
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.pop();
        serde_json::from_slice(&bytes).expect("the browser speaks JSON")
    }
}

fn requested(event: &Value) -> Option<String> {
    (event["method"] == "Network.requestWillBeSent").then(|| event["params"]["request"]["url"].as_str().unwrap_or_default().to_owned())
}

fn complaint(event: &Value) -> Option<String> {
    let params = &event["params"];
    let bad = match event["method"].as_str()? {
        "Runtime.exceptionThrown" => true,
        "Runtime.consoleAPICalled" => params["type"] == "error" || params["type"] == "warning",
        "Log.entryAdded" => params["entry"]["level"] == "error" || params["entry"]["level"] == "warning",
        _ => false,
    };
    bad.then(|| params.to_string())
}
