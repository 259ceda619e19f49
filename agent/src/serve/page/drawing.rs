//! The small drawings: strip of runs, line of latencies, bar of phases. Shapes differ, not only colours, and
//! no drawing has a style of its own: classes only, so that the content security policy can be strict.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use super::say::{self, Markup};
use crate::outcome::{Attempt, Outcome, Phase, Phases, RunResult};
use crate::serve::history::{BRIEFS, Brief};

/// Width of one run in the strip.
const CELL: usize = 4;

/// Kinds of runs as the strip tells them apart. The style sheet draws a line of each kind in its own thickness, dashed
/// so that every run has its cell: calm and thin what went well, all the way what did not.
const SOLID: [&str; 5] = ["success", "warned", "failure", "timeout", "skipped"];

/// No verdict: hollow.
const HOLLOW: [(&str, &str); 2] = [("error", " 5.5v11h2v-11z"), ("unknown", " 8.5v5h2v-5z")];

/// The last runs, the newest at the right, one path for each kind.
pub(super) fn strip(briefs: &VecDeque<Brief>) -> Markup {
    let width = BRIEFS * CELL;
    let mut svg = format!("<svg viewBox=\"0 0 {width} 22\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">", tally(briefs));
    let empty = BRIEFS - briefs.len().min(BRIEFS);
    if empty > 0 {
        let _ = write!(svg, "<path class=\"none\" d=\"M0 11h{}\"/>", empty * CELL - 1);
    }
    let kinds: Vec<&str> = briefs.iter().map(|brief| say::class(brief.result, brief.warned)).collect();
    for kind in SOLID {
        let (mut path, mut place) = (String::new(), 0);
        // Neighbours of a kind are one line.
        for same in kinds.chunk_by(|one, next| one == next) {
            let (x, length) = ((empty + place) * CELL, same.len() * CELL - 1);
            place += same.len();
            let _ = match same.first() {
                // All the way with a gap: it did not come to an end.
                Some(&"timeout") if kind == "timeout" => write!(path, "M{x} 5h{length}M{x} 17h{length}"),
                Some(first) if *first == kind => write!(path, "M{x} 11h{length}"),
                _ => Ok(()),
            };
        }
        if !path.is_empty() {
            let _ = write!(svg, "<path class=\"{kind}\" d=\"{path}\"/>");
        }
    }
    for (kind, shape) in HOLLOW {
        let places = kinds.iter().enumerate().filter(|(_, found)| **found == kind);
        let mut path = String::new();
        for (place, _) in places {
            let _ = write!(path, "M{}.5{shape}", (empty + place) * CELL);
        }
        if !path.is_empty() {
            let _ = write!(svg, "<path class=\"{kind}\" d=\"{path}\"/>");
        }
    }
    svg.push_str("</svg>");
    Markup(svg)
}

/// The strip in words: `60 runs: 58 success, 2 failure`.
fn tally(briefs: &VecDeque<Brief>) -> String {
    let mut text = format!("last {} runs", briefs.len());
    let mut separator = ": ";
    for result in RunResult::ALL {
        let number = briefs.iter().filter(|brief| brief.result == *result).count();
        if number > 0 {
            let _ = write!(text, "{separator}{number} {result}");
            separator = ", ";
        }
    }
    text
}

/// Latencies of the last runs as a line from zero; a run without one leaves a gap.
pub(super) fn spark(briefs: &VecDeque<Brief>) -> Markup {
    let most = briefs.iter().filter_map(|brief| brief.latency).fold(0.0_f32, f32::max);
    if most <= 0.0 {
        return Markup::default();
    }
    let mut svg = String::from("<svg class=\"spark\" viewBox=\"0 0 118 60\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><path d=\"");
    let offset = BRIEFS - briefs.len().min(BRIEFS);
    let mut before = None;
    for (place, brief) in briefs.iter().enumerate() {
        // Whole numbers, from point to point: a hundred of these lines are in a page.
        let y = brief.latency.map(|latency| (58.0 - latency / most * 54.0).round());
        let _ = match (before, y) {
            (Some(before), Some(y)) => write!(svg, "l2 {}", y - before),
            // A point of its own is drawn as a dot by its round ends.
            (None, Some(y)) => write!(svg, "M{} {y}h0", (offset + place) * 2),
            (_, None) => Ok(()),
        };
        before = y;
    }
    svg.push_str("\"/></svg>");
    Markup(svg)
}

/// A stretch of a bar: class, place and length as shares of the whole.
pub(super) struct Piece {
    /// Class in the style sheet.
    pub(super) class: String,
    /// 0..=1
    pub(super) start: f64,
    /// 0..=1
    pub(super) length: f64,
}

/// A bar to scale, as wide as its place.
pub(super) fn bar(pieces: &[Piece]) -> Markup {
    let mut svg = String::from("<svg class=\"bar\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    for piece in pieces {
        let start = piece.start.clamp(0.0, 1.0) * 1000.0;
        // What took place can be seen, however short it was.
        let width = (piece.length * 1000.0).clamp(3.0, (1000.0 - start).max(3.0));
        let _ = write!(svg, "<rect class=\"{}\" x=\"{start:.1}\" width=\"{width:.1}\" height=\"10\"/>", piece.class);
    }
    svg.push_str("</svg>");
    Markup(svg)
}

/// One phase as the legend of a bar has it.
pub(super) struct PhaseTold {
    /// Its word, also its class.
    pub(super) word: &'static str,
    /// How long it took.
    pub(super) length: String,
    /// It is where the run ended badly.
    pub(super) cut: bool,
}

/// The phases of a run's last attempt as one bar to scale, and its legend; none if it had none.
pub(super) fn phases(outcome: &Outcome) -> Option<(Markup, Vec<PhaseTold>)> {
    let attempt = outcome.last()?;
    let lengths: Vec<(Phase, Duration)> =
        Phase::ALL.iter().filter_map(|phase| Some((*phase, Phases::sum(&attempt.exchanges, *phase)?))).collect();
    let total = lengths.iter().map(|(_, length)| *length).sum::<Duration>().as_secs_f64();
    if total <= 0.0 {
        return None;
    }
    let fatal = cut_in(attempt);
    let mut start = 0.0;
    let mut pieces = Vec::new();
    for (phase, length) in &lengths {
        let length = length.as_secs_f64() / total;
        pieces.push(Piece { class: format!("p-{phase}"), start, length });
        start += length;
    }
    let told =
        lengths.iter().map(|(phase, length)| PhaseTold { word: phase.word(), length: say::length(*length), cut: fatal == Some(*phase) });
    Some((bar(&pieces), told.collect()))
}

/// The phase in which the final exchange of an attempt broke off.
fn cut_in(attempt: &Attempt) -> Option<Phase> {
    let exchange = attempt.exchanges.last().filter(|exchange| exchange.error.is_some())?;
    exchange.phases.iter().last().map(|(phase, _)| phase)
}

/// Latency over the last runs, with an axis, failures marked at the bottom.
pub(super) fn chart(briefs: &VecDeque<Brief>) -> Markup {
    let most = f64::from(briefs.iter().filter_map(|brief| brief.latency).fold(0.0_f32, f32::max));
    if most <= 0.0 {
        return Markup::default();
    }
    let scale = nice(most);
    let (width, height, step) = (960.0, 160.0, 960.0 / BRIEFS as f64);
    let mut svg = format!("<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    for line in [0.0, 0.5, 1.0] {
        let y = 8.0 + (1.0 - line) * 132.0;
        let _ = write!(svg, "<path class=\"grid\" d=\"M0 {y:.0}h{width}\"/>");
    }
    let offset = BRIEFS - briefs.len().min(BRIEFS);
    let mut columns = String::new();
    for (place, brief) in briefs.iter().enumerate() {
        let x = (offset + place) as f64 * step;
        let class = say::class(brief.result, brief.warned);
        if let Some(latency) = brief.latency {
            let tall = (f64::from(latency) / scale * 132.0).max(1.0);
            let _ = write!(
                columns,
                "<path class=\"{class}\" d=\"M{:.1} {:.1}v{tall:.1}h{:.1}v-{tall:.1}z\"/>",
                x + 1.0,
                140.0 - tall,
                step - 2.0
            );
        } else {
            let _ = write!(columns, "<path class=\"mark {class}\" d=\"M{:.1} 144v12h{:.1}v-12z\"/>", x + 1.0, step - 2.0);
        }
    }
    let _ = write!(svg, "{columns}</svg>");
    let axis =
        [scale, scale / 2.0, 0.0].map(|value| format!("<span>{}</span>", if value > 0.0 { say::seconds(value) } else { "0".to_owned() }));
    Markup(format!("<div class=\"plot\"><div class=\"axis\" aria-hidden=\"true\">{}</div>{svg}</div>", axis.concat()))
}

/// The next round number: 1, 2, 5 times a power of ten.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].iter().map(|step| step * power).find(|step| *step >= value * 0.999).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::outcome::TraceId;

    fn brief(result: RunResult, latency: Option<f32>) -> Brief {
        Brief {
            trace_id: TraceId([1; 16]),
            at: Timestamp(1),
            result,
            error_type: None,
            warned: false,
            attempts: 1,
            runs: 1,
            latency,
            reason: None,
        }
    }

    #[test]
    fn a_strip_tells_kinds_by_shape_and_in_words() {
        let briefs = VecDeque::from_iter([
            brief(RunResult::Success, Some(0.1)),
            brief(RunResult::Skipped, None),
            brief(RunResult::Error, None),
            brief(RunResult::Failure, None),
        ]);
        let svg = strip(&briefs).0;
        assert!(svg.contains("last 4 runs: 1 success, 1 failure, 1 error, 1 skipped"), "{svg}");
        for kind in ["success\" d=\"M224 11h3", "failure\" d=\"M236 11h3", "skipped\" d=\"M228 11h3", "error\" d=\"M232.5 5.5v11h2v-11z"] {
            assert!(svg.contains(kind), "{kind}: {svg}");
        }
        assert!(svg.len() < 1000 && !svg.contains("style="), "{svg}");
    }

    #[test]
    fn a_run_without_latency_leaves_a_gap_in_the_line() {
        let briefs = VecDeque::from_iter([
            brief(RunResult::Success, Some(0.1)),
            brief(RunResult::Failure, None),
            brief(RunResult::Success, Some(0.2)),
            brief(RunResult::Success, Some(0.1)),
        ]);
        let svg = spark(&briefs).0;
        assert_eq!((svg.matches('M').count(), svg.matches("l2 ").count()), (2, 1), "{svg}");
    }

    #[test]
    fn a_chart_has_a_round_scale() {
        assert_eq!([0.041, 0.2, 3.0].map(|most| say::seconds(nice(most)).replace('\u{a0}', " ")), ["50.0 ms", "200 ms", "5.00 s"]);
    }
}
