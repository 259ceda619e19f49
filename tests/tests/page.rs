//! The status page in a real browser, on a telephone and on a wall, by day and by night.
//!
//! Pictures are left in `target/e2e/page/`: a person looks at them before they are believed.

#![expect(clippy::expect_used, reason = "a test that cannot go on says why and fails")]

use std::path::Path;
use std::time::Duration;

use e2e::agent::Agent;
use e2e::answer::Answer;
use e2e::browser::{Browser, Manner, View};
use e2e::home::Home;
use e2e::patience::eventually;
use e2e::target::Target;
use serde_json::json;

/// So long a page is looked at: runs end meanwhile and the page changes.
const LOOK: Duration = Duration::from_secs(3);

const MANNERS: [Manner; 4] = [
    Manner { width: 400, height: 800, scheme: "light" },
    Manner { width: 400, height: 800, scheme: "dark" },
    Manner { width: 1600, height: 1000, scheme: "light" },
    Manner { width: 1600, height: 1000, scheme: "dark" },
];

#[tokio::test]
async fn every_view_is_quiet_and_fits_and_asks_nobody_else() {
    let home = Home::new();
    let targets = [
        ("front", Target::open(Answer::healthy()), json!({})),
        ("a-name-that-is-as-long-as-names-of-services-sometimes-are", Target::open(Answer::healthy()), json!({})),
        ("slow", Target::open(Answer::slow(Duration::from_millis(200))), json!({"warn": {"latency": "1ms"}})),
        ("broken", Target::open(Answer::new(503, "<script>alert(1)</script>")), json!({"expect": {"body_contains": "cart"}})),
        ("gone", Target::refusing().await, json!({})),
    ];
    let checks = targets.iter().map(|(name, target, with)| json!({"name": name, "target": target.url(), "with": with}));
    let config = json!({"defaults": {"every": "1s", "timeout": "800ms", "retries": 0}, "checks": checks.collect::<Vec<_>>()});
    let agent = Agent::start(&home, &config).await;
    eventually("two are down", async || {
        let down = agent.metrics().await.sum("synthetic_check_state", &[("synthetic_state", "down")]);
        (down >= 2.0).then_some(())
    })
    .await;

    let origin = format!("http://{}", agent.address());
    let page = agent.get("/").await.text;
    let link = page.split('"').find(|text| text.starts_with("/checks/broken/")).expect("the overview links to the probe");
    let mut browser = Browser::start(&home);
    for (view, path) in [("overview", "/"), ("probe", link), ("agent", "/agent")] {
        for manner in MANNERS {
            let seen = browser.look(&format!("{origin}{path}"), manner, LOOK).await;
            let name = format!("{view}-{}-{}", manner.width, manner.scheme);
            keep(&name, &seen);
            assert!(seen.complaints.is_empty(), "{name}: {:#?}", seen.complaints);
            let foreign: Vec<_> = seen.requests.iter().filter(|url| !url.starts_with(&origin) && !url.starts_with("data:")).collect();
            assert!(foreign.is_empty(), "{name} asks {foreign:#?}");
            assert!(seen.document <= seen.window, "{name} is {} wide in a window of {}", seen.document, seen.window);
            assert!(seen.title.contains("Vedette"), "{name}: {:?}", seen.title);
            if view == "overview" {
                assert!(seen.title.contains("2 down"), "the title tells the worst state: {:?}", seen.title);
                assert!(seen.text.contains("broken") && seen.text.contains("gone") && seen.text.contains("front"), "{}", seen.text);
            }
        }
    }
    browser.close().await;
    assert_eq!(agent.terminate().await, 0);
}

/// Leaves the picture for a person.
fn keep(name: &str, seen: &View) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/e2e/page");
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    std::fs::write(folder.join(format!("{name}.png")), &seen.picture).expect("the target folder takes a file");
}
