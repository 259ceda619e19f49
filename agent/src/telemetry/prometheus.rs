//! The last values as Prometheus text, format 0.0.4, under the names that OTLP translates to.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write;

use super::series::{Kind, Line, Metric, Shown, Table};

/// All series of a table.
pub(super) fn render(table: &Table) -> String {
    let mut families: BTreeMap<String, (&Metric, Vec<Line<'_>>)> = BTreeMap::new();
    for line in table.lines() {
        match families.entry(name(line.metric)) {
            Entry::Vacant(vacant) => {
                vacant.insert((line.metric, vec![line]));
            }
            // One name has one type: what another plugin calls the same but counts otherwise is left out.
            Entry::Occupied(mut occupied) => {
                if occupied.get().0.kind == line.metric.kind {
                    occupied.get_mut().1.push(line);
                }
            }
        }
    }
    let mut text = String::new();
    for (name, (metric, lines)) in &families {
        let kind = match metric.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Explicit | Kind::Exponential => "histogram",
        };
        let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", metric.help.replace('\\', "\\\\").replace('\n', "\\n"));
        for line in lines {
            render_line(&mut text, name, line);
        }
    }
    text
}

fn render_line(text: &mut String, name: &str, line: &Line<'_>) {
    let labels = labels(line);
    let braced = |more: &str| match (labels.is_empty(), more.is_empty()) {
        (true, true) => String::new(),
        (false, false) => format!("{{{labels},{more}}}"),
        _ => format!("{{{labels}{more}}}"),
    };
    let mut sample = |suffix: &str, more: &str, value: f64| {
        let _ = writeln!(text, "{name}{suffix}{} {}", braced(more), number(value));
    };
    match &line.shown {
        Shown::Number(value) => sample("", "", *value),
        Shown::Buckets(bounds, counts, sum) => {
            let mut total = 0;
            for (bound, count) in bounds.iter().copied().chain([f64::INFINITY]).zip(counts.iter()) {
                total += count;
                sample("_bucket", &format!("le=\"{}\"", number(bound)), total as f64);
            }
            sample("_sum", "", *sum);
            sample("_count", "", total as f64);
        }
        // The text format knows no exponential buckets.
        Shown::Total(count, sum) => {
            sample("_bucket", "le=\"+Inf\"", *count as f64);
            sample("_sum", "", *sum);
            sample("_count", "", *count as f64);
        }
    }
}

/// Keys whose names become the same share one label, as OTLP's translation has it.
fn labels(line: &Line<'_>) -> String {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let mut add = |key: &str, value: &str| match all.entry(label(key)) {
        Entry::Vacant(vacant) => {
            vacant.insert(value.to_owned());
        }
        Entry::Occupied(mut occupied) => {
            occupied.get_mut().push(';');
            occupied.get_mut().push_str(value);
        }
    };
    if let Some(identity) = line.identity {
        add("synthetic.check.name", &identity.check);
        add("synthetic.target.name", &identity.target);
        add("synthetic.location", &identity.location);
        identity.labels.iter().for_each(|label| add(&label.name, &label.value));
    }
    line.extra.pairs().iter().for_each(|(key, tag)| add(key, &tag.text()));
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    all.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect::<Vec<_>>().join(",")
}

fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}

/// Letters, digits and `_`; runs of anything else become one `_`.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_ascii_alphanumeric() {
            plain.push(char);
        } else if !plain.ends_with('_') {
            plain.push('_');
        }
    }
    plain
}

fn label(key: &str) -> String {
    let label = plain(key);
    if label.starts_with(|char: char| char.is_ascii_digit()) { format!("key_{label}") } else { label }
}

/// `synthetic.check.runs` in `{run}`, a counter: `synthetic_check_runs_total`.
fn name(metric: &Metric) -> String {
    let mut name = plain(&metric.name).trim_matches('_').to_owned();
    if name.starts_with(|char: char| char.is_ascii_digit()) {
        name.insert(0, '_');
    }
    let mut append = |word: &str| {
        if !word.is_empty() && !name.ends_with(word) {
            name.push('_');
            name.push_str(word);
        }
    };
    append(&unit(&metric.unit));
    if metric.unit == "1" && metric.kind == Kind::Gauge {
        append("ratio");
    }
    if metric.kind == Kind::Counter {
        append("total");
    }
    name
}

/// What a unit of UCUM is called: `By/s` is `bytes_per_second`. What stands in braces is a remark.
fn unit(unit: &str) -> Cow<'static, str> {
    if unit.contains('{') || unit == "1" {
        return "".into();
    }
    let word = |unit: &str, per: bool| -> String {
        let word = match unit {
            "d" => "days",
            "h" => "hours",
            "min" => "minutes",
            "s" => "seconds",
            "ms" => "milliseconds",
            "us" => "microseconds",
            "ns" => "nanoseconds",
            "By" => "bytes",
            "KiBy" => "kibibytes",
            "MiBy" => "mebibytes",
            "GiBy" => "gibibytes",
            "kBy" => "kilobytes",
            "MBy" => "megabytes",
            "GBy" => "gigabytes",
            "m" => "meters",
            "V" => "volts",
            "A" => "amperes",
            "J" => "joules",
            "W" => "watts",
            "g" => "grams",
            "Cel" => "celsius",
            "Hz" => "hertz",
            "%" => "percent",
            other => return plain(other).trim_matches('_').to_owned(),
        };
        if per { word.trim_end_matches('s').to_owned() } else { word.to_owned() }
    };
    match unit.split_once('/') {
        Some((what, per)) => format!("{}_per_{}", word(what, false), word(per, true)).trim_start_matches('_').to_owned().into(),
        None => word(unit, false).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::ProbeSeries;
    use super::super::otlp::Scope;
    use super::super::sample;
    use super::*;
    use crate::clock::Timestamp;
    use crate::outcome::{Instrument, Label};
    use crate::vitals::Vitals;

    fn named(name: &'static str, unit: &'static str, kind: Kind) -> String {
        super::name(&Metric { scope: Scope::own(), name: name.into(), unit: unit.into(), kind, help: "" })
    }

    #[test]
    fn names_follow_the_translation_of_otlp() {
        assert_eq!(named("synthetic.check.runs", "{run}", Kind::Counter), "synthetic_check_runs_total");
        assert_eq!(named("synthetic.check.duration", "s", Kind::Explicit), "synthetic_check_duration_seconds");
        assert_eq!(named("synthetic.check.up", "", Kind::Gauge), "synthetic_check_up");
        assert_eq!(named("synthetic.check.response.size", "By", Kind::Gauge), "synthetic_check_response_size_bytes");
        assert_eq!(named("x.share", "1", Kind::Gauge), "x_share_ratio");
        assert_eq!(named("x.rate", "By/s", Kind::Gauge), "x_rate_bytes_per_second");
        assert_eq!(named("x.seconds", "s", Kind::Gauge), "x_seconds");
        assert_eq!(named("x.total", "{x}", Kind::Counter), "x_total");
        assert_eq!(named("x.load", "%", Kind::Gauge), "x_load_percent");
    }

    #[test]
    fn every_family_is_one_block_with_well_formed_lines() {
        let vitals = Vitals::default();
        vitals.plugin_runs.add(&["http", "success"], 3);
        vitals.lateness.record(Duration::from_millis(3));
        let mut table = Table::new(Timestamp::now(), Duration::from_secs(15), false);
        let mut identity = sample::identity();
        identity.labels = vec![
            Label { name: "te.am".to_owned(), value: "a\"b\\c\nd".to_owned() },
            Label { name: "te_am".to_owned(), value: "e".to_owned() },
        ];
        let identity = Arc::new(identity);
        table.load(&ProbeSeries { identity: Arc::clone(&identity), windows: Arc::new([]), slo: None }, Timestamp::now());
        let mut outcome = sample::success();
        outcome.probe = identity;
        outcome.attempts[0].report.measurements = vec![sample::measurement("cart", Instrument::Histogram, 2.0)];
        table.record(&sample::record(outcome), None, &vitals);
        table.read(&vitals, Timestamp::now());
        let text = render(&table);
        assert!(text.contains("synthetic_check_up{synthetic_check_name=\"api\",synthetic_location=\"lab\",synthetic_target_name=\"one\",te_am=\"a\\\"b\\\\c\\nd;e\"} 1\n"), "{text}");
        assert!(text.contains("synthetic_check_duration_seconds_bucket{") && text.contains(",le=\"+Inf\"} 1\n"));
        assert!(text.contains("vedette_plugin_runs_total{plugin=\"http\",result=\"success\"} 3\n"));
        assert!(text.contains("vedette_scheduler_lateness_seconds_bucket{le=\"0.005\"} 1\n"));
        assert!(text.contains("vedette_info{version=") && text.contains("vedette_process_memory_usage_bytes "));
        assert!(text.contains("vedette_checks{state=\"up\"} 1\n"));
        assert!(text.contains("synthetic_plugin_cart_count{"));
        let shape = regex::Regex::new(r#"^([a-zA-Z_:]\w*)(\{([a-zA-Z_]\w*="([^"\\\n]|\\.)*",?)*\})? \S+$"#).unwrap();
        let mut seen: Vec<&str> = Vec::new();
        for line in text.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                let family = family.split(' ').next().unwrap();
                assert!(!seen.contains(&family), "{family} is in two blocks");
                seen.push(family);
            } else if !line.starts_with('#') {
                assert!(shape.is_match(line), "{line}");
                assert!(line.starts_with(seen.last().unwrap()), "{line} is not below its family");
            }
        }
    }
}
