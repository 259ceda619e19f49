//! What the reader wants to see of all probes: kept in the URL, judged here, with or without script.

use url::form_urlencoded;

use crate::outcome::{Label, State};
use crate::serve::board::{Board, Probe, rank};
use crate::serve::history::History;

/// Longest text that is looked for.
const TEXT: usize = 200;

/// The filter, and how many of what it admits were shown already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Each of its words has to occur.
    pub(super) text: String,
    /// Any of these; empty = any at all.
    pub(super) states: Vec<State>,
    /// This label.
    pub(super) label: Option<(String, String)>,
    /// Rows before the first one wanted.
    pub(super) offset: usize,
}

/// The place of a probe in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its index on the board.
    pub(super) index: usize,
    weight: u8,
}

impl Filter {
    /// Reads a query; what it does not know it leaves alone.
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let mut filter = Self::default();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match name.as_ref() {
                "q" => value.trim().chars().take(TEXT).collect::<String>().clone_into(&mut filter.text),
                "state" => filter.states.extend(State::ALL.iter().filter(|state| state.word() == value)),
                "label" => filter.label = value.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())),
                "offset" => filter.offset = value.parse().unwrap_or_default(),
                _ => {}
            }
        }
        filter
    }

    /// The same, as a query, from another row on.
    pub(super) fn query(&self, offset: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !self.text.is_empty() {
            query.append_pair("q", &self.text);
        }
        for state in &self.states {
            query.append_pair("state", state.word());
        }
        if let Some((name, value)) = &self.label {
            query.append_pair("label", &format!("{name}={value}"));
        }
        query.append_pair("offset", &offset.to_string()).finish()
    }

    /// Whether it leaves anything out.
    pub(super) fn is_open(&self) -> bool {
        self.text.is_empty() && self.states.is_empty() && self.label.is_none()
    }

    /// The probes that it admits, grouped by check, troubles first: the groups by their worst probe, the probes
    /// within them by their own state, otherwise in the order of the configuration.
    pub(super) fn select(&self, board: &Board) -> Vec<Place> {
        let words: Vec<String> = self.text.split_whitespace().map(str::to_lowercase).collect();
        let mut groups = Vec::<(String, Vec<Place>)>::new();
        let mut known = std::collections::HashMap::<&str, usize>::new();
        for (index, probe) in board.probes().iter().enumerate() {
            let (state, weight) = probe.glance(|history| (history.state(), weight(history)));
            if !self.admits(probe, state, &words) {
                continue;
            }
            let check = probe.identity().check.as_str();
            let group = *known.entry(check).or_insert_with(|| {
                groups.push((check.to_owned(), Vec::new()));
                groups.len() - 1
            });
            groups[group].1.push(Place { index, weight });
        }
        for (_, places) in &mut groups {
            places.sort_by_key(|place| place.weight);
        }
        groups.sort_by_key(|(_, places)| places.first().map(|place| place.weight));
        groups.into_iter().flat_map(|(_, places)| places).collect()
    }

    fn admits(&self, probe: &Probe, state: State, words: &[String]) -> bool {
        let identity = probe.identity();
        let state = self.states.is_empty() || self.states.contains(&state);
        let label = self
            .label
            .as_ref()
            .is_none_or(|(name, value)| identity.labels.iter().any(|label| label.name == *name && label.value == *value));
        state
            && label
            && (words.is_empty() || {
                let mut text = format!("{} {} {}", identity.service, identity.address, identity.target);
                for Label { name, value } in &identity.labels {
                    text.extend([" ", name, "=", value]);
                }
                let text = text.to_lowercase();
                words.iter().all(|word| text.contains(word))
            })
    }
}

/// How early a probe comes: what nobody knows anything of yet is no trouble.
pub(super) fn weight(history: &History) -> u8 {
    match history.state() {
        State::Unknown if !history.in_trouble() => rank(State::Up),
        state => rank(state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_survives_the_way_through_the_url() {
        let filter = Filter::parse(Some("q=a%20b%26&state=down&state=up&state=nonsense&label=team%3Da%3Db&offset=100&other=1"));
        assert_eq!(filter.text, "a b&");
        assert_eq!(filter.states, [State::Down, State::Up]);
        assert_eq!(filter.label, Some(("team".to_owned(), "a=b".to_owned())));
        assert_eq!(filter.offset, 100);
        assert_eq!(Filter::parse(Some(&filter.query(100))), filter);
        assert!(Filter::parse(None).is_open() && Filter::parse(Some("label=&q=")).is_open());
    }
}
