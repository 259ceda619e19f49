//! What is wrong, and where: mistakes are collected while the document is read and judged, and rendered at the end.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{address, visible};

/// Mistakes beyond this many are counted only: a file of rubbish has no more readers than that.
const MOST: usize = 1_000;

/// What a mistake calls a value that a variable or another file says: it may be a secret.
pub(super) const SUBSTITUTED: &str = "what is substituted here";

/// How much of a source line is shown on either side of the caret, in bytes.
const WINDOW: usize = 100;

/// Where something stands in the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Number of the source.
    file: u32,
    /// From 1; 0 = the file as a whole.
    line: u32,
    /// In characters, from 1.
    column: u32,
    /// In bytes from the start of the text.
    offset: u32,
    /// In characters, as far as it is on that line.
    width: u32,
    /// What stands there names a variable or another file, which is never shown.
    substituted: bool,
}

impl Place {
    /// Of what no file says: defaults, arguments.
    pub(super) const NOWHERE: Self = Self { file: u32::MAX, line: 0, column: 0, offset: 0, width: 0, substituted: false };

    /// The file as a whole.
    pub(super) fn file(file: usize) -> Self {
        Self { file: narrow(file), ..Self::NOWHERE }
    }

    /// A stretch of a line. `column` counts from 1.
    pub(super) fn new(file: usize, line: usize, column: usize, offset: usize, width: usize) -> Self {
        let (column, offset, width) = (narrow(column), narrow(offset), narrow(width));
        Self { file: narrow(file), line: narrow(line), column, offset, width, substituted: false }
    }

    /// The same, of a value that is substituted.
    pub(super) fn substituted(self, substituted: bool) -> Self {
        Self { substituted, ..self }
    }

    /// Whether the value there is substituted.
    pub(super) fn is_substituted(self) -> bool {
        self.substituted
    }

    /// Something by its name, which stands here.
    pub(super) fn named(self, what: &str, name: &str) -> String {
        if self.substituted { format!("{what} of the name that is substituted here") } else { format!("{what} {}", quoted(name)) }
    }

    /// This place, or the other if no file says this.
    pub(super) fn or(self, other: Self) -> Self {
        if self == Self::NOWHERE { other } else { self }
    }

    /// Whether nothing is written there.
    pub(super) fn is_empty(self) -> bool {
        self.width == 0
    }

    /// The source that it stands in.
    pub(super) fn source(self, sources: &[Source]) -> Option<&Source> {
        sources.get(usize::try_from(self.file).ok()?)
    }

    fn show(self, sources: &[Source]) -> Option<String> {
        let name = visible::line(&self.source(sources)?.name);
        Some(if self.line == 0 { name.into_owned() } else { format!("{name}:{}:{}", self.line, self.column) })
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A file of the configuration.
#[derive(Debug)]
pub(super) struct Source {
    /// As the operator called it.
    pub(super) name: String,
    /// What relative paths in it are relative to.
    pub(super) folder: PathBuf,
    /// What it holds, without a byte order mark.
    pub(super) text: String,
}

impl Source {
    /// A path that stands in this file, made absolute.
    pub(super) fn absolute(&self, path: &str) -> PathBuf {
        let path = self.folder.join(path);
        std::path::absolute(&path).unwrap_or(path)
    }

    /// The source that a file is.
    pub(super) fn new(path: &Path, text: String) -> Self {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Self { name: path.display().to_string(), folder, text }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mistake {
    place: Place,
    message: String,
    also: Option<(&'static str, Place)>,
    hint: Option<String>,
}

impl Mistake {
    /// What is wrong, and where.
    pub(super) fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), also: None, hint: None }
    }

    /// What to do about it.
    pub(super) fn hint(mut self, hint: Option<impl Into<String>>) -> Self {
        self.hint = hint.map(Into::into).or(self.hint);
        self
    }

    /// Another place that has to do with it.
    pub(super) fn also(mut self, what: &'static str, place: Place) -> Self {
        self.also = (place != Place::NOWHERE).then_some((what, place));
        self
    }

    fn render(&self, sources: &[Source], out: &mut String) {
        if let Some(place) = self.place.show(sources) {
            out.push_str(&place);
            out.push_str(": ");
        }
        out.push_str(&visible::line(&self.message));
        let number = self.place.line.to_string();
        let margin = " ".repeat(number.len());
        if let Some(source) = self.place.source(sources).filter(|_| self.place.line > 0) {
            let (line, indent, width) = excerpt(&source.text, self.place);
            let caret = format!("{}{}", " ".repeat(indent), "^".repeat(width));
            let _ = write!(out, "\n{margin} |\n{number} | {line}\n{margin} | {caret}");
        }
        if let Some((what, place)) = self.also.and_then(|(what, place)| Some((what, place.show(sources)?))) {
            let _ = write!(out, "\n{margin} = {what}: {place}");
        }
        if let Some(hint) = &self.hint {
            let _ = write!(out, "\n{margin} = hint: {}", visible::line(hint));
        }
    }
}

/// The line of a place as it is shown, and where in it the caret stands and how wide it is, in characters.
fn excerpt(text: &str, place: Place) -> (String, usize, usize) {
    let offset = text.floor_char_boundary(place.offset as usize);
    let from = text.ceil_char_boundary(offset.saturating_sub(WINDOW));
    let to = text.floor_char_boundary(offset.saturating_add(WINDOW + 20));
    let end = text[offset..to].char_indices().nth(place.width as usize).map_or(to, |(end, _)| offset + end);
    let lead = match text[from..offset].rsplit_once('\n') {
        Some((_, lead)) => lead.to_owned(),
        None if from == 0 => text[..offset].to_owned(),
        None => format!("…{}", &text[from..offset]),
    };
    let rest = match text[offset..to].split_once('\n') {
        Some((rest, _)) => rest.trim_end_matches('\r').to_owned(),
        None if to == text.len() => text[offset..].to_owned(),
        None => format!("{}…", &text[offset..to]),
    };
    // User information of addresses is masked wherever it is shown, and no file writes to the terminal.
    let shown = |text: &str| visible::line(&address::mask_within(text).replace('\t', " ")).into_owned();
    let line = shown(&format!("{lead}{rest}"));
    let length = line.chars().count();
    let indent = shown(&lead).chars().count().min(length);
    let marked = text[offset..end].lines().next().unwrap_or_default();
    let width = shown(&format!("{lead}{marked}")).chars().count().min(length).saturating_sub(indent).max(1);
    (line.trim_end().to_owned(), indent, width)
}

/// The mistakes found so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    list: Vec<Mistake>,
    more: usize,
}

impl Found {
    /// One more.
    pub(super) fn add(&mut self, mistake: Mistake) {
        if self.is_full() { self.more += 1 } else { self.list.push(mistake) }
    }

    /// Whether further ones are counted only, so that nobody need look for a hint.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MOST
    }

    /// Nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// For people: in the order of the files, each once (what is inherited or aliased may be found wrong several times).
    pub(super) fn render(mut self, sources: &[Source]) -> Mistakes {
        self.list.sort();
        self.list.dedup();
        let rendered = self.list.iter().map(|mistake| {
            let mut text = String::new();
            mistake.render(sources, &mut text);
            text
        });
        Mistakes { rendered: rendered.collect(), more: self.more }
    }
}

/// Everything that is wrong, rendered as `file:line:column: message`, the line, a caret, a hint.
#[derive(Clone, Debug, Default)]
pub struct Mistakes {
    rendered: Vec<String>,
    more: usize,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rendered.join("\n\n"))?;
        if self.more > 0 { write!(f, "\n\nand {} more", self.more) } else { Ok(()) }
    }
}

impl std::error::Error for Mistakes {}

/// A text as it is quoted in a message: one line, of bounded length, user information masked, what nobody sees written out.
pub(super) fn quoted(text: &str) -> String {
    let masked = address::mask_within(text);
    let cut: String = masked.chars().take(80).collect();
    let more = if masked.chars().nth(80).is_some() { "…" } else { "" };
    format!("`{}{more}`", visible::line(&cut))
}

/// The known word that is meant, if one is near enough.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A word of hundreds of letters is no slip of the finger, and comparing it would cost its square.
    if word.len() > 64 {
        return None;
    }
    let bound = (word.chars().count() / 3).max(1);
    let near = known.into_iter().map(|known| (strsim::osa_distance(&word.to_lowercase(), known), known));
    let (_, best) = near.filter(|(distance, _)| *distance <= bound).min()?;
    Some(best)
}

/// The hint that asks for it.
pub fn meant(word: &str, known: impl IntoIterator<Item = impl AsRef<str>>) -> Option<String> {
    let known: Vec<_> = known.into_iter().collect();
    nearest(word, known.iter().map(AsRef::as_ref)).map(|best| format!("did you mean `{best}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mistake at a word of a text, as it is told.
    fn told(text: &str, word: &str) -> String {
        let at = text.find(word).unwrap();
        let before = text[..at].rsplit('\n').next().unwrap();
        let line = text[..at].matches('\n').count() + 1;
        let place = Place::new(0, line, before.chars().count() + 1, at, word.chars().count());
        let mut found = Found::default();
        found.add(Mistake::new(place, "wrong"));
        found.render(&[Source::new(Path::new("a.yaml"), text.to_owned())]).to_string()
    }

    #[test]
    fn the_caret_stands_below_the_word() {
        assert_eq!(told("a: 1\r\nbé:\tword\r\n", "word"), "a.yaml:2:5: wrong\n  |\n2 | bé: word\n  |     ^^^^");
        assert_eq!(told("word", "word"), "a.yaml:1:1: wrong\n  |\n1 | word\n  | ^^^^");
    }

    #[test]
    fn a_mask_shifts_the_caret() {
        assert_eq!(told("[http://u:p@h, word]", "word"), "a.yaml:1:16: wrong\n  |\n1 | [http://***@h, word]\n  |                ^^^^");
    }

    #[test]
    fn what_nobody_sees_is_written_out_and_shifts_the_caret() {
        let expected = "a.yaml:1:4: wrong\n  |\n1 | a\\u{202e} wo\\u{200b}rd b\n  |           ^^^^^^^^^^^^";
        assert_eq!(told("a\u{202e} wo\u{200b}rd b", "wo\u{200b}rd"), expected);
    }

    #[test]
    fn of_a_long_line_a_stretch_is_shown() {
        let told = told(&format!("{}word{}", "é".repeat(1_000_000), "é".repeat(1_000_000)), "word");
        assert!(told.len() < 500 && told.contains("…é") && told.ends_with(&format!("{}^^^^", " ".repeat(51))), "{told}");
    }

    #[test]
    fn a_value_is_quoted_on_one_line_of_bounded_length() {
        assert_eq!(quoted("a\u{1b}\nb\u{202e}"), "`a\\u{1b}\\nb\\u{202e}`");
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), 83);
    }

    #[test]
    fn the_nearest_word_is_meant_if_it_is_near() {
        let known = ["every", "timeout", "retries", "with"];
        assert_eq!(nearest("tiemout", known), Some("timeout"));
        assert_eq!(nearest("Every", known), Some("every"));
        assert_eq!(nearest("retires", known), Some("retries"));
        assert_eq!(nearest("flux_capacitor", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
