//! What the page is made of besides HTML. Names carry a digest, so that a browser may keep them for ever.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::routes::missing;
use crate::outcome::State;

struct Asset {
    path: String,
    kind: &'static str,
    text: String,
}

impl Asset {
    fn new(stem: &str, extension: &str, kind: &'static str, text: String) -> Self {
        let digest = Sha256::digest(&text).iter().take(6).fold(String::new(), |mut digest, byte| {
            let _ = write!(digest, "{byte:02x}");
            digest
        });
        Self { path: format!("/assets/{stem}.{digest}.{extension}"), kind, text }
    }
}

static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("page", "css", "text/css; charset=utf-8", include_str!("assets/page.css").to_owned()));

static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("page", "js", "text/javascript; charset=utf-8", include_str!("assets/page.js").to_owned()));

/// One icon for each state: its shape in its colour.
static ICONS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let icon = |state: &State| {
        let (colour, shape) = match state {
            State::Down => ("#d1342b", "M9 2h14l7 7v14l-7 7H9l-7-7V9z"),
            State::Flapping => ("#8e4ec6", "M16 1 31 16 16 31 1 16z"),
            State::Degraded => ("#c98a00", "M16 2 31 29H1z"),
            State::Unknown => ("#7b8490", "M16 1a15 15 0 1 0 .1 0z"),
            State::Up => ("#2e9a57", "M16 1a15 15 0 1 0 .1 0z"),
            State::Maintenance => ("#3b7dc4", "M7 2h18q5 0 5 5v18q0 5-5 5H7q-5 0-5-5V7q0-5 5-5z"),
        };
        let text = format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\"><path fill=\"{colour}\" d=\"{shape}\"/></svg>");
        Asset::new(state.word(), "svg", "image/svg+xml", text)
    };
    State::ALL.iter().map(icon).collect()
});

/// Where the style sheet is.
pub(super) fn style() -> &'static str {
    &STYLE.path
}

/// Where the script is.
pub(super) fn script() -> &'static str {
    &SCRIPT.path
}

/// Where the icon of a state is.
pub(super) fn icon(state: State) -> String {
    ICONS.get(state as usize).map(|icon| icon.path.clone()).unwrap_or_default()
}

/// Serves one by its name.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let mut all = [&*STYLE, &*SCRIPT].into_iter().chain(ICONS.iter());
    match all.find(|asset| asset.path.strip_prefix("/assets/") == Some(name.as_str())) {
        Some(asset) => {
            let headers = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
            (headers, asset.text.as_str()).into_response()
        }
        None => missing("/assets/", "there is nothing of this name; a newer page asks for newer names"),
    }
}
