//! The container image: small, without a root user, content with a root that is read-only.

#![expect(clippy::expect_used, reason = "a test that cannot go on says why and fails")]

use std::path::Path;

use e2e::agent::Agent;
use e2e::answer::Answer;
use e2e::home::{Home, binary};
use e2e::patience::eventually;
use e2e::target::Target;
use serde_json::{Value, json};
use tokio::process::Command;

const TAG: &str = "vedette-e2e";
/// What the layers may have in all, uncompressed.
const MOST: u64 = 25_000_000;
const USER: &str = "65532:65532";

/// A root that nothing can be written to but the volume, as `read_only` of a container runtime makes it: `$1` is the
/// image's root, `$2` the volume, `$3` the configuration, `$4` the user, the rest the command, which it becomes.
const READ_ONLY: &str = r#"set -e
root=$1; volume=$2; config=$3; user=$4; shift 4
mkdir -p "$root/etc/vedette" "$root/proc" "$root/dev"
mount --bind "$root" "$root"
mount --bind "$volume" "$root/var/lib/vedette"
mount --bind "$config" "$root/etc/vedette"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user" --groups= "$root" "$@""#;

/// An image in a storage of the test's own.
struct Image {
    home: Home,
    config: Value,
    size: u64,
}

impl Image {
    async fn build() -> Self {
        let home = Home::new();
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
            home.path("graph").display(),
            home.path("run").display()
        );
        let storage = home.write("storage.conf", storage).display().to_string();
        let home = home.with("CONTAINERS_STORAGE_CONF", &storage).with("BUILDAH_ISOLATION", "chroot");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/image");
        output(home.tool(&script).arg(binary()).arg(TAG)).await;
        let mut image = Self { home, config: Value::Null, size: 0 };
        image.config = image.inspect("Config").await["config"].take();
        let layers = image.inspect("Manifest").await["layers"].take();
        image.size = layers.as_array().expect("layers").iter().filter_map(|layer| layer["size"].as_u64()).sum();
        image
    }

    async fn inspect(&self, what: &str) -> Value {
        let text = self.buildah(&["inspect", "--type", "image", "--format", &format!("{{{{.{what}}}}}"), TAG]).await;
        serde_json::from_str(&text).expect("buildah tells JSON")
    }

    async fn buildah(&self, arguments: &[&str]) -> String {
        output(self.home.tool(Path::new("buildah")).args(arguments)).await
    }

    fn texts(&self, key: &str) -> Vec<&str> {
        self.config[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

/// What a tool prints. It must succeed.
async fn output(command: &mut Command) -> String {
    let output = command.output().await.expect("the tool can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test]
async fn the_image_is_small_and_runs_as_nobody_on_a_read_only_root() {
    let image = Image::build().await;
    assert!(image.size <= MOST, "{} bytes", image.size);
    assert_eq!(image.config["User"], USER);
    assert_eq!(image.texts("Cmd"), ["run"]);
    assert!(image.config["ExposedPorts"].get("9115/tcp").is_some() && image.config["Volumes"].get("/var/lib/vedette").is_some());
    let target = Target::open(Answer::healthy());
    let url = target.url();
    let container = image.buildah(&["from", "--pull-never", TAG]).await;
    let entry = image.texts("Entrypoint");

    // One question, with the tool's own isolation.
    let check = [&["run", &container, "--"], entry.as_slice(), &["check", "--format", "json", &url]].concat();
    let document: Value = serde_json::from_str(&image.buildah(&check).await).expect("JSON");
    assert_eq!(document["summary"], json!({"total": 1, "ok": 1, "fail": 0}), "{document:#}");

    // The agent, on a root that it cannot write to.
    let root = image.buildah(&["mount", &container]).await;
    let (volume, config) = (image.home.path("volume"), image.home.path("config"));
    for folder in [&volume, &config] {
        std::fs::create_dir(folder).expect("the test's folder takes a folder");
    }
    std::os::unix::fs::chown(&volume, Some(65532), Some(65532)).expect("root can give a folder away");
    let file = json!({
        "agent": {"listen": "127.0.0.1:0"},
        "defaults": {"every": "1s", "timeout": "800ms", "retries": 0},
        "checks": [{"name": "api", "target": url}],
    });
    std::fs::write(config.join("vedette.yaml"), file.to_string()).expect("the test's folder takes a file");
    let mut command = image.home.tool(Path::new("unshare"));
    command.args(["--mount", "--propagation", "private", "sh", "-c", READ_ONLY, "sh", &root]).args([&volume, &config]).arg(USER);
    command.args(entry).args(image.texts("Cmd")).envs(image.texts("Env").into_iter().filter_map(|pair| pair.split_once('=')));
    let agent = Agent::started(&mut command, image.home.path("agent.log")).await;
    assert_eq!(agent.get("/healthz").await.status, 200);
    let seen = target.count();
    eventually("the target is asked again and again", async || (target.count() >= seen + 2).then_some(())).await;
    assert!(!agent.log().contains("WARN"), "nothing to complain about:\n{}", agent.log());
    assert_eq!(agent.terminate().await, 0);
    assert!(std::fs::read_dir(&volume).expect("the volume").next().is_some(), "state is kept on the volume");
}

#[tokio::test]
async fn the_unit_is_one_that_systemd_takes() {
    let home = Home::new();
    let sample = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/vedette.service")).expect("the unit is there");
    // The program that it names must be there; here it stands elsewhere.
    let unit = home.write("vedette.service", sample.replace("/usr/bin/vedette", &binary().display().to_string()));
    let verified = home.tool(Path::new("systemd-analyze")).args(["--man=no", "verify"]).arg(unit).output().await;
    let verified = verified.expect("systemd-analyze can be started");
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && !said.contains("vedette.service"), "{said}");
}
