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

/// The icon of pages that tell of no state: the shield of the page's head.
static BRAND: LazyLock<Asset> = LazyLock::new(|| {
    let shield = "M10 1 18 5v5c0 4.5-3.3 7.6-8 9-4.7-1.4-8-4.5-8-9V5z";
    let text = format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 20 20\"><path fill=\"#6b7684\" d=\"{shield}\"/></svg>");
    Asset::new("vedette", "svg", "image/svg+xml", text)
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

/// Where the icon without a state is.
pub(super) fn brand() -> &'static str {
    &BRAND.path
}

/// For browsers that show what is no page of ours, JSON or plain words, and want an icon with it.
pub(super) async fn favicon() -> Response {
    ([(header::CONTENT_TYPE, BRAND.kind)], BRAND.text.as_str()).into_response()
}

/// Serves one by its name.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let mut all = [&*STYLE, &*SCRIPT, &*BRAND].into_iter().chain(ICONS.iter());
    match all.find(|asset| asset.path.strip_prefix("/assets/") == Some(name.as_str())) {
        Some(asset) => {
            let headers = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
            (headers, asset.text.as_str()).into_response()
        }
        None => missing("/assets/", "there is nothing of this name; a newer page asks for newer names"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    type Palette = BTreeMap<&'static str, &'static str>;

    /// Colours by name, by day and by night.
    fn palettes() -> [Palette; 2] {
        let sheet = include_str!("assets/page.css");
        let colours = |block: &'static str| {
            let pairs = block.split(';').filter_map(|line| line.trim().strip_prefix("--")?.split_once(": #"));
            pairs.collect::<Palette>()
        };
        let mut blocks = sheet.split(":root {").skip(1).map(|rest| colours(rest.split('}').next().unwrap()));
        let (day, night) = (blocks.next().unwrap(), blocks.next().unwrap());
        let night = day.clone().into_iter().chain(night).collect();
        [day, night]
    }

    /// Relative luminance, as WCAG 2 has it.
    fn luminance(colour: &str) -> f64 {
        let digits: Vec<u32> = colour.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
        let byte = |place: usize| if digits.len() == 3 { digits[place] * 17 } else { digits[2 * place] * 16 + digits[2 * place + 1] };
        let linear = |place: usize| {
            let share = f64::from(byte(place)) / 255.0;
            if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        0.212_6 * linear(0) + 0.715_2 * linear(1) + 0.072_2 * linear(2)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    const GROUNDS: [&str; 7] = ["bg", "panel", "sunk", "down-tint", "degraded-tint", "flapping-tint", "unknown-tint"];

    /// WCAG 2 AA: 4.5 for text, 3 for what has to be seen.
    #[test]
    fn text_and_drawings_stand_out_from_every_ground_by_day_and_by_night() {
        assert!((contrast("fff", "000000") - 21.0).abs() < 0.001, "black on white is 21");
        let text = ["text", "muted", "link", "down", "degraded", "up", "flapping", "unknown", "maintenance"];
        let drawn = ["ok", "warned", "bad", "odd", "dns", "connect", "tls", "send", "wait", "receive"];
        for palette in palettes() {
            for (names, least) in [(text.as_slice(), 4.5), (drawn.as_slice(), 3.0)] {
                for (name, ground) in names.iter().flat_map(|name| GROUNDS.map(|ground| (name, ground))) {
                    let contrast = contrast(palette[name], palette[ground]);
                    assert!(contrast >= least, "--{name} on --{ground} has a contrast of {contrast:.2}, {least} is the least");
                }
            }
        }
    }

    #[test]
    fn nothing_moves_for_whoever_wants_it_still() {
        let sheet = include_str!("assets/page.css");
        let (still, moving) = sheet.split_once("@media (prefers-reduced-motion: no-preference)").unwrap();
        for motion in ["animation", "transition", "scroll-behavior"] {
            assert!(!still.contains(motion), "{motion} stands outside of its condition");
        }
        assert!(moving.contains("animation"));
        let script = include_str!("assets/page.js");
        assert_eq!(script.matches("'smooth'").count(), script.matches("(prefers-reduced-motion: reduce)").count());
    }
}
