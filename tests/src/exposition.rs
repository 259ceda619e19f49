//! Prometheus text, read.

use std::collections::{BTreeMap, BTreeSet};

/// A sample: one line.
#[derive(Clone, Debug)]
pub struct Sample {
    /// `synthetic_check_up` and the like.
    pub name: String,
    /// By name.
    pub labels: BTreeMap<String, String>,
    /// As it stands there.
    pub value: f64,
}

/// All samples of one answer.
#[derive(Clone, Debug, Default)]
pub struct Exposition(pub Vec<Sample>);

impl Exposition {
    /// Reads a text.
    pub fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(|line| sample(line).unwrap_or_else(|| panic!("not a sample: {line}"))).collect())
    }

    /// The names that start with this.
    pub fn names(&self, prefix: &str) -> BTreeSet<&str> {
        self.0.iter().map(|sample| sample.name.as_str()).filter(|name| name.starts_with(prefix)).collect()
    }

    /// The sum over all samples of a name that carry these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|sample| sample.value).sum()
    }

    /// The value of the only sample of a name with these labels; none if it is not there.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found: Vec<_> = self.matching(name, labels).collect();
        assert!(found.len() < 2, "several samples are meant: {found:?}");
        found.first().map(|sample| sample.value)
    }

    fn matching<'a>(&'a self, name: &'a str, labels: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = &'a Sample> {
        let wanted = |sample: &&Sample| labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|other| other == value));
        self.0.iter().filter(move |sample| sample.name == name).filter(wanted)
    }
}

fn sample(line: &str) -> Option<Sample> {
    // An exemplar, if there is one, stands behind ` # `.
    let line = line.split(" # ").next()?;
    let (series, value) = match line.split_once('}') {
        Some((series, value)) => (series, value),
        None => line.split_once(' ')?,
    };
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let labels = labels.split("\",").filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once("=\"")?;
        Some((key.to_owned(), value.trim_end_matches('"').to_owned()))
    });
    let value = value.split_whitespace().next()?;
    Some(Sample { name: name.to_owned(), labels: labels.collect::<Option<_>>()?, value: value.replace("+Inf", "inf").parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_and_without_labels() {
        let read = Exposition::read("# TYPE up gauge\nup 1\nruns{a=\"x\",b=\"y, z\"} 2.5 1700000000\nruns{a=\"w\"} 1 # {t=\"1\"} 3\n");
        assert_eq!(read.value("up", &[]), Some(1.0));
        assert_eq!(read.value("runs", &[("b", "y, z")]), Some(2.5));
        assert!((read.sum("runs", &[]) - 3.5).abs() < 1e-9);
        assert_eq!(read.value("runs", &[("a", "nobody")]), None);
    }
}
